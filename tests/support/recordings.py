"""Recordings for tests: the demo's incident, and such as a test writes itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from console.clock import ManualClock
from console.engine.reading import Reading
from console.engine.recorder import LIMIT, Writer
from console.engine.replay import ReplayEngine
from console.model.event import Event
from console.model.view import FleetSnapshot, HostView

INCIDENT = Path(__file__).resolve().parents[1] / "fixtures/incident.gz"
"""Made by scripts/record_incident.py: 36 seconds, seven hosts, the incident at thrice its speed."""
BEGIN = 1_700_000_000.0

Moment = tuple[float, Sequence[HostView], Sequence[Event]]
"""Seconds after ``BEGIN``, the hosts then, and the events since the moment before."""


@contextmanager
def incident(seconds: float, clock: ManualClock | None = None) -> Iterator[ReplayEngine]:
    """The recorded incident so many seconds after its begin, standing still."""
    with closing(Reading(INCIDENT)) as reading:
        at = reading.index.at[0] + seconds
        yield ReplayEngine(reading, at=at, paused=True, clock=clock or ManualClock())


def write(path: Path, moments: Sequence[Moment], *, end: str = "ended", limit: int = LIMIT) -> None:
    """A recording of these moments; ``end`` "" leaves it as a killed console would."""
    writer = Writer(path, limit=limit)
    names = list(dict.fromkeys(view.name for _, views, _ in moments for view in views))
    writer.begin(BEGIN, names, "test")
    for after, views, events in moments:
        snapshot = FleetSnapshot(version=1, at=BEGIN + after, hosts=tuple(views))
        writer.tick(BEGIN + after, snapshot, events, 0)
    if end:
        writer.end(BEGIN + moments[-1][0], end)
    else:
        writer.close()


def event(number: int, kind: str = "auth.failed", host: str = "gpu01", at: float = 0.0) -> Event:
    """An event as an engine numbers it."""
    facts = {"user": "root", "source": f"203.0.113.{number % 250}"}
    return Event(kind=kind, host=host, at=at or BEGIN + number, facts=facts, seq=number)
