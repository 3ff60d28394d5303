"""Events on their way to the console: bounded, in order, and with a count of what was dropped."""

from __future__ import annotations

from collections import deque

from .place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_WAITING = 4096
TROUBLE_S = 10.0
MAX_TROUBLES = 64


class Events:
    """A queue. ``full`` asks those who can wait (the journal) to do so."""

    def __init__(self, place: Place, limit: int = MAX_WAITING) -> None:
        self._place = place
        self._limit = limit
        self._queue: deque[dict[str, Any]] = deque()
        self._lost = 0  # dropped since the console was last told
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._queue) + (1 if self._lost else 0)

    @property
    def full(self) -> bool:
        """True when half of the room is taken."""
        return len(self._queue) * 2 >= self._limit

    def put(
        self,
        kind: str,
        key: str = "",
        facts: dict[str, Any] | None = None,
        at: float | None = None,
        cursor: str = "",
    ) -> bool:
        """Queue an event; False when it was dropped because nobody reads."""
        if len(self._queue) >= self._limit:
            self._lost += 1
            self.dropped += 1
            return False
        event: dict[str, Any] = {"kind": kind, "at": round(at or self._place.wall(), 3)}
        if key:
            event["key"] = key
        if facts:
            event["facts"] = facts
        if cursor:
            event["cursor"] = cursor
        self._queue.append(event)
        return True

    def take(self, count: int) -> list[dict[str, Any]]:
        """At most ``count`` events, the oldest first; the report of a loss comes after them."""
        taken = [self._queue.popleft() for _ in range(min(count, len(self._queue)))]
        if self._lost and not self._queue and len(taken) < count:
            facts = {"reason": "queue full", "dropped": self._lost}
            taken.append({"kind": "log.gap", "at": round(self._place.wall(), 3), "facts": facts})
            self._lost = 0
        return taken


class Troubles:
    """Says once what went wrong in which lane: the same failure comes back with every tick."""

    def __init__(self, place: Place, events: Events) -> None:
        self._place = place
        self._events = events
        self._told: set[tuple[str, str]] = set()
        self._next: dict[str, float] = {}

    def report(self, lane: str, error: BaseException) -> None:
        """Emit ``probe.error`` unless this one is known or the lane complained a moment ago."""
        # Only the type, the system's own text and the place: a message may quote foreign data.
        text = type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            text += ": " + error.strerror
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is not None:
            code = trace.tb_frame.f_code
            name = code.co_filename.rsplit("/", 1)[-1]
            text += f" in {name}:{trace.tb_lineno}"
        now = self._place.mono()
        known = (lane, text) in self._told
        if known or len(self._told) >= MAX_TROUBLES or now < self._next.get(lane, 0.0):
            return
        self._told.add((lane, text))
        self._next[lane] = now + TROUBLE_S
        self._events.put("probe.error", lane, {"error": text})
