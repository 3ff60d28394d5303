"""A pool whose sessions meet defects of the console itself."""

import asyncio
import random
from collections import deque
from collections.abc import Callable

import pytest

from console.clock import SystemClock
from console.fleet import pool as pools
from console.fleet.pool import Pool
from console.model.event import Event
from console.model.host import Host, HostState
from console.model.link import LineSink
from tests.support.scripted import ScriptedLink, ScriptedTransport, host


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that no event tells."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


class BreakingLink(ScriptedLink):
    """Its end is a defect that nothing on the way expects."""

    async def close(self) -> None:
        await super().close()
        raise RuntimeError("a defect at the end")


class BreakingTransport(ScriptedTransport):
    """The first link breaks the session's task when it ends."""

    async def open(self, host: Host, sink: LineSink) -> ScriptedLink:
        link = await super().open(host, sink)
        breaks = (host.name, self.attempts[host.name]) == ("gpu01", 1)
        return BreakingLink(sink) if breaks else link


async def test_a_session_that_died_goes_on_and_its_death_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "LOOK_S", 0.02)
    transport = BreakingTransport()
    events: list[Event] = []
    pool = Pool(
        [host("gpu01"), host("gpu02")],
        transport,
        SystemClock(),
        emit=events.append,
        rng=random.Random(1),
    )
    await pool.start()
    try:
        async with asyncio.timeout(10):
            await until(lambda: transport.attempts == {"gpu01": 1, "gpu02": 1})
            await until(lambda: pool.sessions["gpu02"].status.state is HostState.LIVE)
            transport.link("gpu01").sink.closed(None)
            await until(lambda: transport.attempts["gpu01"] == 2)
            await until(lambda: pool.sessions["gpu01"].status.state is HostState.LIVE)
        assert [(name, repr(error)) for name, error in pool.crashed()] == [
            ("gpu01", "RuntimeError('a defect at the end')")
        ]
    finally:
        await pool.stop()
    states = [event.key for event in events if event.kind == "host.state" and event.host == "gpu01"]
    assert states == ["LIVE", "DOWN", "LIVE"]
    assert any("a defect at the end" in event.facts.get("reason", "") for event in events)


async def test_any_failure_to_open_is_that_hosts_row() -> None:
    transport = ScriptedTransport()
    transport.fail["gpu01"] = deque([OverflowError()])
    pool = Pool([host("gpu01")], transport, SystemClock(), emit=lambda event: None)
    await pool.start()
    try:
        async with asyncio.timeout(10):
            await until(lambda: pool.sessions["gpu01"].status.state is HostState.DOWN)
        assert "OverflowError" in pool.sessions["gpu01"].status.reason
        assert pool.crashed() == []
    finally:
        await pool.stop()
