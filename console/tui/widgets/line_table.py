"""A table drawn line by line over a pure model: cost depends on what is visible, not on rows."""

import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

from rich.segment import Segment
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.text import clean
from console.tui.control.bindings import bindings
from console.tui.style.look import Cell, Look
from console.tui.tables.filter import FilterError, SlowFilter
from console.tui.tables.layout import Layouts
from console.tui.tables.spread import MARK, Spread
from console.tui.tables.table_model import TableModel
from console.tui.tables.units import TEXT
from console.tui.widgets.strips import line, plain_scroll_bar, segments
from console.tui.widgets.table_actions import TableActions

R = TypeVar("R")

AIM_S = 2.0
"""So long a row that vanished under the cursor is still what Enter means."""
Span = Callable[[R, Look], tuple[str, Cell] | None]
"""For a row: a column id, and what is drawn from the end of that column to the end of the row."""


class LineTable(TableActions[R], ScrollView, Generic[R], can_focus=True):
    """Rows of a ``TableModel`` under a fixed head. The cursor follows a row's key."""

    DEFAULT_CSS = """
    LineTable {
        height: 1fr; width: 100%; overflow-x: hidden; scrollbar-size: 1 1; scrollbar-gutter: stable;
    }
    """
    BINDINGS = bindings("table")

    class Chosen(Message):
        """Enter or a second click on a row."""

        def __init__(self, table: "LineTable[R]", key: Hashable) -> None:
            super().__init__()
            self.table = table
            self.key = key

    def __init__(
        self,
        model: TableModel[R],
        look: Look,
        *,
        span: "Span[R] | None" = None,
        empty: str = "nothing to show",
        name: str | None = None,
        id: str | None = None,
    ) -> None:
        """``name`` is what layouts call this table."""
        super().__init__(name=name, id=id)
        self.model = model
        self.empty = empty
        self.cursor: Hashable | None = None
        self._look = look
        self._span = span
        self._at = 0  # index of the cursor in the order
        self._spread: Spread[R] = Spread((), 0)
        self._made: dict[int, Strip] = {}  # by line, as made by the last look at the rows
        self._made_for = (-1, -1, -1)  # width, first row and version of the look of those lines
        self._rows: dict[tuple[Hashable, bool], Strip] = {}  # until newer rows come
        self._width = -1
        self._lost: tuple[Hashable, float] | None = None  # vanished under the cursor, until when
        self._lost_name = ""  # what a person calls that row
        self._clicked: Hashable | None = None  # row of the first click of several

    # -- rows

    def show(self, rows: Iterable[R]) -> None:
        """Take the newest rows and paint what differs."""
        name = self.model.name(self.cursor)
        self.model.update(rows, time.monotonic())
        self._keep_aim(name)
        self.settle()

    def filter(self, text: str) -> None:
        """Show only what ``text`` asks for.

        Raises FilterError; then what can be read of it holds, so that a field's name that is half
        typed hides no rows.
        """
        self._lost = None  # whoever changes the rows means what is there then
        try:
            self.model.set_filter(text, time.monotonic())
        except SlowFilter:
            raise
        except FilterError:
            with suppress(SlowFilter):
                self.model.set_filter(self.model.sound(text), time.monotonic())
            raise
        finally:
            self.settle()

    def next_sort(self) -> None:
        """Order by the next column."""
        self.model.next_sort(time.monotonic())
        self.settle()
        self.arranged()

    def sort_by(self, column: str, *, down: bool) -> None:
        """Order by one column."""
        self.model.sort_by(column, down=down, now=time.monotonic())
        self.settle()
        self.arranged()

    def reverse(self) -> None:
        """Turn the order round."""
        self.sort_by(self.model.sort, down=not self.model.down)

    def _keep_aim(self, name: str) -> None:
        """Remember a row that vanished by itself: a key that is on its way may still mean it."""
        now = time.monotonic()
        if self._lost is not None and now >= self._lost[1]:
            self._lost = None
        if self._lost is None and self.cursor is not None and self.cursor not in self.model.order:
            self._lost, self._lost_name = (self.cursor, now + AIM_S), name

    def settle(self) -> None:
        """After any change of rows or order: cursor, size, and the lines that differ."""
        self._rows.clear()
        order = self.model.order
        if self.cursor in order:
            self._at = order.index(self.cursor)
        else:
            self._at = max(0, min(self._at, len(order) - 1))
            self.cursor = order[self._at] if order else None
        size = Size(1, len(order) + 1)
        if size != self.virtual_size:
            self.virtual_size = size
        self._repaint()

    @property
    def aimed(self) -> Hashable | None:
        """Key of the row that a person means: for a moment still the one that has just vanished."""
        if self._lost is not None:
            key, until = self._lost
            if key not in self.model.order and time.monotonic() < until:
                return key
            self._lost = None
        return self.cursor

    def respread(self) -> None:
        """Place the columns anew."""
        self._width = -1
        self._made.clear()
        self._rows.clear()
        self.refresh()

    def _repaint(self, lines: Iterable[int] | None = None) -> None:
        """Make all visible lines (or these), and ask for a paint of those that differ."""
        room, made = self.room, self._lines_made()
        for y in range(room.height) if lines is None else lines:
            before, made[y] = made.get(y), self._make(y)
            if before != made[y]:
                self.refresh(Region(0, y, room.width, 1))

    def _lines_made(self) -> dict[int, Strip]:
        """The lines made so far for this width, place and look; none after one changed."""
        now = (self.room.width, self.scroll_offset.y, self._look.version)
        if now != self._made_for:
            if now[2] != self._made_for[2]:
                self._rows.clear()
            self._made.clear()
            self._made_for = now
        return self._made

    # -- painting

    @property
    def room(self) -> Size:
        """What is left for rows beside the scroll bar."""
        return self.scrollable_content_region.size

    def on_mount(self) -> None:
        """A scroll bar that the terminal can draw, and the columns of the layout in use."""
        plain_scroll_bar(self, self._look)
        layouts = getattr(self.app, "layouts", None)
        if isinstance(layouts, Layouts) and (self.name or "") in layouts.current.tables:
            unknown = self.arrange_by(layouts, time.monotonic())
            if unknown:
                words = f"layout {layouts.name}: no such columns: {clean(' '.join(unknown), 120)}"
                self.call_after_refresh(self.teller.remark, words)  # its screen is not yet there

    def on_resize(self, event: Resize) -> None:
        """Paint for the new size, with the cursor in view."""
        self._made.clear()
        self.settle()
        self._reveal()

    def render_line(self, y: int) -> Strip:
        """One visible line; the first is the head."""
        made = self._lines_made()
        if y not in made:
            made[y] = self._make(y)
        return made[y]

    def _make(self, y: int) -> Strip:
        width = self.room.width
        if self._width != width:
            self._width, self._spread = width, self.model.arrangement.spread(width)
            self._rows.clear()
        if y == 0:
            return self._head(width)
        at = self.scroll_offset.y + y - 1
        order = self.model.order
        if at >= len(order):
            if at == 0:
                words = self.empty
                if self.model.total:
                    words = f"{self.model.nothing()}; Esc ends the filter"
                return line([(words, "dim")], width, self._look)
            return Strip.blank(width, self._look.style(""))
        row = self.model.row(order[at])
        if row is None:
            return Strip.blank(width, self._look.style(""))
        name = (order[at], order[at] == self.cursor)
        if name not in self._rows:
            self._rows[name] = self._row(row, width, name[1])
        return self._rows[name]

    def _head(self, width: int) -> Strip:
        base = self._look.style("head")
        up, down = self._look.arrow
        out: list[Segment] = []
        spread = self._spread
        for number, (column, room) in enumerate(spread.placed):
            title = column.title
            if column.id == self.model.sort:
                title = f"{title}{down if self.model.down else up}"
            if number == spread.pinned and spread.left:
                out += segments(
                    [(f"{self._look.hidden[0]}{spread.left}", "")], MARK, self._look, base
                )
            out += segments([(title, "")], room, self._look, base, right=column.right)
            out.append(Segment(" ", base))
        if spread.right:
            mark = f"{spread.right}{self._look.hidden[1]}"[-width:]
            room = width - len(mark)
            titles = Strip(out).adjust_cell_length(room, base) if room else ()
            return Strip([*titles, Segment(mark, base)], width)
        return Strip(out).adjust_cell_length(width, base).simplify()

    def _row(self, row: R, width: int, here: bool) -> Strip:
        look, spread = self._look, self._spread
        base = look.cursor("") if here else look.style("")
        out: list[Segment] = []
        used = 0
        span = self._span(row, look) if self._span else None
        ends = 0
        behind: Cell = []
        if span is not None:
            ids = [column.id for column, _ in spread.placed]
            behind = span[1]
            if span[0] in ids:
                ends = ids.index(span[0]) + 1
            else:  # out of sight: it begins behind the pinned columns, with what that one says
                ends = max(1, spread.pinned)
                behind = [*self._told(span[0], row), *behind]
        for number, (column, room) in enumerate(spread.placed):
            if number == spread.pinned and spread.left:
                out.append(Segment(" " * MARK, base))
                used += MARK
            cell = column.cell(row, look)
            if span is not None and column.unit != TEXT:  # a number from before
                cell = [(words, "dim") for words, _ in cell]
            out += segments(cell, room, look, base, right=column.right, cursor=here)
            out.append(Segment(" ", base))
            used += room + 1
            if span is not None and number + 1 == ends:
                out += segments(behind, max(0, width - used), look, base, cursor=here)
                break
        return Strip(out).adjust_cell_length(width, base).simplify()

    def _told(self, id: str, row: R) -> Cell:
        """What a column says of a row, with blanks behind it."""
        return [*self.model.column(id).cell(row, self._look), ("  ", "")]

    # -- moving

    def _move(self, to: int) -> None:
        order = self.model.order
        if not order:
            return
        self.model.freeze(time.monotonic())
        self._lost = None
        before, self._at = self._at, max(0, min(to, len(order) - 1))
        self.cursor = order[self._at]
        self._reveal()
        top, height = self.scroll_offset.y - 1, self.room.height
        self._repaint(y for y in {before - top, self._at - top} if 0 < y < height)

    def go_to(self, key: Hashable) -> None:
        """Put the cursor on the row of that key, which must be there."""
        self._move(self.model.order.index(key))

    def _reveal(self) -> None:
        top = self.scroll_offset.y
        room = max(1, self.room.height - 1)
        if self._at < top:
            self.scroll_to(y=self._at, animate=False, immediate=True)
        elif self._at >= top + room:
            self.scroll_to(y=self._at - room + 1, animate=False, immediate=True)

    def action_up(self) -> None:
        """One row up."""
        self._move(self._at - 1)

    def action_down(self) -> None:
        """One row down."""
        self._move(self._at + 1)

    def action_page_up(self) -> None:
        """One screen up."""
        self._move(self._at - max(1, self.room.height - 2))

    def action_page_down(self) -> None:
        """One screen down."""
        self._move(self._at + max(1, self.room.height - 2))

    def action_first(self) -> None:
        """The first row."""
        self._move(0)

    def action_last(self) -> None:
        """The last row."""
        self._move(len(self.model.order) - 1)

    def choose(self) -> None:
        """Say that the row under the cursor is meant, or the one that has just vanished there."""
        key = self.aimed
        if key is not None:
            self._choose(key)

    def _choose(self, key: Hashable) -> None:
        if self.model.row(key) is not None:
            self.post_message(self.Chosen(self, key))
            return
        lost = self._lost is not None and self._lost[0] == key
        name = self._lost_name if lost else ""
        self._lost = None  # told once; the next Enter means what is there now
        self.teller.remark(f"{clean(name or str(key), 80)} is gone")

    def on_click(self, event: Click) -> None:
        """Head: sort by that column. Row: put the cursor there; a second click chooses it.

        Both clicks mean the row of the first, whatever came to that line between them.
        """
        event.stop()
        if event.y == 0:
            self._sort_at(event.x)
            return
        if event.chain > 1 and self._clicked is not None:
            key, self._clicked = self._clicked, None
            self._choose(key)
            return
        at = self.scroll_offset.y + event.y - 1
        if at < len(self.model.order):
            self._move(at)
            self._clicked = self.cursor

    def _sort_at(self, x: int) -> None:
        column = self._spread.at(x)
        if column is not None:
            down = not self.model.down if self.model.sort == column.id else self.model.down
            self.sort_by(column.id, down=down)
