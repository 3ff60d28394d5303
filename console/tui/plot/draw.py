"""Folded series as lines of text: braille (2x4 dots a cell), blocks (eighths), or ASCII."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from console.tui.plot.fold import Steps
from console.tui.style.look import Cell, Look, Piece

BRAILLE, BLOCK, ASCII = "braille", "block", "ascii"
KINDS = (BRAILLE, BLOCK, ASCII)
MARKS = "ABCDEF"
"""Signs of series that are laid over each other, so that colour is not the only one."""
MARK_EVERY = 24
"""Cells between two marks on one line."""
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LEVELS = " _.-=+*%#"  # in ASCII, as high as a character looks


@dataclass(frozen=True)
class Curve:
    """One series to draw. ``steps`` are ``finer(kind)`` as many as the cells of a line."""

    steps: Steps
    style: str = "series1"
    mark: str = ""


def kind_of(look: Look) -> str:
    """How plots are drawn with this look."""
    if look.ascii_only:
        return ASCII
    return look.plots if look.plots in KINDS else BRAILLE


def finer(kind: str) -> int:
    """Columns to a cell."""
    return 2 if kind == BRAILLE else 1


class _Grid:
    """Cells that are put down one by one and then read off as lines."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.cells: list[list[Piece]] = [[(" ", "")] * width for _ in range(height)]

    def put(self, x: int, y: int, text: str, style: str) -> None:
        """Put one character down; ``y`` counts from the bottom."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self.cells[self.height - 1 - y][x] = (text, style)

    def lines(self) -> list[Cell]:
        """The lines, top first, with neighbours of one style in one piece."""
        return [_runs(row) for row in self.cells]


def _runs(row: Sequence[Piece]) -> Cell:
    out: list[Piece] = []
    run, style = "", ""
    for text, name in row:
        if name != style and run:
            out.append((run, style))
            run = ""
        run, style = run + text, name
    if run:
        out.append((run, style))
    return out


def chart(
    curves: Sequence[Curve],
    ends: tuple[float, float],
    width: int,
    height: int,
    kind: str,
    *,
    ruler: int = -1,
) -> list[Cell]:
    """``height`` lines of exactly ``width`` cells, scaled to ``ends`` (bottom and top).

    With one curve the stretch from the smallest to the largest value of a column is drawn dim
    where the last value is not; with several only its tips are.
    ``ruler`` is a cell with an upright line behind the curves; -1 for none.
    """
    width, height = max(0, width), max(1, height)
    grid = _Grid(width, height)
    if kind == BRAILLE:
        _braille(grid, curves, ends)
    elif len(curves) == 1 and kind == BLOCK:
        _area(grid, curves[0], ends)
    else:
        _letters(grid, curves, ends, kind)
    if 0 <= ruler < width:
        for y in range(height):
            if grid.cells[height - 1 - y][ruler][0] == " ":
                grid.put(ruler, y, "|" if kind == ASCII else "│", "accent")
    return grid.lines()


def level(value: float, ends: tuple[float, float], levels: int) -> int:
    """Which of ``levels`` rows, counted from the bottom, a value is in."""
    bottom, top = ends
    reach = top - bottom
    part = (value - bottom) / reach if 0 < reach < math.inf else 0.0
    return int(min(max(part * levels, 0.0), levels - 1.0)) if part == part else 0


# -- braille


def _braille(grid: _Grid, curves: Sequence[Curve], ends: tuple[float, float]) -> None:
    levels = grid.height * 4
    alone = len(curves) == 1
    owners: dict[tuple[int, int], list[str]] = {}
    shown: Bits = {}
    bands: list[tuple[Curve, Bits]] = []
    for curve in curves:
        line, band = _dots(curve, ends, levels, grid.width * 2, filled=alone)
        bands.append((curve, band))
        for place, bits in line.items():
            owners.setdefault(place, []).append(curve.style)
            shown[place] = shown.get(place, 0) | bits
    lines = set(shown)
    for curve, band in bands:
        for place, bits in band.items():
            if place not in lines:
                owners.setdefault(place, []).append("dim" if alone else curve.style)
                shown[place] = shown.get(place, 0) | bits
    for (x, y), bits in shown.items():
        here = owners[x, y]  # where lines meet their colours take turns
        grid.put(x, y, chr(0x2800 + bits), here[x % len(here)])
    if not alone:
        _marks(grid, curves, ends, 2)


Bits = dict[tuple[int, int], int]


def _dots(
    curve: Curve, ends: tuple[float, float], levels: int, width: int, *, filled: bool
) -> tuple[Bits, Bits]:
    """Dots by cell: those of the last values, and those of the band, or of its tips alone."""
    line: Bits = {}
    band: Bits = {}
    before: int | None = None
    for column, step in enumerate(curve.steps[:width]):
        if step is None:
            before = None
            continue
        low, high, last = (level(value, ends, levels) for value in step)
        first = last if before is None else before
        reach = range(min(first, last), max(first, last) + 1)
        joined = [y for y in reach if y != first] or [last]
        for y in range(low, high + 1):
            if (
                filled and (column + y) % 2
            ):  # sparse, so that it is told from the line without colours too
                _dot(band, column, y)
        for y in (*joined, low, high):
            _dot(line if y in reach else band, column, y)
        for y in (low, high):  # a tip is lit also in a cell that the line goes through
            if (column // 2, y // 4) in line:
                _dot(line, column, y)
        before = last
    return line, band


def _dot(bits: Bits, column: int, y: int) -> None:
    place = (column // 2, y // 4)
    bits[place] = bits.get(place, 0) | _DOTS[3 - y % 4][column % 2]


def _marks(grid: _Grid, curves: Sequence[Curve], ends: tuple[float, float], times: int) -> None:
    """The letters of the series, here and there on their lines, each at places of its own."""
    for number, curve in enumerate(curves):
        shift = MARK_EVERY * number // max(1, len(curves))
        for x in range(grid.width - 2 - shift, 0, -MARK_EVERY):
            steps = curve.steps[x * times : (x + 1) * times]
            step = next((step for step in reversed(steps) if step is not None), None)
            if step is not None and curve.mark:
                grid.put(x, level(step.last, ends, grid.height * 4) // 4, curve.mark, curve.style)


# -- blocks and ASCII


def _area(grid: _Grid, curve: Curve, ends: tuple[float, float]) -> None:
    """Filled up to the last value in eighths; light above it to the largest, below to the least."""
    for x, step in enumerate(curve.steps[: grid.width]):
        if step is None:
            continue
        low, high, last = (level(value, ends, grid.height * 8) for value in step)
        for y in range(grid.height):
            eighths = min(max(last + 1 - y * 8, 0), 8)
            if eighths == 8 and y > low // 8:
                grid.put(x, y, "▓", curve.style)
            elif eighths:
                grid.put(x, y, _EIGHTHS[eighths], curve.style)
            elif y <= high // 8:
                grid.put(x, y, "░", "dim")


def _letters(grid: _Grid, curves: Sequence[Curve], ends: tuple[float, float], kind: str) -> None:
    """A character at each last value, joined upright; where lines meet they take turns."""
    upright, light = ("│", "░") if kind == BLOCK else ("|", ":")
    alone = len(curves) == 1
    line: dict[tuple[int, int], list[Curve]] = {}
    for curve in reversed(curves):
        before: int | None = None
        for x, step in enumerate(curve.steps[: grid.width]):
            if step is None:
                before = None
                continue
            low, high, last = (level(value, ends, grid.height) for value in step)
            for y in range(low, high + 1) if alone else (low, high):
                if alone or (x, y) not in line:
                    grid.put(x, y, light, "dim" if alone else curve.style)
            if before is not None:
                for y in range(min(before, last) + 1, max(before, last)):
                    grid.put(x, y, upright, curve.style)
            line.setdefault((x, last), []).append(curve)
            before = last
    for (x, y), here in line.items():
        curve = here[x % len(here)]
        grid.put(x, y, curve.mark or "*", curve.style)


def spark(steps: Steps, ends: tuple[float, float], height: int, plain: bool) -> list[str]:
    """Small and filled: ``height`` lines, each column up to its largest value.

    In eighths of a cell, or with ``plain`` in characters of ASCII that are about as high.
    """
    signs = _LEVELS if plain else _EIGHTHS
    out = []
    for y in reversed(range(height)):
        row = ""
        for step in steps:
            top = 0 if step is None else level(step.high, ends, height * 8) + 1
            row += signs[min(max(top - y * 8, 0), 8)]
        out.append(row)
    return out
