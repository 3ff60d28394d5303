"""The fleet: one row a host, the newest events below."""

import time
from collections import Counter

from textual.app import ComposeResult

from console.model.event import Event
from console.model.host import HostState
from console.model.view import FleetSnapshot, HostView
from console.model.words import INFO, sentence, severity
from console.tui import actions
from console.tui.look import Cell, Look
from console.tui.screens.base import WatchScreen
from console.tui.screens.fleet_columns import COLUMNS, FIELDS, note, text
from console.tui.table_model import TableModel
from console.tui.widgets.line_table import LineTable
from console.tui.widgets.lines import Bar

EVENTS = 5
ROUTINE = frozenset({"process.new", "log.line", "auth.accepted", "auth.sudo"})
EMPTY = "no hosts are configured: run `watchfloor config init`, or look at `watchfloor demo`"


def event_line(event: Event, look: Look) -> Cell:
    """One event as a line: when, how bad, where, what."""
    level = severity(event)
    style = "" if level == INFO else level
    return [
        (time.strftime(" %H:%M:%S ", time.gmtime(event.at)), "dim"),
        (f"{look.mark(level)} ", style),
        (f"{event.host} ", "bold"),
        (sentence(event), style),
    ]


def totals(snapshot: FleetSnapshot, look: Look) -> Cell:
    """How the fleet stands, in words and numbers."""
    hosts = [view for view in snapshot.hosts if not view.workstation]
    states = Counter(view.state for view in hosts)
    pieces: list[tuple[str, str]] = [(f" {len(hosts)} hosts ", "")]
    for state in HostState:
        if states[state]:
            pieces.append((f" {look.state(state)[0]} {states[state]} {state.value} ", ""))
    if snapshot.connecting:
        pieces.append((f" {snapshot.connecting} connecting", ""))
    lost = snapshot.dropped_events + sum(view.counts.dropped_events for view in hosts)
    if lost:
        pieces.append((f"  {lost} events dropped", ""))
    return pieces


class FleetScreen(WatchScreen):
    """All hosts."""

    PLACES = ("fleet", "app")
    BINDINGS = actions.bindings("fleet")
    CSS = "#events { height: 6; border-top: solid ansi_bright_black; }"

    def __init__(self, look: Look, title: str) -> None:
        super().__init__(look)
        self._title = title
        self._events: list[Event] = []
        model = TableModel(COLUMNS, lambda view: view.name, text, fields=dict(FIELDS))
        self.table: LineTable[HostView] = LineTable(model, look, span=note, empty=EMPTY, id="hosts")

    def body(self) -> ComposeResult:
        """The table and the newest events."""
        yield self.table
        yield Bar(self.look, id="events")

    def on_mount(self) -> None:
        """Keys go to the table."""
        super().on_mount()
        if self.look.ascii_only:
            self.query_one("#events").styles.border_top = ("ascii", "ansi_bright_black")
        self.table.focus()

    def refocus(self) -> None:
        """Keys go to the table."""
        self.table.focus()

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw the newest snapshot."""
        self.table.show(snapshot.hosts)
        name = [(" watchfloor ", "bold"), (f"{self._title} " if self._title else "", "")]
        shown = len(self.table.model.order)
        hits: Cell = [(f" {shown} shown", "")] if self.table.model.filter else []
        top = [*name, *totals(snapshot, self.look), *hits]
        self.query_one("#top", Bar).show(top, right=self.clock())

    def show_events(self, events: list[Event]) -> None:
        """Take new events; the newest that matter stay in view, what is routine makes way."""
        self._events = [*self._events, *(e for e in events if e.kind not in ROUTINE)][-EVENTS:]
        lines = [event_line(event, self.look) for event in reversed(self._events)]
        self.query_one("#events", Bar).show(*lines)

    # -- actions

    def action_open(self) -> None:
        """Open the host under the cursor."""
        self.table.choose()

    def action_retry(self) -> None:
        """Connect to the host under the cursor now."""
        self.app.retry(str(self.table.cursor))  # type: ignore[attr-defined]  # ConsoleApp

    def action_filter(self) -> None:
        """Type a filter."""
        self.ask("/" + self.table.model.filter, lambda typed: self.table.filter(typed[1:]))

    def action_sort(self) -> None:
        """Order by the next column."""
        self.table.next_sort()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.table.reverse()

    def key_escape(self) -> None:
        """End typing, else end the filter."""
        if not self.end_typing(undo=True) and self.table.model.filter:
            self.table.filter("")
