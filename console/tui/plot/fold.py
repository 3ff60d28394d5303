"""A series folded to the columns of a plot. Every column keeps its smallest and largest value."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from console.model.history import Series

MOST = 4096
"""Columns that are folded at most, whatever is asked for."""


class Step(NamedTuple):
    """What one column stands for."""

    low: float
    high: float
    last: float


Steps = list[Step | None]
"""One for each column; None where nothing was measured."""


@dataclass(frozen=True)
class Window:
    """``width`` columns of ``column_s`` seconds; the first is number ``first`` since the epoch.

    Columns lie on a grid of their own length, so that a picture moves by whole columns and what is
    drawn once stays as it is.
    """

    first: int
    column_s: float
    width: int

    @property
    def since(self) -> float:
        """Where the first column begins, in seconds since the epoch."""
        return self.first * self.column_s

    @property
    def until(self) -> float:
        """Where the last column ends."""
        return (self.first + self.width) * self.column_s

    def column(self, at: float) -> int:
        """The column in which that moment lies; it may be outside."""
        return math.floor(at / self.column_s) - self.first

    def begin(self, column: int) -> float:
        """When a column begins."""
        return (self.first + column) * self.column_s

    def finer(self, times: int) -> "Window":
        """The same stretch of time in ``times`` as many columns."""
        return Window(self.first * times, self.column_s / times, self.width * times)


def window(now: float, seconds: float, width: int) -> Window:
    """The ``seconds`` before ``now`` in ``width`` columns, of which the last holds ``now``."""
    width = max(1, min(width, MOST))
    column_s = max(seconds, 1e-3) / width
    return Window(math.floor(now / column_s) - width + 1, column_s, width)


def fold(series: Series, over: Window) -> Steps:
    """The series in the columns of ``over``.

    A point belongs to the column in which it begins. Where points are further apart than columns,
    a point also holds for those columns that begin within its step and have no point of their own;
    what is missing for longer stays a gap. Cost: one look at each point and column.
    """
    out: Steps = [None] * over.width
    held: list[tuple[int, int, Step]] = []  # columns that a long step reaches
    for point in series.points:
        column = over.column(point.at)
        if column >= over.width:
            continue
        step = Step(point.low, point.high, point.last)
        reach = math.ceil((point.at + series.step_s) / over.column_s) - 1 - over.first
        if reach > column and reach >= 0:
            held.append((column, reach, step))
        if column >= 0:
            before = out[column]
            out[column] = step if before is None else _both(before, step)
    own = [step is not None for step in out]
    for column, reach, step in held:
        for covered in range(max(0, column + 1), min(reach + 1, over.width)):
            if not own[covered]:
                out[covered] = step
    return out


def _both(first: Step, then: Step) -> Step:
    low = first.low if first.low <= then.low else then.low
    high = first.high if first.high >= then.high else then.high
    return Step(low, high, then.last)


def ends(steps: Steps) -> tuple[float, float] | None:
    """Smallest and largest value of all columns; None where there is none."""
    known = [step for step in steps if step is not None]
    if not known:
        return None
    return min(step.low for step in known), max(step.high for step in known)


def newest(steps: Steps) -> Step | None:
    """The last column that has a value."""
    return next((step for step in reversed(steps) if step is not None), None)
