"""The text format of Prometheus metrics, version 0.0.4, read within bounds.

Only what is asked for is kept; the rest of a page, which may be large, is skipped line by line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

MAX_PAGE = 4 << 20
MAX_LINE = 8192
MAX_KEPT = 5000
LARGEST = 1e15
"""A number beyond it is taken for none; the console keeps no larger one either."""

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|(?=\}))')
_ESCAPE = re.compile(r"\\(.)")
_WORDS = {"+inf": math.inf, "inf": math.inf, "-inf": -math.inf, "nan": math.nan}


@dataclass(frozen=True)
class Point:
    """One line: the name of a series, its labels and its value."""

    name: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Page:
    """What was read; ``skipped`` counts lines that are no metrics, ``cut``: it was too long."""

    points: dict[str, list[Point]] = field(default_factory=dict)
    skipped: int = 0
    cut: bool = False

    def total(self, name: str) -> float | None:
        """The sum over all labels of a series; None where there is none, or no sound number."""
        values = [p.value for p in self.points.get(name, ()) if sound(p.value)]
        return sum(values) if values and sound(sum(values)) else None

    def mean(self, name: str) -> float | None:
        """The mean over all labels."""
        values = [p.value for p in self.points.get(name, ()) if sound(p.value)]
        return sum(values) / len(values) if values else None

    def buckets(self, name: str) -> list[tuple[float, float]]:
        """Upper bounds and cumulative counts of a histogram over all labels, in order."""
        sums: dict[float, float] = {}
        for point in self.points.get(f"{name}_bucket", ()):
            bound = number(point.labels.get("le", ""))
            if bound is not None and _is_bound(bound) and sound(point.value):
                sums[bound] = sums.get(bound, 0.0) + point.value
        return sorted(sums.items())


def sound(value: float) -> bool:
    """Whether a number may be shown and kept."""
    return math.isfinite(value) and abs(value) <= LARGEST


def _is_bound(value: float) -> bool:
    """Whether it may be the upper bound of a bucket."""
    return sound(value) or value == math.inf


def read(text: str, wanted: Collection[str]) -> Page:
    """Read a page and keep the series whose names are ``wanted``."""
    page = Page()
    kept = 0
    for line in _lines(text[:MAX_PAGE]):
        found = _NAME.match(line)
        if found is None:
            page.skipped += 1
            continue
        if found[0] not in wanted:
            continue
        point = parse(line)
        if point is None:
            page.skipped += 1
            continue
        if kept >= MAX_KEPT:
            page.cut = True
            break
        page.points.setdefault(point.name, []).append(point)
        kept += 1
    page.cut = page.cut or len(text) > MAX_PAGE
    return page


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        line = line.strip(" \t\r")
        if line and not line.startswith("#") and len(line) <= MAX_LINE:
            yield line


def parse(line: str) -> Point | None:
    """One line of a metric; None for anything else."""
    found = _NAME.match(line)
    if found is None:
        return None
    rest = line[found.end() :]
    labels: dict[str, str] = {}
    if rest.lstrip(" \t").startswith("{"):
        at = rest.index("{") + 1
        while (label := _LABEL.match(rest, at)) is not None:
            labels[label[1]] = _ESCAPE.sub(lambda m: "\n" if m[1] == "n" else m[1], label[2])
            at = label.end()
        at += len(rest[at:]) - len(rest[at:].lstrip(" \t"))
        if not rest.startswith("}", at):
            return None
        rest = rest[at + 1 :]
    elif rest[:1] not in (" ", "\t"):
        return None
    fields = rest.split()
    if len(fields) not in (1, 2):  # the second is a time
        return None
    value = number(fields[0])
    return None if value is None else Point(found[0], value, labels)


def number(text: str) -> float | None:
    """A number as Prometheus writes it; None for anything else."""
    word = text.lower()
    if word in _WORDS:
        return _WORDS[word]
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", word, re.ASCII):
        return None
    try:
        return float(word)
    except (ValueError, OverflowError):
        return None


def quantile(buckets: list[tuple[float, float]], share: float) -> float | None:
    """The value below which ``share`` of a histogram lies, within its bucket in proportion.

    ``buckets`` are upper bounds and cumulative counts. Above the last finite bound it is that
    bound, as Prometheus has it. None without any observation.
    """
    if not buckets or buckets[-1][1] <= 0:
        return None
    rank = share * buckets[-1][1]
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if math.isinf(bound):
                return low if below or low else None
            inside = count - below
            return low + (bound - low) * ((rank - below) / inside if inside > 0 else 1.0)
        low, below = bound, count
    return None
