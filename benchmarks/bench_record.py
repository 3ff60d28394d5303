"""What recording costs while a fleet is watched, how long its file gets, and how fast a seek is.

Hosts speak the same lines as in ``bench_fleet``, through the real sessions but without SSH, so
that only the recorder is counted: each of its ticks (one a second) is timed by the processor time
that it takes. Beside it, in the same run: the whole picture written each second as JSON, which is
the simplest recording there is.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.fleet_hosts import IMAGES, Script, Voice
from console.clock import ManualClock
from console.engine.reading import Reading
from console.engine.recorder import LIMIT, Writer
from console.engine.replay import ReplayEngine
from console.fleet.data import HostData
from console.fleet.feed import Feed
from console.fleet.session import Session, Surroundings
from console.fleet.trusted import Trusted
from console.model.event import Event
from console.model.host import Host, HostState
from console.model.view import FleetSnapshot

HOUR_S = 3600
TICK_S = 1.0


class Fleet:
    """Hosts that say what they say each two seconds, half of them in each second."""

    def __init__(self, hosts: int) -> None:
        self.clock = ManualClock()
        self.events: list[Event] = []
        around = Surroundings(
            transport=None,  # type: ignore[arg-type]  # nothing is connected here
            clock=self.clock,
            places=asyncio.Semaphore(1),
            emit=self.events.append,
            full=lambda: False,
            changed=lambda: None,
            cursor=lambda host, cursor: None,
            rng=random.Random(1),
            trusted=Trusted({}),
        )
        scripts = [Script(image) for image in range(IMAGES)]
        self.hosts: list[tuple[Session, Voice]] = []
        for number in range(hosts):
            session = Session(Host(name=f"gpu{number:04}", address="192.0.2.1"), around)
            session.data = HostData()
            session.data.begin()
            session.status.state = HostState.LIVE
            voice = Voice(scripts[number % IMAGES], number)
            Feed(session, self.clock).data(voice.first())
            self.hosts.append((session, voice))
        self._second = 0

    def second(self) -> tuple[FleetSnapshot, list[Event]]:
        """One second later."""
        self.clock.advance(TICK_S)
        self._second += 1
        for session, voice in self.hosts[self._second % 2 :: 2]:
            Feed(session, self.clock).data(voice.period())
        events = list(self.events)
        self.events.clear()
        views = tuple(session.view() for session, _ in self.hosts)
        return FleetSnapshot(version=self._second, at=self.clock.wall(), hosts=views), events


def record(path: Path, hosts: int, seconds: int) -> dict[str, float]:
    """Record so many seconds; shares of a core, bytes an hour, and the longest tick."""
    fleet = Fleet(hosts)
    writer = Writer(path, limit=LIMIT)
    writer.begin(fleet.clock.wall(), [session.spec.name for session, _ in fleet.hosts], "bench")
    ours = other = longest = 0.0
    compared = 0
    for tick in range(seconds):
        snapshot, events = fleet.second()
        began = time.process_time()
        writer.tick(snapshot.at, snapshot, events, 0)
        took = time.process_time() - began
        if tick:  # the first is the keyframe of the beginning, and is not the rule
            ours += took
            longest = max(longest, took)
        if tick % max(1, seconds // 5) == 1:
            began = time.process_time()
            msgspec.json.encode(snapshot)
            other += time.process_time() - began
            compared += 1
    writer.end(fleet.clock.wall(), "it was ended")
    return {
        "share": ours / (seconds - 1),
        "whole": other / max(1, compared),
        "longest": longest,
        "bytes": writer.written * HOUR_S / seconds,
    }


def seeks(path: Path, rounds: int) -> tuple[float, float, float]:
    """Processor seconds: to open an hour, median and worst of a seek with picture and a plot."""
    began = time.process_time()
    with closing(Reading(path)) as reading:
        opened = time.process_time() - began
        engine = ReplayEngine(reading, clock=ManualClock(), paused=True)
        rng = random.Random(1)
        took = []
        for _ in range(rounds):
            at = rng.uniform(engine.begin, engine.end)
            began = time.process_time()
            engine.seek(at)
            engine.snapshot()
            engine.history("gpu0000", "cpu_pct", HOUR_S)
            took.append(time.process_time() - began)
    took.sort()
    return opened, took[len(took) // 2], took[-1]


def run(quick: bool) -> list[dict[str, Any]]:
    """The rows of the table."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for hosts, seconds in ((8, HOUR_S), (1_000, 30 if quick else 180)):
            for ending in ("", ".gz"):
                path = Path(name) / f"r{hosts}{ending}"
                cost = record(path, hosts, 300 if quick and hosts == 8 else seconds)
                kind = "recording packed" if ending else "recording"
                rows.append(
                    {"name": f"{kind}, {hosts:,} hosts: processor", "ours": cost["share"] * 100,
                     "unit": "% of a core", "other": cost["whole"] * 100,
                     "versus": "% of a core, all of it as JSON each second",
                     "ratio": cost["share"] / cost["whole"]}
                )  # fmt: skip
                rows.append(
                    {"name": "the same: file", "ours": cost["bytes"] / 1e6, "unit": "MB an hour"}
                )
                rows.append(
                    {"name": "the same: longest tick, in a thread", "ours": cost["longest"] * 1e3,
                     "unit": "ms"}
                )  # fmt: skip
                if hosts == 8:
                    opened, median, worst = seeks(path, 50)
                    rows.append(
                        {"name": f"replay of that hour{' (packed)' if ending else ''}: open it",
                         "ours": opened * 1e3, "unit": "ms"}
                    )  # fmt: skip
                    rows.append(
                        {"name": "the same: seek, with picture and a plot, median",
                         "ours": median * 1e3, "unit": "ms", "reach": "under 200 ms",
                         "ok": median < 0.2}
                    )  # fmt: skip
                    rows.append({"name": "the same: worst", "ours": worst * 1e3, "unit": "ms"})
                path.unlink()
    return rows
