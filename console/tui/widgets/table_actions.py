"""What a person can do with a table besides moving in it: columns, jump, rows that need a look."""

import time
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from textual.geometry import Size

from console.tui.tables.layout import Layouts
from console.tui.tables.spread import ColumnError
from console.tui.tables.table_model import TableModel

if TYPE_CHECKING:
    from textual.events import MouseScrollLeft, MouseScrollRight
    from textual.widget import Widget

R = TypeVar("R")


class Teller(Protocol):
    """What a screen does for its tables."""

    def remark(self, words: str, style: str = "warn") -> None:
        """Say something that leaves by itself."""

    def ask(self, start: str, done: Any) -> None:
        """Let the person type."""


class TableActions(Generic[R]):
    """Mixed into ``LineTable``, which has the rows, the cursor and the painting."""

    model: TableModel[R]
    cursor: Hashable | None
    _at: int

    if TYPE_CHECKING:

        @property
        def room(self) -> Size: ...
        def respread(self) -> None: ...
        def settle(self) -> None: ...
        def sort_by(self, column: str, *, down: bool) -> None: ...
        def _move(self, to: int) -> None: ...

    @property
    def teller(self) -> Teller:
        """The screen that this table is on."""
        return cast(Teller, cast("Widget", self).screen)

    def arranged(self) -> None:
        """The person has changed columns or order: the layout in use takes it over."""
        layouts = getattr(cast("Widget", self).app, "layouts", None)
        if isinstance(layouts, Layouts):
            layouts.take(cast("Widget", self).name or "", self.model)

    def arrange_by(self, layouts: Layouts, now: float) -> list[str]:
        """As the layout in use says, or as it was made; returns columns that it has not."""
        name = cast("Widget", self).name or ""
        if name in layouts.current.tables:
            unknown = layouts.arrange(name, self.model, now)
        else:
            self.model.arrangement.reset()
            unknown = []
        self.respread()
        self.settle()
        return unknown

    # -- columns

    def action_left(self) -> None:
        """One column to the left."""
        self._scroll(-1)

    def action_right(self) -> None:
        """One column to the right."""
        self._scroll(1)

    def _scroll(self, step: int) -> None:
        if self.model.arrangement.scroll(step, self.room.width):
            self.respread()
        self.model.freeze(time.monotonic())

    def on_mouse_scroll_right(self, event: "MouseScrollRight") -> None:
        """One column to the right."""
        event.stop()
        self._scroll(1)

    def on_mouse_scroll_left(self, event: "MouseScrollLeft") -> None:
        """One column to the left."""
        event.stop()
        self._scroll(-1)

    def action_columns(self, rest: str = "") -> None:
        """Say which columns there are, or choose them."""
        arrangement = self.model.arrangement
        if not rest.strip():
            shown = {column.id for column in arrangement.shown}
            words = [
                f"{column.called}{'' if column.id in shown else ' (hidden)'}"
                f"{' (pinned)' if column.id in arrangement.pinned else ''}"
                for column in arrangement.columns
            ]
            self.teller.remark(f"columns: {', '.join(words)}; :columns +ONE -ANOTHER or reset", "")
            return
        self._changed(lambda: arrangement.change(rest.split()))

    def complete_columns(self, typed: str) -> list[str]:
        """Names with their sign."""
        before, _, last = typed.rpartition(" ")
        shown = {column.id for column in self.model.arrangement.shown}
        every = [
            f"{'-' if column.id in shown else '+'}{column.called}"
            for column in self.model.arrangement.columns
        ]
        head = f"{before} " if before else ""
        return [f"{head}{word}" for word in [*every, "reset"] if word.startswith(last)]

    def action_pin(self, rest: str = "") -> None:
        """Keep a column at the left."""
        self._changed(lambda: self.model.arrangement.pin(rest), what=rest)

    def action_unpin(self, rest: str = "") -> None:
        """Let it scroll again."""
        self._changed(lambda: self.model.arrangement.unpin(rest), what=rest)

    def complete_pin(self, typed: str) -> list[str]:
        """All columns."""
        columns = self.model.arrangement.columns
        return [c.called for c in columns if c.called.startswith(typed)]

    def complete_unpin(self, typed: str) -> list[str]:
        """The pinned ones."""
        arrangement = self.model.arrangement
        names = [c.called for c in arrangement.columns if c.id in arrangement.pinned]
        return [name for name in names if name.startswith(typed)]

    def _changed(self, change: Any, what: str | None = None) -> None:
        if what is not None and not what.strip():
            self.teller.remark("say which column; :columns names them")
            return
        try:
            change()
        except ColumnError as error:
            self.teller.remark(str(error))
            return
        self.respread()
        self.arranged()

    def action_sort_by(self, rest: str = "") -> None:
        """Order by a column: ``COLUMN [up|down]``; nothing is the order of arrival.

        The cursor goes to the first row, because that is what is asked for by name; a key that
        changes the order leaves it on its row.
        """
        name, _, way = rest.strip().partition(" ")
        way = way.strip().lower()
        if way not in ("", "up", "down"):
            self.teller.remark("say :sort COLUMN, :sort COLUMN up or :sort COLUMN down")
            return
        try:
            column = self.model.arrangement.named(name).id if name else ""
        except ColumnError as error:
            self.teller.remark(str(error))
            return
        self.sort_by(column, down=way == "down" if way else self.model.down)
        self._move(0)

    def complete_sort_by(self, typed: str) -> list[str]:
        """Columns, then the way."""
        name, space, way = typed.partition(" ")
        if space:
            return [f"{name} {end}" for end in ("up", "down") if end.startswith(way)]
        return self.complete_pin(typed)

    # -- rows

    def action_jump(self) -> None:
        """Move to the row whose name begins with what is typed."""
        self.teller.ask("'", self._jump)

    def _jump(self, typed: str) -> None:
        letters = typed[1:].strip()
        if not letters:
            return
        at = self.model.begins(letters)
        if at is None:
            self.teller.remark("no row begins so")
        else:
            self._move(at)

    def action_need(self) -> None:
        """The next row that somebody should look at; round and round."""
        if self.model.needs is None:
            self.teller.remark("nothing in this table asks for a look", "dim")
            return
        at = self.model.needed(self._at)
        if at is None:
            hidden = " (the filter hides some rows)" if self.model.filter else ""
            self.teller.remark(f"no row needs a look{hidden}", "ok")
        elif at == self._at:
            self.teller.remark("this is the only row that needs a look", "accent")
        else:
            if at < self._at:
                self.teller.remark("from the top again", "dim")
            self._move(at)
