"""Colours, symbols and gauges: everything that depends on what the terminal can show."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.style import Style

from console.model.host import HostState
from console.tui.style.theme import Theme
from console.tui.style.theme_files import default_theme

Piece = tuple[str, str]
"""Text and the name of a style, as ``Look.style`` takes it."""
Cell = Sequence[Piece]


@dataclass
class Look:
    """One way of drawing, shared by everything on the screen.

    ``ascii_only`` says that the terminal has no block characters. ``reduced_motion``: the person
    wants nothing that moves by itself. ``plots``: what history is drawn with. ``theme`` may change
    while the screens are open: who keeps what it has drawn keeps ``version`` beside it, and draws
    anew when that is another.
    """

    ascii_only: bool = False
    theme: Theme = field(default_factory=default_theme)
    reduced_motion: bool = False
    plots: str = "auto"  # or "braille", "block", "ascii"
    version: int = 0

    def use(self, theme: Theme) -> None:
        """Draw with another theme from now on."""
        self.theme = theme
        self.version += 1

    @property
    def colourless(self) -> bool:
        """True when nothing is drawn in colour: then a symbol or digit must tell what it would."""
        return self.theme.colourless

    def style(self, name: str) -> Style:
        """The whole style of that name; severity is never told by colour alone.

        Names: "" for plain text, dim, bold, ok, warn, bad, accent, head, bar, border, series1 to
        series6 for lines of a plot, and heat0 to heat9 for cells that are filled by how much: write
        a digit or a symbol into those, because without colours they differ only by attributes.
        """
        return self.theme.style(name)

    def over(self, name: str) -> Style:
        """What that name changes, to be added to another style: its ground stays."""
        return self.theme.over(name)

    def cursor(self, name: str) -> Style:
        """The style of that name in the row under the cursor."""
        return self.theme.cursor(name)

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
        if percent is None or percent != percent:  # not a number
            return "." if self.ascii_only else "·"
        levels = "_123456789#" if self.ascii_only else "▁▂▃▄▅▆▇█"
        index = int(min(max(percent, 0.0), 100.0) / 100 * len(levels))
        return levels[min(index, len(levels) - 1)]

    def bar(self, percent: float | None, width: int) -> str:
        """A horizontal bar of ``width`` cells."""
        if percent is None or percent != percent:
            return ("." if self.ascii_only else "·") * width
        full = round(min(max(percent, 0), 100) / 100 * width)
        on, off = ("#", "-") if self.ascii_only else ("█", "░")
        return on * full + off * (width - full)

    @property
    def rule(self) -> str:
        """The character that lines are drawn with."""
        return "-" if self.ascii_only else "─"

    @property
    def hidden(self) -> tuple[str, str]:
        """Signs for what is hidden at the left and at the right."""
        return ("<", ">") if self.ascii_only else ("\u2039", "\u203a")

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
