"""Which columns of a table are shown, and where they stand at a width.

At the left are the pinned columns, which stay. Unscrolled, the columns that matter least leave
when the screen is narrow; scrolled, the columns follow one another without a gap, so that every one
of them can be reached.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from console.text import clean
from console.tui.style.look import Cell, Look
from console.tui.tables.filter import Value
from console.tui.tables.units import TEXT

R = TypeVar("R")

LEAST = 8
"""Cells that a column keeps where all of them together are too wide."""
MARK = 4
"""Cells for the sign that says how many columns are hidden at the left, with a blank behind it."""


@dataclass(frozen=True)
class Column(Generic[R]):
    """One column. ``width`` is in cells; where there is room it grows to at most ``most``.

    Columns with a greater ``drop`` leave first when the screen is narrow; 0 never leaves.
    A filter compares ``value``, in ``unit`` (see ``units``), or the field ``amount`` where an
    amount with a letter is asked for. Rows are sorted by ``order`` where it is another than that,
    and ``told`` is what an export says where a number would say nothing. ``raw`` is what it writes
    where ``value`` is unknown to filters because it is old.
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
    told: Callable[[R], Value] | None = None
    raw: Callable[[R], Value] | None = None

    @property
    def called(self) -> str:
        """The title as a filter and a command spell it."""
        return _plain(self.title) or self.id


class ColumnError(ValueError):
    """No such column, or nothing would be left; the message is for the person who typed it."""


@dataclass(frozen=True)
class Spread(Generic[R]):
    """Columns at one width: the first ``pinned`` of ``placed`` do not move."""

    placed: tuple[tuple[Column[R], int], ...]  # with their widths in cells
    pinned: int
    left: int = 0  # hidden at the left
    right: int = 0  # hidden at the right, or between

    def at(self, x: int) -> Column[R] | None:
        """The column at cell ``x``."""
        start = 0
        for number, (column, width) in enumerate(self.placed):
            if number == self.pinned and self.left:
                start += MARK
            if start <= x <= start + width:
                return column
            start += width + 1
        return None


def needed(columns: Sequence[Column[R]]) -> int:
    """Cells that columns take with one cell between them."""
    return sum(column.width + 1 for column in columns) - 1


def fit(
    columns: Sequence[Column[R]], width: int, keep: Collection[str] | None = None
) -> list[tuple[Column[R], int]]:
    """The columns that fit into ``width`` cells with one cell between them, and their widths.

    Those that leave are those with the greatest ``drop``; with ``keep``, the last that is not in
    it, whatever its ``drop``.
    """
    chosen = list(columns)
    while len(chosen) > 1 and needed(chosen) > width:
        last = max(
            chosen,
            key=lambda c: (c.drop if keep is None else c.id not in keep, chosen.index(c)),
        )
        if (last.drop == 0) if keep is None else (last.id in keep):
            break
        chosen.remove(last)
    spare = max(0, width - needed(chosen))
    widths = {column.id: column.width for column in chosen}
    over = needed(chosen) - width
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


class Arrangement(Generic[R]):
    """The columns of one table that a person wants to see."""

    def __init__(self, columns: Sequence[Column[R]]) -> None:
        self.columns = tuple(columns)
        self.chosen: tuple[str, ...] | None = None  # None: all, and the narrow screen decides
        self.pinned: tuple[str, ...] = (columns[0].id,)
        self.first = 0  # columns that are scrolled away

    @property
    def shown(self) -> tuple[Column[R], ...]:
        """The columns that are wanted, pinned ones first."""
        ids = [c.id for c in self.columns] if self.chosen is None else self.chosen
        known = {column.id: column for column in self.columns}
        pins = [id for id in self.pinned if id in ids]
        return tuple(known[id] for id in [*pins, *(id for id in ids if id not in pins)])

    def named(self, typed: str) -> Column[R]:
        """The column with that id or title. Raises ColumnError."""
        wanted = _plain(typed)
        for column in self.columns:
            if wanted in (_plain(column.id), _plain(column.title)):
                return column
        known = " ".join(column.called for column in self.columns)
        raise ColumnError(f"no column {clean(typed, 40)!r} here: {known}")

    def change(self, words: Sequence[str]) -> None:
        """``+COLUMN`` shows one, ``-COLUMN`` hides it, a bare name shows it, ``reset`` all.

        Raises ColumnError and then changes nothing.
        """
        if [word.lower() for word in words] == ["reset"]:
            self.reset()
            return
        ids = [column.id for column in self.shown]
        for word in words:
            column = self.named(word.lstrip("+-"))
            if word.startswith("-"):
                ids = [id for id in ids if id != column.id]
            elif column.id not in ids:
                ids.append(column.id)
        if not ids:
            raise ColumnError("one column has to stay")
        self.chosen = tuple(ids)
        self.first = 0

    def reset(self) -> None:
        """As it was at first."""
        self.chosen, self.pinned, self.first = None, (self.columns[0].id,), 0

    def pin(self, typed: str) -> None:
        """Keep a column at the left, and show it. Raises ColumnError."""
        column = self.named(typed)
        if column.id not in self.pinned:
            self.pinned = (*self.pinned, column.id)
        if self.chosen is not None and column.id not in self.chosen:
            self.chosen = (*self.chosen, column.id)

    def unpin(self, typed: str) -> None:
        """Let a column scroll with the others. Raises ColumnError."""
        column = self.named(typed)
        if column.id not in self.pinned:
            raise ColumnError(f"{column.called} is not pinned")
        self.pinned = tuple(id for id in self.pinned if id != column.id)

    def scroll(self, step: int, width: int) -> bool:
        """Move by so many columns; False where there is nothing more on that side."""
        before = self.first
        self.first = max(0, min(self.first + step, self._end(width)))
        return self.first != before

    def spread(self, width: int) -> Spread[R]:
        """Where the columns stand."""
        shown = self.shown
        self.first = max(0, min(self.first, self._end(width)))
        if self.first == 0:
            return self._unscrolled(shown, width)
        pins, rest = self._parts()
        room, tail = width - MARK, rest[self.first :]
        whole = needed([*pins, *tail]) <= room
        keep = {column.id for column in [*pins, tail[0]]}
        placed = fit([*pins, *tail], room if whole else room - _sign(len(tail)), keep)
        hidden = len(pins) + len(tail) - len(placed)
        return Spread(tuple(placed), len(pins), self.first, hidden)

    def _unscrolled(self, shown: Sequence[Column[R]], width: int) -> Spread[R]:
        keep = None if self.chosen is None and len(self.pinned) <= 1 else self._kept(shown)
        placed = fit(shown, width, keep)
        if len(placed) < len(shown):
            placed = fit(shown, width - _sign(len(shown) - len(placed)), keep)
        pins = sum(column.id in self.pinned for column, _ in placed)
        return Spread(tuple(placed), pins, 0, len(shown) - len(placed))

    def _kept(self, shown: Sequence[Column[R]]) -> set[str]:
        """The pinned columns, and the first that is not."""
        ids = [column.id for column in shown]
        pins = [id for id in ids if id in self.pinned]
        return set(ids[: len(pins) + 1])

    def _parts(self) -> tuple[list[Column[R]], list[Column[R]]]:
        shown = self.shown
        pins = [column for column in shown if column.id in self.pinned]
        return pins, [column for column in shown if column.id not in self.pinned]

    def _end(self, width: int) -> int:
        """How far it makes sense to scroll: until the last column is in view."""
        pins, rest = self._parts()
        if not rest or len(self._unscrolled(self.shown, width).placed) == len(self.shown):
            return 0
        for first in range(1, len(rest)):
            if needed([*pins, *rest[first:]]) <= width - MARK:
                return first
        return len(rest) - 1


def _sign(hidden: int) -> int:
    """Cells for the sign at the right, with the blank before it."""
    return len(str(hidden)) + 2


def _plain(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())
