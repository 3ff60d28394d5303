"""This workstation as a row: its numbers against psutil, and nothing of it holds the loop up."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from console.engine.session import LocalEngine
from console.fleet.workstation import measure, posture
from console.fleet.workstation.row import NAME, Workstation
from console.headless.document import document
from console.model.host import HostState
from tests.support.scripted import ScriptedTransport


@asynccontextmanager
async def running(row: Workstation) -> AsyncIterator[list[float]]:
    changes: list[float] = []
    task = asyncio.create_task(row.run(lambda: changes.append(time.monotonic())))
    try:
        yield changes
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_the_row_says_what_psutil_says(tmp_path: Path) -> None:
    row = Workstation(home=tmp_path)
    assert row.view().state is HostState.CONNECTING
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        async with running(row):
            await until(lambda: row.view().facts and row.view().listeners and row.view().summary)
            view = row.view()
    assert view.workstation
    assert view.name == NAME
    assert view.state is HostState.LIVE
    assert view.fast is not None
    assert view.fast.cpus == psutil.cpu_count() == os.cpu_count()
    total = psutil.virtual_memory().total >> 10
    assert view.fast.mem_total_kib == total
    assert 0 < (view.fast.mem_avail_kib or 0) <= total
    assert view.fast.uptime_s == pytest.approx(time.time() - psutil.boot_time(), abs=60)
    own = [item for item in view.listeners if item.port == port]
    assert [(item.pid, item.uid, item.address) for item in own] == [
        (os.getpid(), os.getuid(), "127.0.0.1")
    ]
    assert view.summary is not None
    assert abs(view.summary.total - len(psutil.pids())) < 200
    assert view.inventory.kernel is not None
    assert view.inventory.kernel.release == platform.release()


async def test_a_tool_that_hangs_holds_up_neither_the_loop_nor_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.fleet.workstation.row.FAST_S", 0.05)
    hang = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(env: object, home: object) -> dict[str, str]:
        asyncio.run_coroutine_threadsafe(hang.wait(), loop).result(30)
        return {"firewall": "no"}

    monkeypatch.setattr(posture, "posture", slow)
    row = Workstation(home=tmp_path)
    async with running(row) as changes:
        await until(lambda: len(changes) > 10)
        assert row.view().state is HostState.LIVE
        assert row.view().facts == {}
        hang.set()
        await until(lambda: row.view().facts == {"firewall": "no"})


async def test_what_may_not_be_read_is_denied_with_why_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.fleet.workstation.row.LISTEN_S", 0.05)
    real = measure.listeners
    monkeypatch.setattr(measure, "listeners", lambda: (_ for _ in ()).throw(psutil.AccessDenied()))
    row = Workstation(home=tmp_path)
    async with running(row):
        await until(lambda: "listeners" in row.view().denied)
        assert "AccessDenied" in row.view().denied["listeners"]
        assert row.view().listeners == ()
    monkeypatch.setattr(measure, "listeners", real)
    async with running(row):
        await until(lambda: "listeners" not in row.view().denied and row.view().fast)


async def test_it_is_the_first_row_of_the_fleet_and_of_the_document(tmp_path: Path) -> None:
    engine = LocalEngine([], ScriptedTransport(), sources=[Workstation(home=tmp_path)])
    await engine.start()
    try:
        await until(lambda: engine.snapshot().hosts[0].facts)
        out = document(engine.snapshot())["hosts"][0]
        assert out["name"] == NAME
        assert out["workstation"] is True
        assert "firewall" in out["facts"]
    finally:
        await engine.stop()


def test_rates_are_of_the_time_between_two_samples() -> None:
    meter = measure.Meter()
    first = meter.fast()
    assert first.rx_bps is first.cpu_pct is None
    assert first.nics == ()
    second = meter.fast()
    assert second.dt > 0
    assert {nic.name for nic in second.nics} == set(psutil.net_io_counters(pernic=True))
    assert all(nic.rx_bps >= 0 and nic.tx_bps >= 0 for nic in second.nics)
