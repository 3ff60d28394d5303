"""Poison in every text that a host, an event, a plugin, a file or an error can carry.

None of it reaches the terminal, on any screen. The first wall (cleaning on arrival) is left out on
purpose, so that the second is what is tested.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.events import Paste
from textual.pilot import Pilot

from console.engine.reading import Reading
from console.engine.replay import ReplayEngine
from console.model.host import HostState
from console.model.panel import Gauge, Note, Panel, Plot, Row
from console.model.view import HostView
from console.tui.app import ConsoleApp
from console.tui.control.actions import Mode
from console.tui.control.trail import Place
from console.tui.safe import SCROLLBAR
from console.tui.screens.host import TABS, HostScreen
from console.tui.screens.wall import PAGES, WallScreen
from console.tui.settings import Settings
from console.tui.style.look import Look
from tests.screens.conftest import acting, make_app, settle, text
from tests.support.attacks import POISONS, Recorder, dangers, hidden
from tests.support.recordings import BEGIN, event, write
from tests.support.still_engine import StillEngine, poisoned, view

KINDS = {
    "all at once": "".join(POISONS.values()),
    "markup": POISONS["markup"],
    "unbalanced markup": POISONS["unbalanced markup"],
}
SECTIONS = 16
"""More than any tab has; the tour ends when it is round."""


def poison_host(poison: str, name: str = "gpu01") -> HostView:
    whole = view(name, facts={"disk": "x"}, denied={"listen": "CAP"}, reason="why")
    return poisoned(whole, poison)  # type: ignore[no-any-return]


def poison_panel(host: str, poison: str) -> Panel:
    """A panel as a plugin would make it that the console trusted without a look."""
    return Panel(
        host=host,
        title=poison + "title",
        plugin=poison + "plugin",
        stopped=poison + "stopped",
        items=(
            Row(label=poison + "row", value=poison + "value", severity="bad"),
            Gauge(label=poison + "gauge", percent=50.0, text=poison + "half", severity="warn"),
            Plot(label=poison + "plot", series=poison + "cpu_pct", unit=poison + "%"),
            Note(text=poison + "note"),
        ),
    )


def poison_engine(poison: str) -> StillEngine:
    """Two poisoned hosts, one of them down; their events, and a panel."""
    host, other = poison_host(poison), poison_host(poison, "gpu02")
    other = msgspec.structs.replace(other, state=HostState.DOWN, fast=None)
    engine = StillEngine(host, other)
    for kind in ("auth.failed", "kernel.xid", "unknown" + poison, "listener.new", "host.state"):
        facts: dict[str, Any] = dict.fromkeys(
            ("user", "source", "message", "name", "cmdline", "to", "reason"), poison + "fact"
        )
        engine.tell(kind, host.name, poison + "key", **facts)
    engine.shown_panels = (poison_panel(host.name, poison),)
    return engine


class Tour:
    """Goes through screens, and looks at each for what should not be there."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot
        self.seen: list[str] = []

    async def look(self, where: str) -> str:
        await self.pilot.pause()
        shown = text(self.app)
        assert not hidden(shown), where
        assert acting(self.app) <= SCROLLBAR, where
        self.seen.append(shown)
        return shown

    async def press(self, *keys: str) -> str:
        await self.pilot.press(*keys)
        return await self.look(f"after {keys}")

    async def tab(self, tab: str) -> str:
        """One tab of a host."""
        assert isinstance(self.app.screen, HostScreen)
        self.app.screen.action_tab(tab)
        return await self.look(tab)

    async def host(self) -> None:
        """Every tab of a host, every section, and the details of a row of each."""
        screen = self.app.screen
        assert isinstance(screen, HostScreen)
        for tab in TABS:
            first = await self.tab(tab)
            for _ in range(SECTIONS):
                if screen.table is not None and screen.table.cursor is not None:
                    screen.action_details()
                    await self.look(f"details in {tab}")
                    screen.action_back()
                screen.action_section()
                if await self.look(f"next section of {tab}") == first:
                    break


each = pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS.keys())
kinds = pytest.mark.parametrize("poison", KINDS.values(), ids=KINDS.keys())


def clean_end(recorded: list[str], *, least: int = 5_000) -> None:
    """Nothing that was written to the terminal is obeyed, and something was written."""
    out = "".join(recorded)
    assert len(out) > least, "the recorder saw the screens"
    assert not dangers(out)


@each
async def test_no_text_of_a_host_is_obeyed(poison: str, recorded: list[str]) -> None:
    engine = poison_engine(poison)
    app = make_app(engine)
    app.driver_class = Recorder
    async with app.run_test(size=(160, 45), headless=False) as pilot:
        await settle(pilot)
        tour = Tour(app, pilot)
        await tour.look("fleet")
        await tour.press("enter")
        for tab in TABS:
            await tour.tab(tab)
        assert "note" in tour.seen[-1], "the panel is shown"
        await tour.press("escape")
        asked = asyncio.create_task(app.ask_passphrase(poison + "/key"))
        await pilot.pause()
        await tour.look("passphrase")
        await pilot.press("escape")
        await asked
        assert app.is_running
    clean_end(recorded)


@kinds
async def test_no_section_and_no_details_are_obeyed(poison: str, recorded: list[str]) -> None:
    app = make_app(poison_engine(poison))
    app.driver_class = Recorder
    async with app.run_test(size=(160, 45), headless=False) as pilot:
        await settle(pilot)
        tour = Tour(app, pilot)
        await tour.press("enter")
        await tour.host()
        assert app.is_running
    clean_end(recorded)


@kinds
async def test_no_name_is_obeyed_by_plots_maps_palette_and_lines(
    poison: str, recorded: list[str]
) -> None:
    engine = poison_engine(poison)
    host = engine.snapshot().hosts[0].name
    app = make_app(engine)
    app.driver_class = Recorder
    async with app.run_test(size=(160, 45), headless=False) as pilot:
        await settle(pilot)
        tour = Tour(app, pilot)
        await tour.look("fleet")
        app.go(Place("plot", (poison + "cpu_pct", *app.host_names())))
        assert "gpu02" in await tour.look("plot of two hosts")
        await tour.press("d")
        app.go(Place("heat"))
        assert "gpu01" in await tour.look("heat")
        await tour.press("right")
        app.to_fleet()
        await pilot.press("ctrl+p", *"gpu01")
        for _ in range(5):
            await pilot.pause(0.05)
        assert "host " in await tour.look("palette")
        await tour.press("escape")
        await pilot.press("escape")
        for typed in (":host ", ":plot cpu_pct ", f":host {host}", ":columns "):
            app.ask_command(typed)
            await tour.look(typed)
            await tour.press("tab")
            await tour.press("escape")
        for typed in (
            f":{poison}x",
            f":host {poison}none",
            f":plot {poison}none",
            ":heat " + poison,
        ):
            app.command(typed)
            await tour.look(typed)
        await tour.press("P")
        assert app.is_running
    clean_end(recorded)


@each
async def test_no_typed_told_or_configured_text_is_obeyed(poison: str, recorded: list[str]) -> None:
    host = poison_host(poison)
    app = ConsoleApp(lambda ask: StillEngine(host), Settings(title=poison + "title"), look=Look())
    app.driver_class = Recorder
    async with app.run_test(size=(120, 30), headless=False, notifications=True) as pilot:
        await settle(pilot)
        tour = Tour(app, pilot)
        await tour.look("fleet")
        app._fleet.ask("/" + poison, lambda typed: app._fleet.table.filter(typed[1:]))
        app._fleet.typed.post_message(Paste(poison + "typed>1"))
        await tour.look("typed")
        await pilot.press("escape")
        app.retry(host.name)
        app._fleet.tell(poison + "told", "bad")
        app.notify(poison + "toast", markup=False)
        assert "told" in await tour.look("told")
        await tour.press("question_mark")
        assert app.is_running
    clean_end(recorded)


@kinds
async def test_no_text_is_obeyed_on_the_wall_board(poison: str, recorded: list[str]) -> None:
    app = ConsoleApp(
        lambda ask: poison_engine(poison),
        Settings(title=poison + "title", mode=Mode.WALL),
        look=Look(),
    )
    app.driver_class = Recorder
    async with app.run_test(size=(160, 45), headless=False) as pilot:
        await settle(pilot)
        tour = Tour(app, pilot)
        await tour.look("wall")
        board = app.screen
        assert isinstance(board, WallScreen)
        for page in PAGES:
            board.page = page.id
            board.draw()
            await tour.look(page.id)
    clean_end(recorded)


@kinds
async def test_no_text_of_a_recording_is_obeyed(
    poison: str, recorded: list[str], tmp_path: Path
) -> None:
    poison = poison.replace("\ud83d", "")  # no file of UTF-8 holds one
    path = tmp_path / "poison.gz"
    host = poison_host(poison)
    told = msgspec.structs.replace(
        event(1, host=host.name), facts={"user": poison + "u", "source": poison + "s"}
    )
    write(path, [(0.0, [host], []), (1.0, [host], [told])], end=poison + "ended")
    engine = ReplayEngine(Reading(path), at=BEGIN + 1, paused=True)
    settings = Settings(title=f"{engine.title} of {poison}", mode=Mode.REPLAY)
    app = ConsoleApp(lambda ask: engine, settings, look=Look())
    app.driver_class = Recorder
    async with app.run_test(size=(160, 45), headless=False) as pilot:
        await settle(pilot)
        tour = Tour(app, pilot)
        assert "REPLAY" in await tour.look("fleet of a recording")
        await tour.press("enter")
        await tour.host()
        app.command(f":seek {poison}")
        await tour.look("seek")
    clean_end(recorded)


async def test_a_click_on_foreign_text_runs_nothing() -> None:
    host = poisoned(view("gpu01"), "[@click=app.exit]")
    app = make_app(StillEngine(host, view("b")))
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        for x in range(0, 60, 3):
            await pilot.click(app._fleet.table, offset=(x, 1))
        assert app.is_running
        assert "[@click=app.exit]" in text(app), "shown as it is"
