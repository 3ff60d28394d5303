"""A plot with its axes: values at the left, time in UTC below."""

from collections.abc import Sequence

from console.model.words import utc
from console.tui.plot.draw import Curve, chart, kind_of, level
from console.tui.plot.fold import Window
from console.tui.plot.names import reading
from console.tui.style.look import Cell, Look

AXES = 2
"""Lines below the plot: the axis, and the times."""
MINUTE, HOUR, DAY = 60, 3600, 86_400
_TICKS = (
    10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR,
    3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY,
)  # fmt: skip


def gutter(name: str, ends: tuple[float, float]) -> int:
    """Cells at the left for the labels of values, with the axis."""
    bottom, top = ends
    return max(len(reading(name, value)) for value in (bottom, (bottom + top) / 2, top)) + 2


def framed(
    curves: Sequence[Curve],
    name: str,
    ends: tuple[float, float],
    over: Window,
    height: int,
    look: Look,
    *,
    ruler: int = -1,
) -> list[Cell]:
    """``height`` lines of ``gutter(...) + over.width`` cells; ``over`` is a column a cell."""
    rows = max(1, height - AXES)
    drawn = chart(curves, ends, over.width, rows, kind_of(look), ruler=ruler)
    left = gutter(name, ends)
    labels = _labels(name, ends, rows)
    tick, plain = ("+", "|") if look.ascii_only else ("┤", "│")
    lines: list[Cell] = []
    for y, row in enumerate(drawn):
        words = labels.get(rows - 1 - y, "")
        edge = tick if words else plain
        lines.append([(f"{words:>{left - 2}} {edge}", "dim"), *row])
    return [*lines, *_time_axis(over, left, look)]


def _labels(name: str, ends: tuple[float, float], rows: int) -> dict[int, str]:
    """Words by row, counted from the bottom: both ends, and what lies between where there is room.

    A label stands in the row in which its value is drawn.
    """
    bottom, top = ends
    parts = 4 if rows >= 17 else 2 if rows >= 7 else 1
    values = [bottom + (top - bottom) * n / parts for n in range(parts + 1)]
    out: dict[int, str] = {}
    for value in values:
        out.setdefault(level(value, ends, rows), reading(name, value))
    return out


def _time_axis(over: Window, left: int, look: Look) -> list[Cell]:
    rule, tick, corner = ("-", "+", "+") if look.ascii_only else ("─", "┬", "└")
    axis = [rule] * over.width
    words = [" "] * (left + over.width)
    step, form = _tick(over)
    wide = len(utc(0, form))
    at = -(-over.since // step) * step
    free = 0
    end = len(words) - len(" UTC")
    while at < over.until:
        x = over.column(at)
        if 0 <= x < over.width:
            axis[x] = tick
            begin = left + x - wide // 2
            if begin >= free and begin + wide <= end:
                words[begin : begin + wide] = utc(at, form)
                free = begin + wide + 1
        at += step
    words[end:] = " UTC"
    pad = " " * (left - 1)
    return [[(f"{pad}{corner}{''.join(axis)}", "dim")], [("".join(words), "dim")]]


def _tick(over: Window) -> tuple[float, str]:
    """Seconds between two ticks, and how their times are written."""
    whole = over.width * over.column_s
    long = whole > DAY * 1.5
    for step in _TICKS:
        form = "%m-%d" if step >= DAY else "%m-%d %H:%M" if long else "%H:%M"
        if step < MINUTE:
            form = "%H:%M:%S"
        if step / over.column_s >= len(utc(0, form)) + 3:
            return float(step), form
    return whole, "%m-%d"
