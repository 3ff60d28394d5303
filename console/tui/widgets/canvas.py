"""Lines that fill their place, do not scroll, and are painted again only where they differ."""

from collections.abc import Sequence

from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.tui.style.look import Cell, Look
from console.tui.widgets.strips import line


class Canvas(Widget, can_focus=True):
    """A picture of text."""

    DEFAULT_CSS = "Canvas { height: 1fr; width: 100%; }"

    class Pointed(Message):
        """A click on a cell."""

        def __init__(self, x: int, y: int) -> None:
            super().__init__()
            self.x = x
            self.y = y

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._look = look
        self._lines: list[Cell] = []

    def show(self, lines: Sequence[Cell]) -> None:
        """Replace the lines; those that are as before are not painted."""
        before, self._lines = self._lines, list(lines)
        for y in range(self.size.height):
            old = before[y] if y < len(before) else None
            new = self._lines[y] if y < len(self._lines) else None
            if old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    def on_click(self, event: Click) -> None:
        """Tell the screen where."""
        event.stop()
        self.post_message(self.Pointed(event.x, event.y))

    def render_line(self, y: int) -> Strip:
        """One line."""
        pieces = self._lines[y] if y < len(self._lines) else ()
        return line(pieces, self.size.width, self._look)
