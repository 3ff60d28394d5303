"""The small plots of a host's overview: one or two lines each, over the last minutes."""

import time
from collections.abc import Callable, Iterable

from console.model.history import Series
from console.text import clip
from console.tui.plot.draw import spark
from console.tui.plot.fold import ends, fold, newest, window
from console.tui.plot.names import reading, scale, title
from console.tui.style.look import Cell, Look

LABEL = 24
WORDS = 30
WIDEST = 120


def small_plot(
    series: Series, look: Look, width: int, *, now: float, seconds: float, tall: bool
) -> list[Cell]:
    """Lines of at most ``width`` cells with label, plot, now and least..most; none without points.

    ``tall`` takes two lines instead of one. ``now`` is the end, in seconds since the epoch.
    """
    room = max(10, min(WIDEST, width - LABEL - WORDS - 3))
    steps = fold(series, window(now, seconds, room))
    found, last = ends(steps), newest(steps)
    if found is None or last is None:
        return []
    rows = spark(steps, scale(series.name, *found), 2 if tall else 1, look.ascii_only)
    low, high = (reading(series.name, value) for value in found)
    newly = f" {reading(series.name, last.last)}"
    label = clip(title(series.name), LABEL - 1, ellipsis="~" if look.ascii_only else "…")
    if not tall:
        return [[(f"  {label:{LABEL}}", "dim"), (rows[0], "accent"), (newly, ""),
                 (f", {low}..{high}", "dim")]]  # fmt: skip
    return [
        [(f"  {label:{LABEL}}", "dim"), (rows[0], "accent"), (newly, "")],
        [(f"  {'':{LABEL}}", ""), (rows[1], "accent"), (f" {low}..{high}", "dim")],
    ]


def small_plots(
    names: Iterable[str],
    history: Callable[[str, float], Series],
    look: Look,
    width: int,
    *,
    now: float | None = None,
    seconds: float = 600.0,
    tall: bool = False,
) -> list[Cell]:
    """The plots of those ``names`` that have been measured, below each other.

    They end ``now``, which is the clock of this machine where it is not given.
    """
    end = time.time() if now is None else now
    lines: list[Cell] = []
    for name in names:
        series = history(name, seconds)
        lines += small_plot(series, look, width, now=end, seconds=seconds, tall=tall)
    return lines
