"""What a plugin hands over: samples, which become history, and panels, which faces draw.

A panel is described, never drawn: labels, numbers, words and a severity each. The screens and the
headless verbs decide what that looks like.
"""

from typing import Literal

import msgspec

Severity = Literal["", "ok", "warn", "bad"]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One number of one host at this moment; kept as ``plugin.<plugin>.<name>``.

    ``name`` is made of lower-case letters, digits, ``_`` and ``.``, and ends in its unit.
    """

    host: str
    name: str
    value: float


class Row(msgspec.Struct, frozen=True, kw_only=True, tag="row"):
    """A labelled value."""

    label: str
    value: str
    severity: Severity = ""


class Gauge(msgspec.Struct, frozen=True, kw_only=True, tag="gauge"):
    """A share of a whole, 0 to 100, None: not known; ``text`` follows the number: "left"."""

    label: str
    percent: float | None
    text: str = ""
    severity: Severity = ""

    @property
    def told(self) -> str:
        """The share and the text, as every face writes them beside or without a bar."""
        if self.percent is None:
            return "not known"
        return f"{round(self.percent, 1):g}% {self.text}".rstrip()


class Plot(msgspec.Struct, frozen=True, kw_only=True, tag="plot"):
    """A number over time. A plugin names one of its own samples; faces get the whole name."""

    label: str
    series: str
    unit: str = ""
    top: float | None = None  # value at the upper end; None: the largest that was seen


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note"):
    """A sentence."""

    text: str
    severity: Severity = ""


Item = Row | Gauge | Plot | Note


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """What one plugin shows of one host.

    A plugin gives ``host``, ``title`` and ``items``. The console sets the rest: ``plugin``, ``at``
    (seconds since the epoch, 0 before the plugin has spoken) and ``stopped`` (why it no longer
    runs; then the items are not its own).
    """

    host: str
    title: str
    items: tuple[Item, ...] = ()
    plugin: str = ""
    at: float = 0.0
    stopped: str = ""


class PluginHost(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin is told of a host that it is configured for."""

    name: str
    address: str
    state: str  # a word of HostState


def series_name(plugin: str, name: str) -> str:
    """The name under which history holds a plugin's sample."""
    return f"plugin.{plugin}.{name}"
