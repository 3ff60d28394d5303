"""The one writer: a thread that takes batches from a bounded queue and commits them."""

import contextlib
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from console.errors import StoreError
from console.model.event import Event
from console.model.history import Point
from console.store.database import Opened, broken, open_database

MAX_WAITING = 10_000
HIGH = MAX_WAITING // 2
BATCH = 2_000
EVENT_DAYS = 90
MAX_EVENTS = 2_000_000
STEPS = {60: 7 * 86_400, 900: 90 * 86_400}
"""Step of kept history to how long it is kept, both in seconds."""
TRIM_EVERY = 500
STUCK_S = 10.0
"""A write that takes longer stops nobody any more: watching goes on, and rows are lost."""


class EventRow(msgspec.Struct, frozen=True):
    """An event, and the journal cursor of its host after it ("" where there is none)."""

    event: Event | None
    host: str = ""
    cursor: str = ""


class HistoryRow(msgspec.Struct, frozen=True):
    """One step of all series of a host: (low, high, last) by name."""

    host: str
    step: int
    at: int
    numbers: dict[str, tuple[float, float, float]]


_numbers = msgspec.msgpack.Decoder(dict[str, tuple[float, float, float]])

Row = EventRow | HistoryRow


class Store:
    """Local memory that survives the process. Nothing here blocks the caller but ``close``.

    ``error`` says why nothing is kept, while that is so; all calls still work then.
    """

    def __init__(self, folder: Path) -> None:
        self.error = ""
        self.moved: Path | None = None
        self.lost = 0  # rows that could not be kept
        self._opened: Opened | None = None
        self._queue: queue.Queue[Row | None] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._writing_since: float | None = None
        self._disk = False  # the last write failed for the disk's sake, not for its rows'
        try:
            self._opened = open_database(folder)
        except StoreError as error:
            self.error = str(error)
            return
        self.moved = self._opened.moved
        self._thread = threading.Thread(
            target=self._run, args=(self._opened.db,), name="store", daemon=True
        )
        self._thread.start()

    @property
    def usable(self) -> bool:
        """True while rows are kept."""
        return self._thread is not None

    def full(self) -> bool:
        """True while so much waits to be written that hosts should be slowed down.

        A disk that hangs slows nobody down for longer than ``STUCK_S``.
        """
        return self._queue.qsize() > HIGH and not self._stuck()

    def trouble(self) -> str:
        """Why rows are being lost now; empty while all is kept."""
        if self._stuck():
            return f"a write has not ended within {STUCK_S:.0f} s"
        return self.error

    def _stuck(self) -> bool:
        since = self._writing_since
        return since is not None and time.monotonic() - since > STUCK_S

    def cursors(self) -> dict[str, str]:
        """Journal cursor of each host, as last kept."""
        rows = self._read("SELECT host, cursor FROM cursor")
        return {host: cursor for host, cursor in rows if isinstance(cursor, str)}

    def put(self, row: Row) -> None:
        """Keep ``row`` soon; counted as lost when the queue is full or nothing is kept."""
        if self._thread is None:
            return
        try:
            self._queue.put_nowait(row)
        except queue.Full:
            self.lost += 1

    def history(self, host: str, name: str, step: int, since: float) -> list[Point]:
        """Kept steps of one series, oldest first."""
        sql = "SELECT at, numbers FROM history WHERE host = ? AND step = ? AND at >= ? ORDER BY at"
        points = []
        for at, packed in self._read(sql, host, step, int(since)):
            try:
                values = _numbers.decode(packed).get(name)
            except (msgspec.MsgspecError, TypeError):  # a row that somebody else has changed
                continue
            if values is not None:
                points.append(Point(at, *values))
        return points

    def events(self, limit: int = 1000) -> list[Event]:
        """The newest kept events, oldest first."""
        sql = "SELECT kind, host, at, key, facts, id FROM event ORDER BY id DESC LIMIT ?"
        return [
            Event(kind=kind, host=host, at=at, key=key, facts=_facts(facts), seq=seq)
            for kind, host, at, key, facts, seq in reversed(self._read(sql, limit))
        ]

    def close(self) -> None:
        """Write what waits, then let go. At most a few seconds."""
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=2)
            self._thread.join(timeout=3)
            if self._thread.is_alive():
                return
            self._thread = None
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _read(self, sql: str, *values: object) -> list[Any]:
        if self._opened is None:
            return []
        try:
            return self._opened.reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self.error = f"cannot be read: {error}"
            return []

    # -- in the thread

    def _run(self, db: sqlite3.Connection) -> None:
        batches = 0
        going = True
        while going:
            rows: list[Row] = []
            item = self._queue.get()
            while item is not None:
                rows.append(item)
                if len(rows) >= BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            going = item is not None
            self._write(db, rows)
            if batches % TRIM_EVERY == 0:
                self._guarded(db, _trim)
            batches += 1

    def _write(self, db: sqlite3.Connection, rows: list[Row]) -> None:
        if not rows:
            return
        if self._guarded(db, lambda db: _insert(db, rows)):
            if self._disk:
                self._disk, self.error = False, ""
            return
        if len(rows) > 1 and not self._disk:
            for row in rows:  # one that cannot be written must not take the others with it
                self._write(db, [row])
        else:
            self.lost += len(rows)

    def _guarded(self, db: sqlite3.Connection, work: Callable[[sqlite3.Connection], None]) -> bool:
        """Do ``work`` as one transaction; nothing that it meets ends this thread."""
        self._writing_since = time.monotonic()
        try:
            db.execute("BEGIN IMMEDIATE")
            work(db)
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001,RUF100  # without the thread all hosts would wait
            self._disk = isinstance(error, sqlite3.OperationalError) or (
                isinstance(error, sqlite3.Error) and broken(error)
            )
            if self._disk:
                self.error = f"cannot be written: {error}"
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            return False
        finally:
            self._writing_since = None
        return True


def _facts(written: str) -> dict[str, Any]:
    try:
        facts = json.loads(written)
    except (ValueError, TypeError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _insert(db: sqlite3.Connection, rows: list[Row]) -> None:
    events = [r for r in rows if isinstance(r, EventRow)]
    db.executemany(
        "INSERT INTO event (host, kind, at, key, facts) VALUES (?, ?, ?, ?, ?)",
        [
            (e.host, e.kind, e.at, e.key, msgspec.json.encode(e.facts).decode())
            for r in events
            if (e := r.event) is not None
        ],
    )
    db.executemany(
        "INSERT INTO cursor VALUES (?, ?) ON CONFLICT (host) DO UPDATE SET cursor=excluded.cursor",
        [(r.host, r.cursor) for r in events if r.cursor],
    )
    db.executemany(
        "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?)",
        [
            (r.host, r.step, r.at, msgspec.msgpack.encode(r.numbers))
            for r in rows
            if isinstance(r, HistoryRow)
        ],
    )


def _trim(db: sqlite3.Connection) -> None:
    """Forget what is too old by this machine's clock: a host's own clock may say anything."""
    newest = db.execute("SELECT unixepoch()").fetchone()[0]
    db.execute("DELETE FROM event WHERE kept < ?", (newest - EVENT_DAYS * 86_400,))
    _trim_by_count(db)
    for step, keep in STEPS.items():
        db.execute("DELETE FROM history WHERE step = ? AND at < ?", (step, newest - keep))


def _trim_by_count(db: sqlite3.Connection) -> None:
    """Make room where there are too many events: at the cost of the hosts that have most."""
    counts = dict(db.execute("SELECT host, count(*) FROM event GROUP BY host").fetchall())
    if sum(counts.values()) <= MAX_EVENTS:
        return
    share = fair_share(list(counts.values()), MAX_EVENTS * 9 // 10)
    for host, count in counts.items():
        if count > share:
            oldest = "SELECT id FROM event WHERE host = ? ORDER BY id LIMIT ?"
            db.execute(f"DELETE FROM event WHERE id IN ({oldest})", (host, count - share))  # noqa: S608  # constant text


def fair_share(counts: list[int], room: int) -> int:
    """The most that each may have so that all fit in ``room``; small ones leave some to others."""
    left = room
    for done, count in enumerate(sorted(counts)):
        share = left // (len(counts) - done)
        if count > share:
            return share
        left -= count
    return max(counts, default=0)
