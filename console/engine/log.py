"""The stream of events as faces read it: numbered, in order, the newest of them in memory."""

from collections import deque
from itertools import islice

import msgspec

from console.model.event import Event

KEPT = 20_000


class EventLog:
    """Numbers events from 1. ``dropped`` counts those that left memory before anybody read them."""

    def __init__(self, kept: int = KEPT) -> None:
        self.dropped = 0
        self._events: deque[Event] = deque(maxlen=kept)
        self._kept = kept
        self._seq = 0
        self._read = 0

    def add(self, event: Event) -> Event:
        """Give ``event`` its number and keep it."""
        self._seq += 1
        event = msgspec.structs.replace(event, seq=self._seq)
        if len(self._events) == self._kept and self._events[0].seq > self._read:
            self.dropped += 1
        self._events.append(event)
        return event

    def after(self, seq: int, limit: int) -> list[Event]:
        """Events with a greater number, oldest first."""
        if not self._events:
            return []
        first = max(0, seq + 1 - self._events[0].seq)
        found = list(islice(self._events, first, first + limit))
        if found:
            self._read = max(self._read, found[-1].seq)
        return found
