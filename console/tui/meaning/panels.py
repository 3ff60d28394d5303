"""What plugins show of a host, as lines. A plugin says what; how it looks is decided here."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from console.model.history import Series
from console.model.panel import Gauge, Item, Note, Panel, Plot, Row
from console.text import clip
from console.tui.plot.draw import spark
from console.tui.plot.fold import ends, fold, newest, window
from console.tui.plot.names import scale
from console.tui.style.look import Cell, Look

LABEL = 24
BAR = 30
SECONDS = 600.0
HistoryOf = Callable[[str, float], Series]
_SIGNS = {"warn": "warn", "bad": "bad"}


def panel_lines(
    panels: Sequence[Panel], look: Look, history: HistoryOf, width: int, now: float
) -> list[Cell]:
    """Every panel under its title, with the age of what it shows.

    ``history`` gives a series by its whole name. Without any panel: what to do to get one.
    """
    if not panels:
        return [
            [(" No plugin shows anything of this host.", "dim")],
            [(" `watchfloor plugins list` says which there are, docs/plugins.md how to", "dim"),
             (" enable one.", "dim")],
        ]  # fmt: skip
    lines: list[Cell] = []
    for panel in panels:
        if lines:
            lines.append([])
        lines.append(_title(panel, look, now))
        for item in panel.items:
            lines += _item(item, look, history, width, now)
    return lines


def _title(panel: Panel, look: Look, now: float) -> Cell:
    old = now - panel.at if panel.at else 0.0
    told = f" plugin {panel.plugin}" + (f", {old:.0f} s ago" if old >= 10 else "")
    return [(f" {panel.title} ", "bold"), (look.rule * 6, "dim"), (told, "dim")]


def _item(item: Item, look: Look, history: HistoryOf, width: int, now: float) -> Iterator[Cell]:
    if isinstance(item, Plot):
        yield from _plot(item, look, history, width, now)
        return
    style = item.severity
    sign = f"{look.mark(style)} " if style in _SIGNS else ""
    if isinstance(item, Note):
        yield [("  ", ""), (sign + item.text, style)]
        return
    label: Cell = [(f"  {clip(item.label, LABEL - 1):{LABEL}}", "dim")]
    if isinstance(item, Gauge):
        room = max(8, min(BAR, width - LABEL - 24))
        bar = look.bar(item.percent, room)
        yield [*label, (bar, style or "accent"), (f" {sign}{item.told}", style)]
    elif isinstance(item, Row):
        yield [*label, (sign + (item.value or "-"), style if item.value else "dim")]


def _plot(item: Plot, look: Look, history: HistoryOf, width: int, now: float) -> Iterator[Cell]:
    """One line over the last ten minutes: smallest, newest and largest value beside it."""
    label = (f"  {clip(item.label, LABEL - 1):{LABEL}}", "dim")
    series = msgspec.structs.replace(history(item.series, SECONDS), name=item.series)
    room = max(10, min(90, width - LABEL - 32))
    steps = fold(series, window(now, SECONDS, room))
    found, last = ends(steps), newest(steps)
    if found is None or last is None:
        yield [label, ("nothing measured yet", "dim")]
        return
    over = (0.0, item.top) if item.top else scale(item.series, *found)
    low, high, newly = (_number(value, item.unit) for value in (*found, last.last))
    (row,) = spark(steps, over, 1, look.ascii_only)
    yield [label, (row, "accent"), (f" {newly}", ""), (f", {low}..{high}", "dim")]


def _number(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return (
        f"{value:,.{digits}f}".rstrip("0").rstrip(".") + unit if digits else f"{value:,.0f}{unit}"
    )
