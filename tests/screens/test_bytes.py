"""What the screens write to the terminal, in bytes: the budget of a tick, of a key and of nothing.

Counted where they leave the application, with the library's sequences included.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from textual.pilot import Pilot

from console.model.view import HostView
from console.tui.app import ConsoleApp
from tests.screens.conftest import make_app, settle
from tests.support.attacks import Recorder
from tests.support.still_engine import StillEngine, gpu, view

SIZE = (200, 50)
HOSTS = 1_000
STOCK_TICK = 33_274
"""Bytes that the library's own table writes a tick, whatever changed (research note, section 1)."""


@pytest.fixture(autouse=True)
def _all_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest form. Styles remember how they were written first, so all tests take the same."""
    monkeypatch.setenv("COLORTERM", "truecolor")


def _host(number: int, seed: int) -> HostView:
    load = random.Random(number * 1_000 + seed).uniform(1, 90)
    made = view(f"gpu{number:04}", gpus=tuple(gpu(n, load + n) for n in range(8)))
    assert made.fast is not None
    fast = msgspec.structs.replace(made.fast, cpu_pct=load, tx_bps=load * 1e6)
    return msgspec.structs.replace(made, fast=fast)


def pictures(changed: int) -> tuple[list[HostView], list[HostView]]:
    """A fleet twice; every ``changed``-th host differs in all its numbers."""
    first = [_host(number, 1) for number in range(HOSTS)]
    second = [
        _host(number, 2) if number % changed == 0 else host for number, host in enumerate(first)
    ]
    return first, second


class Counted:
    """Bytes written while something was done, and the lines of the screen that they touch."""

    text = ""

    @property
    def size(self) -> int:
        return len(self.text.replace("\0", "").encode("utf-8", "replace"))

    @property
    def lines(self) -> set[int]:
        """Those that something is drawn in: each write ends with the place of the cursor."""
        return {int(at) for at in re.findall(r"\x1b\[(\d+);\d+H(?!\0)", self.text)}


@contextmanager
def counting(recorded: list[str]) -> Iterator[Counted]:
    counted = Counted()
    recorded.clear()
    yield counted
    counted.text = "".join(f"{written}\0" for written in recorded)


async def quiet(app: ConsoleApp, pilot: Pilot[None]) -> None:
    """The first picture is painted, and nothing paints by the clock any more."""
    await settle(pilot)
    await pilot.pause()
    app._painted = float("inf")
    await pilot.pause()


async def painted(app: ConsoleApp, pilot: Pilot[None]) -> None:
    """What was asked for until now is on the terminal, however busy the machine is."""
    done = asyncio.Event()
    app.screen.call_after_refresh(done.set)
    async with asyncio.timeout(30):
        await done.wait()
    await pilot.pause()


async def test_a_tick_in_which_a_tenth_changed(recorded: list[str]) -> None:
    first, second = pictures(10)
    app = make_app(StillEngine(*first))
    app.driver_class = Recorder
    async with app.run_test(size=SIZE, headless=False) as pilot:
        await quiet(app, pilot)
        with counting(recorded) as tenth:
            app._fleet.table.show(second)
            await pilot.pause()
    visible = SIZE[1] - 13
    assert 0 < len(tenth.lines) <= visible // 10 + 2, "only rows that changed"
    assert tenth.size < min(4_000, STOCK_TICK / 8)


async def test_a_tick_in_which_all_changed(recorded: list[str]) -> None:
    first, second = pictures(1)
    app = make_app(StillEngine(*first))
    app.driver_class = Recorder
    async with app.run_test(size=SIZE, headless=False) as pilot:
        await quiet(app, pilot)
        with counting(recorded) as every:
            app._fleet.table.show(second)
            await pilot.pause()
    assert len(every.lines) >= 30
    assert every.size < STOCK_TICK


async def test_a_tick_in_which_nothing_in_sight_changed(recorded: list[str]) -> None:
    first, _ = pictures(10)
    other = [*first[:-1], _host(HOSTS - 1, 7)]
    app = make_app(StillEngine(*first))
    app.driver_class = Recorder
    async with app.run_test(size=SIZE, headless=False) as pilot:
        await quiet(app, pilot)
        with counting(recorded) as nothing:
            app._fleet.table.show(other)
            await pilot.pause()
    assert nothing.lines == set()
    assert nothing.size == 0


async def test_a_picture_with_nothing_new_writes_the_clock_alone(recorded: list[str]) -> None:
    first, _ = pictures(10)
    app = make_app(StillEngine(*first))
    app.driver_class = Recorder
    async with app.run_test(size=SIZE, headless=False) as pilot:
        await quiet(app, pilot)
        app._fleet.show(app.engine.snapshot())
        await pilot.pause()
        with counting(recorded) as idle:
            for _ in range(3):
                app._fleet.show(app.engine.snapshot())
                await pilot.pause()
    assert idle.lines <= {1} | _ages(idle), "the clock, and ages"


def _ages(counted: Counted) -> set[int]:
    """Lines in which an age was written: once a second all of them become one second older."""
    return {
        int(at)
        for at, words in re.findall(r"\x1b\[(\d+);\d+H([^\n]*?)(?=\x1b\[\d+;\d+H|$)", counted.text)
        if re.search(r"\d+s", words)
    }


async def test_a_key_paints_two_lines(recorded: list[str]) -> None:
    first, _ = pictures(10)
    app = make_app(StillEngine(*first))
    app.driver_class = Recorder
    async with app.run_test(size=SIZE, headless=False) as pilot:
        await quiet(app, pilot)
        for key in ("down", "j", "up"):
            with counting(recorded) as one:
                await pilot.press(key)
            assert len(one.lines) == 2, f"{key}: the line that was left and the one arrived at"
            assert one.size < 1_600
        with counting(recorded) as opened:
            await pilot.press("slash")
            await painted(app, pilot)
        with counting(recorded) as letter:
            await pilot.press("g")
            await painted(app, pilot)
    assert opened.size < 3 * STOCK_TICK, "the line that is typed on moves the others: all is new"
    assert letter.size < 3_000, "a letter that hides no row"


async def test_the_map_paints_what_changed(recorded: list[str]) -> None:
    first, second = pictures(100)
    engine = StillEngine(*first)
    app = make_app(engine)
    app.driver_class = Recorder
    async with app.run_test(size=SIZE, headless=False) as pilot:
        await settle(pilot)
        app.action_heat()
        await quiet(app, pilot)
        engine.show(*second)
        with counting(recorded) as some:
            app.screen.show(engine.snapshot())  # type: ignore[attr-defined]
            await pilot.pause()
        assert 0 < some.size < STOCK_TICK / 3
        with counting(recorded) as nothing:
            app.screen.show(engine.snapshot())  # type: ignore[attr-defined]
            await pilot.pause()
        assert nothing.size < 400, "the clock alone"
