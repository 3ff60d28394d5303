"""What was asked of hosts: what waits for somebody, what is applied, what stands, what ended."""

import time
from collections.abc import Sequence

from textual.app import ComposeResult

from console.model.view import FleetSnapshot
from console.model.words import utc
from console.tui.control.bindings import bindings
from console.tui.control.trail import Place
from console.tui.meaning import present
from console.tui.meaning.guarded import GROUPS, Asked, hurry, rows
from console.tui.meaning.guards import left
from console.tui.screens.base import WatchScreen
from console.tui.style.look import Cell, Look
from console.tui.tables.table_model import Column, TableModel
from console.tui.widgets.line_table import LineTable

EMPTY = " nothing was asked of any host; ! on a host asks for an action"
SIX = 35
"""Cells of six words, none of which has more than five letters."""
AIM_S = 15.0
"""So long a request that was just signed may take to come back from its host."""
_STYLES = {"wants you": "accent", "applied": "warn", "closed": "dim"}


def columns() -> tuple[Column[Asked], ...]:
    """The columns, the most important first."""
    return (
        Column("group", "", 9, _group, lambda row: GROUPS.index(row.group)),
        Column("host", "HOST", 10, _host, lambda row: row.host, most=28),
        Column("action", "ACTION", 12, _action, lambda row: row.action, most=18),
        Column("state", "STATE", 10, _state, lambda row: row.state),
        Column("left", "LEFT", 6, _left, lambda row: row.until or None, right=True, unit=""),
        Column("what", "WHAT", 16, _what, lambda row: row.what, most=400),
        Column("by", "BY", 6, _by, lambda row: row.by, most=20),
        Column("when", "WHEN", 8, _when, lambda row: row.when or None, drop=3),
        Column("with", "APPROVED", 10, _with, lambda row: row.with_, most=30, drop=2),
        Column("words", "SIX WORDS", SIX, _words, lambda row: row.words, drop=1),
    )


def _group(row: Asked, look: Look) -> Cell:
    return [(row.group, _STYLES.get(row.group, ""))]


def _host(row: Asked, look: Look) -> Cell:
    return [(row.host, "bold")]


def _action(row: Asked, look: Look) -> Cell:
    return [(row.action, "")]


def _state(row: Asked, look: Look) -> Cell:
    if row.request is not None and not row.request.verified:
        return [(f"{look.mark('bad')} unproven", "bad")]
    if row.active is not None and not row.active.holds and row.group != "closed":
        return [(f"{look.mark('bad')} lost", "bad")]
    bad = row.state in ("FAILED", "REVERTED", "denied")
    return [(row.state, "warn" if bad else "")]


def _left(row: Asked, look: Look) -> Cell:
    now = present.now()
    return [(left(row.until, now), hurry(row.until, now))]


def _what(row: Asked, look: Look) -> Cell:
    return [(row.what, "")]


def _by(row: Asked, look: Look) -> Cell:
    return [(row.by, "")]


def _with(row: Asked, look: Look) -> Cell:
    return [(row.with_, "")]


def _when(row: Asked, look: Look) -> Cell:
    return [(utc(row.when) if row.when else "", "dim")]


def _words(row: Asked, look: Look) -> Cell:
    return [(row.words, "dim")]


class RequestsScreen(WatchScreen):
    """All requests, those that want this person first. Enter opens one."""

    KIND = "requests"
    BINDINGS = bindings("requests")

    def __init__(self, look: Look, first: FleetSnapshot, host: str = "") -> None:
        """``host`` limits the view to one."""
        super().__init__(look)
        self._first = first
        self._host = host
        self._aims: list[tuple[str, str]] = []
        self._aims_until = 0.0
        model = TableModel[Asked](
            columns(), lambda row: row.key,
            lambda row: f"{row.group} {row.host} {row.action} {row.state} {row.what} {row.by}",
            name=lambda row: row.id, needs=lambda row: row.group == GROUPS[0],
        )  # fmt: skip
        self._table = LineTable(model, look, empty=EMPTY, name="requests", id="requests")

    @property
    def place(self) -> Place:
        """The requests, of one host where it is named."""
        return Place(self.KIND, (self._host,) if self._host else ())

    @property
    def table(self) -> LineTable[Asked]:
        """The requests."""
        return self._table

    @property
    def aimed_host(self) -> str:
        """The host of the request under the cursor."""
        row = self._table.model.row(self._table.aimed)
        return row.host if row is not None else ""

    def aim(self, keys: Sequence[tuple[str, str]]) -> None:
        """Put the cursor on the first of these rows (host, id) that comes within ``AIM_S``."""
        self._aims, self._aims_until = list(keys), time.monotonic() + AIM_S
        self._take_aim()

    def _take_aim(self) -> None:
        order = self._table.model.order
        found = [key for key in self._aims if key in order]
        if found and time.monotonic() < self._aims_until:
            self._table.go_to(found[0])
        if found or time.monotonic() >= self._aims_until:
            self._aims = []

    def body(self) -> ComposeResult:
        """The table."""
        yield self._table

    def on_mount(self) -> None:
        """Keys go to the table."""
        super().on_mount()
        self._table.focus()
        self.show(self._first)

    def refocus(self) -> None:
        """Keys go to the table."""
        self._table.focus()

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw the newest snapshot."""
        every = rows(snapshot, self._host)
        self._table.show(every)
        if self._aims:
            self._take_aim()
        wants = sum(row.group == GROUPS[0] for row in every)
        waiting = sum(row.group == GROUPS[1] for row in every)
        standing = sum(row.group in ("applied", "standing") for row in every)
        words = f" {waiting + wants} waiting, {standing} applied or standing "
        head: Cell = [(f" actions {self._host} ".replace("  ", " of all hosts "), "bold")]
        if wants:
            head = [*head, (f" {wants} for you ", "bold")]
        self.top.show([*head, (words, "")], right=self.clock())
        self.hint()

    # -- actions

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open the request that was chosen."""
        event.stop()
        row = self._table.model.row(event.key)
        if row is not None:
            self.console.open_request(row.host, row.id)

    def action_open(self) -> None:
        """Open the request under the cursor."""
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
