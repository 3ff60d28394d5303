"""The numbers of a model server as samples and as lines of a panel."""

from __future__ import annotations

from collections.abc import Iterator

from console.extend import Gauge, Item, Note, Plot, Row, Sample, Severity

from .exposition import Page, sound
from .numbers import Numbers

FULL, NEARLY = 98.0, 90.0
"""Per cent of the KV cache from which requests soon wait or are thrown out."""
_RATES = (
    ("requests", "requests", "requests_rate", 2),
    ("prompt_tokens", "prompt tokens", "prompt_tokens_rate", 0),
    ("tokens", "generated tokens", "tokens_rate", 0),
)
_LATENCIES = (("latency", "whole request"), ("first_token", "first token"))


def samples(host: str, numbers: Numbers) -> Iterator[Sample]:
    """What is kept over time; a number that is none is left out, and hinders no other."""
    return (sample for sample in _samples(host, numbers) if sound(sample.value))


def _samples(host: str, numbers: Numbers) -> Iterator[Sample]:
    for name, series in (("running", "running"), ("waiting", "waiting"), ("cache", "cache_pct")):
        if name in numbers.gauges:
            yield Sample(host=host, name=series, value=numbers.gauges[name])
    for name, _, series, _ in _RATES:
        if name in numbers.rates:
            yield Sample(host=host, name=series, value=numbers.rates[name])
    for name, _ in _LATENCIES:
        if name in numbers.quantiles:
            middle, high = numbers.quantiles[name]
            yield Sample(host=host, name=f"{name}_p50_ms", value=middle)
            yield Sample(host=host, name=f"{name}_p95_ms", value=high)


def items(numbers: Numbers, page: Page, extra: tuple[str, ...]) -> Iterator[Item]:
    """The lines of a panel; what the page does not have is said at its end."""
    if numbers.server:
        yield from _requests(numbers)
        yield from _rates(numbers)
        yield from _latencies(numbers)
        yield from _plots(numbers)
        yield from _missing(numbers)
    elif not extra:
        yield Note(text="no series of a model server that is known here", severity="warn")
    for name in extra:
        value = page.total(name)
        yield Row(label=name, value="not on the page" if value is None else f"{value:g}")
    if page.cut:
        yield Note(text="the page is longer than what is read of it", severity="warn")


def _requests(numbers: Numbers) -> Iterator[Item]:
    if "running" in numbers.gauges:
        yield Row(label="requests running", value=f"{numbers.gauges['running']:.0f}")
    if "waiting" in numbers.gauges:
        waiting = numbers.gauges["waiting"]
        severity: Severity = "warn" if waiting >= 1 else ""
        yield Row(label="requests waiting", value=f"{waiting:.0f}", severity=severity)
    if "cache" in numbers.gauges:
        share = numbers.gauges["cache"]
        level: Severity = "bad" if share >= FULL else "warn" if share >= NEARLY else ""
        yield Gauge(label="KV cache", percent=share, text="used", severity=level)


def _rates(numbers: Numbers) -> Iterator[Item]:
    for name, label, _, digits in _RATES:
        if name in numbers.counters:
            rate = numbers.rates.get(name)
            told = "after the next reading" if rate is None else f"{rate:,.{digits}f} a second"
            yield Row(label=label, value=told)


def _latencies(numbers: Numbers) -> Iterator[Item]:
    for name, label in _LATENCIES:
        if name in numbers.buckets:
            found = numbers.quantiles.get(name)
            told = "no request ended since the last reading"
            if found is not None:
                told = f"half under {found[0]:,.0f} ms, 95% under {found[1]:,.0f} ms"
            yield Row(label=f"latency, {label}", value=told)


def _plots(numbers: Numbers) -> Iterator[Item]:
    if "tokens" in numbers.counters:
        yield Plot(label="tokens a second", series="tokens_rate", unit="/s")
    if "running" in numbers.gauges:
        yield Plot(label="running", series="running")
    if "cache" in numbers.gauges:
        yield Plot(label="KV cache", series="cache_pct", unit="%", top=100.0)


def _missing(numbers: Numbers) -> Iterator[Item]:
    words = {
        "running": "requests running", "waiting": "requests waiting", "cache": "KV cache",
        "tokens": "tokens", "requests": "request rate", "latency": "latency",
    }  # fmt: skip
    absent = [told for name, told in words.items() if name not in numbers.has]
    if absent:
        yield Note(text=f"{numbers.server} does not say here: {', '.join(absent)}")
