"""The newest events as rows, with what repeats folded into one row that counts."""

import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import msgspec

from console.model.event import Event
from console.model.words import INFO, sentence, severity
from console.tui.look import Cell, Look

FOLD_S = 60.0
"""A repetition within this time of the last one is counted, a later one is a row of its own."""


@dataclass(eq=False)
class Row:
    """One thing that happened ``count`` times; ``last`` is the newest."""

    last: Event
    first_at: float
    count: int = 1


class EventRows:
    """Rows of events, newest first, at most ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: list[Row] = []  # in the order of their newest event
        self._newest: dict[Hashable, Row] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Take events in the order in which they happened."""
        for event in events:
            what = _same(event)
            row = self._newest.get(what)
            if row is not None and event.at - row.last.at <= FOLD_S:
                self._rows.remove(row)
                if event.kind == "gpu.process.new":  # one process on one GPU more
                    held = f"{row.last.facts.get('gpu')}, {event.facts.get('gpu')}"
                    event = msgspec.structs.replace(event, facts=event.facts | {"gpu": held})
                else:
                    row.count += 1
                row.last = event
            else:
                row = self._newest[what] = Row(event, event.at)
            self._rows.append(row)
            if len(self._rows) > self._limit:
                gone = self._rows.pop(0)
                if self._newest.get(_same(gone.last)) is gone:
                    del self._newest[_same(gone.last)]

    def rows(self) -> list[Row]:
        """The rows, newest first."""
        return self._rows[::-1]


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
        (sentence(event), style),
    ]
    if row.count > 1:
        pieces.append((f"  and {row.count - 1} more like it since {when(row.first_at)}", "dim"))
    return pieces


def when(at: float) -> str:
    """The time in UTC, with the day where it is not today."""
    moment = time.gmtime(at)
    today = moment[:3] == time.gmtime(time.time())[:3]
    return time.strftime("%H:%M:%S" if today else "%m-%d %H:%M:%S", moment)
