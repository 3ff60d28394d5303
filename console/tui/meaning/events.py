"""The newest events as rows, with what repeats folded into one row that counts."""

from collections import Counter
from collections.abc import Container, Hashable, Iterable
from dataclasses import dataclass, field

import msgspec

from console.engine.logins import Logins
from console.model.event import Event
from console.model.words import INFO, refusals, sentence, severity, utc
from console.tui.meaning import present
from console.tui.style.look import Cell, Look

FOLD_S = 60.0
"""A repetition within this time of the last one is counted, a later one is a row of its own."""
MAX_USERS = 100
"""Names that one row keeps of those whom refused logins tried."""


@dataclass(eq=False)
class Row:
    """One thing that happened ``count`` times; ``last`` is the newest."""

    last: Event
    first_at: float
    count: int = 1
    users: dict[str, None] = field(default_factory=dict)  # whom refused logins tried, newest last

    def take(self, event: Event) -> None:
        """One more of the same; it may come later than it happened."""
        self.first_at = min(self.first_at, event.at)
        event = msgspec.structs.replace(event, at=max(event.at, self.last.at))
        if event.kind == "gpu.process.new":  # one process on one GPU more
            gpus = str(self.last.facts.get("gpu")).split(", ")
            if (gpu := str(event.facts.get("gpu"))) not in gpus:
                gpus.append(gpu)
            event = msgspec.structs.replace(event, facts=event.facts | {"gpu": ", ".join(gpus)})
        else:
            self.count += 1
        self.last = event
        self.note(event)

    def note(self, event: Event) -> None:
        """Remember whom a refused login tried."""
        if event.kind == "auth.failed":
            user = str(event.facts.get("user") or "")
            self.users.pop(user, None)
            self.users[user] = None
            if len(self.users) > MAX_USERS:
                del self.users[next(iter(self.users))]

    def words(self) -> str:
        """What happened, over all of them."""
        if self.last.kind == "auth.failed" and self.count > 1:
            source = str(self.last.facts.get("source") or "")
            return refusals(self.count, source, [*reversed(self.users)])
        return sentence(self.last)


class EventRows:
    """Rows of events, newest first, at most ``limit`` of them; harmless ``routine`` is left out."""

    def __init__(self, limit: int, *, routine: Container[str] = ()) -> None:
        self._routine = routine
        self._limit = limit
        self._rows: list[Row] = []  # in the order of their newest event
        self._newest: dict[Hashable, Row] = {}
        self._logins = Logins()

    def add(self, events: Iterable[Event]) -> None:
        """Take events in the order in which they happened."""
        for event in map(self._logins.read, events):
            if event.kind in self._routine and severity(event) == INFO:
                continue
            what = _same(event)
            row = self._newest.get(what)
            if row is not None and event.at - row.last.at <= FOLD_S:
                self._rows.remove(row)
                row.take(event)
            else:
                row = self._newest[what] = Row(event, event.at)
                row.note(event)
            self._rows.append(row)
            if len(self._rows) > self._limit:
                gone = self._drop()
                if self._newest.get(_same(gone.last)) is gone:
                    del self._newest[_same(gone.last)]

    def clear(self) -> None:
        """Forget everything: events are told anew from the beginning."""
        self._rows.clear()
        self._newest.clear()
        self._logins = Logins()

    def _drop(self) -> Row:
        """The oldest row of the kind that has most: what is frequent never hides what is rare."""
        kinds = Counter(row.last.kind for row in self._rows)
        most = max(kinds.values())
        return self._rows.pop(
            next(n for n, row in enumerate(self._rows) if kinds[row.last.kind] == most)
        )

    def rows(self) -> list[Row]:
        """The rows, newest first: by when they happened, not by when they were told."""
        return sorted(self._rows, key=lambda row: row.last.at)[::-1]


def _same(event: Event) -> Hashable:
    """What makes two events the same thing to a reader. A new listener is never folded away."""
    if event.kind == "auth.failed":
        return event.host, event.kind, str(event.facts.get("source"))
    if event.kind == "gpu.process.new":
        return event.host, event.kind, str(event.facts.get("pid"))
    if event.kind in ("listener.gone", "log.gap", "probe.error"):
        return event.host, event.kind
    return event.host, event.kind, event.key, sentence(event)


def event_line(row: Row, look: Look, *, host: bool = True) -> Cell:
    """One row as a line: when, how bad, where, what, how often."""
    event = row.last
    level = severity(event)
    style = "" if level == INFO else level
    pieces = [
        (f" {when(event.at)} ", "dim"),
        (f"{look.mark(level)} ", style),
        (f"{event.host} " if host else "", "bold"),
        (row.words(), style),
    ]
    if row.count > 1 and event.kind == "auth.failed":
        pieces.append((f"  since {when(row.first_at)}", "dim"))
    elif row.count > 1:
        pieces.append((f"  and {row.count - 1} more like it since {when(row.first_at)}", "dim"))
    return pieces


def when(at: float) -> str:
    """The time in UTC, with the day where it is not today."""
    today = utc(at, "%Y-%m-%d") == utc(present.now(), "%Y-%m-%d")
    return utc(at, "%H:%M:%S" if today else "%m-%d %H:%M:%S")
