"""Cases of ``test_actions`` for themes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.screens.test_actions import Hand


async def _theme(hand: Hand) -> None:
    look = hand.app.look
    assert look.theme.name == "dark"
    await hand.do("app.theme")
    assert look.theme.name == "light"
    assert "theme light" in hand.shown
    await hand.type("theme high-contrast")
    assert look.theme.name == "high-contrast"
    await hand.type("theme drak")
    assert "no theme is called 'drak'. Did you mean 'dark'? The theme stays" in hand.shown
    assert look.theme.name == "high-contrast"
    assert hand.app.complete_theme("a") == ["auto", "ansi16"]


CASES: dict[str, Callable[[Hand], Awaitable[None]]] = {"app.theme": _theme}
