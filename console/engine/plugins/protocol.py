"""What the console and a plugin's process say to each other: one JSON object a line.

The console sends one ``Start``, then ``Tick`` after ``Tick``; each is answered by one ``Said`` with
its number. Nothing is said unasked, so a flood costs the console nothing: it stays in the pipe.
What comes back is checked and cleaned here, and only here.
"""

import math
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from console.errors import PluginError
from console.model.panel import (
    Gauge,
    Item,
    Note,
    Panel,
    Plot,
    PluginHost,
    Row,
    Sample,
    series_name,
)
from console.text import clean

MAX_LINE = 256 << 10
MAX_HOSTS = 50
"""Hosts of one question; more are asked about one after the other."""
MAX_ITEMS = 64
MAX_PANELS = 4
MAX_SAMPLES = 32
"""Items of a panel, panels of a host, samples of a host, in one answer."""
MAX_VALUE = 1e15
_SERIES = re.compile(r"[a-z][a-z0-9_.]{0,63}")


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: the plugin itself and what it may do. ``files`` are base64."""

    package: str
    entry: str
    kinds: tuple[str, ...]
    files: dict[str, bytes]
    settings: dict[str, Any]
    connect: tuple[str, ...]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """Ask once; ``n`` counts from 1."""

    n: int
    at: float
    hosts: tuple[PluginHost, ...]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An answer; ``n`` 0 says that the plugin has started and is confined.

    ``error`` is why the process is about to end.
    """

    n: int
    samples: tuple[Sample, ...] = ()
    panels: tuple[Panel, ...] = ()
    error: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A good answer: clean, bounded, of the hosts that were asked about."""

    samples: tuple[Sample, ...]
    panels: dict[str, tuple[Panel, ...]]


_decoder = msgspec.json.Decoder(Said)


def decode(line: bytes) -> Said:
    """One line of a plugin's process. Raises PluginError."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError, ValueError) as exc:
        raise PluginError(f"speaks outside the protocol: {clean(str(exc), 160)}") from exc


def checked(said: Said, plugin: str, hosts: Iterable[str], at: float) -> Answer:
    """The answer ``said`` of ``plugin`` to a question about ``hosts``, asked at ``at``.

    A number that is none, or is beyond ``MAX_VALUE``, is left out: one bad source among many is no
    fault of the others. Raises PluginError for other hosts, wrong names, and too much of it.
    """
    asked = set(hosts)
    counts: dict[str, int] = {}
    samples: list[Sample] = []
    for sample in said.samples:
        _known(sample.host, asked)
        counts[sample.host] = counts.get(sample.host, 0) + 1
        if counts[sample.host] > MAX_SAMPLES:
            raise PluginError(f"gives more than {MAX_SAMPLES} numbers of one host")
        if not _SERIES.fullmatch(sample.name):
            raise PluginError(f"names a number {clean(sample.name, 80)!r}")
        if _sound(sample.value):
            samples.append(sample)
    panels: dict[str, tuple[Panel, ...]] = {}
    for panel in said.panels:
        _known(panel.host, asked)
        before = panels.get(panel.host, ())
        if len(before) >= MAX_PANELS:
            raise PluginError(f"shows more than {MAX_PANELS} panels of one host")
        panels[panel.host] = (*before, _panel(panel, plugin, at))
    return Answer(samples=tuple(samples), panels=panels)


def _known(host: str, asked: set[str]) -> None:
    if host not in asked:
        raise PluginError(f"speaks of {clean(host, 80)!r}, which it was not asked about")


def _sound(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and abs(value) <= MAX_VALUE


def _panel(panel: Panel, plugin: str, at: float) -> Panel:
    items: list[Item] = [_item(item, plugin) for item in panel.items[:MAX_ITEMS]]
    if len(panel.items) > MAX_ITEMS:
        items.append(Note(text=f"{len(panel.items) - MAX_ITEMS} more lines are left out"))
    return Panel(
        host=panel.host, title=clean(panel.title, 80), items=tuple(items), plugin=plugin, at=at
    )


def _item(item: Item, plugin: str) -> Item:
    if isinstance(item, Row):
        return Row(
            label=clean(item.label, 60), value=clean(item.value, 160), severity=item.severity
        )
    if isinstance(item, Gauge):
        share = item.percent
        return Gauge(
            label=clean(item.label, 60),
            percent=min(max(share, 0.0), 100.0) if share is not None else None,
            text=clean(item.text, 80),
            severity=item.severity,
        )
    if isinstance(item, Plot):
        if not _SERIES.fullmatch(item.series):
            raise PluginError(f"plots a number {clean(item.series, 80)!r}")
        return Plot(
            label=clean(item.label, 60),
            series=series_name(plugin, item.series),
            unit=clean(item.unit, 12),
            top=item.top if _sound(item.top) else None,
        )
    return Note(text=clean(item.text, 300), severity=item.severity)
