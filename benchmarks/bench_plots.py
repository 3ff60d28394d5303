"""What the heat map, the big plot and their folding cost, and what they send to the terminal.

The real screens over an engine that stands still, as in ``bench_screen``: 1,000 hosts with eight
GPUs each, and six series of an hour at two seconds.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import Any

from benchmarks.bench_screen import PICTURES, SIZE, Meter, app_over, fleet, painted, row
from console.model.history import Point, Series
from console.model.view import HostView
from console.tui.plot.fold import fold, window
from console.tui.screens.heat import HeatScreen
from console.tui.screens.plot import PlotScreen
from tests.support.still_engine import StillEngine

HOUR_S = 3600.0
STEP_S = 2.0
LAID_OVER = 6


class Measured(StillEngine):
    """Every host has an hour of a noisy curve, which goes on by a step each time it is shown."""

    def __init__(self, *hosts: HostView) -> None:
        super().__init__(*hosts)
        self.ahead = 0.0
        self._made: dict[str, tuple[float, ...]] = {}

    def now(self) -> float:
        return 1_700_000_000.0 + self.ahead

    def history(self, host: str, name: str, seconds: float) -> Series:
        count = int(seconds / STEP_S)
        if host not in self._made:
            rng = random.Random(host)
            shift = rng.uniform(0, 6)
            self._made[host] = tuple(
                50 + 30 * math.sin(n / 300 + shift) + rng.gauss(0, 4) for n in range(2 * count)
            )
        begin = int(self.now() / STEP_S) - count + 1
        offset = int(self.ahead / STEP_S)
        points = tuple(
            Point((begin + n) * STEP_S, value, value, value)
            for n, value in enumerate(self._made[host][offset : offset + count])
        )
        return Series(host=host, name=name, step_s=STEP_S, points=points)


async def heat(pictures: list[tuple[HostView, ...]], ticks: int) -> tuple[float, float]:
    """Milliseconds of processor time, and bytes, of one tick of the heat map."""
    app = app_over(StillEngine(*pictures[0]))
    async with app.run_test(size=SIZE, headless=False) as pilot:
        await pilot.pause(0.5)
        await pilot.press("H")
        await pilot.pause(0.3)
        screen = app.screen
        assert isinstance(screen, HeatScreen)
        screen.map.show(pictures[1])
        await painted()
        sent, began = Meter.sent, time.process_time()
        for number in range(ticks):
            screen.map.show(pictures[number % len(pictures)])
            await painted()
        return (time.process_time() - began) * 1000 / ticks, (Meter.sent - sent) / ticks


async def plot(ticks: int) -> tuple[float, float, float]:
    """Processor time, bytes of a tick of two seconds, and the time that history itself takes."""
    engine = Measured(*fleet(1)[:20])
    names = [view.name for view in engine.snapshot().hosts[:LAID_OVER]]
    app = app_over(engine)
    async with app.run_test(size=SIZE, headless=False) as pilot:
        await pilot.pause(0.5)
        app.action_plot(f"gpu_util_pct {' '.join(names)}")
        await pilot.press("up")
        await pilot.pause(0.3)
        screen = app.screen
        assert isinstance(screen, PlotScreen)
        began = time.process_time()
        for name in names:
            engine.history(name, "gpu_util_pct", HOUR_S)
        making = (time.process_time() - began) * 1000
        sent, began = Meter.sent, time.process_time()
        for number in range(1, ticks + 1):
            engine.ahead = STEP_S * number
            screen.redraw()
            await painted()
        whole = (time.process_time() - began) * 1000 / ticks
        return whole, (Meter.sent - sent) / ticks, making


def folding(times: int) -> float:
    """Milliseconds to fold an hour of one number to the columns of a wide screen."""
    series = Measured().history("h", "cpu_pct", HOUR_S)
    over = window(1_700_000_000.0, HOUR_S, 2 * SIZE[0])
    began = time.process_time()
    for _ in range(times):
        fold(series, over)
    return (time.process_time() - began) * 1000 / times


def run(quick: bool) -> list[dict[str, Any]]:
    """All rows; ``quick`` takes a quarter of the samples."""
    ticks = 6 if quick else 24
    pictures = [fleet(seed) for seed in range(PICTURES)]
    tenth = [fleet(seed, 0.1) for seed in range(PICTURES)]
    all_ms, all_bytes = asyncio.run(heat(pictures, ticks))
    few_ms, few_bytes = asyncio.run(heat(tenth, ticks))
    plot_ms, plot_bytes, making = asyncio.run(plot(ticks))
    folded = folding(4 * ticks)
    return [
        row("heat: 1,000 hosts x 8 GPUs updated and painted, all changed", all_ms, "ms",
            "under 25 ms", all_ms < 25),
        row("heat: the same, a tenth changed", few_ms, "ms", "under 25 ms", few_ms < 25),
        row("heat: bytes a tick, all changed", all_bytes, "bytes", "under 64 KiB",
            all_bytes < 65_536),
        row("heat: bytes a tick, a tenth changed", few_bytes, "bytes", "under 64 KiB",
            few_bytes < 65_536),
        row("plot: six series of an hour, one tick", plot_ms, "ms", "under 100 ms", plot_ms < 100,
            other=making, versus="ms, of which the test's engine makes the points"),
        row("plot: bytes a tick", plot_bytes, "bytes", "under 64 KiB", plot_bytes < 65_536),
        row("plot: folding an hour to 400 columns", folded, "ms", "under 3 ms", folded < 3),
    ]  # fmt: skip
