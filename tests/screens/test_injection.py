"""Poison in every text that a host, an event or an error can carry: none reaches the terminal.

The first wall (cleaning on arrival) is left out on purpose, so that the second is what is tested.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from textual.drivers.headless_driver import HeadlessDriver
from textual.events import Paste

from console.model.host import HostState
from console.model.view import HostView
from console.tui.app import ConsoleApp
from console.tui.look import Look
from console.tui.screens.host import TABS
from console.tui.settings import Settings
from tests.screens.conftest import make_app, settle, text
from tests.support.still_engine import StillEngine, poisoned, view

POISONS = {
    "osc 52": "\x1b]52;c;cHduZWQ=\x07",
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J\x1b[H",
    "colour": "\x1b[31m",
    "c1 csi": "\x9b31m",
    "link": "\x1b]8;;http://evil.example\x1b\\",
    "rtl": "\u202egpj.exe",
    "zero width": "\u200b\u2066",
    "newline": "a\r\nb\tc",
    "bell": "\x07\x08\x7f\x00",
    "markup": "[@click=app.exit]x[/]",
    "unbalanced markup": "[/ [bold",
    "surrogate": "\ud83d",
}
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What no line on the screen may hold, an escape apart, which the library itself writes."""


class Recorder(HeadlessDriver):
    """Keeps every byte that is written to the terminal."""

    written: list[str] = []  # noqa: RUF012  # one recording a test, cleared by the fixture

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written.append(data)


@pytest.fixture
def recorded() -> list[str]:
    Recorder.written.clear()
    return Recorder.written


def poison_host(poison: str) -> HostView:
    whole = view("gpu01", facts={"disk": "x"}, denied={"listen": "CAP"}, reason="why")
    return poisoned(whole, poison)  # type: ignore[no-any-return]


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS.keys())
async def test_no_text_of_a_host_is_obeyed(poison: str, recorded: list[str]) -> None:
    host = poison_host(poison)
    engine = StillEngine(host, view("down", HostState.DOWN, reason=poison + "why"))
    for kind in ("auth.failed", "kernel.xid", "unknown" + poison, "listener.new", "host.state"):
        facts: dict[str, Any] = dict.fromkeys(
            ("user", "source", "message", "name", "cmdline", "to", "reason"), poison + "fact"
        )
        engine.tell(kind, host.name, poison + "key", **facts)
    app = make_app(engine)
    app.driver_class = Recorder
    async with app.run_test(size=(160, 45), headless=False) as pilot:
        await settle(pilot)
        screens = [text(app)]
        await pilot.press("enter")
        for number in range(len(TABS)):
            await pilot.press(str(number + 1))
            await settle(pilot)
            screens.append(text(app))
            await pilot.press("n")
            await settle(pilot)
            screens.append(text(app))
        await pilot.press("escape")
        asked = asyncio.create_task(app.ask_passphrase(poison + "/key"))
        await settle_modal(pilot)
        screens.append(text(app))
        await pilot.press("escape")
        await asked
        assert app.is_running
    for shown in screens:
        for row in shown.split("\n"):
            assert "\x1b" not in row
            assert not HIDDEN.search(row), repr(row)
    # The shape of the mouse pointer is the one such sequence that the library writes itself.
    out = re.sub("\x1b\\]22;[a-z-]*\x07", "", "".join(recorded))
    assert len(out) > 5_000, "the recorder saw the screens"
    assert "\x1b]52" not in out
    assert "\x1b]0;" not in out
    assert "\x1b]8;;http" not in out
    assert not HIDDEN.search(out.replace("\x1b", "")), "nothing else that a terminal obeys"


async def settle_modal(pilot: Any) -> None:
    for _ in range(3):
        await pilot.pause()


async def test_a_click_on_foreign_text_runs_nothing() -> None:
    host = poisoned(view("gpu01"), "[@click=app.exit]")
    app = make_app(StillEngine(host, view("b")))
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        for x in range(0, 60, 3):
            await pilot.click(app._fleet.table, offset=(x, 1))
        assert app.is_running
        assert "[@click=app.exit]" in text(app), "shown as it is"


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS.keys())
async def test_no_typed_told_or_configured_text_is_obeyed(poison: str, recorded: list[str]) -> None:
    host = poison_host(poison)
    app = ConsoleApp(lambda ask: StillEngine(host), Settings(title=poison + "title"), look=Look())
    app.driver_class = Recorder
    async with app.run_test(size=(120, 30), headless=False, notifications=True) as pilot:
        await settle(pilot)
        app._fleet.ask("/" + poison, lambda typed: app._fleet.table.filter(typed[1:]))
        app._fleet.typed.post_message(Paste(poison + "typed>1"))
        await settle(pilot)
        shown = [text(app)]
        await pilot.press("escape")
        app.retry(host.name)
        app._fleet.tell(poison + "told", "bad")
        app.notify(poison + "toast", markup=False)
        await settle(pilot)
        shown.append(text(app))
        await pilot.press("question_mark")
        await settle(pilot)
        shown.append(text(app))
        assert app.is_running
    assert "told" in shown[1]
    for row in "\n".join(shown).split("\n"):
        assert not HIDDEN.search(row), repr(row)
        assert "\x1b" not in row
    out = re.sub("\x1b\\]22;[a-z-]*\x07", "", "".join(recorded))
    assert "\x1b]52" not in out
    assert "\x1b]0;" not in out
    assert "\x1b]8;;http" not in out
    assert not HIDDEN.search(out.replace("\x1b", ""))
