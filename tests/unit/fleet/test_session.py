"""A session against hosts that fail, hang, lie, flood and change their key."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from console.clock import SystemClock
from console.errors import AuthError, ConnectError, HostKeyError, KeyFileError
from console.fleet import feed, session
from console.fleet.pace import FRAMES_S, LONGEST_S, backoff
from console.fleet.pool import CONNECTS, Pool
from console.model.event import Event
from console.model.host import HostState
from console.model.view import HostView
from console.model.words import sentence
from tests.support.scripted import ScriptedTransport, frame, host, listener, table


class Fleet:
    """A pool over scripted hosts, and the events it told."""

    def __init__(self, *names: str, **more: Any) -> None:
        self.transport = ScriptedTransport()
        self.events: list[Event] = []
        self.cursors: dict[str, str] = {}
        self.hosts = [host(name) for name in names or ("gpu01",)]
        self.more = more

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Pool]:
        self.pool = Pool(
            self.hosts,
            self.transport,
            SystemClock(),
            emit=self.events.append,
            cursor=self.cursors.__setitem__,
            rng=random.Random(1),
            **self.more,
        )
        await self.pool.start()
        try:
            yield self.pool
        finally:
            await self.pool.stop()
        assert self.pool.crashed() == []
        assert self.transport.closed

    def view(self, name: str = "gpu01") -> HostView:
        view = self.pool.snapshot().host(name)
        assert view is not None
        return view

    async def until(
        self, condition: Callable[[HostView], object], name: str = "gpu01", seconds: float = 10
    ) -> HostView:
        deadline = time.monotonic() + seconds
        while not condition(self.view(name)):
            assert time.monotonic() < deadline, self.view(name)
            await asyncio.sleep(0.01)
        return self.view(name)

    async def live(self, name: str = "gpu01") -> HostView:
        return await self.until(lambda view: view.state is HostState.LIVE, name)


def state(*wanted: HostState) -> Callable[[HostView], bool]:
    return lambda view: view.state in wanted


async def test_a_host_becomes_live_and_its_facts_are_there() -> None:
    fleet = Fleet()
    async with fleet.running():
        view = await fleet.live()
        assert view.fast is not None
        assert view.fast.cpu_pct == 12.5
        before = fleet.pool.snapshot()
        assert fleet.pool.snapshot() is before
        fleet.transport.link("gpu01").sink.data(frame(2, **table("listen", [listener(22)])))
        assert fleet.pool.snapshot().version > before.version
        assert [row.port for row in fleet.view().listeners] == [22]
    states = [event.facts["to"] for event in fleet.events if event.kind == "host.state"]
    assert states == ["LIVE"]


async def test_a_lost_link_is_down_and_tried_again() -> None:
    fleet = Fleet()
    async with fleet.running() as pool:
        await fleet.live()
        fleet.transport.link("gpu01").sink.closed(ConnectError("reset by peer"))
        view = await fleet.until(state(HostState.DOWN))
        assert "reset by peer" in view.reason
        assert view.fast is not None, "what was known stays"
        pool.retry("gpu01")
        await fleet.live()
    assert fleet.transport.attempts["gpu01"] == 2


async def test_two_refused_logins_stop_and_a_person_gets_one_more() -> None:
    fleet = Fleet()
    refused = [AuthError("the host did not accept our key") for _ in range(3)]
    fleet.transport.fail["gpu01"] = deque(refused)
    async with fleet.running() as pool:
        await fleet.until(state(HostState.DOWN))
        pool.retry("gpu01")
        await fleet.until(state(HostState.REFUSED))
        assert fleet.transport.attempts["gpu01"] == 2
        pool.retry("gpu01")
        await fleet.until(lambda _: fleet.transport.attempts["gpu01"] == 3)
        await fleet.until(state(HostState.REFUSED))
        pool.retry("gpu01")
        await fleet.live()


async def test_a_changed_key_is_never_tried_again() -> None:
    fleet = Fleet()
    fleet.transport.fail["gpu01"] = deque([HostKeyError("another key", offered="SHA256:abc")])
    async with fleet.running() as pool:
        await fleet.until(state(HostState.NEW_KEY))
        pool.retry("gpu01")
        await asyncio.sleep(0)
        assert fleet.view().state is HostState.NEW_KEY
        told = [event for event in fleet.events if event.kind == "host.key-changed"]
        assert told[0].facts["offered"] == "SHA256:abc"
    assert fleet.transport.attempts["gpu01"] == 1


async def test_a_key_file_that_cannot_be_used_waits_for_a_person() -> None:
    fleet = Fleet()
    fleet.transport.fail["gpu01"] = deque([KeyFileError("mode 0644", hint="chmod 600 it")])
    async with fleet.running():
        view = await fleet.until(state(HostState.REFUSED))
        assert "chmod 600" in view.reason


async def test_a_host_without_a_key_in_the_inventory_is_never_connected() -> None:
    fleet = Fleet()
    fleet.hosts = [type(fleet.hosts[0])(name="gpu01", address="192.0.2.1")]
    async with fleet.running():
        view = await fleet.until(state(HostState.DOWN))
        assert "watchfloor hosts trust gpu01" in view.reason
    assert "gpu01" not in fleet.transport.attempts


async def test_silence_is_stale_then_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "STALE_PERIODS", 0.2)
    monkeypatch.setattr(session, "STALE_END_S", 2.5)
    fleet = Fleet()
    async with fleet.running():
        await fleet.live()
        sink = fleet.transport.link("gpu01").sink
        await fleet.until(state(HostState.STALE))
        sink.data(frame(2))
        await fleet.until(state(HostState.LIVE))
        sink.data(frame(3)[:50])  # half a frame, for ever
        await fleet.until(state(HostState.STALE))
        view = await fleet.until(state(HostState.DOWN))
        assert "no frame for" in view.reason
        assert fleet.transport.link("gpu01").is_closed


async def test_a_probe_that_never_speaks_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "FIRST_FRAME_S", 0.5)
    fleet = Fleet()
    fleet.transport.greet = False
    async with fleet.running():
        await fleet.until(lambda _: fleet.transport.links.get("gpu01"))
        fleet.transport.link("gpu01").sink.narration("python3: not found")
        view = await fleet.until(state(HostState.DOWN))
        assert "said nothing" in view.reason
        assert "python3: not found" in view.reason


@pytest.mark.parametrize(
    ("chunk", "told"),
    [
        (b"x" * (10 << 20), "longer than 1 MiB"),
        (b'{"v":9}\n', "version 9"),
        (frame(2, mono=1.0), "ran backwards"),
        (b"\xff\xfe\n", "not a JSON|not JSON|outside"),
        (b"Welcome to Ubuntu!\n", "outside the frame protocol"),
    ],
)
async def test_what_is_outside_the_protocol_ends_the_link_with_the_reason(
    chunk: bytes, told: str
) -> None:
    fleet = Fleet()
    async with fleet.running():
        await fleet.live()
        fleet.transport.link("gpu01").sink.data(chunk)
        view = await fleet.until(state(HostState.DOWN))
        assert view.counts.refused_lines == 1
        assert re.search(told, view.reason), view.reason


async def test_a_wrong_checksum_asks_again_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("console.fleet.resync.LEAST_S", 0.0)
    fleet = Fleet()
    wrong = {"listen": {"set": [listener(22)], "n": 1, "x": 1}}
    async with fleet.running():
        await fleet.live()
        link = fleet.transport.link("gpu01")
        link.sink.data(frame(2, t=wrong))
        assert link.verbs == ["resync"]
        for seq in range(3, 12):
            link.sink.data(frame(seq, key=True, t=wrong))
        view = await fleet.until(state(HostState.DOWN))
        assert "disagreed with its own tables" in view.reason
        assert view.counts.resyncs <= 7


async def test_a_flood_is_slowed_down_then_dropped_and_never_slows_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "GIVE_UP_S", 1.5)
    fleet = Fleet("bad", "good")
    async with fleet.running():
        await fleet.live("bad")
        await fleet.live("good")
        bad, good = fleet.transport.link("bad"), fleet.transport.link("good")

        async def flood() -> None:
            seq = 1
            while not bad.is_closed:
                await bad.flow.wait()
                chunk = b"".join(frame(seq + n) for n in range(1, 101))
                seq += 100
                bad.sink.data(chunk)
                await asyncio.sleep(0)

        flooding = asyncio.create_task(flood())
        worst = 0.0
        seq = 1
        while fleet.view("bad").state is HostState.LIVE:
            seq += 1
            began = time.monotonic()
            good.sink.data(frame(seq))
            await fleet.until(lambda view, n=seq: view.counts.frames >= n, "good")  # type: ignore[misc]
            worst = max(worst, time.monotonic() - began)
            await asyncio.sleep(2 / FRAMES_S)  # faster, this one would be a flood too
        await flooding
        assert "frames a second" in fleet.view("bad").reason
        assert bad.pauses >= 1
        assert fleet.view("bad").counts.frames < 1_000, "most of the flood was never read"
        assert fleet.view("good").state is HostState.LIVE
        assert worst < 0.5


async def test_events_are_kept_in_order_and_the_cursor_is_sent_again() -> None:
    fleet = Fleet()
    async with fleet.running() as pool:
        await fleet.live()
        sink = fleet.transport.link("gpu01").sink
        events = [
            {"kind": "auth.failed", "at": float(n), "key": "root", "cursor": f"s=1;i={n}"}
            for n in range(50)
        ]
        sink.data(frame(2, e=events))
        assert [e.at for e in fleet.events if e.kind == "auth.failed"] == [
            float(n) for n in range(50)
        ]
        assert fleet.cursors == {"gpu01": "s=1;i=49"}
        sink.closed(None)
        await fleet.until(state(HostState.DOWN))
        pool.retry("gpu01")
        await fleet.live()
        assert fleet.transport.link("gpu01").verbs[0] == "resync s=1;i=49"


async def test_a_cursor_that_is_no_word_is_not_sent() -> None:
    fleet = Fleet()
    async with fleet.running() as pool:
        await fleet.live()
        sink = fleet.transport.link("gpu01").sink
        sink.data(frame(2, e=[{"kind": "x", "at": 1.0, "cursor": "a\nfocus on"}]))
        sink.closed(None)
        await fleet.until(state(HostState.DOWN))
        pool.retry("gpu01")
        await fleet.live()
        assert not [verb for verb in fleet.transport.link("gpu01").verbs if "\n" in verb]


async def test_a_host_waits_while_its_events_cannot_be_written() -> None:
    full = True
    fleet = Fleet(full=lambda: full)
    async with fleet.running():
        await fleet.until(lambda _: fleet.transport.links.get("gpu01"))
        link = fleet.transport.link("gpu01")
        await fleet.until(lambda _: link.paused)
        assert fleet.view().state is HostState.CONNECTING
        full = False
        await fleet.live()
        assert not link.paused


async def test_focus_follows_reconnects() -> None:
    fleet = Fleet("gpu01", "gpu02")
    async with fleet.running() as pool:
        await fleet.live()
        pool.focus(["gpu01"])
        assert fleet.transport.link("gpu01").verbs == ["focus on"]
        fleet.transport.link("gpu01").sink.closed(None)
        await fleet.until(state(HostState.DOWN))
        pool.retry("gpu01")
        await fleet.live()
        assert fleet.transport.link("gpu01").verbs == ["focus on"]
        pool.focus([])
        assert fleet.transport.link("gpu01").verbs == ["focus on", "focus off"]
        assert fleet.transport.link("gpu02").verbs == []


async def test_a_thousand_hosts_start_a_few_at_a_time() -> None:
    fleet = Fleet(*(f"n{n:04}" for n in range(1_000)))
    async with fleet.running() as pool:
        deadline = time.monotonic() + 20
        while any(v.state is not HostState.LIVE for v in pool.snapshot().hosts):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        assert pool.snapshot().connecting == 0
    assert fleet.transport.most_at_once <= CONNECTS


def test_pauses_grow_within_bounds_and_are_spread() -> None:
    rng = random.Random(7)
    for failures in range(1, 40):
        waits = [backoff(failures, rng) for _ in range(50)]
        assert 1.0 <= min(waits) <= max(waits) <= LONGEST_S
        assert len(set(waits)) > 40
    assert max(backoff(1, rng) for _ in range(200)) <= 2.0


@pytest.mark.parametrize("tier", [0, 1])
async def test_a_key_that_opens_a_shell_is_told_once_for_each_host(tier: int) -> None:
    fleet = Fleet()
    fleet.hosts = [host("gpu01", tier=tier)]
    async with fleet.running() as pool:
        await fleet.live()
        fleet.transport.link("gpu01").sink.closed(ConnectError("reset by peer"))
        await fleet.until(state(HostState.DOWN))
        pool.retry("gpu01")
        await fleet.live()
        counts = fleet.view().counts
        assert (counts.connects, counts.failures) == (2, 0), "a link that was lost is no failure"
    told = [sentence(event) for event in fleet.events if event.kind == "host.finding"]
    assert told == (["its key opens a shell on this host"] if tier == 0 else [])


async def test_an_attempt_that_fails_is_no_connection() -> None:
    fleet = Fleet()
    fleet.transport.fail["gpu01"] = deque([ConnectError("nothing listens there")])
    async with fleet.running() as pool:
        view = await fleet.until(state(HostState.DOWN))
        assert (view.counts.connects, view.counts.failures) == (0, 1)
        pool.retry("gpu01")
        view = await fleet.live()
        assert (view.counts.connects, view.counts.failures) == (1, 1)
