"""A table without a screen: columns, rows by key, filter, sort, an order that can stand still."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from console.tui.filter import Field, Test, Value, compile_filter, sound
from console.tui.look import Cell, Look
from console.tui.units import TEXT

R = TypeVar("R")

LEAST = 8
"""Cells that a column keeps where all of them together are too wide."""


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column. ``width`` is in cells; where there is room it grows to at most ``most``.

    Columns with a greater ``drop`` leave first when the screen is narrow; 0 never leaves.
    A filter compares ``value``, in ``unit`` (see ``units``), or the field ``amount`` where an
    amount with a letter is asked for. Rows are sorted by ``order`` where it is another than that.
    """

    id: str
    title: str
    width: int
    cell: Callable[[R, Look], Cell]
    value: Callable[[R], Value]
    right: bool = False
    most: int = 0
    drop: int = 0
    unit: str = TEXT
    amount: str = ""
    order: Callable[[R], Value] | None = None


def fit(columns: Sequence[Column[R]], width: int) -> list[tuple[Column[R], int]]:
    """The columns that fit into ``width`` cells with one cell between them, and their widths."""
    chosen = list(columns)
    while len(chosen) > 1 and sum(c.width + 1 for c in chosen) - 1 > width:
        last = max(chosen, key=lambda column: (column.drop, chosen.index(column)))
        if last.drop == 0:
            break
        chosen.remove(last)
    spare = max(0, width - sum(c.width + 1 for c in chosen) + 1)
    widths = {column.id: column.width for column in chosen}
    over = sum(c.width + 1 for c in chosen) - 1 - width
    for column in sorted(chosen, key=lambda c: (c.most, c.width), reverse=True):
        if over > 0:  # no column may leave, so the roomiest give way
            taken = min(over, max(0, column.width - LEAST))
            widths[column.id] -= taken
            over -= taken
    growing = sorted((c for c in chosen if c.most > c.width), key=lambda c: c.most - c.width)
    for number, column in enumerate(growing):
        extra = min(spare // (len(growing) - number), column.most - column.width)
        widths[column.id] += extra
        spare -= extra
    return [(column, widths[column.id]) for column in chosen]


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
    ) -> None:
        """``text`` is what words of the filter look at; ``sort`` "" keeps the order of arrival."""
        self.columns = tuple(columns)
        self.sort = sort
        self.down = down
        self.filter = ""
        self.order: list[Hashable] = []
        self.total = 0
        self._key = key
        self._text = text
        self._rows: dict[Hashable, R] = {}
        self._test: Test | None = None
        self._fields = {c.id: Field(c.value, c.unit, c.title, c.amount) for c in columns}
        self._fields |= fields or {}
        self._order = {column.id: column.order or column.value for column in columns}
        self._frozen_until = 0.0

    def row(self, key: Hashable) -> R | None:
        """The newest row of that key."""
        return self._rows.get(key)

    def update(self, rows: Iterable[R], now: float) -> None:
        """Take the newest rows at monotonic time ``now``."""
        self._rows = {self._key(row): row for row in rows}
        self.total = len(self._rows)
        self._arrange(now)

    def freeze(self, now: float, seconds: float = 2.0) -> None:
        """Keep the order for a while: a person is aiming at something."""
        self._frozen_until = now + seconds

    def set_filter(self, text: str, now: float) -> None:
        """Show only what ``text`` asks for. Raises FilterError and then changes nothing."""
        test = compile_filter(text, self._fields) if text.strip() else None
        self._test, self.filter = test, text.strip()
        self._frozen_until = 0.0
        self._arrange(now)

    def sound(self, text: str) -> str:
        """The terms of a filter that can be read."""
        return sound(text, self._fields)

    def sort_by(self, column: str, *, down: bool, now: float) -> None:
        """Order by a column, or "" for the order of arrival."""
        self.sort, self.down = column, down
        self._frozen_until = 0.0
        self._arrange(now)

    def next_sort(self, now: float) -> None:
        """The next column in turn."""
        ids = ["", *(column.id for column in self.columns)]
        at = ids.index(self.sort) if self.sort in ids else 0
        self.sort_by(ids[(at + 1) % len(ids)], down=self.down, now=now)

    def _arrange(self, now: float) -> None:
        keys = [key for key, row in self._rows.items() if self._stays(row)]
        if self.sort:
            value = self._order[self.sort]
            known = [(v, key) for key in keys if (v := value(self._rows[key])) is not None]
            unknown = [key for key in keys if value(self._rows[key]) is None]
            known.sort(key=lambda pair: _sortable(pair[0]), reverse=self.down)
            keys = [key for _, key in known] + unknown
        if now < self._frozen_until:
            there = set(keys)
            held = [key for key in self.order if key in there]
            old = set(held)
            keys = held + [key for key in keys if key not in old]
        self.order = keys

    def _stays(self, row: R) -> bool:
        if self._test is None:
            return True

        def read(name: str) -> Value:
            return self._fields[name].read(row)

        return self._test(read, self._text(row))


def _sortable(value: str | float) -> tuple[int, float, str]:
    if isinstance(value, str):
        return (1, 0.0, value.lower())
    return (0, float(value), "")
