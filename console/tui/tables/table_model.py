"""A table without a screen: columns, rows by key, filter, sort, an order that can stand still."""

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from console.tui.tables.filter import (
    Field,
    Filter,
    SlowFilter,
    Value,
    compile_filter,
    lacking,
    sound,
)
from console.tui.tables.pattern import SlowPattern
from console.tui.tables.spread import LEAST, Arrangement, Column, fit

__all__ = ["LEAST", "Arrange", "Column", "TableModel", "fit"]

R = TypeVar("R")

Arrange = Callable[[Sequence[Hashable], "Collection[Hashable] | None"], list[Hashable]]
"""Puts all keys, already sorted, into another order; the second: which the filter lets pass."""


class TableModel(Generic[R]):
    """Rows of one kind. ``update`` takes the newest rows; ``order`` holds the keys to show."""

    def __init__(
        self,
        columns: Sequence[Column[R]],
        key: Callable[[R], Hashable],
        text: Callable[[R], str],
        *,
        sort: str = "",
        down: bool = False,
        fields: dict[str, Field] | None = None,
        name: Callable[[R], str] | None = None,
        copied: Callable[[R], str] | None = None,
        needs: Callable[[R], bool] | None = None,
        stamps: Sequence[Column[R]] = (),
    ) -> None:
        """``text`` is what words of the filter look at; ``sort`` "" keeps the order of arrival.

        ``name`` is what a person calls a row: the first column, unless given. ``copied`` is what
        is copied of it, its name unless given. ``needs`` says whether somebody should look at it.
        ``stamps`` are columns that only an export has, whatever is shown.
        """
        self.columns = tuple(columns)
        self.arrangement = Arrangement(self.columns)
        self.sort = sort
        self.down = down
        self.filter = ""
        self.ended = ""  # why the filter was ended, until the next one
        self.needs = needs
        self.stamps = tuple(stamps)
        self.order: list[Hashable] = []
        self.total = 0
        self.arrange: Arrange | None = None
        self._key = key
        self._text = text
        self._rows: dict[Hashable, R] = {}
        self._test: Filter | None = None
        self._name = name or (lambda row: _words(self.columns[0].value(row)))
        self._copied = copied or self._name
        self._fields = {c.id: Field(c.value, c.unit, c.title, c.amount) for c in columns}
        self._fields |= fields or {}
        self._by_id = {column.id: column for column in columns}
        self._order = {column.id: column.order or column.value for column in columns}
        self._frozen_until = 0.0
        self._nothing: str | None = None  # why no row is left, once that is asked for

    def column(self, id: str) -> Column[R]:
        """The column of that id. Raises KeyError."""
        return self._by_id[id]

    def row(self, key: Hashable) -> R | None:
        """The newest row of that key."""
        return self._rows.get(key)

    def name(self, key: Hashable) -> str:
        """What a person calls the row of that key; "" when there is none."""
        row = self._rows.get(key)
        return "" if row is None else self._name(row)

    def copied(self, key: Hashable) -> str:
        """What is copied of the row of that key; "" when there is none."""
        row = self._rows.get(key)
        return "" if row is None else self._copied(row)

    def begins(self, letters: str) -> int | None:
        """Place in the order of the first row whose name begins with these letters."""
        wanted = letters.lower()
        for at, key in enumerate(self.order):
            if self.name(key).lower().startswith(wanted):
                return at
        return None

    def needed(self, after: int) -> int | None:
        """Place of the next row that somebody should look at; the search goes round."""
        count = len(self.order)
        for step in range(1, count + 1):
            at = (after + step) % count
            row = self._rows.get(self.order[at])
            if row is not None and self.needs is not None and self.needs(row):
                return at
        return None

    def update(self, rows: Iterable[R], now: float) -> None:
        """Take the newest rows at monotonic time ``now``."""
        self._rows = {self._key(row): row for row in rows}
        self.total = len(self._rows)
        self._look(now)

    def freeze(self, now: float, seconds: float = 2.0) -> None:
        """Keep the order for a while: a person is aiming at something."""
        self._frozen_until = now + seconds

    def set_filter(self, text: str, now: float) -> None:
        """Show only what ``text`` asks for. Raises FilterError and then changes nothing."""
        test = compile_filter(text, self._fields) if text.strip() else None
        before, self._test = self._test, test
        try:
            keys = self._kept()
        except SlowFilter:
            self._test = before
            raise
        self.filter, self.ended = text.strip(), ""
        self._frozen_until = 0.0
        self._arrange(keys, now)

    def sound(self, text: str) -> str:
        """The terms of a filter that can be read."""
        return sound(text, self._fields)

    def nothing(self) -> str:
        """Why the filter leaves no row, as far as one comparison in it is to blame."""
        if self._nothing is None:
            self._nothing = f"no row matches {self.filter!r}"
            if self._test is not None and (why := lacking(
                self.filter, self._fields, self._passing(self._test), self._rows.values()
            )):  # fmt: skip
                self._nothing = f"no row matches; {why}"
        return self._nothing

    def _passing(self, test: Filter) -> list[int]:
        """For each term of the filter, 1 where at least one row passes it."""
        test.begin()
        try:
            return [int(any(self._passes(test, n, row) for row in self._rows.values()))
                    for n in range(len(test))]  # fmt: skip
        except SlowPattern:
            return [1] * len(test)

    def _passes(self, test: Filter, number: int, row: R) -> bool:
        whole = self._text(row) if test.whole else ""
        return test.passes(number, lambda name: self._fields[name].read(row), whole)

    def sort_by(self, column: str, *, down: bool, now: float) -> None:
        """Order by a column, or "" for the order of arrival."""
        self.sort, self.down = column, down
        self._frozen_until = 0.0
        self._look(now)

    def next_sort(self, now: float) -> None:
        """The next column in turn."""
        ids = ["", *(column.id for column in self.columns)]
        at = ids.index(self.sort) if self.sort in ids else 0
        self.sort_by(ids[(at + 1) % len(ids)], down=self.down, now=now)

    def rearrange(self, arrange: Arrange | None, now: float) -> None:
        """Put the rows into an order of another kind (a tree) after sorting, or no longer."""
        self.arrange = arrange
        self._frozen_until = 0.0
        self._look(now)

    def _look(self, now: float) -> None:
        try:
            keys = self._kept()
        except SlowFilter as slow:  # of these rows: better all of them than none
            self._test, self.filter, self.ended = None, "", str(slow)
            keys = self._kept()
        self._arrange(keys, now)

    def _kept(self) -> list[Hashable]:
        """Keys of the rows that the filter keeps. Raises SlowFilter."""
        if self._test is not None:
            self._test.begin()
        return [key for key, row in self._rows.items() if self._stays(row)]

    def _arrange(self, kept: list[Hashable], now: float) -> None:
        self._nothing = None
        keys = kept if self.arrange is None else list(self._rows)
        if self.sort:
            value = self._order[self.sort]
            values = [(value(self._rows[key]), key) for key in keys]
            known = [(v, key) for v, key in values if v is not None]
            unknown = [key for v, key in values if v is None]
            known.sort(key=lambda pair: _sortable(pair[0]), reverse=self.down)
            keys = [key for _, key in known] + unknown
        if now < self._frozen_until:
            there = set(keys)
            held = [key for key in self.order if key in there]
            old = set(held)
            keys = held + [key for key in keys if key not in old]
        if self.arrange is not None:
            keys = self.arrange(keys, None if self._test is None else set(kept))
        self.order = keys

    def _stays(self, row: R) -> bool:
        if self._test is None:
            return True

        def read(name: str) -> Value:
            return self._fields[name].read(row)

        return self._test(read, self._text(row) if self._test.whole else "")


def _sortable(value: str | float) -> tuple[int, float, str]:
    if isinstance(value, str):
        return (1, 0.0, value.lower())
    return (0, float(value), "")


def _words(value: Value) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)
