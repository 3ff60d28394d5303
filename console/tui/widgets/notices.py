"""Lines below the head of every view that stay until somebody has seen to what they say."""

from collections.abc import Sequence

from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from console.tui.style.look import Look, Piece
from console.tui.widgets.strips import line


class Notices(Widget):
    """One line a notice, drawn over the whole width; it takes no room while there is none."""

    DEFAULT_CSS = "Notices { height: 1; width: 100%; display: none; }"

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._look = look
        self._told: list[Piece] = []

    def show(self, told: Sequence[Piece]) -> None:
        """Say these, each in its style."""
        if list(told) == self._told:
            return
        self._told = list(told)
        self.display = bool(told)
        self.styles.height = max(1, len(told))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One notice."""
        words, style = self._told[y] if y < len(self._told) else ("", "")
        ground = self._look.style(style) + Style(reverse=True)
        return line([(words, "")], self.size.width, self._look, ground)
