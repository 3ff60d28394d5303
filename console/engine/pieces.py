"""Cuts what is written into a recording so that no line is longer than a reader takes.

What a host sends decides how long its rows and events are. A line that no reader takes would hide
what every other host did, so lines are bounded by their bytes and by the values in them.
"""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET

from console.engine.recording import PLAIN, ROWS, TABLES, Change
from console.model.event import Event

LINE = 1 << 20
"""Bytes of one line; a reader takes twice as many (``recording.MAX_LINE``)."""
VALUES = 100_000
"""Commas of one line; a reader takes twice as many (``recording.MAX_VALUES``)."""

_ORDER = ("spec", *PLAIN, *TABLES, "counters", "gpus")
"""GPUs are put together out of what comes before them, so they stand at the end."""
_encode = msgspec.json.encode


def fits(data: bytes) -> bool:
    """Whether ``data`` may stand in one line."""
    return len(data) <= LINE and (len(data) <= VALUES or data.count(b",") <= VALUES)


def written(change: msgspec.Struct, left: list[str]) -> Iterator[bytes]:
    """``change`` as JSON, in as many changes as it takes; together they lead to the same picture.

    A single field or row that fits into no line is left out, and its field added to ``left``.
    """
    data = _encode(change)
    if fits(data):
        yield data
        return
    there = [name for name in _ORDER if getattr(change, name) is not UNSET]
    if len(there) > 1:
        half = len(there) // 2
        for names in (there[:half], there[half:]):
            piece = Change(**{name: getattr(change, name) for name in names})
            yield from written(piece, left)
        return
    (name,) = there
    halves = _halves(name, getattr(change, name)) if name in ROWS else ()
    if not halves:
        left.append(name)
    for rows in halves:
        yield from written(Change(**{name: rows}), left)


def _halves(name: str, rows: msgspec.Struct) -> tuple[msgspec.Struct, ...]:
    """Two changes of a table instead of one; none where it cannot be cut any further."""
    kind = ROWS[name]
    whole, put, gone, more = (getattr(rows, part) for part in ("all", "set", "gone", "more"))
    if whole is not UNSET:
        half = len(whole) // 2
        return (kind(all=whole[:half]), kind(set=whole[half:], more=True)) if half else ()
    if gone and put:
        return kind(gone=gone), kind(set=put)
    if len(gone) > 1:
        return kind(gone=gone[: len(gone) // 2]), kind(gone=gone[len(gone) // 2 :])
    if len(put) > 1:
        half = len(put) // 2
        return kind(set=put[:half], more=more), kind(set=put[half:], more=more)
    return ()


def batches(events: Sequence[Event], most: int) -> Iterator[tuple[bytes, ...]]:
    """Events as JSON, as many together as fit into one line, at most ``most``.

    One that fits into no line is told without its facts: each event keeps its number.
    """
    batch: list[bytes] = []
    size = values = 0
    for event in events:
        data = _encode(event)
        if not fits(data):
            data = _encode(Event(kind=event.kind[:80], host=event.host, at=event.at))
        commas = data.count(b",") + 1
        full = len(batch) >= most or size + len(data) + 1 > LINE or values + commas > VALUES
        if batch and full:
            yield tuple(batch)
            batch, size, values = [], 0, 0
        batch.append(data)
        size += len(data) + 1
        values += commas
    if batch:
        yield tuple(batch)
