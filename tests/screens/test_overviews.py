"""Plots, heat map and wall board on the real screens."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from console.model.history import Point, Series
from console.model.host import HostState
from console.tui.app import ConsoleApp
from console.tui.control.actions import Mode
from console.tui.environ import plots
from console.tui.plot.draw import kind_of
from console.tui.screens.heat import HeatScreen
from console.tui.screens.plot import PlotScreen
from console.tui.screens.wall import WallScreen
from console.tui.settings import Settings
from console.tui.style.bigtext import big
from console.tui.style.look import Look
from tests.screens.conftest import make_app, settle, text
from tests.screens.test_golden import NOW, SIZES, engine
from tests.support.still_engine import StillEngine, gpu, view

Golden = Callable[[str, str], None]
KINDS = ("braille", "block", "ascii")


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(time, "localtime", time.gmtime)


def app_of(made: StillEngine, kind: str = "braille", mode: Mode = Mode.READ_ONLY) -> ConsoleApp:
    look = Look(ascii_only=kind == "ascii", plots=kind)
    return ConsoleApp(lambda ask: made, Settings(title="test", mode=mode), look=look)


# -- plots


@pytest.mark.parametrize("kind", KINDS)
async def test_plot(kind: str, golden: Golden) -> None:
    app = app_of(engine(), kind)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app.action_plot("gpu_util_pct gpu01 gpu02")
        await settle(pilot)
        await pilot.press("a", "A")
        await settle(pilot)
        shown = text(app)
        if kind == "ascii":
            assert shown.isascii()
        golden(f"plot-{kind}", shown)


async def test_plot_when_small_and_when_it_grows() -> None:
    app = app_of(engine())
    async with app.run_test(size=(20, 5)) as pilot:
        await settle(pilot)
        app.action_plot("cpu_pct gpu01")
        await settle(pilot)
        for size in ((20, 5), (40, 10), (400, 120), (80, 24)):
            await pilot.resize_terminal(*size)
            await settle(pilot)
            assert all(len(line) <= size[0] for line in text(app).splitlines())
        assert "NEWEST" in text(app)


async def test_more_than_six_hosts_are_told() -> None:
    app = app_of(StillEngine(*(view(f"gpu{n:02}") for n in range(9))))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app.action_plot("cpu_pct gpu*")
        await settle(pilot)
        assert "the first 6 of 9 hosts" in text(app)
        assert " F gpu05 " in text(app)
        assert "gpu06" not in text(app)


class Gone(StillEngine):
    """A host that was measured until five minutes ago."""

    def history(self, host: str, name: str, seconds: float) -> Series:
        points = tuple(Point(NOW - 500 + 2 * n, 40.0, 60.0, 50.0) for n in range(100))
        return Series(host=host, name=name, step_s=2.0, points=points if host == "gpu01" else ())


async def test_what_is_old_and_what_is_missing_is_told() -> None:
    app = app_of(Gone(view("gpu01", HostState.DOWN), view("gpu02")))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app.action_plot("cpu_pct gpu*")
        await settle(pilot)
        rows = text(app).splitlines()
        assert "50%" in rows[-3]
        assert "5m ago" in rows[-3]
        assert "not measured" in rows[-2]
        app.action_plot("cpu_pct gpu02")
        await settle(pilot)
        assert "cpu_pct was not measured on gpu02" in text(app)
        assert "There is:" in text(app)


async def test_mouse_puts_the_ruler() -> None:
    app = app_of(engine())
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app.action_plot("cpu_pct gpu01")
        await settle(pilot)
        await pilot.click("#plot", offset=(50, 5))
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, PlotScreen)
        assert " AT " in text(app)
        assert text(app).splitlines()[1][50] == "│"


async def test_a_number_with_escapes_in_its_name_is_harmless() -> None:
    app = app_of(engine())
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app.action_plot("\x1b]0;x\x07 gpu01")
        await settle(pilot)
        assert "\x1b" not in text(app)
        assert "no number is called" in text(app)


async def test_p_plots_what_is_looked_at() -> None:
    app = app_of(engine())
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        for tab, number in (("overview", "cpu_pct"), ("gpus", "gpu.0.util_pct")):
            app.open_host("gpu02", tab)
            await settle(pilot)
            await pilot.press("P")
            await settle(pilot)
            screen = app.screen
            assert isinstance(screen, PlotScreen)
            assert (screen.number, screen.hosts) == (number, ("gpu02",))
            await pilot.press("P")
            assert app.screen is screen, "it is there already"
            await pilot.press("escape", "escape")
        await pilot.press("H", "n", "n", "P")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, PlotScreen)
        assert (screen.number, screen.hosts) == ("gpu.0.temp_c", ("gpu01",))


# -- heat map


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_heat(size: tuple[int, int], golden: Golden) -> None:
    app = app_of(engine())
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("H")
        await settle(pilot)
        golden(f"heat-{size[0]}x{size[1]}", text(app))


async def test_heat_cursor_follows_its_host_and_scrolls() -> None:
    hosts = [view(f"gpu{n:03}", gpus=(gpu(0, float(n % 100)),)) for n in range(300)]
    made = StillEngine(*hosts)
    app = make_app(made, ascii_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("H")
        await settle(pilot)
        await pilot.press("G")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, HeatScreen)
        assert screen.map.cursor == "gpu299"
        assert "gpu299" in text(app)
        assert text(app).isascii()
        made.show(*hosts[100:])
        await settle(pilot)
        assert screen.map.cursor == "gpu299", "it is the same host, in another place"
        made.show(*hosts[:50])
        await settle(pilot)
        assert screen.map.cursor == "gpu049", "its host is gone, and that place"


async def test_enter_never_opens_the_host_that_came_under_the_cursor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = [view(f"gpu{n:02}") for n in range(6)]
    made = StillEngine(*hosts)
    app = make_app(made)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("H", "right", "right", "right")
        screen = app.screen
        assert isinstance(screen, HeatScreen)
        heat = screen.map
        assert heat.cursor == "gpu03"
        made.show(*(view(h.name, gpus=()) if h.name == "gpu03" else h for h in hosts))
        app.paint_soon()
        await settle(pilot)
        assert heat.cursor == "gpu04", "the next one, not the first"
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, HeatScreen)
        assert "gpu03 has just left the map" in text(app)
        await pilot.press("enter")
        await settle(pilot)
        assert text(app).startswith(" gpu04 ")
        await pilot.press("escape")
        monkeypatch.setattr("console.tui.widgets.heat_map.AIM_S", 0.0)  # a moment later
        made.show(*hosts[:4])
        app.paint_soon()
        await settle(pilot)
        assert heat.cursor == "gpu03"
        await pilot.press("enter")
        await pilot.pause()
        assert text(app).startswith(" gpu03 "), "after a while what is there is meant"


async def test_heat_of_a_fleet_without_gpus() -> None:
    app = app_of(StillEngine(view("cpu01", gpus=())))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("H", "enter", "down", "n")
        await settle(pilot)
        assert "no GPU in this fleet" in text(app)


async def test_heat_click_opens() -> None:
    app = app_of(engine())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("H")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, HeatScreen)
        line, column = screen.map.layout_of.place["gpu02"]
        x = 1 + column * screen.map.layout_of.block
        await pilot.click("#map", offset=(x, line))
        await settle(pilot)
        assert screen.map.cursor == "gpu02"
        await pilot.click("#map", offset=(x, line), times=2)
        await settle(pilot)
        assert text(app).startswith(" gpu02 ")


# -- wall board


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def board(pilot: Pilot[None]) -> tuple[WallScreen, Clock]:
    """The board, with its rotation in the hand of the test."""
    await settle(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, WallScreen)
    clock = Clock()
    screen._mono = clock
    screen._looked = screen._since = clock.now
    screen.tick()
    await pilot.pause()
    return screen, clock


def well() -> StillEngine:
    return StillEngine(*(view(f"gpu0{n}", listeners=()) for n in range(3)))


@pytest.mark.parametrize("size", [(80, 24), (150, 44)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_wall(size: tuple[int, int], golden: Golden) -> None:
    app = app_of(engine(), mode=Mode.WALL)
    async with app.run_test(size=size) as pilot:
        screen, _ = await board(pilot)
        whole = ""
        for page in ("state", "heat", "busy", "events"):
            screen._turn(page)
            screen.draw()
            await pilot.pause()
            whole += text(app)
        golden(f"wall-{size[0]}x{size[1]}", whole)


async def test_wall_takes_no_key_but_q() -> None:
    made = engine()
    app = app_of(made, mode=Mode.WALL)
    async with app.run_test(size=(120, 40)) as pilot:
        await board(pilot)
        asked = list(made.asked)
        for key in ("escape", "enter", "H", "P", "colon", "slash", "question_mark", "r", "e", "y",
                    "ctrl+p", "ctrl+s", "ctrl+o", "minus", "T", "down", "tab", "1",
                    "space"):  # fmt: skip
            await pilot.press(key)
            assert isinstance(app.screen, WallScreen), key
            assert not app.screen.typing, key
        assert made.asked == asked, "nothing was asked of the engine"
        await pilot.press("q")
        await pilot.pause()
        assert not app.is_running or app._exit


async def test_wall_rotates_and_jumps_to_what_is_newly_wrong() -> None:
    made = well()
    app = app_of(made, mode=Mode.WALL)
    async with app.run_test(size=(120, 40)) as pilot:
        screen, clock = await board(pilot)
        seen = []
        for _ in range(4):
            clock.now += 15
            screen._looked = clock.now
            screen.tick()
            seen.append(screen.page)
        assert seen == ["heat", "busy", "state", "heat"], "there is no event to show"
        made.show(view("gpu00", HostState.DOWN, since=NOW - 5), view("gpu01", listeners=()))
        await settle(pilot)
        screen.tick()
        assert screen.page == "state"
        clock.now += 20
        screen.tick()
        assert screen.page == "state", "what is wrong stays longer"
        clock.now += 20
        screen.tick()
        assert screen.page != "state"


async def test_wall_says_that_it_stands_still_and_that_nothing_comes() -> None:
    app = app_of(well(), mode=Mode.WALL)
    async with app.run_test(size=(140, 40)) as pilot:
        screen, clock = await board(pilot)
        assert big("3/3 live")[2] in text(app)
        clock.now += 20
        screen.tick()
        await pilot.pause()
        assert big("stands still 20s")[2] in text(app)
        assert "nothing was looked at for 20s" in text(app)


async def test_wall_without_frames_says_so() -> None:
    app = app_of(StillEngine(view("gpu01", frame_at=NOW - 42)), mode=Mode.WALL)
    async with app.run_test(size=(140, 40)) as pilot:
        await board(pilot)
        assert big("no data 42s")[2] in text(app)


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (400, 120)])
async def test_wall_at_any_size(size: tuple[int, int]) -> None:
    app = app_of(engine(), kind="ascii", mode=Mode.WALL)
    async with app.run_test(size=size) as pilot:
        screen, _ = await board(pilot)
        for page in ("state", "heat", "busy", "events"):
            screen._turn(page)
            screen.draw()
            await pilot.pause()
            assert text(app).isascii(), page
            assert all(len(line) <= size[0] for line in text(app).splitlines())


@pytest.mark.parametrize("still", [False, True])
async def test_wall_turns_more_slowly_with_reduced_motion(still: bool) -> None:
    look = Look(reduced_motion=still)
    settings = Settings(mode=Mode.WALL, rotate_s=10.0)
    app = ConsoleApp(lambda ask: well(), settings, look=look)
    async with app.run_test(size=(120, 40)) as pilot:
        screen, clock = await board(pilot)
        clock.now += 15
        screen.tick()
        assert (screen.page == "state") is still


def test_what_plots_are_drawn_with() -> None:
    assert plots("auto", {"TERM": "xterm-256color"}) == "auto"
    assert plots("auto", {"TERM": "linux"}) == "block"
    assert plots("braille", {"TERM": "linux"}) == "braille"
    assert kind_of(Look(plots="auto")) == "braille"
    assert kind_of(Look(plots="block")) == "block"
    assert kind_of(Look(plots="braille", ascii_only=True)) == "ascii", "the locale has no braille"
