"""Sizes, pastes, keys and hosts that come and go in ways that nobody plans for."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable

import pytest
from textual.events import Key, Paste, Resize
from textual.geometry import Size
from textual.pilot import Pilot
from textual.widgets import Input

from console.model.host import HostState
from console.model.view import HostView
from console.tui.app import ConsoleApp
from console.tui.control.actions import Mode
from console.tui.control.trail import Place
from console.tui.screens.host import TABS
from console.tui.settings import Settings
from console.tui.style.look import Look
from console.tui.tables.filter import LONGEST
from tests.screens.conftest import make_app, settle, text
from tests.support.still_engine import StillEngine, gpu, process, view

MEGABYTE = "aB1 >~" * 175_000
Opener = Callable[[ConsoleApp], Awaitable[None] | None]


def fleet(count: int = 30) -> tuple[HostView, ...]:
    busy = tuple(process(100 + n, f"worker{n:02}", 50.0 - n) for n in range(40))
    hosts = [
        view(f"gpu{n:02}", gpus=tuple(gpu(i, float(n + i)) for i in range(8)), processes=busy)
        for n in range(count - 2)
    ]
    return (
        *hosts,
        view("down", HostState.DOWN, reason="no route to host", fast=None, gpus=()),
        view("new", HostState.NEW_KEY, reason="another key"),
    )


def told(*hosts: HostView) -> StillEngine:
    engine = StillEngine(*hosts)
    for number in range(30):
        engine.tell("auth.failed", hosts[0].name, user="root", source=f"203.0.113.{number}")
    return engine


async def _asking(app: ConsoleApp) -> None:
    app.typed = asyncio.ensure_future(app.ask_passphrase("/home/a/.ssh/key"))  # type: ignore[attr-defined]
    await asyncio.sleep(0)


VIEWS: dict[str, Opener] = {
    "fleet": lambda app: None,
    **{f"host {tab}": (lambda app, tab=tab: app.open_host("gpu01", tab)) for tab in TABS},  # type: ignore[misc]
    "plot": lambda app: app.go(Place("plot", ("gpu_util_pct", "gpu01", "gpu02"))),
    "heat": lambda app: app.go(Place("heat")),
    "help": lambda app: app.action_help(),
    "palette": lambda app: app.action_command_palette(),
    "passphrase": _asking,
    "typing": lambda app: app.ask_command(":host gpu0"),
    "wall": lambda app: app.go(Place("wall")),
}
SIZES = ((20, 5), (400, 120), (1, 1), (2, 3), (7, 2), (3, 40), (300, 1), (20, 5))


async def open_view(app: ConsoleApp, pilot: Pilot[None], opener: Opener) -> None:
    done = opener(app)
    if done is not None:
        await done
    await settle(pilot)
    await pilot.pause()


def without_time(shown: str) -> list[str]:
    """The screen without the clock, and with all ages alike."""
    lines = [re.sub(r"\d+s\b", "0s", line) for line in shown.split("\n")]
    lines = [re.sub(" *[▁-█]$", "", line) for line in lines]  # the grip of the scroll bar
    return [re.sub(r"\d\d:\d\d:\d\d UTC.*", "UTC", line) for line in lines]


@pytest.mark.parametrize("opener", VIEWS.values(), ids=VIEWS.keys())
async def test_every_view_shrinks_grows_and_comes_back(opener: Opener) -> None:
    app = make_app(told(*fleet()))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await open_view(app, pilot, opener)
        before = without_time(text(app))
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await settle(pilot)
            lines = text(app).split("\n")
            assert all(len(line) <= size[0] for line in lines), size
            if size == (400, 120):
                for key in ("down", "right", "up", "left"):
                    await pilot.press(key)
        await pilot.resize_terminal(80, 24)
        app.look_at_engine()
        await settle(pilot)
        await pilot.pause()
        assert app.is_running
        after = without_time(text(app))
        if app._fleet is app.screen:
            assert after == before, "as if nothing had happened"


async def test_a_storm_of_sizes_ends_with_the_last() -> None:
    app = make_app(told(*fleet()))
    pick = random.Random(1)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for _ in range(200):
            size = Size(pick.randint(1, 400), pick.randint(1, 120))
            app.post_message(Resize(size, size))
        await pilot.resize_terminal(120, 40)
        app.look_at_engine()
        await settle(pilot)
        await pilot.pause()
        stormed = without_time(text(app))
    calm = make_app(told(*fleet()))
    async with calm.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert without_time(text(calm)) == stormed


# -- pastes


@pytest.mark.parametrize("start", ["/", ":", "'"])
async def test_a_megabyte_on_the_typed_line_is_refused_by_name(start: str) -> None:
    app = make_app(told(*fleet()))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press({"/": "slash", ":": "colon", "'": "apostrophe"}[start])
        app._fleet.typed.post_message(Paste(MEGABYTE))
        await pilot.pause()
        assert app._fleet.typed.value == start, "nothing of it is kept"
        assert "characters are too many here; nothing was pasted" in text(app)
        await pilot.press("escape")
        assert app._fleet.table.model.total == 30


async def test_many_small_pastes_are_no_way_round() -> None:
    app = make_app(told(*fleet()))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash")
        for _ in range(50):
            app._fleet.typed.post_message(Paste("x" * LONGEST))
        await settle(pilot)
        assert len(app._fleet.typed.value) <= LONGEST, "the line has an end"
        assert "too many here; nothing was pasted" in text(app)
        await pilot.press("escape")
        assert app._fleet.table.model.total == 30


async def test_a_megabyte_in_the_palette_is_refused() -> None:
    app = make_app(told(*fleet()))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+p")
        await pilot.pause()
        line = app.screen.query_one(Input)
        line.post_message(Paste(MEGABYTE))
        await pilot.pause()
        assert len(line.value) <= LONGEST
        await pilot.press("escape")
        await pilot.pause()
        assert app.is_running


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){25}$"])
async def test_a_catastrophic_expression_over_a_thousand_hosts_is_named(pattern: str) -> None:
    hosts = [view("a" * 60 + f"!{number:04}") for number in range(1000)]
    app = make_app(StillEngine(*hosts))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash")
        app._fleet.typed.value = f"/~{pattern}"
        await settle(pilot)
        shown = text(app)
        assert "too long" in shown or "0 of 1000 rows" in shown or "no row matches" in shown
        await pilot.press("escape")
        await settle(pilot)
        assert len(app._fleet.table.model.order) == 1000, "and nothing is hidden after it"


# -- hosts that vanish


@pytest.mark.parametrize("opener", VIEWS.values(), ids=VIEWS.keys())
async def test_a_host_that_vanishes_takes_no_view_with_it(opener: Opener) -> None:
    engine = told(*fleet())
    app = make_app(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await open_view(app, pilot, opener)
        for left in (engine.snapshot().hosts[5:], (), fleet()):
            engine.show(*left)
            app.paint_soon()
            app.look_at_engine()
            await settle(pilot)
            await pilot.press("down", "up")
            await settle(pilot)
        assert app.is_running


async def test_a_host_that_vanishes_is_named_on_its_screen() -> None:
    engine = told(*fleet())
    app = make_app(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app.open_host("gpu03", "processes")
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        engine.show(*(host for host in fleet() if host.name != "gpu03"))
        app.paint_soon()
        app.look_at_engine()
        await settle(pilot)
        assert "gpu03" in text(app)
        assert "no longer watched" in text(app)
        for key in ("r", "escape", "P", "H", "escape", "escape", "escape"):
            await pilot.press(key)
            await settle(pilot)
        assert app.is_running


# -- hands that are faster than the screens

KEYS = [
    "up", "down", "j", "k", "g", "G", "pagedown", "home", "left", "right", "enter", "escape",
    "s", "S", "r", "w", "slash", "colon", "apostrophe", "question_mark", "H", "P", "T", "minus",
    "ctrl+o", "alt+left", "alt+right", "tab", "shift+tab", "1", "2", "3", "4", "5", "6", "7", "n",
    "N", "t", "a", "d", "A", "D", "space", "full_stop", "ctrl+p", "x", "backspace", "f1",
]  # fmt: skip
"""Every key of the registry that neither leaves nor writes, and some that mean nothing."""


@pytest.mark.parametrize("seed", range(6))
async def test_no_row_of_keys_breaks_anything(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys without waiting, at changing sizes, over a fleet that changes."""
    pick = random.Random(seed)
    engine = told(*fleet())
    app = make_app(engine)
    monkeypatch.setattr(app, "action_leave", lambda: None)  # the palette finds it too
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        for turn in range(25):
            for _ in range(12):
                key = pick.choice(KEYS)
                app.post_message(Key(key, key if len(key) == 1 else _SIGNS.get(key)))
            if turn % 5 == 0:
                size = Size(pick.randint(1, 200), pick.randint(1, 60))
                app.post_message(Resize(size, size))
                some = pick.sample(fleet(), pick.randint(0, 30))
                engine.show(*some)
                engine.tell("listener.new", "gpu01", f"tcp/{turn}")
                app.paint_soon()
            await pilot.pause()
            assert app._exception is None, f"in turn {turn}"


_SIGNS = {
    "slash": "/", "colon": ":", "apostrophe": "'", "question_mark": "?", "minus": "-",
    "space": " ", "full_stop": ".", "enter": "\r", "tab": "\t",
}  # fmt: skip


async def test_a_wall_board_takes_no_keys_whatever_is_pressed() -> None:
    app = ConsoleApp(
        lambda ask: told(*fleet()), Settings(title="test", mode=Mode.WALL), look=Look()
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        board = app.screen
        for key in (*KEYS, "e", "y", "ctrl+s"):
            app.post_message(Key(key, key if len(key) == 1 else _SIGNS.get(key)))
        await settle(pilot)
        await pilot.pause()
        assert app.screen is board


async def test_a_page_down_before_the_palette_has_a_list_is_nothing() -> None:
    app = make_app(told(*fleet()))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        for _ in range(3):
            for key in ("ctrl+p", "pagedown", "end", "pageup", "enter", "escape"):
                app.post_message(Key(key, None))
            await pilot.pause()
            assert app._exception is None
