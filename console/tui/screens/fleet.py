"""The fleet: one row a host, the newest events below."""

from collections import Counter
from collections.abc import Callable

from textual.app import ComposeResult
from textual.content import Content

from console.model.event import Event
from console.model.host import HostState
from console.model.view import FleetSnapshot, HostView
from console.tui.control.bindings import bindings
from console.tui.meaning.events import EventRows, event_line
from console.tui.meaning.newcomers import Newcomers
from console.tui.screens.base import WatchScreen
from console.tui.screens.fleet_columns import (
    FIELDS,
    STAMPS,
    columns,
    needs_look,
    note,
    text,
)
from console.tui.style.look import Cell, Look
from console.tui.tables.layout import OFF
from console.tui.tables.table_model import TableModel
from console.tui.widgets.line_table import LineTable
from console.tui.widgets.lines import Bar

PROGRESS = 10
"""Cells of the bar that shows how many hosts have been tried once."""
FEWEST, MOST = 2, 20
"""Lines of events below the hosts; between them, what the hosts leave free."""
ROUTINE = frozenset({"process.new", "log.line", "auth.accepted", "auth.sudo"})
"""Not shown, unless there is a reason to look twice at one of them."""
EMPTY = " no hosts: begin with `watchfloor config init`, or look at `watchfloor demo`"


def totals(snapshot: FleetSnapshot, look: Look) -> Cell:
    """How the fleet stands, in words and numbers."""
    hosts = [view for view in snapshot.hosts if not view.workstation]
    states = Counter(view.state for view in hosts)
    pieces: list[tuple[str, str]] = [(f" {len(hosts)} host{'' if len(hosts) == 1 else 's'} ", "")]
    for state in reversed(HostState):  # what needs a person first: a narrow screen cuts the end
        if states[state]:
            symbol, style = look.state(state)
            pieces.append((f" {symbol} {states[state]} {state.value} ", _STRESS.get(style, "")))
    first = states[HostState.CONNECTING]
    if first:
        tried = len(hosts) - first
        bar = look.bar(100 * tried / len(hosts), PROGRESS)
        pieces.append((f" connecting {bar} {tried}/{len(hosts)} ", ""))
    elif snapshot.connecting:
        pieces.append((f" {snapshot.connecting} tried again", ""))
    lost = snapshot.dropped_events + sum(view.counts.dropped_events for view in hosts)
    if lost:
        pieces.append((f"  {lost} events dropped", ""))
    return pieces


_STRESS = {"bad": "bold", "warn": "bold"}
"""The bar is reversed already; colours on it would be hard to read."""


class FleetScreen(WatchScreen):
    """All hosts."""

    KIND = "fleet"
    BINDINGS = bindings("fleet")
    CSS = """
    #events { height: 6; border-top: solid $edge; }
    #events.plain { border-top: ascii $edge; }
    """

    def __init__(self, look: Look, title: str, first: Callable[[], FleetSnapshot]) -> None:
        super().__init__(look)
        self._title = title
        self._first = first
        self.below = Bar(look, id="events")
        self._lines = -1  # not yet shared out
        self._events = EventRows(MOST, routine=ROUTINE)
        self.newcomers = Newcomers()
        model = TableModel(
            columns(self.newcomers),
            lambda view: view.name,
            lambda view: text(view, self.newcomers),
            fields=dict(FIELDS),
            needs=lambda view: needs_look(
                view, self.newcomers.of(view), self.newcomers.lately(view)
            ),
            stamps=STAMPS,
        )
        self._table = LineTable(model, look, span=note, empty=EMPTY, name="hosts", id="hosts")

    @property
    def table(self) -> LineTable[HostView]:
        """The hosts."""
        return self._table

    def body(self) -> ComposeResult:
        """The table and the newest events."""
        yield self.table
        yield self.below

    def on_mount(self) -> None:
        """Keys go to the table."""
        super().on_mount()
        self.below.border_title = Content("events, newest first, UTC")
        if self.look.ascii_only:
            self.below.add_class("plain")
        self.table.focus()
        self.show(self._first())

    def refocus(self) -> None:
        """Keys go to the table."""
        self.table.focus()

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw the newest snapshot."""
        self.table.show(snapshot.hosts)
        self._share(len(snapshot.hosts))
        titles = " ".join(filter(None, (self._title, self.console.sitting())))
        name = [(" watchfloor ", "bold"), (f"{titles} " if titles else "", "")]
        self.top.show([*name, *totals(snapshot, self.look)], right=self.clock())
        self.hint()

    def _share(self, hosts: int) -> None:
        """Give the events what all hosts together leave free; a filter does not move them."""
        # Bars, heads, the line that is typed into, and what every view says.
        spare = self.size.height - hosts - 5 - len(self.console.told)
        lines = max(FEWEST if self.size.height < 20 else 5, min(MOST, spare))
        wanted = self.console.layouts.current.panes.get("events", lines)
        lines = 0 if wanted == OFF else max(0, min(wanted, self.size.height - 8))
        if self._lines != lines:
            self._lines = lines
            self.below.display = lines > 0
            self.below.styles.height = lines + 1

    def on_bar_pressed(self, event: Bar.Pressed) -> None:
        """An event that was clicked: open its host."""
        event.stop()
        rows = self._events.rows()
        if event.bar is self.below and 0 <= event.y - 1 < len(rows):
            host = rows[event.y - 1].last.host
            if host:
                self.console.open_host(host, "events")

    def show_events(self, events: list[Event]) -> None:
        """Take new events; the newest that matter stay in view, what is routine makes way."""
        self.newcomers.see(events)
        self._events.add(events)
        lines = [event_line(row, self.look) for row in self._events.rows()]
        self.below.show(*lines)

    def forget_events(self) -> None:
        """No events yet, as before the first."""
        self.newcomers.clear()
        self._events.clear()
        self.below.show()

    # -- actions

    def action_open(self) -> None:
        """Open the host under the cursor."""
        self.table.choose()

    def action_retry(self) -> None:
        """Connect to the host under the cursor now."""
        if self.table.aimed is not None:
            self.console.retry(str(self.table.aimed))

    def key_escape(self) -> None:
        """End typing, else end the filter."""
        if not self.end_typing(undo=True) and self.table.model.filter:
            self.table.filter("")
            self.hint()
