"""What is known of a fleet at one moment of a recording, line after line."""

from bisect import bisect_left
from typing import Any

import msgspec
from msgspec import UNSET

from console.engine.reading import Reading
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
"""Bytes of all hosts together, as JSON: a recording must not fill this machine's memory."""
WEIGH = 4 << 20
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
    """The events of a line, in order and not numbered yet. Raises Damaged."""
    out = []
    for raw in line.events:
        try:
            event = _event.decode(raw)
            facts = short_facts(event.facts)
        except (msgspec.MsgspecError, ValueError, RecursionError, ProtocolError) as error:
            raise Damaged(clean(str(error), 160)) from None
        _time(event.at)
        out.append(msgspec.structs.replace(event, facts=facts))
    return out


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


class Picture:
    """Every host as recorded up to the last line that was taken."""

    def __init__(self, names: tuple[str, ...], where: str) -> None:
        self.views: dict[str, HostView] = {}
        self.numbers = Tick()
        self._names = names
        self._where = where
        self._weights: dict[str, int] = {}
        self._weighed: dict[str, int] = {}
        self._total = 0
        self._shared: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self.forget()

    def forget(self) -> None:
        """Know nothing of any host, as a keyframe begins."""
        self.views = {
            name: HostView(spec=Host(name=name, address=""), state=HostState.CONNECTING)
            for name in self._names
        }
        self._weights.clear()
        self._weighed.clear()
        self._total = 0

    def take(self, number: int, size: int, line: Line) -> list[Event]:
        """Apply line ``number`` of ``size`` bytes; the events in it. Raises RecordingError."""
        try:
            if line.key:
                self.forget()
            if line.host:
                self._host(line, size)
            if line.tick is not None:
                self.numbers = line.tick
            return events_of(line) if line.events else []
        except Damaged as error:
            raise RecordingError(
                f"line {number} is damaged: {error}",
                where=self._where,
                hint="What comes before it can be replayed.",
            ) from None

    def _host(self, line: Line, size: int) -> None:
        change = change_of(line)
        if change.spec and change.spec.name != line.host:
            raise Damaged("it gives a host another name")
        self._share(change)
        view = applied(self.views[line.host], change)
        for name in ROWS:
            if len(getattr(view, name)) > MAX_ROWS:
                raise Damaged(f"table {name} has more than {MAX_ROWS:,} rows")
        self.views[line.host] = view
        weight = self._weights.get(line.host, 0) + size
        if weight > WEIGH + 2 * self._weighed.get(line.host, 0):
            weight = self._weighed[line.host] = len(_encode(view))
        self._total += weight - self._weights.get(line.host, 0)
        self._weights[line.host] = weight
        if self._total > MAX_MEMORY:
            raise Damaged(f"its hosts take more than {MAX_MEMORY >> 20} MiB")

    def _share(self, change: Any) -> None:
        """Let hosts of one image hold the same rows: they are the largest thing of a host."""
        for name in SHARED:
            rows = getattr(change, name)
            for part in ("all", "set") if rows is not UNSET else ():
                piece = getattr(rows, part)
                if piece is not UNSET and len(piece) > 1:
                    if len(self._shared) >= MAX_SHARED:
                        self._shared.clear()
                    same = self._shared.setdefault(piece, piece)
                    msgspec.structs.force_setattr(rows, part, same)

    def snapshot(self, version: int, at: float) -> FleetSnapshot:
        """The picture as faces get it."""
        return FleetSnapshot(
            version=version,
            at=at,
            hosts=tuple(self.views.values()),
            connecting=self.numbers.connecting,
            dropped_events=self.numbers.dropped + self.numbers.lost,
        )


def past_events(reading: Reading, tick: int, most: int) -> tuple[int, list[Event]]:
    """The last ``most`` events or so before ``tick``, and the number of the first of them.

    Raises RecordingError.
    """
    index = reading.index
    end = bisect_left(index.event_tick, tick)
    last = index.events_before(tick)
    begin = end
    while begin > 0 and last - index.event_first[begin - 1] < most:
        begin -= 1
    found: list[Event] = []
    for place in range(begin, end):
        line = reading.read(index.event_at[place], index.line[index.event_tick[place]])
        try:
            found += events_of(line)
        except Damaged as error:
            raise RecordingError(
                f"an event before the keyframe is damaged: {error}", where=reading.where
            ) from None
    first = index.event_first[begin] if begin < len(index.event_first) else index.events + 1
    return first, found
