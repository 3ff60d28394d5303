"""Tables of one host: rows by key, changed by deltas, checked by number and checksum of keys."""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import msgspec

from console.errors import ProtocolError
from console.model.frame import MAX_ROWS, TableDelta
from console.model.tables import TABLES
from console.text import clean

Key = int | str

ROW_BYTES = 400
"""What a row takes beside its text: measured at rows of empty strings, where it is all there is."""
INTERNED = 50_000
"""Rows of packages that hosts share: a fleet of one image has each of them once."""
WHOLE = 64
"""Whole tables that hosts share: as many images may be in use before memory grows faster."""
INTERNED_SIZE = 400
"""Longer rows are not shared, so that a host cannot fill this with text."""
_SHARED = ("packages", "pydists")

_decoders: Mapping[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(kind) for name, kind in TABLES.items()
}
_interned: dict[bytes, Any] = {}
_whole: dict[tuple[str, int, int], dict[Key, Any]] = {}
"""Whole tables that hosts share, by name, number and checksum. Never changed in place."""


class Change(msgspec.Struct, frozen=True):
    """One delta, decoded and found good, but not applied."""

    name: str
    rows: list[tuple[Key, Any]]
    delta: TableDelta


def read(name: str, delta: TableDelta, *, plain: bool) -> Change | None:
    """Decode the rows of ``delta``; None for a table that this version does not know.

    Rows are kept under the key as it was sent, because the checksum is over that; what is shown of
    a key is cleaned. Raises ProtocolError for a row that is not of the table's form.
    """
    decoder = _decoders.get(name)
    if decoder is None:
        return None
    rows: list[tuple[Key, Any]] = []
    try:
        for raw in delta.set:
            row = _row(name, decoder, raw) if plain else decoder.decode(raw)
            key: Key = row[0] if isinstance(row, tuple) else getattr(row, row.__struct_fields__[0])
            if not plain and isinstance(key, str):
                field = row.__struct_fields__[0]
                row = msgspec.structs.replace(row, **{field: clean(key)})
            rows.append((key, row))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(
            f"sent a row of table {name} that is not one: {clean(str(error), 160)}",
            hint="the probe and this console may be of different versions",
        ) from None
    return Change(name, rows, delta)


def _row(name: str, decoder: msgspec.json.Decoder[Any], raw: msgspec.Raw) -> Any:
    if name not in _SHARED:
        return decoder.decode(raw)
    written = bytes(raw)
    if len(written) > INTERNED_SIZE:
        return decoder.decode(written)
    row = _interned.get(written)
    if row is None:
        row = decoder.decode(written)
        if len(_interned) >= INTERNED:
            _interned.clear()
        _interned[written] = row
    return row


class Table:
    """Rows of one table in the order in which their keys first came."""

    __slots__ = ("_borrowed", "_shown", "_sum", "cut", "rows")

    def __init__(self) -> None:
        self.rows: dict[Key, Any] = {}
        self.cut = 0  # rows that the bound refused
        self._sum = 0
        self._borrowed = False  # ``rows`` belongs to other hosts too
        self._shown: tuple[Any, ...] | None = None

    def apply(self, change: Change) -> bool:
        """Apply ``change``; False when the table then disagrees with the number or checksum."""
        delta = change.delta
        self._shown = None
        if delta.off:
            self.rows, self._borrowed = {}, False
            self._sum = self.cut = 0
            return True
        if self._borrowed:
            self.rows, self._borrowed = self.rows.copy(), False
        for key in delta.gone:
            if self.rows.pop(key, None) is not None:
                self._sum ^= checksum(key)
        for key, row in change.rows:
            if key not in self.rows:
                if len(self.rows) >= MAX_ROWS:
                    self.cut += 1
                    continue
                self._sum ^= checksum(key)
            self.rows[key] = row
        if self.cut:  # cannot agree any more, and asking again would not help
            return True
        agrees_n = delta.n is None or delta.n == len(self.rows)
        agrees = agrees_n and (delta.x is None or delta.x == self._sum)
        if agrees and delta.n and change.name in _SHARED:
            self._borrow(change.name)
        return agrees

    def _borrow(self, name: str) -> None:
        """Hold the same table as a host of the same image: it is the largest thing of a host."""
        place = (name, len(self.rows), self._sum)
        known = _whole.get(place)
        if known is None:
            if len(_whole) >= WHOLE:
                del _whole[next(iter(_whole))]
            known = _whole[place] = self.rows
        if known is self.rows or known == self.rows:
            self.rows, self._borrowed = known, True

    def weight(self) -> int:
        """Bytes that all rows take in memory, about; takes as long as writing them as JSON."""
        return len(msgspec.json.encode(self.shown())) + ROW_BYTES * len(self.rows)

    def shown(self) -> tuple[Any, ...]:
        """All rows: the same tuple until a change."""
        if self._shown is None:
            self._shown = tuple(self.rows.values())
        return self._shown


def checksum(key: Key) -> int:
    """What one key adds to the checksum of its table (docs/protocol.md)."""
    return crc32(str(key).encode("utf-8", "replace"))
