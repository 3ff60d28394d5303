"""Opens the local database: one writer, private to its user, and never in the way of watching."""

import contextlib
import fcntl
import os
import sqlite3
import time
from pathlib import Path

from console.errors import StoreError
from console.store.schema import migrate

NAME = "watchfloor.db"


class Opened:
    """A database and the lock that makes this process its one writer."""

    def __init__(
        self, db: sqlite3.Connection, reader: sqlite3.Connection, lock: int, moved: Path | None
    ) -> None:
        self.db = db  # for the writing thread alone
        self.reader = reader  # for everybody else; never waits for the writer
        self.moved = moved  # where an unreadable predecessor was put
        self._lock = lock

    def close(self) -> None:
        """Close the database, then let go of the lock."""
        self.reader.close()
        self.db.close()
        os.close(self._lock)


def open_database(folder: Path) -> Opened:
    """Open (or make) the database in ``folder``, for use in one other thread.

    A file that is no database, or a broken one, is moved aside and never deleted. Raises StoreError
    where the folder cannot be used or another process has the database.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"cannot be used: {error.strerror}",
            where=str(folder),
            hint="history and journal cursors are kept in memory only; name another state_dir",
        ) from None
    try:
        _take(lock, folder)
        return _open(folder / NAME, lock)
    except BaseException:
        os.close(lock)
        raise


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(
            "another Watchfloor process writes there",
            where=str(folder),
            hint="this one keeps history and journal cursors in memory only",
        ) from None


def _open(path: Path, lock: int) -> Opened:
    try:
        try:
            db, moved = _connect(path), None
        except sqlite3.DatabaseError as error:
            if not broken(error):  # full, read-only, busy: the file itself is good
                raise
            moved = _move_aside(path)
            db = _connect(path)
        uri = f"{path.absolute().as_uri()}?mode=ro"
        # Opened in one thread, used in another, but never in two at once.
        reader = sqlite3.connect(uri, uri=True, timeout=1, check_same_thread=False)
    except (sqlite3.Error, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise StoreError(
            f"cannot be opened: {why}",
            where=str(path),
            hint="history and journal cursors are kept in memory only; make room there, or name "
            "another state_dir",
        ) from None
    return Opened(db, reader, lock, moved)


def broken(error: sqlite3.Error) -> bool:
    """True when ``error`` says that the file is no database, or a damaged one."""
    ours = sqlite3.SQLITE_CORRUPT if type(error) is sqlite3.DatabaseError else 0
    code = getattr(error, "sqlite_errorcode", ours)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _move_aside(path: Path) -> Path:
    moved = path.with_name(f"{NAME}.broken-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{moved}{suffix}")
    return moved


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    db = sqlite3.connect(path, check_same_thread=False, timeout=5, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA trusted_schema=OFF")
        check = db.execute("PRAGMA quick_check(1)").fetchone()
        if check is None or check[0] != "ok":
            raise sqlite3.DatabaseError("is damaged")
        migrate(db)
    except BaseException:
        db.close()
        raise
    return db
