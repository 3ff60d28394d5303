"""What a thousand hosts cost this console: processor, memory, and time from an event to the screen.

The hosts are real SSH sessions served by a child process (``fleet_hosts``), so only the console is
counted: SSH, decoding, tables, an hour of history, snapshots, and the fleet screen. Beside it, in
the same run: a bare asyncio reader of the same lines over plain TCP that decodes each with msgspec
and keeps nothing. Each measurement is a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from benchmarks.fleet_hosts import EVENT, IMAGES, PERIOD_S, Script, Voice

HOSTS = 1_000
SIZE = (180, 50)


# -- the hosts


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[Path, dict[str, int]]]:
    """Start the child; its keys' folder and its ports."""
    import asyncssh

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("host", "user"):
            key = asyncssh.generate_private_key("ssh-ed25519")
            key.write_private_key(folder / part)
            key.write_public_key(folder / f"{part}.pub")
            (folder / part).chmod(0o600)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.fleet_hosts", name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert child.stdout is not None
            yield folder, json.loads(await child.stdout.readline())
        finally:
            child.kill()
            await child.communicate()


def rss_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("no VmRSS")


def allow_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


# -- the bare reader


class Bare(asyncio.Protocol):
    """Splits lines and decodes each."""

    lines = 0
    arrived: ClassVar[list[float]] = []

    def __init__(self) -> None:
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            frame = msgspec.json.decode(line)
            if "e" in frame:
                Bare.arrived.append(time.time() - frame["e"][0]["at"])
        Bare.lines += len(lines)


async def bare(seconds: float) -> dict[str, float]:
    """CPU share and memory of the bare reader."""
    allow_files()
    async with served() as (_, ports):
        loop = asyncio.get_running_loop()
        links = []
        for _ in range(HOSTS):
            links.append((await loop.create_connection(Bare, "127.0.0.1", ports["tcp"]))[0])
        await asyncio.sleep(5)
        Bare.arrived.clear()
        out = await observed(seconds)
        for link in links:
            link.close()
        return out | {"arrive": percentile(Bare.arrived, 0.99)}


# -- the console


async def console(seconds: float) -> dict[str, float]:
    """The whole console: real SSH to every host, the fleet screen on, an hour of history."""
    from console.engine.session import LocalEngine
    from console.model.event import Event
    from console.model.host import Host, HostState
    from console.ssh.transport import Start, Transports
    from console.tui.app import ConsoleApp

    arrived: list[float] = []
    painted: list[float] = []

    class Engine(LocalEngine):
        def _emit(self, event: Event) -> None:
            super()._emit(event)
            if event.kind == EVENT:
                arrived.append(time.time() - event.at)

    empty = rss_mb()
    async with served() as (folder, ports):
        pin = (folder / "host.pub").read_text(encoding="ascii").strip()
        hosts = [
            Host(
                name=f"gpu{number:04}", address="127.0.0.1", port=ports["ssh"], user="bench",
                key=str(folder / "user"), host_key=(pin,), tier=1,
            )
            for number in range(HOSTS)
        ]  # fmt: skip
        transports = Transports(
            {host.name: host for host in hosts}, starter=lambda host: Start("frames")
        )
        engine = Engine(hosts, transports)
        app = ConsoleApp(lambda ask: engine)

        def show_events(events: list[Event]) -> None:
            shown(events)
            stamps = [event.at for event in events if event.kind == EVENT]
            app.call_after_refresh(lambda: painted.extend(time.time() - at for at in stamps))

        async with app.run_test(size=SIZE):
            shown, app._fleet.show_events = app._fleet.show_events, show_events  # type: ignore[method-assign]
            deadline = time.monotonic() + 120
            while sum(v.state is HostState.LIVE for v in engine.snapshot().hosts) < HOSTS:
                assert time.monotonic() < deadline, engine.snapshot().hosts[0]
                await asyncio.sleep(0.2)
            remember(engine)
            gc.collect()
            await asyncio.sleep(5)
            arrived.clear()
            painted.clear()
            out = await observed(seconds)
            out["late"] = sum(v.counts.resyncs for v in engine.snapshot().hosts)
        return out | {
            "empty": empty,
            "arrive": percentile(arrived, 0.99),
            "paint": percentile(painted, 0.99),
            "events": float(len(painted)),
        }


def remember(engine: Any) -> None:
    """Give every session the hour of history that it would have after an hour."""
    session = next(iter(engine._pool.sessions.values()))
    now = time.time()
    for step in range(1_800, 0, -1):
        session.history.add(now - PERIOD_S * step, session.data.fast)
    for other in engine._pool.sessions.values():
        if other is not session:
            other.history = copy.deepcopy(session.history)


async def observed(seconds: float) -> dict[str, float]:
    """CPU share, memory, and how late the event loop was, over so many seconds."""
    lags = []
    used, began = time.process_time(), time.monotonic()
    while time.monotonic() - began < seconds:
        before = time.monotonic()
        await asyncio.sleep(0.1)
        lags.append(time.monotonic() - before - 0.1)
    share = (time.process_time() - used) / (time.monotonic() - began)
    return {"cpu": share, "rss": rss_mb(), "lag": percentile(lags, 0.99)}


# -- one frame without any link


def frame_cost(rounds: int) -> tuple[float, float]:
    """Microseconds from bytes to the host's new view, and of the bare decoder for that line."""
    import random

    from console.clock import SystemClock
    from console.fleet.data import HostData
    from console.fleet.feed import Feed
    from console.fleet.session import Session, Surroundings
    from console.fleet.trusted import Trusted
    from console.model.host import Host

    around = Surroundings(
        transport=None,  # type: ignore[arg-type]  # nothing is connected here
        clock=SystemClock(),
        places=asyncio.Semaphore(1),
        emit=lambda event: None,
        full=lambda: False,
        changed=lambda: None,
        cursor=lambda host, cursor: None,
        rng=random.Random(1),
        trusted=Trusted({}),
    )
    scripts = [Script(image) for image in range(IMAGES)]
    pairs = []
    for number in range(100):
        session = Session(Host(name=f"h{number}", address="192.0.2.1"), around)
        session.data = HostData()
        session.data.begin()
        voice = Voice(scripts[number % IMAGES], number)
        Feed(session, SystemClock()).data(voice.first())
        pairs.append((session, voice))
    ours = other = 0.0
    count = 0
    for _ in range(rounds):
        pieces = [(session, voice.period()) for session, voice in pairs]
        feeds = [(session, Feed(session, SystemClock()), piece) for session, piece in pieces]
        began = time.process_time()
        for session, feed, piece in feeds:
            feed.data(piece)
            session.view()
        ours += time.process_time() - began
        began = time.process_time()
        for _, piece in pieces:
            for line in piece.splitlines():
                msgspec.json.decode(line)
                count += 1
        other += time.process_time() - began
    return ours / count * 1e6, other / count * 1e6


# -- the table


def measured(mode: str, seconds: float) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_fleet", mode, str(seconds)],
        check=True,
        stdout=subprocess.PIPE,
    )
    return dict(json.loads(done.stdout))


def run(quick: bool) -> list[dict[str, Any]]:
    """All rows."""
    seconds = 10.0 if quick else 40.0
    floor = measured("bare", seconds)
    whole = measured("console", seconds)
    ours, other = frame_cost(20 if quick else 100)
    cost = {"name": "one frame to a new view of its host", "ours": ours, "unit": "us",
            "other": other, "versus": "us, bare decoder", "ratio": ours / other}  # fmt: skip
    return [
        cost,
        {
            "name": f"whole console, fleet screen on, {HOSTS:,} hosts by SSH: processor",
            "ours": whole["cpu"] * 100,
            "unit": "% of a core",
            "other": floor["cpu"] * 100,
            "versus": "% of a core, bare TCP reader",
            "ratio": whole["cpu"] / floor["cpu"],
            "reach": "under 40%",
            "ok": whole["cpu"] < 0.4,
        },
        {
            "name": "the same: memory, with an hour of history",
            "ours": whole["rss"],
            "unit": "MB",
            "other": floor["rss"],
            "versus": "MB, bare TCP reader",
            "ratio": whole["rss"] / floor["rss"],
            "reach": "under 250 MB",
            "ok": whole["rss"] < 250,
        },
        {
            "name": "the same: event loop late, p99",
            "ours": whole["lag"] * 1000,
            "unit": "ms",
            "other": floor["lag"] * 1000,
            "versus": "ms, bare TCP reader",
            "ratio": whole["lag"] / floor["lag"],
        },
        {
            "name": "event sent by a host to engine, p99",
            "ours": whole["arrive"] * 1000,
            "unit": "ms",
            "other": floor["arrive"] * 1000,
            "versus": "ms, bare TCP reader",
            "ratio": whole["arrive"] / floor["arrive"],
        },
        {
            "name": "event sent by a host to painted, p99",
            "ours": whole["paint"] * 1000,
            "unit": "ms",
            "reach": "under 300 ms",
            "ok": whole["paint"] < 0.3 and whole["events"] > 0,
        },
    ]


if __name__ == "__main__":
    print(
        json.dumps(asyncio.run({"bare": bare, "console": console}[sys.argv[1]](float(sys.argv[2]))))
    )
