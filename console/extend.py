"""Everything that a plugin may import from Watchfloor. docs/plugins.md shows how.

A plugin is a class that is called once with a ``Setup`` and then asked, time after time, in a
process of its own. It has the method of each kind that its ``plugin.toml`` names: ``collect`` for
"collector", ``panels`` for "panel". What it raises ends it; it is started again after a pause.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from console.model.panel import Gauge, Item, Note, Panel, Plot, PluginHost, Row, Sample, Severity

API_VERSION = 1
"""Grows when a plugin that ran before may no longer run."""

KINDS = ("collector", "panel")
"""What a plugin may be; one plugin may be both, and is then asked in this order."""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin gets when it starts.

    ``settings`` is the table ``[plugins.NAME.settings]`` of the configuration as it stands there,
    so check it. ``connect`` are the ``ADDRESS:PORT`` that a person has granted; others are refused.
    """

    settings: Mapping[str, Any]
    connect: tuple[str, ...] = ()


class Collector(Protocol):
    """Kind "collector": measures."""

    def collect(self, at: float, hosts: Sequence[PluginHost]) -> Iterable[Sample]:
        """Numbers of these hosts, at ``at`` seconds since the epoch. Must return within seconds."""
        ...


class PanelSource(Protocol):
    """Kind "panel": describes what a person sees of a host."""

    def panels(self, at: float, hosts: Sequence[PluginHost]) -> Iterable[Panel]:
        """One panel for each of these hosts of which there is something to show."""
        ...


__all__ = [
    "API_VERSION",
    "KINDS",
    "Collector",
    "Gauge",
    "Item",
    "Note",
    "Panel",
    "PanelSource",
    "Plot",
    "PluginHost",
    "Row",
    "Sample",
    "Setup",
    "Severity",
]
