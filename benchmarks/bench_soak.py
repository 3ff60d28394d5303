"""Eight hours of the demo's fleet under an operator's hands, and what memory does meanwhile.

The whole console: sessions, decoding, tables, the hour of history, the stream of events, the local
database, the screens, and the library's encoding for a terminal. Only SSH is left out, and time is
a clock that never waits (``soak_clock``), so that the hours take minutes. Each minute of that clock
an operator makes a round: a host, every tab, its plot, the heat map, all events, help, filters,
the palette, the ways back; each ten minutes another theme.
"Flat" compares the end with 1.5 h, when the hour of history and the stream of events are full.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.soak_clock import FastLoop, replace_clocks
from console.clock import ManualClock

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from console.engine.session import LocalEngine
    from console.tui.app import ConsoleApp

HOURS, QUICK_HOURS = 8.0, 2.0
SAMPLE_H = 0.5
FULL_H = 1.5
"""From here on nothing may grow: all that is kept for an hour or bounded by count is full."""
GROWTH = 0.02
SIZE = (150, 44)
PAINT_S = 2.0
"""The period of the frames: each is painted, none twice."""
ROUND_S = 60.0
WAITING = 1_000
"""Rows for the database from which on the clock waits for its thread."""
SHOWN = 12
"""Kinds of objects that are named when their number grew."""


class Sample(msgspec.Struct, frozen=True):
    """Memory after so many hours."""

    hours: float
    rss_mb: float
    objects: int
    events: int  # held by the stream of events


class Soak(msgspec.Struct, frozen=True):
    """What one run gave."""

    samples: list[Sample]
    rounds: int
    took_s: float
    grew: dict[str, int]  # objects more than at ``FULL_H``, by their type


def rss_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def kinds() -> Counter[str]:
    """How many objects there are of each type."""
    return Counter(f"{type(o).__module__}.{type(o).__qualname__}" for o in gc.get_objects())


# -- the operator


def round_keys(number: int, hosts: int) -> list[str]:
    """The keys of one round; another host each time."""
    tabs = ["1", "2", "3", "t", "s", "4", "n", "5", "n", "6", "7"]
    theme = ["T"] if number % 10 == 0 else []
    return [
        "home", *["down"] * (number % hosts), "r", "enter", *tabs,
        "3", "slash", *"python", "enter", "down", "enter", "escape", "escape",
        "P", "right", "up", "a", "escape", "escape", "ctrl+o", "alt+right",
        "H", "n", "right", "enter", "1", "question_mark", "escape", "minus",
        "colon", *"fleet /state=LIVE", "enter", "s", "right", "left", "slash", *"zzz", "escape",
        "E", "down", "escape", *theme, "ctrl+p", *"help", "escape", "colon", *"fleet", "enter",
        "escape",
    ]  # fmt: skip


async def round_of(pilot: Pilot[None], app: ConsoleApp, number: int) -> None:
    """One round, begun and ended at the fleet."""
    names = {" ": "space", "/": "slash", "=": "equals_sign"}
    await pilot.press(*(names.get(key, key) for key in round_keys(number, len(app.host_names()))))
    if app.screen is not app._fleet or app._fleet.typing:
        raise RuntimeError(f"round {number} ended at {app.screen}, not at the fleet")


def reconnect(engine: LocalEngine) -> None:
    """What a person does with hosts that are gone: try again, and trust a key that was changed."""
    for view in engine.snapshot().hosts:
        if view.state.value in ("DOWN", "NEW-KEY", "REFUSED"):
            engine.retry(view.name)


# -- one run


async def soaked(clock: ManualClock, hours: float, parts: list[Any]) -> Soak:
    """The run; ``parts`` gets the engine, for whom waits for its database."""
    from benchmarks.bench_screen import Meter
    from benchmarks.soak_hosts import World
    from console.engine.session import LocalEngine
    from console.fleet.trusted import Trusted
    from console.fleet.workstation.row import Workstation
    from console.tui.app import ConsoleApp
    from console.tui.settings import Settings
    from console.tui.style.look import Look

    world = World(clock)
    hosts = world.hosts()
    with tempfile.TemporaryDirectory(prefix="watchfloor-soak-") as folder:
        state = Path(folder)
        engine = LocalEngine(
            hosts, world, state_dir=state / "store", sources=[Workstation()], clock=clock,
            trusted=Trusted({host.name: host for host in hosts}, world.host),
        )  # fmt: skip
        parts.append(engine)
        Meter.wrote = asyncio.Event()
        app = ConsoleApp(
            lambda ask: engine, Settings(title="soak", paint_s=PAINT_S, state=state), look=Look()
        )
        app.driver_class = Meter
        living = asyncio.create_task(world.live())
        began = time.perf_counter()
        async with app.run_test(size=SIZE, headless=False) as pilot:
            samples, grew, rounds = await watched(pilot, app, engine, clock, hours)
            took = time.perf_counter() - began
        if living.done():
            living.result()
        living.cancel()
        return Soak(samples, rounds, took, grew)


async def watched(
    pilot: Pilot[None], app: ConsoleApp, engine: LocalEngine, clock: ManualClock, hours: float
) -> tuple[list[Sample], dict[str, int], int]:
    """Round after round; memory each ``SAMPLE_H`` hours, and of which types there are more."""
    samples: list[Sample] = []
    full: Counter[str] = Counter()
    rounds, start = 0, clock.mono()
    while len(samples) < round(hours / SAMPLE_H):
        await asyncio.sleep(start + (rounds + 1) * ROUND_S - clock.mono())
        reconnect(engine)
        await round_of(pilot, app, rounds)
        rounds += 1
        if rounds * ROUND_S < (len(samples) + 1) * SAMPLE_H * 3600:
            continue
        await asyncio.sleep(5)
        gc.collect()
        held = len(engine._log._events)
        samples.append(Sample(rounds * ROUND_S / 3600, rss_mb(), len(gc.get_objects()), held))
        print(f"  {samples[-1]}", file=sys.__stderr__, flush=True)  # the app takes stderr
        if samples[-1].hours == FULL_H:
            full = kinds()
    return samples, dict((kinds() - full).most_common(SHOWN)), rounds


def here(hours: float) -> Soak:
    """One run in this process, whose clocks it replaces."""
    clock = ManualClock(float(int(time.time())))
    replace_clocks(clock)
    parts: list[Any] = []

    def writing() -> bool:
        store = parts[0]._store if parts else None
        return store is not None and store._queue.qsize() > WAITING

    with asyncio.Runner(loop_factory=lambda: FastLoop(clock, writing)) as runner:
        return runner.run(soaked(clock, hours, parts))


# -- the table


def at(samples: Sequence[Sample], hours: float) -> Sample:
    """The sample of that time."""
    return next(sample for sample in samples if sample.hours == hours)


def trend(samples: Sequence[Sample]) -> float:
    """Share by which objects grow in an hour, by the line that fits the samples best."""
    late = [sample for sample in samples if sample.hours >= FULL_H]
    mean_h = sum(s.hours for s in late) / len(late)
    mean = sum(s.objects for s in late) / len(late)
    over = sum((s.hours - mean_h) * (s.objects - mean) for s in late)
    return over / sum((s.hours - mean_h) ** 2 for s in late) / mean


def run(quick: bool) -> list[dict[str, Any]]:
    """All rows, measured in a process of its own."""
    hours = QUICK_HOURS if quick else HOURS
    argv = [sys.executable, "-m", "benchmarks.bench_soak", str(hours)]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    soak = msgspec.json.decode(done.stdout, type=Soak)
    full, last = at(soak.samples, FULL_H), soak.samples[-1]
    name = f"soak: {hours:g} h of the demo's fleet, {soak.rounds} rounds of an operator"
    slope = trend(soak.samples) * 100
    ok = last.objects <= full.objects * (1 + GROWTH)
    if not ok:
        print(f"bench_soak: most grown: {json.dumps(soak.grew)}", file=sys.stderr)
    return [
        {
            "name": f"{name}: memory at the end",
            "ours": last.rss_mb,
            "unit": "MB",
            "other": full.rss_mb,
            "versus": f"MB, after {FULL_H:g} h",
            "ratio": last.rss_mb / full.rss_mb,
            "reach": f"no more than {1 + GROWTH:g}",
            "ok": last.rss_mb <= full.rss_mb * (1 + GROWTH),
        },
        {
            "name": f"soak: objects at the end ({slope:+.2f}% an hour)",
            "ours": last.objects,
            "other": full.objects,
            "versus": f"after {FULL_H:g} h",
            "ratio": last.objects / full.objects,
            "reach": f"no more than {1 + GROWTH:g}",
            "ok": ok,
        },
    ]


def main() -> int:
    """Print one run as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_soak", description=__doc__)
    parser.add_argument("hours", type=float, nargs="?", default=HOURS)
    args = parser.parse_args()
    sys.stdout.buffer.write(msgspec.json.encode(here(args.hours)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
