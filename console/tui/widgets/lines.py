"""Text that is drawn line by line: a fixed bar, and a page that scrolls."""

from collections.abc import Sequence

from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from console.text import cell_width
from console.tui.style.look import Cell, Look
from console.tui.widgets.strips import line, plain_scroll_bar, segments


class Bar(Widget):
    """One or more lines that do not scroll; what is given for the right is kept at the right."""

    DEFAULT_CSS = "Bar { height: 1; width: 100%; }"

    class Pressed(Message):
        """A click on a cell of the bar."""

        def __init__(self, bar: "Bar", x: int, y: int) -> None:
            super().__init__()
            self.bar = bar
            self.x = x
            self.y = y

    def __init__(self, look: Look, *, style: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self._look = look
        self._base = style
        self._left: list[Cell] = []
        self._right: Cell = ()

    def show(self, *left: Cell, right: Cell = ()) -> None:
        """Draw these lines; ``right`` stands at the end of the first."""
        if list(left) != self._left or right != self._right:
            self._left, self._right = list(left), right
            self.refresh()

    def on_click(self, event: Click) -> None:
        """Tell the screen where."""
        event.stop()
        self.post_message(self.Pressed(self, event.x, event.y))

    def render_line(self, y: int) -> Strip:
        """One line of the bar."""
        width = self.size.width
        base = self._look.style(self._base)
        pieces = list(self._left[y]) if y < len(self._left) else []
        room = width - sum(cell_width(text) for text, _ in self._right)
        if y == 0 and self._right and room > width // 2:
            left = segments(pieces, room, self._look, base)
            return Strip(left + segments(self._right, width - room, self._look, base), width)
        return line(pieces, width, self._look, base)


class Page(ScrollView, can_focus=True):
    """Lines that scroll; only those that changed are painted again."""

    DEFAULT_CSS = """
    Page {
        height: 1fr; width: 100%; overflow-x: hidden; scrollbar-size: 1 1; scrollbar-gutter: stable;
    }
    """

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._look = look
        self._lines: Sequence[Cell] = ()

    def on_mount(self) -> None:
        """A scroll bar that the terminal can draw."""
        plain_scroll_bar(self, self._look)

    def show(self, lines: Sequence[Cell]) -> None:
        """Replace the text."""
        before, self._lines = self._lines, lines
        if len(before) != len(lines):
            self.virtual_size = Size(1, len(lines))
            self.refresh()
            return
        top = self.scroll_offset.y
        for y in range(self.size.height):
            at = top + y
            if at < len(lines) and before[at] != lines[at]:
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """One visible line."""
        at = self.scroll_offset.y + y
        pieces = self._lines[at] if at < len(self._lines) else ()
        return line(pieces, self.scrollable_content_region.width, self._look)
