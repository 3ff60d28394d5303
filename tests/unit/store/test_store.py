"""The database: private, versioned, one writer, and whole after kill -9 at any moment."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from console.errors import StoreError
from console.model.event import Event
from console.store.database import NAME, open_database
from console.store.schema import MIGRATIONS
from console.store.writer import EventRow, HistoryRow, Store, fair_share

ROOT = Path(__file__).resolve().parents[3]


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def event(n: int) -> Event:
    return Event(kind="auth.failed", host="gpu01", at=float(n), key="root", facts={"n": n})


def test_what_was_put_is_there_after_it_was_closed(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    for n in range(100):
        store.put(EventRow(event(n)))
        store.put(EventRow(None, "gpu01", f"i={n}"))
    now = int(time.time()) // 60 * 60
    store.put(HistoryRow("gpu01", 60, now, {"cpu_pct": (1.0, 9.0, 5.0)}))
    store.close()
    again = Store(tmp_path / "state")
    assert [e.facts["n"] for e in again.events()] == list(range(100))
    assert again.cursors() == {"gpu01": "i=99"}
    points = again.history("gpu01", "cpu_pct", 60, now - 60)
    assert [(p.low, p.high, p.last) for p in points] == [(1.0, 9.0, 5.0)]
    assert again.history("gpu01", "mem_pct", 60, now - 60) == []
    assert (again.lost, again.error) == (0, "")
    again.close()


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    store.put(EventRow(event(1)))
    until(store.events, "one event")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    for file in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    store.close()


def test_a_second_process_is_told_and_goes_on_without(tmp_path: Path) -> None:
    first = Store(tmp_path)
    second = Store(tmp_path)
    assert "another Watchfloor process" in second.error
    assert not second.usable
    second.put(EventRow(event(1)))
    assert second.events() == []
    second.close()
    first.close()
    third = Store(tmp_path)
    assert third.usable
    third.close()


@pytest.mark.parametrize(
    "rubbish", [b"this is no database" * 100, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_broken_file_is_moved_aside_and_kept(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / NAME).write_bytes(rubbish)
    store = Store(tmp_path)
    assert store.usable
    assert store.moved is not None
    assert store.moved.read_bytes() == rubbish
    store.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    db = sqlite3.connect(tmp_path / NAME)
    db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        open_database(tmp_path)
    store = Store(tmp_path)
    assert "newer version" in store.error
    store.close()


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "state")
    assert "cannot be used" in store.error
    store.close()


def test_a_full_queue_is_counted_and_asks_to_slow_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.store.writer.MAX_WAITING", 20)
    monkeypatch.setattr("console.store.writer.HIGH", 10)
    store = Store(tmp_path)
    blocker = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    full = False
    for n in range(200):
        store.put(EventRow(event(n)))
        full = full or store.full()
    assert full
    assert store.lost > 0
    blocker.execute("ROLLBACK")
    blocker.close()
    lost = store.lost
    store.close()
    again = Store(tmp_path)
    assert len(again.events()) == 200 - lost
    again.close()


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from console.model.event import Event
from console.store.writer import EventRow, Store
store = Store(Path(sys.argv[1]))
n = 0
while True:
    if not store.full():
        store.put(EventRow(Event(kind="x", host="h", at=float(n), facts={"n": n}), "h", f"i={n}"))
        n += 1
        if n == 50:
            print("going", flush=True)
"""


@pytest.mark.parametrize("wait", [0.0, 0.01, 0.03, 0.08, 0.2])
def test_kill_9_at_any_moment_loses_nothing_that_was_kept(tmp_path: Path, wait: float) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"going\n"
    time.sleep(wait)  # which moment does not matter
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    store = Store(tmp_path)
    assert store.moved is None
    kept = [e.facts["n"] for e in store.events(1_000_000)]
    assert kept == list(range(len(kept))), "no hole, no repetition"
    if kept:
        assert store.cursors() == {"h": f"i={kept[-1]}"}, "cursor and events in one transaction"
    store.close()
    check = sqlite3.connect(tmp_path / NAME)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_a_noisy_host_forgets_its_own_events_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.store.writer.MAX_EVENTS", 100)
    monkeypatch.setattr("console.store.writer.TRIM_EVERY", 1)
    store = Store(tmp_path)
    for n in range(10):
        store.put(EventRow(Event(kind="kernel.xid", host="quiet", at=float(n), facts={"n": n})))
    for n in range(1_000):
        store.put(EventRow(Event(kind="listener.new", host="loud", at=float(n), facts={"n": n})))
    store.close()
    again = Store(tmp_path)
    kept = again.events(10_000)
    again.close()
    assert [e.facts["n"] for e in kept if e.host == "quiet"] == list(range(10))
    loud = [e.facts["n"] for e in kept if e.host == "loud"]
    assert loud == list(range(1_000 - len(loud), 1_000)), "the newest of the noisy one"
    assert 80 <= len(loud) <= 90


@pytest.mark.parametrize(
    ("counts", "room", "share"),
    [([], 10, 0), ([5, 5], 10, 5), ([1, 100], 10, 9), ([100, 100, 2], 10, 4), ([3, 4], 100, 4)],
)
def test_small_ones_leave_their_room_to_others(counts: list[int], room: int, share: int) -> None:
    assert fair_share(counts, room) == share
    assert sum(min(count, share) for count in counts) <= room
