"""From two pages of counters to the numbers that a person wants: rates and quantiles of now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .exposition import Page, quantile
from .servers import COUNTERS, HISTOGRAMS, SERVERS, Names


@dataclass
class Numbers:
    """What a page says. None: it does not say, or there was nothing to compare with yet.

    Rates are a second; latencies milliseconds over the time since the page before, or, while no
    request ended in it, None. ``counters`` and ``buckets`` are kept for the next page.
    """

    server: str = ""
    gauges: dict[str, float] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    quantiles: dict[str, tuple[float, float]] = field(default_factory=dict)  # p50, p95
    has: frozenset[str] = frozenset()  # what the page has at all
    counters: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def which(page: Page) -> Names | None:
    """Whose page it is."""
    for names in SERVERS:
        if any(name.startswith(names.marks) for name in page.points):
            return names
    return None


def measure(page: Page, before: Numbers | None, seconds: float) -> Numbers:
    """The numbers of a page, read ``seconds`` after the one of ``before``."""
    names = which(page)
    if names is None:
        return Numbers()
    out = Numbers(server=names.server)
    for gauge in ("running", "waiting"):
        value = _first(page.total(name) for name in getattr(names, gauge))
        if value is not None:
            out.gauges[gauge] = value
    share = _first(page.mean(name) for name in names.cache)
    if share is not None:
        out.gauges["cache"] = 100.0 * share
    for counter in COUNTERS:
        value = _first(page.total(name) for name in getattr(names, counter))
        if value is not None:
            out.counters[counter] = value
    for histogram in HISTOGRAMS:
        for name in getattr(names, histogram):
            if found := page.buckets(name):
                out.buckets[histogram] = found
                break
    out.has = frozenset([*out.gauges, *out.counters, *out.buckets])
    if before is not None and before.server == out.server and seconds > 0:
        _compare(out, before, seconds)
    return out


def _compare(out: Numbers, before: Numbers, seconds: float) -> None:
    """Rates and quantiles since ``before``; a counter that went back was started anew."""
    for name, value in out.counters.items():
        earlier = before.counters.get(name)
        if earlier is not None:
            grown = value - earlier if value >= earlier else value
            out.rates[name] = grown / seconds
    for name, buckets in out.buckets.items():
        earlier_counts = dict(before.buckets.get(name, ()))
        new = [(bound, count - earlier_counts.get(bound, 0.0)) for bound, count in buckets]
        if any(count < 0 for _, count in new) or not earlier_counts:
            continue
        middle, high = quantile(new, 0.5), quantile(new, 0.95)
        if middle is not None and high is not None:
            out.quantiles[name] = (1000.0 * middle, 1000.0 * high)


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)
