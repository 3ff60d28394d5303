"""A plugin's panel as plain lines."""

from collections.abc import Iterator

from console.model.panel import Gauge, Note, Panel, Plot, Row

_WORDS = {"warn": "  WARNING", "bad": "  BAD"}
LABEL = 26


def lines(panel: Panel) -> Iterator[str]:
    """Each item as a line; severity is a word. Of a picture over time it is said that it is one."""
    for item in panel.items:
        if isinstance(item, Note):
            yield f"  {item.text}{_WORDS.get(item.severity, '')}"
        elif isinstance(item, Row):
            yield f"  {item.label:{LABEL}} {item.value}{_WORDS.get(item.severity, '')}"
        elif isinstance(item, Gauge):
            yield f"  {item.label:{LABEL}} {item.told}{_WORDS.get(item.severity, '')}"
        elif isinstance(item, Plot):
            yield f"  {item.label:{LABEL}} (a plot of {item.series}, which only the console draws)"
