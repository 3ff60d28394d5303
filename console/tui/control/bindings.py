"""The registry of actions as key bindings of the library."""

from collections.abc import Mapping

from textual.binding import Binding, BindingType

from console.tui.control.actions import of

NOWHERE = "ctrl+alt+super+f24"
"""Stands for no key at all, which the library's keymap cannot say."""


def bindings(where: str) -> list[BindingType]:
    """Key bindings of one place, each under the action's id.

    One that opens the typed line is carried out before the next key is looked at. Otherwise a
    quick ``/q`` would leave.
    """
    return [
        Binding(
            action.keys or NOWHERE,
            action.name,
            action.words,
            id=action.id,
            show=False,
            priority=action.typing,
        )
        for action in of(where)
    ]


def keymap(changed: Mapping[str, str]) -> dict[str, str]:
    """Changed keys in the form that ``App.set_keymap`` takes."""
    return {id: keys or NOWHERE for id, keys in changed.items()}
