"""Every action of the registry, carried out by its key and by its command, on the real screens.

A new action needs a case here: ``test_every_action_has_a_case`` fails without it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.tui.app import ConsoleApp
from console.tui.control.actions import ACTIONS, Action, named
from console.tui.control.keys import Keys
from console.tui.screens.events import EventsScreen
from console.tui.screens.fleet import FleetScreen
from console.tui.screens.host import TABS, HostScreen
from console.tui.screens.modal import HelpScreen
from console.tui.tables.layout import Layouts
from tests.screens import (
    cases_guarded,
    cases_host,
    cases_overviews,
    cases_replay,
    cases_themes,
)
from tests.screens.conftest import make_app, settle, text
from tests.support.acting_engine import ActingEngine
from tests.support.still_engine import StillEngine, gpu, process, view

Case = Callable[["Hand"], Awaitable[None]]
CASES: dict[str, Case] = {
    **cases_overviews.CASES,
    **cases_host.CASES,
    **cases_themes.CASES,
    **cases_replay.CASES,
    **cases_guarded.CASES,
}


class Hand:
    """A person at the screens: presses an action's first key, or types its command."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[None], engine: StillEngine) -> None:
        self.app = app
        self.pilot = pilot
        self.engine = engine

    async def do(self, id: str) -> None:
        """Press the first key of an action."""
        await self.press(Keys().of(named(id)).split(",")[0])

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await settle(self.pilot)

    async def type(self, command: str) -> None:
        """Type a command and Enter."""
        await self.press("colon", *(_NAMES.get(sign, sign) for sign in command), "enter")
        await settle(self.pilot)

    async def open(self, host: str = "gpu01", tab: str = "overview") -> HostScreen:
        self.app.open_host(host, tab)
        await settle(self.pilot)
        screen = self.app.screen
        assert isinstance(screen, HostScreen)
        return screen

    @property
    def fleet(self) -> FleetScreen:
        return self.app._fleet

    def in_fleet(self) -> bool:
        return self.app.screen is self.fleet

    def in_host(self) -> str:
        """The host whose screen is in front, or nothing."""
        return self.app.screen.host if isinstance(self.app.screen, HostScreen) else ""

    @property
    def shown(self) -> str:
        return text(self.app)

    def cursor(self) -> object:
        return self.fleet.table.cursor


_NAMES = {" ": "space", "/": "slash", "*": "asterisk", "-": "minus", ".": "full_stop", "@": "at"}


def case(*ids: str) -> Callable[[Case], Case]:
    """Say which actions a case is about."""

    def keep(function: Case) -> Case:
        for id in ids:
            assert id not in CASES, f"two cases for {id}"
            CASES[id] = function
        return function

    return keep


def fleet() -> StillEngine:
    """Hosts enough for pages, with processes and GPUs of their own."""
    busy = tuple(process(100 + n, f"worker{n:02}", 50.0 - n) for n in range(40))
    return ActingEngine(
        *(view(f"gpu{n:02}", gpus=(gpu(0, float(n)), gpu(1, 99.0 - n)), processes=busy)
          for n in range(1, 61)),
    )  # fmt: skip


def test_every_action_has_a_case() -> None:
    ids = {action.id for action in ACTIONS}
    assert sorted(ids - CASES.keys()) == [], "actions without a case"
    assert sorted(CASES.keys() - ids) == [], "cases of actions that are gone"


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
async def test_action(action: Action) -> None:
    engine = fleet()
    app = make_app(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await CASES[action.id](Hand(app, pilot, engine))
        assert app.is_running or action.name == "leave"


# -- the fleet


@case("fleet.open", "host.back")
async def _open(hand: Hand) -> None:
    await hand.press("down")
    await hand.do("fleet.open")
    assert hand.in_host() == "gpu02"
    await hand.do("host.back")
    assert hand.in_fleet()


@case("fleet.retry")
async def _retry(hand: Hand) -> None:
    await hand.do("fleet.retry")
    assert ("retry", "gpu01") in hand.engine.asked
    await hand.press("down")
    await hand.type("retry")
    assert ("retry", "gpu02") in hand.engine.asked


@case("fleet.filter")
async def _filter(hand: Hand) -> None:
    await hand.do("fleet.filter")
    await hand.press(*"gpu07", "enter")
    assert hand.fleet.table.model.order == ["gpu07"]


@case("fleet.sort", "fleet.reverse")
async def _sort(hand: Hand) -> None:
    await hand.do("fleet.sort")
    assert hand.fleet.table.model.sort == "name"
    order = list(hand.fleet.table.model.order)
    assert order[0] == "gpu01"
    await hand.do("fleet.reverse")
    assert hand.fleet.table.model.order == order[::-1]


# -- one host


@case(
    "host.overview", "host.gpus", "host.processes", "host.network", "host.inventory",
    "host.events", "host.panels",
)  # fmt: skip
async def _tabs(hand: Hand) -> None:
    screen = await hand.open()
    for tab in ("gpus", "processes", "network", "inventory", "events", "panels", "overview"):
        await hand.do(f"host.{tab}")
        assert screen.tab == tab
    for tab in ("events", "panels", "gpus", "overview", "processes", "network", "inventory"):
        await hand.type(tab)
        assert screen.tab == tab


@case("host.next-tab", "host.previous-tab")
async def _next_tab(hand: Hand) -> None:
    screen = await hand.open()
    seen = [screen.tab]
    for _ in TABS[1:]:
        await hand.do("host.next-tab")
        seen.append(screen.tab)
    assert tuple(seen) == TABS
    await hand.do("host.next-tab")
    assert screen.tab == "overview"
    await hand.do("host.previous-tab")
    assert screen.tab == seen[-1]


@case("host.section", "host.previous-section")
async def _section(hand: Hand) -> None:
    await hand.open(tab="inventory")
    first = hand.shown
    await hand.do("host.section")
    assert hand.shown != first
    await hand.do("host.previous-section")
    assert hand.shown == first


@case("host.filter")
async def _filter_processes(hand: Hand) -> None:
    screen = await hand.open(tab="processes")
    await hand.do("host.filter")
    await hand.press(*"worker07", "enter")
    assert screen.table is not None
    assert screen.table.model.order == [107]


@case("host.sort", "host.reverse")
async def _sort_processes(hand: Hand) -> None:
    screen = await hand.open(tab="processes")
    table = screen.table
    assert table is not None
    before, down = table.model.sort, table.model.down
    await hand.do("host.reverse")
    assert table.model.down is not down
    assert table.model.order[0] == 139
    await hand.do("host.sort")
    assert table.model.sort != before


@case("host.retry")
async def _retry_host(hand: Hand) -> None:
    await hand.open("gpu03")
    await hand.do("host.retry")
    assert ("retry", "gpu03") in hand.engine.asked


# -- what happened on all hosts


@case("app.events", "events.back", "events.open", "events.filter", "events.sort", "events.reverse")
async def _events(hand: Hand) -> None:
    hand.engine.tell("listener.new", "gpu05", "tcp/0.0.0.0:4444", proto="tcp", port=4444)
    hand.engine.tell("host.state", "gpu09", **{"from": "LIVE", "to": "DOWN", "reason": "gone"})
    await hand.do("app.events")
    screen = hand.app.screen
    assert isinstance(screen, EventsScreen)
    model = screen.table.model
    assert [row.last.host for row in model.order] == ["gpu09", "gpu05"]  # type: ignore[attr-defined]  # Row
    hand.engine.tell("listener.new", "gpu06", "tcp/0.0.0.0:5555", proto="tcp", port=5555)
    await hand.do("events.filter")
    await hand.press(*"listener", "enter")
    assert [row.last.host for row in model.order] == ["gpu06", "gpu05"]  # type: ignore[attr-defined]  # Row
    await hand.do("events.sort")
    await hand.do("events.reverse")
    assert model.sort == "time"
    await hand.do("table.first")
    await hand.do("events.open")
    assert hand.in_host() == "gpu06"
    await hand.press("escape")
    assert hand.app.screen is screen
    await hand.do("events.back")
    assert model.filter == ""
    await hand.do("events.back")
    assert hand.in_fleet()


# -- rows


@case("table.up", "table.down", "table.page-up", "table.page-down", "table.first", "table.last")
async def _move(hand: Hand) -> None:
    await hand.do("table.down")
    assert hand.cursor() == "gpu02"
    await hand.do("table.up")
    assert hand.cursor() == "gpu01"
    await hand.do("table.last")
    assert hand.cursor() == "gpu60"
    await hand.do("table.first")
    assert hand.cursor() == "gpu01"
    await hand.do("table.page-down")
    after = str(hand.cursor())
    assert after > "gpu10"
    await hand.do("table.page-up")
    assert hand.cursor() == "gpu01"


# -- everywhere


@case("app.help")
async def _help(hand: Hand) -> None:
    await hand.do("app.help")
    assert isinstance(hand.app.screen, HelpScreen)
    assert "turn the order round" in hand.shown
    await hand.press("escape")
    await hand.type("help")
    assert isinstance(hand.app.screen, HelpScreen)


@case("app.command")
async def _command(hand: Hand) -> None:
    await hand.do("app.command")
    assert hand.fleet.typing
    await hand.press("escape")
    await hand.type("nonsense")
    assert "no command :nonsense in this view" in hand.shown


@case("app.host")
async def _host(hand: Hand) -> None:
    await hand.type("host gpu07")
    assert hand.in_host() == "gpu07"
    await hand.type("host gpu1*")
    assert hand.in_fleet()
    assert hand.fleet.table.model.order == [f"gpu{n}" for n in range(10, 20)]
    await hand.type("host nowhere")
    assert "no host is called nowhere" in hand.shown


@case("app.fleet")
async def _fleet(hand: Hand) -> None:
    await hand.open()
    await hand.type("fleet /gpu05")
    assert hand.in_fleet()
    assert hand.fleet.table.model.order == ["gpu05"]


@case("app.view-back", "app.view-forward", "app.last")
async def _ways(hand: Hand) -> None:
    await hand.open("gpu01", "gpus")
    await hand.open("gpu02")
    await hand.do("app.view-back")
    assert hand.in_host() == "gpu01"
    assert hand.app.screen.tab == "gpus"  # type: ignore[attr-defined]  # a HostScreen
    await hand.do("app.view-back")
    assert hand.in_fleet()
    await hand.do("app.view-back")
    assert "no view before this one" in hand.shown
    await hand.do("app.view-forward")
    await hand.do("app.view-forward")
    assert hand.in_host() == "gpu02"
    await hand.do("app.last")
    assert hand.in_host() == "gpu01"
    await hand.do("app.last")
    assert hand.in_host() == "gpu02"


@case("table.left", "table.right")
async def _columns_aside(hand: Hand) -> None:
    before = hand.shown.splitlines()[1]
    await hand.do("table.right")
    assert hand.shown.splitlines()[1].startswith("HOST")
    assert hand.shown.splitlines()[1] != before
    await hand.do("table.left")
    assert hand.shown.splitlines()[1] == before


@case("table.jump")
async def _jump(hand: Hand) -> None:
    await hand.do("table.jump")
    await hand.press(*"gpu42")
    assert hand.cursor() == "gpu42"
    await hand.press("enter")
    assert not hand.fleet.typing


@case("table.need")
async def _need(hand: Hand) -> None:
    await hand.do("table.need")
    assert str(hand.cursor()) == "gpu02", "each of them has a listener that nobody declared"
    await hand.type("next")
    assert str(hand.cursor()) == "gpu03"


@case("table.columns", "table.pin", "table.unpin", "table.sort-by")
async def _columns(hand: Hand) -> None:
    await hand.type("columns -power")
    assert "POWER" not in hand.shown
    await hand.type("pin temp")
    assert hand.shown.splitlines()[1].split()[:2] == ["HOST", "TEMP"]
    await hand.type("unpin temp")
    assert hand.shown.splitlines()[1].split()[1] == "STATE"
    await hand.type("sort host down")
    assert hand.fleet.table.model.order[0] == "gpu60"


async def _told(hand: Hand, words: str) -> None:
    """Wait for a remark: what writes or copies runs beside the keys."""
    for _ in range(500):
        if words in " ".join(hand.shown.split()):
            return
        await hand.pilot.pause(0.01)
    raise AssertionError(hand.shown)


@case("app.copy")
async def _copy(hand: Hand) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WAYLAND_DISPLAY", "DISPLAY", "TMUX"):
            patch.delenv(name, raising=False)
        await hand.do("app.copy")
        await _told(hand, "cannot be seen")
        assert hand.app.clipboard == "gpu01"
        await hand.type("copy row")
        await _told(hand, "the row:")
        assert hand.app.clipboard.startswith("gpu01\tLIVE\t")


@case("app.export", "app.picture")
async def _export(hand: Hand) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hand.app.settings = replace(hand.app.settings, state=Path(folder))
        await hand.do("app.export")
        await _told(hand, "written:")
        await hand.press("down")
        await hand.do("app.picture")
        await _told(hand, "watchfloor-screen-")
        found = {name.rpartition(".")[2] for name in os.listdir(f"{folder}/exports")}
        assert found == {"csv", "svg"}


@case("app.layout")
async def _layout(hand: Hand) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hand.app.layouts = Layouts(Path(folder) / "layouts.toml")
        await hand.type("layout events off")
        await hand.type("layout save night")
        await _told(hand, "layout night is kept")
        assert Layouts(Path(folder) / "layouts.toml").current.panes == {"events": "off"}


@case("app.interrupt")
async def _interrupt(hand: Hand) -> None:
    await hand.do("app.interrupt")
    assert "leaves the console" in hand.shown


@case("app.leave")
async def _leave(hand: Hand) -> None:
    await hand.pilot.press("q")
    await hand.pilot.pause()
    assert not hand.app.is_running or hand.app._exit
