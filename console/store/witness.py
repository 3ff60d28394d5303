"""What this console has seen and sent of guarded actions: evidence, kept for good.

A database of its own beside the history: history may be switched off, is pruned, and is moved aside
where it is damaged; evidence is none of that. Rows are added by any process of this person (a verb
beside the screens), each on the disk before the call returns, and never changed: the database
itself refuses it.
"""

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from console.errors import StoreError

NAME = "witness.db"
MAX_SEEN = 256 << 20
"""Bytes kept of what one host shows; more is a flood, and only what this console sends is kept."""
_SCHEMA = """
CREATE TABLE seen (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    at REAL NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (host, kind, number, sha256)
);
CREATE TABLE sent (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    rid TEXT NOT NULL,
    at REAL NOT NULL,
    data BLOB NOT NULL,
    signature BLOB NOT NULL
);
CREATE TABLE answer (
    sent INTEGER PRIMARY KEY REFERENCES sent (id),
    at REAL NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE pin (host TEXT PRIMARY KEY, key BLOB NOT NULL, at REAL NOT NULL, how TEXT NOT NULL);
CREATE TABLE size (host TEXT PRIMARY KEY, bytes INTEGER NOT NULL);
"""
_REPIN = """
CREATE TABLE repin (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    key BLOB NOT NULL,
    at REAL NOT NULL,
    how TEXT NOT NULL,
    before BLOB NOT NULL
);
"""


def _keep(*tables: str) -> str:
    return "".join(
        f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
        "BEGIN SELECT raise(ABORT, 'evidence is not changed'); END;\n"
        for table in tables
        for verb in ("UPDATE", "DELETE")
    )


_STEPS = (_SCHEMA + _keep("seen", "sent", "answer", "pin"), _REPIN + _keep("repin"))
"""What makes each version of the database out of the one before."""
_VERSION = len(_STEPS)


_PINNED = (
    "SELECT key, how FROM (SELECT key, how, id FROM repin WHERE host=? "
    "UNION ALL SELECT key, how, 0 FROM pin WHERE host=?) ORDER BY id DESC LIMIT 1"
)


class Seen(msgspec.Struct, frozen=True):
    """A document that a host showed. ``number``: of records, of a checkpoint or a record."""

    kind: str
    number: int
    at: float
    data: bytes


class Sent(msgspec.Struct, frozen=True):
    """A document that this console sent, and what came back (empty where nothing did).

    ``kind`` is the guard's verb (``submit``, ``decide``, ``cancel``, ``start``, ``review``,
    ``confirm``), ``rid`` the id of the request.
    """

    kind: str
    rid: str
    at: float
    data: bytes
    signature: bytes
    answer: bytes


class Witness:
    """The database in ``folder``. Calls take milliseconds and may come from any thread."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError where it cannot be used."""
        self._path = folder / NAME
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            os.close(os.open(self._path, flags, 0o600))
            self._db = sqlite3.connect(
                self._path, check_same_thread=False, timeout=10, isolation_level=None
            )
        except (OSError, sqlite3.Error) as error:
            raise self._error("cannot be opened", error) from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise self._error("cannot be used", error) from None
        except StoreError:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA trusted_schema=OFF")
        with self._change() as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            if version > _VERSION:
                raise StoreError(
                    f"was written by a newer version (schema {version})",
                    where=str(self._path),
                    hint="run the newer version; nothing was changed",
                )
            if version < _VERSION:
                for statement in _statements("".join(_STEPS[version:])):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={_VERSION}")

    def _error(self, what: str, error: Exception) -> StoreError:
        why = error.strerror if isinstance(error, OSError) else error
        return StoreError(
            f"{what}: {why}",
            where=str(self._path),
            hint="it holds evidence: look at it, and do not delete it; without it nothing is sent",
        )

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    # ---- what hosts show

    def keep(self, host: str, kind: str, number: int, data: bytes) -> bool:
        """Keep a document that ``host`` showed; False where it is here already, or is too much.

        Raises StoreError.
        """
        return self.keep_all(host, kind, [(number, data)]) == 1

    def keep_all(self, host: str, kind: str, shown: Sequence[tuple[int, bytes]]) -> int:
        """Keep several at once, each with its number; how many were new. Raises StoreError."""
        count = 0
        try:
            with self._change() as db:
                used = db.execute("SELECT bytes FROM size WHERE host=?", (host,)).fetchone()
                total = used[0] if used else 0
                for number, data in shown:
                    digest = hashlib.sha256(data).hexdigest()
                    known = "SELECT 1 FROM seen WHERE host=? AND kind=? AND number=? AND sha256=?"
                    if db.execute(known, (host, kind, number, digest)).fetchone():
                        continue
                    if total + len(data) + 200 > MAX_SEEN:
                        break
                    db.execute(
                        "INSERT INTO seen (host, kind, number, sha256, at, data) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        (host, kind, number, digest, time.time(), data),
                    )
                    total += len(data) + 200
                    count += 1
                db.execute(
                    "INSERT INTO size VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes=excluded.bytes",
                    (host, total),
                )
        except sqlite3.Error as error:
            raise self._error("cannot be written", error) from None
        return count

    def full(self, host: str) -> bool:
        """True where nothing more is kept of what ``host`` shows."""
        used = self._read("SELECT bytes FROM size WHERE host=?", host)
        return bool(used) and used[0][0] > MAX_SEEN - (1 << 20)

    def seen(self, host: str, kind: str) -> list[Seen]:
        """All of one kind that a host showed, in the order in which it came."""
        sql = "SELECT kind, number, at, data FROM seen WHERE host=? AND kind=? ORDER BY id"
        return [Seen(*row) for row in self._read(sql, host, kind)]

    def newest(self, host: str, kind: str) -> Seen | None:
        """The one with the greatest number; of those, the one that came last."""
        sql = (
            "SELECT kind, number, at, data FROM seen WHERE host=? AND kind=? "
            "ORDER BY number DESC, id DESC LIMIT 1"
        )
        rows = self._read(sql, host, kind)
        return Seen(*rows[0]) if rows else None

    def hosts(self) -> list[str]:
        """Every host of which something is kept."""
        sql = "SELECT host FROM size UNION SELECT host FROM sent UNION SELECT host FROM pin"
        return sorted(row[0] for row in self._read(sql))

    # ---- keys

    def pin(self, host: str, key: bytes, how: str) -> bytes:
        """The host's audit key (as an SSH key blob): the one that is pinned, else ``key`` from now
        on. ``how``: ``first-sight``, ``enrolled`` or ``person``. Raises StoreError."""
        try:
            with self._change() as db:
                found = db.execute(_PINNED, (host, host)).fetchone()
                if found:
                    return bytes(found[0])
                db.execute("INSERT INTO pin VALUES (?, ?, ?, ?)", (host, key, time.time(), how))
        except sqlite3.Error as error:
            raise self._error("cannot be written", error) from None
        return key

    def pinned(self, host: str) -> tuple[bytes, str] | None:
        """The pinned audit key and how it came here."""
        rows = self._read(_PINNED, host, host)
        return (bytes(rows[0][0]), str(rows[0][1])) if rows else None

    def repin(self, host: str, key: bytes, how: str) -> None:
        """Put ``key`` in the place of the pinned one; who pinned what, and when, stays here.

        Raises StoreError.
        """
        try:
            with self._change() as db:
                found = db.execute(_PINNED, (host, host)).fetchone()
                if found is None:
                    db.execute("INSERT INTO pin VALUES (?, ?, ?, ?)", (host, key, time.time(), how))
                elif bytes(found[0]) != key:
                    db.execute(
                        "INSERT INTO repin (host, key, at, how, before) VALUES (?, ?, ?, ?, ?)",
                        (host, key, time.time(), how, bytes(found[0])),
                    )
        except sqlite3.Error as error:
            raise self._error("cannot be written", error) from None

    def repinned(self, host: str) -> list[tuple[float, bytes, bytes]]:
        """Every replacement of the pinned key, oldest first: when, key before, key since."""
        rows = self._read("SELECT at, before, key FROM repin WHERE host=? ORDER BY id", host)
        return [(float(at), bytes(before), bytes(key)) for at, before, key in rows]

    # ---- what this console sends

    def sent(self, host: str, kind: str, rid: str, data: bytes, signature: bytes) -> int:
        """Keep a document **before** it is sent; the number to give to ``answered``.

        Raises StoreError: then it must not be sent.
        """
        try:
            with self._change() as db:
                cursor = db.execute(
                    "INSERT INTO sent (host, kind, rid, at, data, signature) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (host, kind, rid, time.time(), data, signature),
                )
                return int(cursor.lastrowid or 0)
        except sqlite3.Error as error:
            raise self._error("cannot be written", error) from None

    def answered(self, sent: int, answer: bytes) -> None:
        """Keep what the host answered, without tokens. Raises StoreError."""
        try:
            with self._change() as db:
                row = (sent, time.time(), answer)
                db.execute("INSERT OR IGNORE INTO answer VALUES (?, ?, ?)", row)
        except sqlite3.Error as error:
            raise self._error("cannot be written", error) from None

    def all_sent(self, host: str) -> list[Sent]:
        """Everything that was sent to a host, oldest first."""
        sql = (
            "SELECT kind, rid, sent.at, sent.data, signature, coalesce(answer.data, x'') "
            "FROM sent LEFT JOIN answer ON answer.sent = sent.id WHERE host=? ORDER BY sent.id"
        )
        return [Sent(*row) for row in self._read(sql, host)]

    def _read(self, sql: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._error("cannot be read", error) from None


def _statements(script: str) -> Iterator[str]:
    """The statements of a script: within one transaction ``executescript`` cannot be used."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if statement.strip() and sqlite3.complete_statement(statement):
            yield statement
            statement = ""
