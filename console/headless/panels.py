"""A plugin's panel as plain lines."""

from collections.abc import Iterator

from console.model.panel import Gauge, Note, Panel, Plot, Row

_WORDS = {"warn": "  WARNING", "bad": "  BAD"}
LABEL = 26


def lines(panel: Panel) -> Iterator[str]:
    """Each item as a line; severity is a word. What is only a picture over time is left out."""
    for item in panel.items:
        if isinstance(item, Note):
            yield f"  {item.text}{_WORDS.get(item.severity, '')}"
        elif isinstance(item, Row):
            yield f"  {item.label:{LABEL}} {item.value}{_WORDS.get(item.severity, '')}"
        elif isinstance(item, Gauge):
            percent = "not known" if item.percent is None else f"{item.percent:.0f}%"
            told = item.text or percent
            yield f"  {item.label:{LABEL}} {told}{_WORDS.get(item.severity, '')}"
        elif isinstance(item, Plot):
            continue
