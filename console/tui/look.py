"""Colours, symbols and gauges: everything that depends on what the terminal can show."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.style import Style

from console.model.host import HostState

Piece = tuple[str, str]
"""Text and the name of a style of ``STYLES``."""
Cell = Sequence[Piece]

_COLOURED = {
    "": Style(),
    "dim": Style(dim=True),
    "bold": Style(bold=True),
    "ok": Style(color="green"),
    "warn": Style(color="yellow"),
    "bad": Style(color="red", bold=True),
    "accent": Style(color="cyan"),
    "head": Style(bold=True, underline=True),
    "bar": Style(reverse=True),
}
_PLAIN = {
    "": Style(),
    "dim": Style(dim=True),
    "bold": Style(bold=True),
    "ok": Style(),
    "warn": Style(underline=True),
    "bad": Style(bold=True, reverse=True),
    "accent": Style(bold=True),
    "head": Style(bold=True, underline=True),
    "bar": Style(reverse=True),
}
_CURSOR = {
    "": Style(reverse=True),
    "warn": Style(reverse=True, underline=True),
    "bad": Style(reverse=True, bold=True),
    "bold": Style(reverse=True, bold=True),
}
"""The row under the cursor has no colours: reversed, they would be areas and hide its gauges."""


@dataclass(frozen=True)
class Look:
    """One way of drawing. ``ascii_only`` and ``colourless`` say what the terminal cannot do."""

    ascii_only: bool = False
    colourless: bool = False

    def style(self, name: str) -> Style:
        """The style of that name; severity is never told by colour alone."""
        return (_PLAIN if self.colourless else _COLOURED)[name]

    def cursor(self, name: str) -> Style:
        """The style of that name in the row under the cursor."""
        return _CURSOR.get(name, _CURSOR[""])

    def state(self, state: HostState) -> Piece:
        """Symbol and style of a state; its word stands beside it."""
        symbol, plain, style = _STATES[state]
        return (plain if self.ascii_only else symbol, style)

    def mark(self, severity: str) -> str:
        """Symbol of a severity."""
        symbols = {"bad": "!", "warn": "*", "info": "-"}
        if not self.ascii_only:
            symbols = {"bad": "✖", "warn": "▲", "info": "·"}
        return symbols.get(severity, " ")

    def gauge(self, percent: float | None) -> str:
        """One character that stands for 0..100 per cent; a dot where nothing is known."""
        if percent is None:
            return "." if self.ascii_only else "·"
        levels = "_123456789#" if self.ascii_only else "▁▂▃▄▅▆▇█"
        index = int(percent / 100 * len(levels))
        return levels[min(max(index, 0), len(levels) - 1)]

    def bar(self, percent: float | None, width: int) -> str:
        """A horizontal bar of ``width`` cells."""
        if percent is None:
            return ("." if self.ascii_only else "·") * width
        full = round(min(max(percent, 0), 100) / 100 * width)
        on, off = ("#", "-") if self.ascii_only else ("█", "░")
        return on * full + off * (width - full)

    def plot(self, values: Sequence[float | None], top: float) -> str:
        """One line, a character a value, scaled to ``top``; gaps are blank."""
        scale = 100 / top if top > 0 else 0.0
        return "".join(" " if v is None else self.gauge(v * scale) for v in values)

    @property
    def rule(self) -> str:
        """The character that lines are drawn with."""
        return "-" if self.ascii_only else "─"

    @property
    def arrow(self) -> tuple[str, str]:
        """Signs for ascending and descending."""
        return ("^", "v") if self.ascii_only else ("▲", "▼")


_STATES = {
    HostState.LIVE: ("●", "o", "ok"),
    HostState.CONNECTING: ("◌", "~", "accent"),
    HostState.STALE: ("◐", "?", "warn"),
    HostState.DOWN: ("✖", "X", "bad"),
    HostState.REFUSED: ("⊘", "R", "bad"),
    HostState.NEW_KEY: ("⚠", "K", "bad"),
}


def load_style(percent: float | None, warn: float = 80, bad: float = 95) -> str:
    """Style of something that is better when low."""
    if percent is None:
        return "dim"
    return "bad" if percent >= bad else "warn" if percent >= warn else ""
