"""Which keys do what: the defaults of the registry, and what a person has changed of them."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches

from console.text import clean
from console.tui.control.actions import ACTIONS, Action, of, offered_in

UNBOUND = "none"
"""Written instead of keys, it takes all keys from an action."""

_SHOWN = {
    "slash": "/", "question_mark": "?", "exclamation_mark": "!", "colon": ":", "escape": "Esc",
    "right_square_bracket": "]", "left_square_bracket": "[", "pageup": "PgUp", "pagedown": "PgDn",
    "enter": "Enter", "tab": "Tab", "home": "Home", "end": "End", "up": "Up", "down": "Down",
    "left": "Left", "right": "Right", "minus": "-", "plus": "+", "apostrophe": "'",
    "full_stop": ".", "comma": ",", "greater_than_sign": ">", "less_than_sign": "<",
    "space": "Space", "left_curly_bracket": "{", "right_curly_bracket": "}",
    "backspace": "Backspace", "delete": "Del", "insert": "Ins",
}  # fmt: skip
_TYPED = {shown: key for key, shown in _SHOWN.items() if len(shown) == 1}
_NAMED = {shown.lower(): key for key, shown in _SHOWN.items() if len(shown) > 1}
_MODIFIERS = ("ctrl", "alt", "shift", "super", "meta")


def shown(key: str) -> str:
    """One key as a person reads it: ``ctrl+f`` is ``^F``, ``slash`` is ``/``."""
    *modifiers, last = key.split("+")
    name = _SHOWN.get(last, last.upper() if last[1:].isdigit() else last)
    for modifier in reversed(modifiers):
        name = f"^{name.upper()}" if modifier == "ctrl" else f"{modifier.capitalize()}+{name}"
    return name


def _readable(key: str) -> str:
    """A key as the library names it, from how a person writes it; "" where it is none."""
    key = key.strip()
    if key in _TYPED:
        return _TYPED[key]
    *modifiers, last = key.split("+")
    if any(modifier.lower() not in _MODIFIERS for modifier in modifiers):
        return ""
    if last in _TYPED:
        last = _TYPED[last]
    elif last.lower() in _NAMED:
        last = _NAMED[last.lower()]
    function = last[1:].isdigit() and last[:1] in "fF" and 1 <= int(last[1:]) <= 24
    if not (last in _SHOWN or function or (len(last) == 1 and last.isprintable())):
        return ""
    if function or modifiers:
        last = last.lower()
    return "+".join([*(modifier.lower() for modifier in modifiers), last])


class Keys:
    """The keys in force. ``problems`` says which changes were left out and why.

    ``changes`` gives keys, joined by commas, by the id of an action; ``"none"`` takes them all.
    A change that would take a key from another action of the same view is left out as a whole,
    so that no key ever does two things.
    """

    def __init__(self, changes: Mapping[str, str] | None = None) -> None:
        self.problems: list[str] = []
        self._changed: dict[str, str] = {}
        ids = [action.id for action in ACTIONS]
        for id, text in (changes or {}).items():
            if id not in ids:
                by_verb = {f"{a.where}.{a.verb}": a.id for a in ACTIONS if a.verb}
                near = get_close_matches(id, ids, 1)
                meant = by_verb.get(id) or (near[0] if near else "")
                hint = f"; did you mean {meant}?" if meant else "; see docs/actions.md"
                self.problems.append(f"keys: no action is called {clean(id, 60)!r}{hint}")
            elif (keys := self._read(id, text)) is not None:
                self._changed[id] = keys
        self._leave_out_clashes()

    def _read(self, id: str, text: str) -> str | None:
        if text.strip().lower() == UNBOUND:
            return ""
        parts = [","] if text.strip() == "," else text.split(",")
        keys = [(part, _readable(part)) for part in parts]
        wrong = [part for part, key in keys if not key]
        if wrong:
            said = clean(wrong[0].strip(), 30)
            self.problems.append(
                f"keys.{id}: {said!r} is no key; write x, ctrl+x, alt+left, f5, enter, or none"
            )
            return None
        return ",".join(key for _, key in keys)

    def _leave_out_clashes(self) -> None:
        while clash := next(self.clashes(), None):
            key, first, second = clash
            changed = [action for action in (second, first) if action.id in self._changed]
            if not changed:  # only defaults are left, and a test holds that they do not clash
                return
            loser = changed[0]
            other = first if loser is second else second
            del self._changed[loser.id]
            self.problems.append(
                f"keys.{loser.id}: {shown(key)} is {other.id} ({other.words}) already; "
                f"change that one too, or take another key"
            )

    def clashes(self) -> Iterator[tuple[str, Action, Action]]:
        """Every key that two actions of one view have."""
        for view in sorted({action.where for action in ACTIONS} - {"table", "replay", "app"}):
            taken: dict[str, Action] = {}
            for place in offered_in(view):
                for action in of(place):
                    for key in filter(None, self.of(action).split(",")):
                        if key in taken:
                            yield key, taken[key], action
                        taken.setdefault(key, action)

    def of(self, action: Action) -> str:
        """The keys of an action, joined by commas, as the library names them."""
        return self._changed.get(action.id, action.keys)

    def words(self, action: Action) -> str:
        """The keys of an action as a person reads them."""
        return " ".join(shown(key) for key in self.of(action).split(",") if key)

    @property
    def changed(self) -> Mapping[str, str]:
        """What differs from the defaults, by id; "" for an action that has lost its keys."""
        return self._changed

    def footer(self, *places: str, offered: Callable[[Action], bool] = lambda action: True) -> str:
        """The line of keys at the bottom of a view, of the actions that are ``offered`` there."""
        out = [
            f"{self.words(action).split()[0]} {action.short}"
            for place in places
            for action in of(place)
            if action.short and self.of(action) and offered(action)
        ]
        return " " + "  ".join(out)
