"""Numbers that no machine has, everywhere that a number is shown: nothing ends, nothing is lost.

The values stand below the decoder, which bounds most of them: here is told what is drawn when it,
a plugin or a calculation lets one through.
"""

from __future__ import annotations

import math
import random
import types
import typing
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.headless.document import encode
from console.headless.plain import event_line, table, words
from console.headless.watch import Lines
from console.model import words as words_of
from console.model.event import Event
from console.model.frame import Fast, ProcessSummary, SelfCost
from console.model.gpu import Gpu, GpuCounters, GpuFast, GpuStatic
from console.model.history import Point, Series
from console.model.host import Host, HostState
from console.model.inventory import Inventory
from console.model.tables import TABLES
from console.model.view import FleetSnapshot, HostView
from console.tui.app import ConsoleApp
from console.tui.control.actions import Mode
from console.tui.control.trail import Place
from console.tui.meaning.heat import NUMBERS, cell, in_words
from console.tui.meaning.values import moment
from console.tui.plot.draw import level
from console.tui.plot.names import reading, scale
from console.tui.screens.host import TABS, HostScreen
from console.tui.screens.wall import WallScreen
from console.tui.settings import Settings
from console.tui.style.look import Look, load_style
from tests.screens.conftest import settle, text
from tests.support.still_engine import StillEngine

FLOATS = (
    0.0, -1.0, 1.0, 99.5, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 2.0**63, 1e18,
    1.7e9,
)  # fmt: skip
INTS = (0, 1, 7, -1, 2**31, 2**63, -(2**63), 10**18)
TEXTS = ("", "a", "x" * 512, "\u6f22" * 200, "[bold red]x[/]", "1e999", "  ", "\u0300" * 9)
ALL = FLOATS + INTS
anything = st.sampled_from(ALL) | st.floats() | st.integers(-(2**64), 2**64)
PLACES = {
    "procs": "processes", "listen": "listeners", "flows": "flows", "gpuprocs": "gpu_processes",
    "openers": "openers", "sessions": "sessions", "packages": "packages", "pydists": "python",
    "containers": "containers", "accounts": "accounts", "mounts": "mounts", "models": "models",
}  # fmt: skip


class Maker:
    """Structs of the model with whatever their types allow."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # a test that can be repeated

    def value(self, kind: Any) -> Any:
        pick = self._random.choice
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Union, types.UnionType):
            return self.value(pick(args))
        if kind is type(None):
            return None
        if origin is tuple:
            if args[1:] == (...,):
                return tuple(self.value(args[0]) for _ in range(pick((0, 1, 3))))
            return tuple(map(self.value, args))
        if origin is list:
            return [self.value(args[0]) for _ in range(2)]
        if origin is dict:
            return {str(self.value(args[0])): self.value(args[1]) for _ in range(3)}
        plain = {bool: (True, False), int: INTS, float: FLOATS, str: TEXTS, Any: ALL}
        if kind in plain:
            return pick(plain[kind])
        if issubclass(kind, Enum):
            return pick(list(kind))
        return self.struct(kind)

    def struct(self, kind: type[msgspec.Struct], **fixed: Any) -> Any:
        fields = {
            field.name: self.value(field.type)
            for field in msgspec.structs.fields(kind)
            if field.required or self._random.random() < 0.8
        }
        return kind(**(fields | fixed))

    def view(self, name: str, state: HostState = HostState.LIVE) -> HostView:
        gpus = tuple(
            Gpu(
                index=n,
                static=self.struct(GpuStatic, index=n),
                fast=self.struct(GpuFast, index=n, lost=""),
                counters=self.struct(GpuCounters, index=n),
            )
            for n in range(3)
        )
        rows: dict[str, Any] = {
            PLACES[wire]: tuple(self.struct(kind) for _ in range(3))
            for wire, kind in TABLES.items()
        }
        number = self._random.choice
        return HostView(
            spec=Host(name=name, address="192.0.2.1", site="fra", listeners=("tcp/22",)),
            state=state, gpus=gpus, fast=self.struct(Fast, gpu=()),
            inventory=self.struct(Inventory), summary=self.struct(ProcessSummary),
            cost=self.struct(SelfCost), since=number(FLOATS), frame_at=number(FLOATS),
            retry_at=number(FLOATS), clock_skew_s=number(FLOATS),
            denied={"x": "y"}, facts={"a": "b"}, **rows,
        )  # fmt: skip


class Extreme(StillEngine):
    """Histories of such numbers."""

    made = Maker(0)

    def history(self, host: str, name: str, seconds: float) -> Series:
        now = self.now()
        points = tuple(
            Point(now - 500 + 5 * n, *(self.made.value(float) for _ in range(3)))
            for n in range(100)
        )
        return Series(host=host, name=name, step_s=5.0, points=points)


def engine_of(seed: int) -> Extreme:
    made = Maker(seed)
    engine = Extreme(*(made.view(f"gpu0{n}") for n in range(3)), made.view("off", HostState.DOWN))
    engine.made = made
    for kind in ("kernel.xid", "auth.failed", "auth.accepted", "gpu.process.new", "weights.opened",
                 "listener.new", "host.state", "clock.jump", "auth.sudo", "x.y"):  # fmt: skip
        names = (
            "xid",
            "pid",
            "gpu",
            "user",
            "source",
            "to",
            "seconds",
            "refused_before",
            "doubted",
        )
        odd: tuple[Any, ...] = ([79], {"a": 1}, None, *ALL)
        facts = {name: made._random.choice(odd) for name in names}
        engine.tell(kind, "gpu00", "k", **facts)
        at = made.value(float)
        engine._events[-1] = msgspec.structs.replace(engine._events[-1], at=at)
    return engine


@pytest.mark.parametrize("seed", range(3))
async def test_every_view_draws_them(seed: int) -> None:
    engine = engine_of(seed)
    app = ConsoleApp(lambda ask: engine, Settings(), look=Look(ascii_only=seed == 1))
    async with app.run_test(size=((160, 50), (80, 24), (250, 70))[seed % 3]) as pilot:
        await settle(pilot)
        assert "gpu00" in text(app)
        for tab in TABS:
            app.open_host("gpu00", tab)
            await settle(pilot)
            assert isinstance(app.screen, HostScreen)
            for _ in range(6 if tab in ("network", "inventory") else 1):
                await pilot.press("n", "enter", "escape")
        for number in NUMBERS:
            app.go(Place("heat", (number.id,)))
            await settle(pilot)
            assert "gpu00" in text(app)
        for name in ("gpu_util_pct", "gpu.0.temp_c", "tx_bps", "gpu_power_w", "x_s", "x"):
            app.go(Place("plot", (name, "gpu00", "gpu01")))
            await settle(pilot)
        assert app.report == ""


@pytest.mark.parametrize("seed", range(4))
async def test_the_wall_draws_them(seed: int) -> None:
    engine = engine_of(seed)
    app = ConsoleApp(lambda ask: engine, Settings(mode=Mode.WALL), look=Look())
    async with app.run_test(size=((160, 50), (80, 24))[seed % 2]) as pilot:
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, WallScreen)
        for page in ("state", "heat", "busy", "events"):
            screen.tick()
            screen._turn(page)
            screen.draw()
            await pilot.pause()
        assert app.report == ""


@pytest.mark.parametrize("seed", range(20))
def test_lines_and_the_status_document_tell_them(seed: int) -> None:
    engine = engine_of(seed)
    snapshot: FleetSnapshot = engine.snapshot()
    assert encode(snapshot).endswith("}\n")
    assert len(table(snapshot).splitlines()) == 5
    assert all(words(view) for view in snapshot.hosts)
    assert len([*Lines(engine, as_json=False).new(0.0)]) == len(engine.events())


@given(used=anything, total=anything, limit=anything, watts=anything, load=anything, temp=anything)
def test_a_cell_of_the_map(**n: float) -> None:
    gpu = Gpu(
        index=0,
        static=GpuStatic(index=0, power_limit_w=n["limit"]),
        fast=GpuFast(
            0, n["load"], mem_used_mib=n["used"], mem_total_mib=n["total"], temp_c=n["temp"],
            power_w=n["watts"],
        ),
        counters=GpuCounters(index=0),
    )  # fmt: skip
    host = HostView(spec=Host(name="h", address="x"), state=HostState.LIVE, gpus=(gpu,))
    for number in NUMBERS:
        assert cell(gpu, number, Look())[0] in "0123456789·"
        assert in_words(host, number, Look())


@given(anything, st.integers(0, 40), st.booleans())
def test_gauges(value: float, width: int, plain: bool) -> None:
    look = Look(ascii_only=plain)
    assert len(look.gauge(value)) == 1
    assert len(look.bar(value, width)) == width
    assert load_style(value) in ("", "warn", "bad")


@given(anything, anything, anything)
def test_words_of_numbers(value: float, low: float, high: float) -> None:
    for name in ("cpu_pct", "x_c", "tx_bps", "gpu_power_w", "x_mib", "x_s", "x"):
        assert reading(name, value)
        bottom, top = scale(name, min(low, high), max(low, high))
        assert 0 <= level(value, (bottom, top), 40) < 40
    for said in (words_of.span, words_of.size, words_of.rate, words_of.number):
        assert said(value)
    assert len(words_of.utc(value)) == 8
    assert moment(value)
    part = words_of.share(low, high)
    assert part is None or math.isfinite(part)
    assert event_line(Event(kind="x", host="h", at=value)).count(":") == 2
