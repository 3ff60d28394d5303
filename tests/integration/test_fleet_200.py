"""Two hundred real SSH hosts, an eighth of them misbehaving: the good ones do not notice."""

import asyncio
import gc
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from console.demo.misbehave import KINDS
from console.demo.run import Demo
from console.engine.build import local_engine
from console.engine.protocol import Engine
from console.model.host import HostState
from console.model.view import HostView

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]

COUNT = 200
BAD = tuple(KINDS)
"""Every kind once: an eighth of the fleet."""

LIVE = HostState.LIVE
DOWN = HostState.DOWN
ENDS: dict[str, tuple[HostState, str]] = {
    "long-line": (DOWN, r"line"),
    "flood": (DOWN, r"more than 20 frames a second, or .* for 30 s"),
    "bad-utf8": (LIVE, r""),
    "escapes": (LIVE, r""),
    "markup": (LIVE, r""),
    "clock-back": (DOWN, r"clock|back"),
    "checksum": (DOWN, r"checksum|disagree|table"),
    "future": (DOWN, r"version 2"),
    "half": (HostState.STALE, r"no frame for"),
    "nothing": (DOWN, r"said nothing"),
    "gap": (DOWN, r"gap|sequence|number|missing"),
    "deep": (DOWN, r"nested|levels|deep"),
    "no-json": (DOWN, r"JSON|shell|start-up"),
    "infinite": (DOWN, r"out of range"),
    "digits": (DOWN, r"digits"),
    "nan": (DOWN, r"JSON"),
    "twice": (LIVE, r""),
    "rows": (LIVE, r""),
    "kinds": (LIVE, r""),
    "dates": (LIVE, r""),
    "same-id": (LIVE, r""),
    "closes": (DOWN, r"ended|closed"),
    "no-probe": (DOWN, r"python3"),
    "mute": (DOWN, r"SSH|time|answer"),
    "not-ssh": (DOWN, r"SSH|lost|reset"),
    "refuses": (HostState.REFUSED, r"key|accept|refuse"),
}
"""The state that each kind must be seen in, and what its reason says."""


async def until(condition: Callable[[], object], what: Callable[[], str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        await asyncio.sleep(0.1)


def resident_mib() -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) / 1024


class Watch:
    """Looks at the engine ten times a second and keeps what it must not miss."""

    def __init__(self, engine: Engine, demo: Demo) -> None:
        self.engine = engine
        self.good = [host.name for host in demo.hosts[: COUNT - len(BAD)]]
        self.bad = dict(
            zip((host.name for host in demo.hosts[COUNT - len(BAD) :]), BAD, strict=True)
        )
        self.reasons: dict[str, set[tuple[HostState, str]]] = {name: set() for name in self.bad}
        self.lags: list[float] = []
        self.shared: dict[str, str] = {}  # host to those that say they are the same machine
        self._after = 0
        self.left: list[str] = []  # good hosts that did not stay LIVE, and when
        self.oldest = 0.0
        self.settled = False
        self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.1)
            self.lags.append(time.monotonic() - before - 0.1)
            now = time.time()
            events = self.engine.events(self._after, 20_000)
            self._after = events[-1].seq if events else self._after
            self.shared |= {e.host: e.facts["with"] for e in events if e.kind == "host.same-id"}
            for view in self.engine.snapshot().hosts:
                if view.name in self.bad:
                    self.reasons[view.name].add((view.state, view.reason))
                elif self.settled:
                    self.oldest = max(self.oldest, view.age(now) or 0.0)
                    if view.state is not LIVE:
                        self.left.append(f"{view.name} {view.state} {view.reason}")

    def views(self) -> dict[str, HostView]:
        return {view.name: view for view in self.engine.snapshot().hosts}

    def live(self) -> int:
        views = self.views()
        return sum(views[name].state is LIVE for name in self.good)

    def waiting(self) -> list[str]:
        """Bad hosts that were not yet seen as their kind must be."""
        out = []
        for name, kind in self.bad.items():
            state, reason = ENDS[kind]
            if not any(s is state and re.search(reason, r) for s, r in self.reasons[name]):
                out.append(f"{name} {kind}: {sorted(self.reasons[name])}")
        return out

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    async with Demo(count=COUNT, bad=BAD, local=False, incident=False, workstation=False) as demo:
        engine = local_engine(demo.config())
        await engine.start()
        watch = Watch(engine, demo)
        try:
            yield watch
        finally:
            await watch.stop()
            await engine.stop()


async def test_good_hosts_stay_live_beside_all_kinds_of_bad_ones(watch: Watch) -> None:
    begun = time.monotonic()
    await until(lambda: watch.live() == len(watch.good), lambda: f"{watch.live()} are LIVE", 90)
    took = time.monotonic() - begun
    gc.collect()
    before = resident_mib()
    watch.settled = True
    watch.lags.clear()
    await until(lambda: not watch.waiting(), lambda: "\n".join(watch.waiting()), 90)
    grown = resident_mib() - before
    lags = sorted(watch.lags)
    p99 = lags[int(len(lags) * 0.99)]
    logging.getLogger(__name__).info(
        "all LIVE after %.1f s; loop lag p99 %.0f ms, worst %.0f ms; oldest frame %.1f s; "
        "%.0f MiB resident, grown by %.0f MiB",
        took, p99 * 1e3, lags[-1] * 1e3, watch.oldest, before, grown,
    )  # fmt: skip
    assert not watch.left, watch.left[:10]
    assert watch.oldest < 6.0  # three periods
    assert p99 < 0.5
    assert before < 400
    assert grown < 96  # of which one host may hold 65,536 rows, and the log 20,000 events
    by_kind = {kind: watch.views()[name] for name, kind in watch.bad.items()}
    assert by_kind["rows"].counts.dropped_rows >= 1
    assert watch.shared == {"sim001": by_kind["same-id"].name, by_kind["same-id"].name: "sim001"}
    assert watch.engine.snapshot().dropped_events == 0
    for name in watch.good:
        view = watch.views()[name]
        assert view.counts.resyncs == 0
        assert view.counts.refused_lines == 0
        assert view.counts.dropped_events == 0
    shown = msgspec.json.encode(watch.engine.snapshot()).decode()
    assert "\\u001b" not in shown
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\u200b]", shown)
