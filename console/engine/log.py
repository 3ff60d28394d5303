"""The stream of events as faces read it: numbered, in order, the newest of each host in memory."""

from collections import deque
from collections.abc import Iterator
from itertools import islice

import msgspec

from console.model.event import Event

KEPT = 40_000
"""Events of all hosts together."""
A_HOST = 5_000
"""Events of one host that stay after they were read; fewer where ``KEPT`` is not enough."""
BUSY = frozenset(
    {
        "process.new", "log.line", "listener.new", "listener.gone", "gpu.process.new",
        "weights.opened", "auth.failed", "auth.accepted", "auth.sudo",
    }
)  # fmt: skip
"""Kinds that come by the thousand. Each has its place, so that none pushes out what is rare."""


class _Held:
    """The numbers of one host's events, by kind; all kinds that are not busy are one."""

    __slots__ = ("count", "gone", "kinds")

    def __init__(self) -> None:
        self.kinds: dict[str, deque[int]] = {}
        self.count = 0
        self.gone = 0

    def add(self, kind: str, seq: int) -> None:
        self.kinds.setdefault(kind if kind in BUSY else "", deque()).append(seq)
        self.count += 1

    def oldest(self) -> deque[int]:
        """The kind that has most, whose first event is the next to go."""
        return max(self.kinds.values(), key=len)

    def drop(self) -> int:
        """Forget one event; its number."""
        self.count -= 1
        self.gone += 1
        return self.oldest().popleft()


class EventLog:
    """Numbers events from 1 and keeps them fairly.

    Where there is no room, the host that has most loses its own, and of those the kind first of
    which it has most: a noisy host hides nothing of another, a frequent kind nothing rare.
    ``dropped`` counts what left before the stream was read as far.
    """

    def __init__(self, kept: int = KEPT, a_host: int = A_HOST, before: int = 0) -> None:
        """``before`` events came before this log begins."""
        self.dropped = 0
        self._events: dict[int, Event] = {}  # by number, which is also the order in it
        self._hosts: dict[str, _Held] = {}
        self._kept = kept
        self._a_host = a_host
        self._seq = before
        self._read = before

    def add(self, event: Event) -> Event:
        """Give ``event`` its number and keep it."""
        self._seq += 1
        event = msgspec.structs.replace(event, seq=self._seq)
        held = self._hosts.get(event.host)
        if held is None:
            held = self._hosts[event.host] = _Held()
        self._events[self._seq] = event
        held.add(event.kind, self._seq)
        if len(self._events) > self._kept:
            over = held.count > self._kept // len(self._hosts)
            self._drop(held if over else max(self._hosts.values(), key=lambda host: host.count))
        while held.count > self._a_host and held.oldest()[0] <= self._read:
            self._drop(held)
        return event

    def _drop(self, held: _Held) -> None:
        seq = held.drop()
        del self._events[seq]
        self.dropped += seq > self._read

    def after(self, seq: int, limit: int, host: str = "") -> list[Event]:
        """Events with a greater number, oldest first; of one host where ``host`` is given."""
        if host:
            held = self._hosts.get(host)
            kinds = held.kinds.values() if held else ()
            numbers = sorted(number for ring in kinds for number in ring if number > seq)
            return [self._events[number] for number in numbers[:limit]]
        found = list(islice(self._newer(seq), limit))
        if found:
            self._read = max(self._read, found[-1].seq)
        return found

    def _newer(self, seq: int) -> Iterator[Event]:
        if self._seq - seq > len(self._events):  # more numbers than events: skip the holes
            return (event for number, event in self._events.items() if number > seq)
        numbers = range(max(seq, 0) + 1, self._seq + 1)
        return (event for number in numbers if (event := self._events.get(number)) is not None)

    def gone(self, host: str) -> int:
        """How many events of ``host`` are no longer in memory."""
        held = self._hosts.get(host)
        return held.gone if held else 0
