"""The event lane's log part: picks a source, reads it, and resumes after a cursor."""

from __future__ import annotations

from .denied import SILENT, Denied
from .happen import Events
from .inventory.child import run
from .journal import MAX_ENTRY, Journal, may_read_journal
from .logfiles import AuthLog, KernelLog
from .place import Place, slurp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .entries import Entry

WAIT_S = 0.5  # for the console to say after which cursor it wants to go on
AGAIN_S = 2.0  # between two starts of the child
DOUBT_S = 20.0  # after its start, a child that follows and told nothing is checked
DOUBT_AGAIN_S = 600.0


class Logs:
    """Puts log events into the queue, and reads no more than the queue can take."""

    def __init__(
        self, place: Place, events: Events, denied: Denied, identifiers: tuple[str, ...]
    ) -> None:
        self._place = place
        self._events = events
        self._denied = denied
        self._journal = Journal(place, identifiers, self._gap)
        self._file = AuthLog(place, identifiers, self._gap)
        self._kernel = KernelLog(place, self._gap)
        self._from = place.wall()
        self._start_at: float | None = place.mono() + WAIT_S
        self._cursor = ""
        self._again_at = 0.0
        self._by_file = False
        self._doubt_at: float | None = None
        self._doubt: Iterator[object] | None = None

    def _gap(self, reason: str) -> None:
        self._events.put("log.gap", "", {"reason": reason})

    def resume(self, cursor: str) -> None:
        """Go on after ``cursor``: now, or a little later when that was asked a moment ago."""
        self._cursor = cursor
        self._start_at = max(self._place.mono(), self._again_at)

    def _start(self) -> None:
        """Begin after the cursor, or with what was written since the probe started."""
        cursor, self._start_at = self._cursor, None
        self._again_at = self._place.mono() + AGAIN_S
        if may_read_journal(self._place, self._denied):
            if cursor and not cursor.startswith("s="):
                self._gap("cursor gone")
                cursor = ""
            self._journal.start(cursor, since=self._from)
            self._doubt_at = self._place.mono() + DOUBT_S
            return
        if cursor and not cursor.startswith("f="):
            self._gap("cursor gone")
            cursor = ""
        self._by_file = self._file.start(self._denied, cursor)
        if self._kernel.fileno() < 0:
            self._kernel.start(self._denied)

    def due(self) -> float | None:
        """When ``tick`` wants to be called next, if before the next fast tick."""
        return self._start_at

    def tick(self) -> None:
        """Start when it is time, start again what ended, read what has no descriptor."""
        if self._start_at is not None:
            if self._place.mono() >= self._start_at:
                self._start()
            return
        self._journal.restart_if_due()
        self._doubt_silence()
        if self._by_file and not self._events.full:
            self._put(self._file.read())

    def _doubt_silence(self) -> None:
        """Now and then hold a child that told nothing against what the journal has."""
        if self._doubt is not None:
            if next(self._doubt, None) is None:
                self._doubt = None
        elif self._doubt_at is not None and self._place.mono() >= self._doubt_at:
            self._doubt_at = self._place.mono() + DOUBT_AGAIN_S
            if not self._journal.heard:
                self._doubt = self._compare()

    def _compare(self) -> Iterator[object]:
        done = yield from run(self._journal.newest_arguments(), limit=MAX_ENTRY)
        if done is not None:
            silent = self._journal.silent(done[1])
            self._denied.set("log.journal", SILENT if silent else None)

    def filenos(self) -> list[int]:
        """Descriptors that are readable when events wait; none while the queue is full."""
        if self._events.full:
            return []
        return [fd for fd in (self._journal.fileno(), self._kernel.fileno()) if fd >= 0]

    def ready(self, fd: int) -> None:
        """Read the source behind ``fd``."""
        source = self._journal if fd == self._journal.fileno() else self._kernel
        self._put(source.read())

    def _put(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.found is not None:
                kind, key, facts = entry.found
                self._events.put(kind, key, facts, entry.at, entry.cursor)

    def child_seconds(self) -> float:
        """Processor seconds of the live child, which the system adds to ours only at its end."""
        pid = self._journal.pid
        if not pid:
            return 0.0
        try:
            text = slurp(f"{self._place.proc}/{pid}/stat", 2048)
            fields = text[text.rfind(b")") + 2 :].split()
            return (int(fields[11]) + int(fields[12])) / 100.0
        except (OSError, IndexError, ValueError):
            return 0.0

    def stop(self) -> None:
        """End the child and close everything."""
        self._journal.stop()
        self._kernel.stop()
