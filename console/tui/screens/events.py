"""What happened on all hosts, as a table that can be filtered and sorted."""

from textual.app import ComposeResult

from console.model.event import Event
from console.model.view import FleetSnapshot
from console.tui.control.bindings import bindings
from console.tui.meaning.events import EventRows, Row
from console.tui.screens.base import WatchScreen
from console.tui.screens.event_table import NOTHING, event_table
from console.tui.style.look import Look
from console.tui.tables.table_model import TableModel
from console.tui.widgets.line_table import LineTable

KEPT = 500
"""Rows; what is frequent makes way first."""


class EventsScreen(WatchScreen):
    """The events of the fleet, newest first. Enter opens the host of one."""

    KIND = "events"
    BINDINGS = bindings("events")

    def __init__(self, look: Look, past: list[Event]) -> None:
        """``past`` is what happened before the screen was opened, oldest first."""
        super().__init__(look)
        self._events = EventRows(KEPT)
        self._events.add(past)
        section = event_table(self._events, hosts=True)
        model = TableModel[Row](
            section.columns, section.key, section.text or str, name=lambda row: row.last.host,
            needs=section.needs,
        )  # fmt: skip
        self._table = LineTable(model, look, empty=NOTHING, name="events", id="all-events")

    @property
    def table(self) -> LineTable[Row]:
        """The events."""
        return self._table

    def body(self) -> ComposeResult:
        """The table."""
        yield self._table

    def on_mount(self) -> None:
        """Keys go to the table."""
        super().on_mount()
        self._table.focus()
        self._draw()

    def refocus(self) -> None:
        """Keys go to the table."""
        self._table.focus()

    def show(self, snapshot: FleetSnapshot) -> None:
        """Events come by themselves; only the clock is new."""
        rows = len(self._table.model.order)
        words = f" {rows} row{'' if rows == 1 else 's'}, newest first, UTC "
        self.top.show([(" events of all hosts ", "bold"), (words, "")], right=self.clock())
        self.hint()

    def show_events(self, events: list[Event]) -> None:
        """Take new events."""
        self._events.add(events)
        if self.ready:
            self._draw()

    def forget_events(self) -> None:
        """No events yet, as before the first."""
        self._events.clear()
        if self.ready:
            self._draw()

    def _draw(self) -> None:
        self._table.show(self._events.rows())

    # -- actions

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open the host of the event that was chosen."""
        event.stop()
        if isinstance(event.key, Row) and event.key.last.host:
            self.console.open_host(event.key.last.host, "events")

    def action_open(self) -> None:
        """Open the host of the event under the cursor."""
        self._table.choose()

    def action_back(self) -> None:
        """End typing, else end the filter, else back."""
        if self.end_typing(undo=True):
            return
        if self._table.model.filter:
            self._table.filter("")
            self.hint()
            return
        self.app.pop_screen()
