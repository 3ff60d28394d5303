"""The demo as a whole: real SSH, the real engine, every stage of the incident seen."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from console.demo.drill import FIRST
from console.demo.plain import PlainLog
from console.demo.run import Demo
from console.demo.seat import parts
from console.demo.timeline import stages
from console.engine.build import local_engine
from console.engine.protocol import Engine
from console.model.event import Event
from console.model.host import HostState
from console.model.view import FleetSnapshot, HostView
from console.tui.meaning import facts
from console.tui.meaning.newcomers import Newcomers

ROOT = Path(__file__).resolve().parents[2]


class Seen:
    """Everything an engine has shown so far."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[Event] = []
        self.states: dict[str, list[HostState]] = {}
        self.most_egress: dict[str, float] = {}

    def look(self) -> FleetSnapshot:
        snapshot = self.engine.snapshot()
        after = self.events[-1].seq if self.events else 0
        self.events += self.engine.events(after)
        for view in snapshot.hosts:
            states = self.states.setdefault(view.name, [])
            if not states or states[-1] is not view.state:
                states.append(view.state)
            for flow in view.flows:
                self.most_egress[flow.peer] = max(self.most_egress.get(flow.peer, 0), flow.tx_bps)
        return snapshot

    def host(self, name: str) -> HostView:
        view = self.engine.snapshot().host(name)
        assert view is not None
        return view

    def of(self, host: str, kind: str, key: str | None = None) -> list[Event]:
        return [
            event
            for event in self.events
            if (event.host, event.kind) == (host, kind) and key in (None, event.key)
        ]

    def source(self, kind: str) -> set[str]:
        return {event.facts["source"] for event in self.of("gw-fra-1", kind)}

    def worst(self, host: str) -> str:
        """What the row of a host says first, as far as events told of it."""
        known = Newcomers()
        known.see(self.events)
        view = self.host(host)
        return facts.trouble(view, known.of(view), known.lately(view))[2]


def gpu_ecc(seen: Seen) -> bool:
    counters = seen.host("h100-fra-1").gpus[3].counters
    xids = [event.facts["xid"] for event in seen.of("h100-fra-1", "kernel.xid")]
    return counters.ecc_uncorrected == 6 and counters.remap_pending == 1 and 63 in xids


def gpu_dead(seen: Seen) -> bool:
    gpu = seen.host("h100-fra-1").gpus[3]
    xids = [event.facts["xid"] for event in seen.of("h100-fra-1", "kernel.xid")]
    lost = seen.of("h100-fra-1", "gpu.lost", "3")
    return bool(lost) and gpu.fast.lost != "" and gpu.counters.last_xid == 79 and 79 in xids


def gpu_stranger(seen: Seen) -> bool:
    view = seen.host("h100-fra-2")
    held = {row.gpu for row in view.gpu_processes if row.user == "svc-deploy"}
    busy = all((view.gpus[index].fast.util_pct or 0) > 50 for index in (5, 6))
    return held == {5, 6} and busy and len(seen.of("h100-fra-2", "gpu.process.new")) == 2


EVIDENCE: dict[str, Callable[[Seen], object]] = {
    "brute-force": lambda s: (
        len(s.of("gw-fra-1", "auth.failed")) == 40 and s.source("auth.failed") == {"203.0.113.77"}
    ),
    "brute-force-success": lambda s: (
        s.source("auth.accepted") == {"203.0.113.77"}
        and s.of("gw-fra-1", "auth.sudo", "svc-deploy")
        and s.worst("gw-fra-1") == "login after 40 refused"
        and any(row.user == "svc-deploy" for row in s.host("gw-fra-1").sessions)
    ),
    "new-listener": lambda s: (
        s.of("h100-fra-2", "listener.new", "tcp/0.0.0.0:4444")
        and any(row.port == 4444 for row in s.host("h100-fra-2").listeners)
    ),
    "gpu-stranger": gpu_stranger,
    "weights-opened": lambda s: (
        s.of("store-fra-1", "weights.opened")
        and s.worst("store-fra-1") == "rclone opened weights"
        and any(row.name == "rclone" for row in s.host("store-fra-1").openers)
    ),
    "weights-egress": lambda s: s.most_egress.get("198.51.100.23", 0) > 1e9,
    "gpu-ecc": gpu_ecc,
    "gpu-dead": gpu_dead,
    "host-silent": lambda s: HostState.STALE in s.states["l40s-fra-1"],
    "host-key-changed": lambda s: s.states["mi300-fra-1"][-1] is HostState.NEW_KEY,
    "host-gone": lambda s: s.states["l40s-fra-1"][-1] is HostState.DOWN,
    "weights-again": lambda s: s.most_egress.get("198.51.100.24", 0) > 9e8,
}
"""What each stage must have made visible, by its id."""


def missing(seen: Seen, ids: Sequence[str]) -> list[str]:
    return [stage for stage in ids if not EVIDENCE[stage](seen)]


def test_every_stage_has_evidence_here() -> None:
    assert list(EVIDENCE) == [stage.id for stage in stages()]


@pytest.mark.timeout(180)
async def test_every_stage_of_the_incident_is_seen() -> None:
    async with Demo(speed=4, workstation=False) as demo:
        config = demo.config()
        # By whom the demo's guards are known: to anybody else each of them is what is worst there.
        engine = local_engine(config, acting=parts(demo.folder, FIRST, config.known))
        await engine.start()
        seen, log, lines = Seen(engine), PlainLog(engine, stages()), []
        try:
            deadline = time.monotonic() + 90
            while True:
                seen.look()
                begun = [stage.id for stage in demo.stages_begun()]
                lines += list(log.lines(demo.stages_begun(), time.time()))
                if len(begun) == len(EVIDENCE) and not missing(seen, begun):
                    break
                assert time.monotonic() < deadline, (begun, missing(seen, begun))
                await asyncio.sleep(0.1)
        finally:
            await engine.stop()
    assert begun == list(EVIDENCE)
    for view in seen.engine.snapshot().hosts:
        assert view.counts.resyncs == 0, view.name
        assert view.counts.refused_lines == 0, view.name
    assert log.most_live == 8
    text = "\n".join(lines)
    for stage in stages():
        assert f"[{stage.id}] {stage.see}" in text
    assert re.search(r"logins from 203\.0\.113\.77 refused, \d+ times, users \w+", text)


@pytest.mark.timeout(120)
async def test_all_eight_are_live_and_stay_so_for_thirty_seconds() -> None:
    async with Demo(workstation=False) as demo:
        engine = local_engine(demo.config())
        await engine.start()
        try:
            await until(lambda: live(engine) == 8, lambda: states(engine), 20)
            end = time.monotonic() + 28
            while time.monotonic() < end:
                assert live(engine) >= 7, states(engine)
                await asyncio.sleep(0.1)
            own = engine.snapshot().host("local")
            assert own is not None
            assert own.fast is not None
            assert own.fast.cpus == os.cpu_count()
            assert own.hello is not None
            assert own.hello.tier == 0
            assert own.inventory.kernel is not None
            assert own.inventory.kernel.release == os.uname().release
        finally:
            await engine.stop()


async def until(condition: Callable[[], object], what: Callable[[], str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        await asyncio.sleep(0.05)


def live(engine: Engine) -> int:
    return sum(view.state is HostState.LIVE for view in engine.snapshot().hosts)


def states(engine: Engine) -> str:
    return ", ".join(f"{v.name} {v.state} {v.reason}" for v in engine.snapshot().hosts)


@pytest.mark.timeout(90)
def test_plain_runs_for_its_seconds_and_leaves_nothing_behind(tmp_path: Path) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path)}
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "console", "demo", "--plain", "--seconds", "10"],
        cwd=ROOT,
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    took = time.monotonic() - begun
    assert done.returncode == 0, done.stdout + done.stderr
    assert 10 <= took < 40
    assert re.search(r"h100-fra-1 +LIVE +8 GPUs \d+%", done.stdout)
    assert re.search(r"local +LIVE", done.stdout)
    assert "[brute-force]" in done.stdout
    assert not done.stdout.count("\x1b")
    assert not list(tmp_path.glob("watchfloor-demo-*"))
    holding = subprocess.run(
        ["ps", "-eo", "args"], check=True, capture_output=True, text=True
    ).stdout
    assert str(tmp_path) not in holding


@pytest.mark.timeout(90)
def test_too_short_for_seven_hosts_is_no_success(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "console", "demo", "--plain", "--seconds", "0"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "Watch for:" in done.stderr
    assert not list(tmp_path.glob("watchfloor-demo-*"))
