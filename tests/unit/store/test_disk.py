"""A disk that is full, read-only or slow: said, counted, and never in the way of watching."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.engine.session import LocalEngine
from console.model.event import Event
from console.model.host import HostState
from console.store import writer
from console.store.database import NAME, open_database
from console.store.writer import EventRow, Store
from tests.support.scripted import ScriptedTransport, frame, host


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(place)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no mount here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take what room there is."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    return filler


def until(condition: object, what: str) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def event(n: int) -> EventRow:
    return EventRow(Event(kind="x", host="gpu01", at=float(n), facts={"text": "y" * 2_000, "n": n}))


def test_a_full_disk_loses_rows_says_so_and_recovers(small: Path) -> None:
    store = Store(small)
    assert store.trouble() == ""
    filler = fill(small)
    for n in range(200):
        store.put(event(n))
    until(lambda: store.trouble(), "the trouble is told")
    assert "full" in store.trouble() or "I/O" in store.trouble()
    until(lambda: not store.full() and store.lost, "rows are counted and nobody waits")
    filler.unlink()

    def back() -> bool:
        store.put(event(1_000))
        return store.trouble() == ""

    until(back, "it writes again")
    store.close()
    again = Store(small)
    assert again.moved is None, "a full disk is no damage"
    assert 1_000 in [e.facts["n"] for e in again.events()]
    again.close()


def test_a_good_database_on_a_full_disk_is_not_moved_aside(small: Path) -> None:
    store = Store(small)
    store.put(event(1))
    store.close()
    filler = fill(small)
    full = Store(small)
    assert full.moved is None
    full.put(event(2))
    full.close()
    filler.unlink()
    again = Store(small)
    assert [e.facts["n"] for e in again.events()][:1] == [1]
    assert [path.name for path in small.iterdir() if "broken" in path.name] == []
    again.close()


def test_a_full_disk_from_the_start_is_told(small: Path) -> None:
    fill(small)
    store = Store(small)
    assert store.error
    assert str(small) in store.error
    store.put(event(1))
    store.close()


async def test_a_full_disk_is_an_event_of_the_engine_and_the_hosts_stay_live(small: Path) -> None:
    transport = ScriptedTransport()
    engine = LocalEngine([host("gpu01")], transport, state_dir=small)
    await engine.start()
    try:
        deadline = time.monotonic() + 20
        while engine.snapshot().hosts[0].state is not HostState.LIVE:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        filler = fill(small)
        seq = 1

        async def speak() -> None:
            nonlocal seq
            seq += 1
            told = [{"kind": "x", "at": 1.0, "facts": {"t": "y" * 400, "n": n}} for n in range(20)]
            transport.link("gpu01").sink.data(frame(seq, e=told))
            await asyncio.sleep(0.05)

        def kinds() -> list[str]:
            return [e.kind for e in engine.events(0, 100_000) if not e.host]

        while "store.unavailable" not in kinds():
            assert time.monotonic() < deadline
            await speak()
        view = engine.snapshot().hosts[0]
        assert view.state is HostState.LIVE
        assert engine.snapshot().dropped_events > 0
        filler.unlink()
        while "store.back" not in kinds():
            assert time.monotonic() < deadline
            await speak()
        assert engine.snapshot().hosts[0].state is HostState.LIVE
    finally:
        await engine.stop()


def test_a_read_only_file_system_is_told(small: Path) -> None:
    Store(small).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    store = Store(small)
    assert store.error
    assert store.moved is None
    store.close()


def test_a_write_that_never_ends_stops_nobody_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "HIGH", 5)
    monkeypatch.setattr(writer, "STUCK_S", 0.3)
    store = Store(tmp_path)
    store.put(event(0))
    until(store.events, "it writes")
    blocker = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    store.put(event(1))
    until(lambda: store.trouble(), "the writer waits")
    assert "has not ended" in store.trouble()
    for n in range(20):
        store.put(event(n))
    assert not store.full(), "hosts are not slowed down by a disk that hangs"
    blocker.execute("ROLLBACK")
    blocker.close()
    until(lambda: store.trouble() == "", "it goes on")
    store.close()


def test_a_row_that_cannot_be_written_takes_no_other_with_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    blocker = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    for n in range(5):  # held up, so that they come as one batch with the bad ones
        store.put(event(n))
    store.put(EventRow(Event(kind="\ud800", host="gpu01", at=1.0)))
    store.put(EventRow(Event(kind="x", host="gpu01", at=float("nan"))))
    store.put(EventRow(Event(kind="x", host="gpu01", at=1.0, facts={"x": object()})))
    for n in range(5, 10):
        store.put(event(n))
    blocker.execute("ROLLBACK")
    blocker.close()
    store.close()
    assert store.lost == 3
    assert store.error == ""
    again = Store(tmp_path)
    assert [e.facts["n"] for e in again.events()] == list(range(10))
    again.close()


def test_what_is_kept_opens_again_after_all_this(tmp_path: Path) -> None:
    opened = open_database(tmp_path)
    assert opened.moved is None
    opened.close()
