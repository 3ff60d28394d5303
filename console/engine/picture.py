"""What is known of a fleet at one moment of a recording, line after line."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from console.engine.reading import Gap, Reading
from console.engine.recording import ROWS, Change, Line, RecordingError, Tick, applied
from console.errors import ProtocolError
from console.fleet.decode import (
    END_OF_TIME,
    MAX_DENIED,
    MAX_GPUS,
    MAX_ITEMS,
    MAX_NICS,
    cut,
    no_impossible,
    short_facts,
)
from console.model.event import Event
from console.model.frame import MAX_ROWS, Fast
from console.model.host import Host, HostState
from console.model.view import FleetSnapshot, HostView
from console.text import clean

MAX_MEMORY = 512 << 20
"""Bytes that all hosts together may take: a recording must not fill this machine's memory."""
VALUE_BYTES = 56
"""What a value takes beside its text: a place in its row, and a number or the head of a text.
The name of a field counts as one too, because those of a map are texts of their own."""
HOST_BYTES = 2000
"""What a host takes of which nothing is known."""
WEIGH = 256 << 10
"""A table that grew by so much, and by its own weight, is weighed whole again."""
SHARED = ("packages", "python")
MAX_SHARED = 512
"""Pieces of tables that hosts share."""

_change = msgspec.json.Decoder(Change)
_event = msgspec.json.Decoder(Event)
_encode = msgspec.json.encode


class Sample(msgspec.Struct):
    """A change of which only the fast sample and its time matter."""

    fast: Fast | None = None
    frame_at: float | None = None


_fast = msgspec.json.Decoder(Sample)


class Damaged(Exception):
    """What a line says cannot be; the words say why."""


def change_of(line: Line) -> Any:
    """The change that a line describes, within bounds. Raises Damaged."""
    try:
        change: Any = _change.decode(line.set) if line.set is not UNSET else Change()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Damaged(clean(str(error), 160)) from None
    for name in ("since", "frame_at", "retry_at"):
        _time(getattr(change, name))
    fast, inventory = change.fast, change.inventory
    if fast:
        _fast_sample(fast)
    for counters in change.counters or ():
        no_impossible(counters)
    for gpu in change.gpus or ():
        no_impossible(gpu.fast)
        no_impossible(gpu.counters)
    cut(change, **{name: most for name, most in _MOST if getattr(change, name) is not UNSET})
    if change.summary:
        cut(change.summary, by_user=MAX_ITEMS, top_cpu=MAX_ITEMS, top_rss=MAX_ITEMS)
    if change.cost:
        cut(change.cost, lanes_ms=MAX_ITEMS)
    if inventory:
        cut(inventory, gpus=MAX_GPUS, nics=MAX_NICS)
        if inventory.kernel is not None:
            cut(inventory.kernel, vulnerabilities=MAX_ITEMS, taint_flags=MAX_ITEMS)
        if inventory.digests is not None:
            cut(inventory.digests, sshd=MAX_ITEMS)
    return change


_MOST = (("denied", MAX_DENIED), ("facts", MAX_ITEMS), ("gpus", MAX_GPUS), ("counters", MAX_GPUS))


def _fast_sample(fast: Fast) -> None:
    no_impossible(fast)
    cut(fast, gpu=MAX_GPUS, nics=MAX_NICS)
    for gpu in fast.gpu:
        no_impossible(gpu)


def _time(value: Any) -> None:
    if isinstance(value, int | float) and not 0 <= value < END_OF_TIME:
        raise Damaged("its time cannot be")


def events_of(line: Line) -> list[Event]:
    """The events of a line, in order and not numbered yet.

    One that cannot be is told as ``replay.damaged``, so that the others keep their numbers.
    """
    return [_event_of(raw, line.at) for raw in line.events]


def _event_of(raw: msgspec.Raw, at: float) -> Event:
    try:
        event = _event.decode(raw)
        facts = short_facts(event.facts)
        _time(event.at)
    except (msgspec.MsgspecError, ValueError, RecursionError, ProtocolError, Damaged) as error:
        return damaged(at, clean(str(error), 160))
    return msgspec.structs.replace(event, facts=facts)


def damaged(at: float, why: str) -> Event:
    """What stands in place of an event that cannot be."""
    return Event(kind="replay.damaged", host="", at=at, facts={"reason": why})


def fast_of(line: Line) -> tuple[float, Fast] | None:
    """The numbers of a fast sample and when they came; text is as it was. Raises Damaged."""
    try:
        change = _fast.decode(line.set) if line.set is not UNSET else Sample()
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Damaged(clean(str(error), 160)) from None
    if change.fast is None:
        return None
    _time(change.frame_at)
    _fast_sample(change.fast)
    return (line.at if change.frame_at is None else change.frame_at), change.fast


def weight(value: Any) -> int:
    """Bytes that ``value`` takes in memory, about and rather too many than too few."""
    data = _encode(value)
    return len(data) + VALUE_BYTES * (data.count(b",") + data.count(b":") + 1)


class Picture:
    """Every host as recorded up to the last line that was taken.

    A host of which a line cannot be is STALE, and stays as it was before, until the next keyframe;
    ``damage`` names the first such line.
    """

    def __init__(self, names: tuple[str, ...], where: str) -> None:
        self.views: dict[str, HostView] = {}
        self.numbers = Tick()
        self.damage = ""
        self._names = names
        self._where = where
        self._spoilt: set[str] = set()
        self._weights: dict[tuple[str, str], int] = {}  # by host and field
        self._weighed: dict[tuple[str, str], int] = {}  # the same when it was weighed whole
        self._total = 0
        self._shared: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self.forget()

    def forget(self) -> None:
        """Know nothing of any host, as a keyframe begins."""
        self.views = {
            name: HostView(spec=Host(name=name, address=""), state=HostState.CONNECTING)
            for name in self._names
        }
        self._spoilt.clear()
        self._weights.clear()
        self._weighed.clear()
        self._shared.clear()
        self._total = HOST_BYTES * len(self._names)

    def take(self, number: int, line: Line | Gap) -> list[Event]:
        """Apply line ``number``; the events in it. Raises RecordingError where memory ends."""
        if isinstance(line, Gap):
            self._spoil(number, [line.host] if line.host else self._names, line.why)
            return []
        if line.key:
            self.forget()
        if line.host and line.host not in self._spoilt:
            try:
                self._host(line)
            except Damaged as error:
                self._spoil(number, [line.host], str(error))
        if self._total > MAX_MEMORY:
            raise RecordingError(
                f"line {number} is damaged: its hosts take more than {MAX_MEMORY >> 20} MiB",
                where=self._where,
                hint="What comes before it can be replayed.",
            )
        if line.tick is not None:
            self.numbers = line.tick
        return events_of(line) if line.events else []

    def _spoil(self, number: int, hosts: Iterable[str], why: str) -> None:
        """Let these hosts stay as they are: what follows builds on a line that is missing."""
        words = f"line {number} of the recording is damaged: {why}"
        self.damage = self.damage or words
        reason = f"{words}; what you see of this host is from before it"
        for name in hosts:
            if name in self._spoilt:
                continue
            self._spoilt.add(name)
            view = self.views[name]
            self.views[name] = msgspec.structs.replace(view, state=HostState.STALE, reason=reason)

    def _host(self, line: Line) -> None:
        change = change_of(line)
        if change.spec and change.spec.name != line.host:
            raise Damaged("it gives a host another name")
        known = self._share(change)
        view = applied(self.views[line.host], change)
        for name in ROWS:
            if len(getattr(view, name)) > MAX_ROWS:
                raise Damaged(f"table {name} has more than {MAX_ROWS:,} rows")
        self.views[line.host] = view
        for name in change.__struct_fields__:
            value = getattr(change, name)
            if value is not UNSET:
                self._weigh(line.host, name, value, view, light=name in known)

    def _weigh(self, host: str, name: str, value: Any, view: HostView, *, light: bool) -> None:
        """Count what ``value`` brought. ``light``: its rows were counted when they first came."""
        place = (host, name)
        was = self._weights.get(place, 0)
        if light:
            now = was + 8 * (len(value.set) + (len(value.all) if value.all is not UNSET else 0))
        elif name in ROWS and value.all is UNSET:
            now = was + weight(value)
            if now > WEIGH + 2 * self._weighed.get(place, 0):
                now = self._weighed[place] = weight(getattr(view, name))
        else:
            now = self._weighed[place] = weight(value)
        self._weights[place] = now
        self._total += now - was

    def _share(self, change: Any) -> set[str]:
        """Let hosts of one image hold the same rows: they are the largest thing of a host.

        Returns the tables whose rows are counted once, for all hosts together and until the next
        keyframe.
        """
        out = set()
        for name in SHARED:
            rows = getattr(change, name)
            for part in ("all", "set") if rows is not UNSET else ():
                piece = getattr(rows, part)
                if piece is UNSET or len(piece) < 2:
                    continue
                same = self._shared.get(piece)
                if same is None and len(self._shared) >= MAX_SHARED:
                    continue
                if same is None:
                    same = self._shared[piece] = piece
                    self._total += weight(piece)
                msgspec.structs.force_setattr(rows, part, same)
                out.add(name)
        return out

    def snapshot(self, version: int, at: float) -> FleetSnapshot:
        """The picture as faces get it."""
        return FleetSnapshot(
            version=version,
            at=at,
            hosts=tuple(self.views.values()),
            connecting=self.numbers.connecting,
            dropped_events=self.numbers.dropped + self.numbers.lost,
        )


def past_events(reading: Reading, tick: int, most: int) -> tuple[int, Iterator[list[Event]]]:
    """The number of the first of the last ``most`` events or so before ``tick``, and all of them.

    They are read as the iterator goes on: one line at a time.
    """
    index = reading.index
    end = bisect_left(index.event_tick, tick)
    last = index.events_before(tick)
    begin = bisect_left(index.event_first, last - most + 1, 0, end)
    first = index.event_first[begin] if begin < len(index.event_first) else index.events + 1

    def found() -> Iterator[list[Event]]:
        for place in range(begin, end):
            after = index.event_first[place + 1] if place + 1 < len(index.event_first) else 0
            count = (after or index.events + 1) - index.event_first[place]
            line = reading.read(index.event_at[place])
            if isinstance(line, Gap) or len(line.events) != count:
                at = index.wall[index.event_tick[place]]
                yield [damaged(at, "its line cannot be read")] * count
            else:
                yield events_of(line)

    return first, found()
