"""The heat map, drawn line by line: cost depends on what is visible, not on the fleet."""

import time
from collections.abc import Sequence

from rich.segment import Segment
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.model.view import HostView
from console.text import clip
from console.tui.meaning.heat import NUMBERS, Layout, Number, cells, layout
from console.tui.style.look import Look, Piece
from console.tui.widgets.line_table import AIM_S
from console.tui.widgets.strips import line, plain_scroll_bar, segments


class HeatMap(ScrollView, can_focus=False):
    """Hosts in blocks of name and GPUs. The cursor follows a host's name."""

    DEFAULT_CSS = """
    HeatMap {
        height: 1fr; width: 100%; overflow-x: hidden; scrollbar-size: 1 1; scrollbar-gutter: stable;
    }
    """

    class Chosen(Message):
        """A second click on a host."""

        def __init__(self, host: str) -> None:
            super().__init__()
            self.host = host

    def __init__(self, look: Look, *, id: str | None = None, cursor: bool = True) -> None:
        super().__init__(id=id)
        self.number: Number = NUMBERS[0]
        self.cursor = ""
        self._at = 0  # place of the cursor among the hosts
        self._lost: tuple[str, float] | None = None  # vanished under the cursor, until when
        self._with_cursor = cursor
        self._look = look
        self._hosts: Sequence[HostView] = ()
        self._layout = Layout()
        self._made: dict[int, Strip] = {}
        self._made_for = (-1, -1, -1)

    @property
    def layout_of(self) -> Layout:
        """Which host is where."""
        return self._layout

    def show(self, hosts: Sequence[HostView]) -> None:
        """Take the newest hosts and paint what differs."""
        self._hosts = hosts
        self._layout = layout(hosts, self._width)
        if self._with_cursor:
            self._keep_aim()
        size = Size(1, len(self._layout.lines))
        if size != self.virtual_size:
            self.virtual_size = size
        self._repaint()

    def _keep_aim(self) -> None:
        """The cursor stays with its host, or where that was; a key on its way may still mean it."""
        order, now = list(self._layout.place), time.monotonic()
        if self._lost is not None and now >= self._lost[1]:
            self._lost = None
        if self.cursor in self._layout.place:
            self._at = order.index(self.cursor)
            return
        if self.cursor and self._lost is None:
            self._lost = (self.cursor, now + AIM_S)
        self._at = max(0, min(self._at, len(order) - 1))
        self.cursor = order[self._at] if order else ""

    def aimed(self) -> str:
        """The host that a person means: the one under the cursor, or that has just vanished there.

        That one is told once; after that the host is meant that stands there now.
        """
        lost, self._lost = self._lost, None
        if lost is not None and lost[0] not in self._layout.place and time.monotonic() < lost[1]:
            return lost[0]
        return self.cursor

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.size.width

    def _repaint(self) -> None:
        made = self._lines_made()
        width = self._width
        for y in range(self.size.height):
            before, made[y] = made.get(y), self._make(y)
            if before != made[y]:
                self.refresh(Region(0, y, width, 1))

    def _lines_made(self) -> dict[int, Strip]:
        now = (self._width, self.scroll_offset.y, self._look.version)
        if now != self._made_for:
            self._made.clear()
            self._made_for = now
        return self._made

    def on_mount(self) -> None:
        """A scroll bar that the terminal can draw."""
        plain_scroll_bar(self, self._look)

    def on_resize(self, event: Resize) -> None:
        """Arrange for the new width."""
        self._made.clear()
        self.show(self._hosts)
        self.reveal()

    def render_line(self, y: int) -> Strip:
        """One visible line."""
        made = self._lines_made()
        if y not in made:
            made[y] = self._make(y)
        return made[y]

    def _make(self, y: int) -> Strip:
        at, lines, width = self.scroll_offset.y + y, self._layout.lines, self._width
        if at >= len(lines):
            words = " no GPU in this fleet" if not lines and y == 0 and self._hosts else ""
            return line([(words, "dim")], width, self._look)
        here = lines[at]
        if isinstance(here, str):
            return line([(f" {here} ", "head")], width, self._look)
        out: list[Segment] = [Segment(" ", self._look.style(""))]
        for view in here:
            out += self._block(view)
        return Strip(out).adjust_cell_length(width, self._look.style(""))

    def _block(self, view: HostView) -> list[Segment]:
        look, place = self._look, self._layout
        name = clip(view.name, place.name, ellipsis="~" if look.ascii_only else "…")
        pieces: list[Piece] = [(f"{name:{place.name}} ", "")]
        out: list[Segment] = []
        if self._with_cursor and view.name == self.cursor:
            out += segments([(name, "")], place.name, look, look.cursor(""), cursor=True)
            pieces = [(" ", "")]
        rest = place.block - (place.name if out else 0)
        told = cells(view, self.number, look, place.room)
        return out + segments([*pieces, *told], rest, look, look.style(""))

    # -- moving

    def move(self, columns: int = 0, lines: int = 0) -> None:
        """The cursor by that many hosts, or by lines of hosts."""
        order = list(self._layout.place)
        if not order:
            return
        if columns:
            at = order.index(self.cursor) + columns if self.cursor in order else 0
            self._put(order[min(max(at, 0), len(order) - 1)])
            return
        line, column = self._layout.place.get(self.cursor, (0, 0))
        step = 1 if lines > 0 else -1
        left, best = abs(lines), None
        line += step
        while 0 <= line < len(self._layout.lines) and left:
            here = self._layout.lines[line]
            if not isinstance(here, str):
                best = here[min(column, len(here) - 1)]
                left -= 1
            line += step
        if best is not None:
            self._put(best.name)

    def end(self, *, last: bool) -> None:
        """The first or the last host."""
        order = list(self._layout.place)
        if order:
            self._put(order[-1 if last else 0])

    def _put(self, host: str) -> None:
        self.cursor = host
        self._lost = None  # whoever moves means what is there now
        order = list(self._layout.place)
        self._at = order.index(host) if host in self._layout.place else 0
        self.reveal()
        self._repaint()

    def reveal(self) -> None:
        """Scroll so that the cursor is in view, with the heading above it where that fits."""
        line = self._layout.place.get(self.cursor, (0, 0))[0]
        top, room = self.scroll_offset.y, max(1, self.size.height)
        head = line - 1 if line and isinstance(self._layout.lines[line - 1], str) else line
        if head < top:
            self.scroll_to(y=head, animate=False, immediate=True)
        elif line >= top + room:
            self.scroll_to(y=line - room + 1, animate=False, immediate=True)

    def on_click(self, event: Click) -> None:
        """The cursor to the host under the mouse; a second click opens it."""
        event.stop()
        at = self.scroll_offset.y + event.y
        if not self._with_cursor or at >= len(self._layout.lines):
            return
        here = self._layout.lines[at]
        column = max(0, event.x - 1) // self._layout.block
        if isinstance(here, str) or column >= len(here):
            return
        again = here[column].name == self.cursor and event.chain > 1
        self._put(here[column].name)
        if again:
            self.post_message(self.Chosen(self.cursor))
