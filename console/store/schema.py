"""Tables of the local database, as migrations: the number of those applied is its version."""

import sqlite3

from console.errors import StoreError

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE cursor (host TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        host TEXT NOT NULL,
        kind TEXT NOT NULL,
        at REAL NOT NULL,
        key TEXT NOT NULL,
        facts TEXT NOT NULL,
        kept INTEGER NOT NULL DEFAULT (unixepoch())
    );
    CREATE INDEX event_by_time ON event (kept);
    CREATE INDEX event_by_host ON event (host, at);
    CREATE TABLE history (
        host TEXT NOT NULL,
        step INTEGER NOT NULL,
        at INTEGER NOT NULL,
        numbers BLOB NOT NULL,
        PRIMARY KEY (host, step, at)
    ) WITHOUT ROWID;
    CREATE INDEX history_by_time ON history (step, at);
    """,
)


def migrate(db: sqlite3.Connection) -> None:
    """Bring ``db`` to this version, each step in one transaction.

    Raises StoreError for a database that a newer version has written.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StoreError(
            f"was written by a newer version (schema {version}, this one knows {len(MIGRATIONS)})",
            hint="run the newer version, or name another state_dir",
        )
    for number in range(version, len(MIGRATIONS)):
        db.executescript(f"BEGIN;{MIGRATIONS[number]}PRAGMA user_version={number + 1};COMMIT;")
