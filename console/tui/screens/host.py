"""One host, in a tab for each kind of what is known of it; built when first seen."""

import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from console.model.event import Event
from console.model.history import Series
from console.model.view import FleetSnapshot, HostView
from console.model.words import span
from console.tui.control.actions import Action, named
from console.tui.control.bindings import bindings
from console.tui.control.trail import Place
from console.tui.meaning import facts, present
from console.tui.meaning.events import EventRows
from console.tui.meaning.newcomers import Newcomers
from console.tui.meaning.panels import panel_lines
from console.tui.plot.small import small_plots
from console.tui.screens.base import WatchScreen
from console.tui.screens.fleet_columns import STAMPS
from console.tui.screens.gpu_page import gpus
from console.tui.screens.host_pages import LABEL, inventory_facts, overview
from console.tui.screens.host_sections import HostSections, as_of, names, notes, pressed, too_many
from console.tui.screens.host_tables import Section, nothing, row_text
from console.tui.screens.network_tables import firewall, heard
from console.tui.screens.row_page import row_page
from console.tui.style.look import Cell, Look
from console.tui.tables.table_model import Column, TableModel
from console.tui.widgets.line_table import LineTable
from console.tui.widgets.lines import Bar, Page
from console.tui.widgets.strips import fold

TABS = ("overview", "gpus", "processes", "network", "inventory", "events", "panels")
TABLES = ("processes", "network", "inventory", "events")
SECTIONED = ("network", "inventory")
HEADS = tuple(f" {number} {tab} " for number, tab in enumerate(TABS, 1))
FACTS = "facts"
DETAILS = "details"
TALL = 20
"""Lines of a screen from which on the network tab has room for its plots."""
MAX_EVENTS = 500
HistoryOf = Callable[[str, str, float], Series]


class HostScreen(WatchScreen):
    """Everything about one host."""

    KIND = "host"
    BINDINGS = bindings("host")
    CSS = """
    #tabs { height: 1; } #section { height: auto; max-height: 5; }
    #ahead { height: auto; max-height: 6; }
    """

    def __init__(
        self,
        look: Look,
        host: str,
        history: HistoryOf,
        newcomers: Newcomers,
        *,
        tab: str = "overview",
        first: HostView | None = None,
    ) -> None:
        """``first`` is the host as it is known when the screen is made."""
        super().__init__(look)
        self._newcomers = newcomers
        self.host = host
        self.tab = tab
        self.forgotten = 0  # events from before this screen that the engine no longer holds
        self._history = history
        self._section: dict[str, int] = {}
        self._view = first
        self._events = EventRows(MAX_EVENTS)
        self._sections = HostSections(newcomers, self._events)
        self._opened: tuple[Section, Hashable, Any] | None = None  # the row whose details are shown
        self.gone = False  # the host is no longer among those that are watched
        self._made: dict[str, Widget] = {}
        self._tabs = Bar(look, id="tabs")
        self._about = Bar(look, id="section")
        self._ahead = Bar(look, id="ahead")
        self._content = Vertical(id="content")

    @property
    def place(self) -> Place:
        """This host, at the tab in view."""
        return Place(self.KIND, (self.host, self.tab))

    def body(self) -> ComposeResult:
        """Tabs, what the section is, and the page or table."""
        yield self._tabs
        yield self._about
        yield self._ahead
        yield self._content

    def on_mount(self) -> None:
        """Begin with the overview."""
        super().on_mount()
        self._switch()

    # -- drawing

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw this host from the newest snapshot."""
        view = snapshot.host(self.host)
        if (view is None) != self.gone:
            self._vanish(view is None)
        if view is None:
            return
        self._view = view
        symbol, age = self.look.state(view.state)[0], view.age(present.now())
        old = "" if age is None else f"{span(age)} "
        top: Cell = [(f" {view.name} ", "bold"), (f"{symbol} {view.state.value} {old} ", "")]
        self.top.show([*top, (facts.why(view), "")], right=self.clock())
        self._draw(view)
        self.hint()

    def _vanish(self, gone: bool) -> None:
        """Say that the host left the configuration (or the recording), or is there again."""
        self.gone = gone
        if not gone:
            self.tell("")
            return
        words = f" {self.host}  is no longer watched: what you see is how it was last seen "
        self.top.show([(words, "bold")], right=self.clock())
        self.tell(f"{self.host} left the list of hosts; Esc leads back to the fleet")

    def show_events(self, events: list[Event]) -> None:
        """Take new events of any host; those of this one are kept."""
        mine = [event for event in events if event.host == self.host]
        self._events.add(mine)
        if self.tab == "events" and mine and self._view is not None:
            self._draw(self._view)

    def forget_events(self) -> None:
        """No events yet, as before the first."""
        self._events.clear()
        self.forgotten = 0

    def _draw(self, view: HostView) -> None:
        widget = self._made.get(self._place())
        self._show_ahead(view)
        if isinstance(widget, LineTable):
            section = self._current(view)
            recorded = self.console.playback is not None
            widget.empty = nothing(view, section, forgotten=self.forgotten, recorded=recorded)
            widget.show(section.rows(view))
            self._tell_section(view, section, len(widget.model.order))
        elif isinstance(widget, Page):
            width = self.size.width - 1  # the scroll bar's cell, whether it is there or not
            lines = self._page(view, width)
            widget.show([part for cells in lines for part in fold(cells, width, LABEL + 2)])
            self._about.show(self._names(view) if self.tab == "inventory" else [])
            self._about.styles.height = 1

    def _show_ahead(self, view: HostView) -> None:
        """Above the tables of the network: how much goes in and out, and the firewall."""
        there = self.tab == "network" and self._opened is None and self.size.height >= TALL
        self._ahead.display = there
        if there:
            width = self.size.width - 1
            plots = small_plots(("tx_bps", "rx_bps"), self._past, self.look, width)
            lines = [*plots, firewall(view)]
            self._ahead.styles.height = len(lines)
            self._ahead.show(*lines)

    def _past(self, name: str, seconds: float) -> Series:
        return self._history(self.host, name, seconds)

    def _page(self, view: HostView, width: int) -> list[Cell]:
        if self._opened is not None:
            section, key, last = self._opened
            now = next((row for row in section.rows(view) if section.key(row) == key), None)
            if now is not None:
                self._opened = (section, key, now)
            return row_page(now or last, view, self.look, there=now is not None)
        old = as_of(view, present.now())
        lines: list[Cell] = [[(f" {self.look.mark('warn')} {old}", "warn")]] if old else []
        if self.tab == "gpus":
            return [*lines, *gpus(view, self.look, width, self._past)]
        if self.tab == "panels":
            if self.console.playback is not None:
                return [[(" Not recorded: what plugins show is not kept.", "dim")]]
            panels = self.console.panels(self.host)
            return panel_lines(panels, self.look, self._past, width, present.now())
        if self.tab == "inventory":
            return [*lines, *inventory_facts(view, self.look)]
        new, ears = self._newcomers.of(view), heard(view, self._newcomers)
        lately = self._newcomers.lately(view)
        return overview(view, self.look, self._past, width, new, ears, lately)

    def _names(self, view: HostView) -> list[tuple[str, str]]:
        key = self.console.keys.words(named("host.section"))
        return names(self._titles(view), self._section.get(self.tab, 0), self.size.width, key)

    def _tell_section(self, view: HostView, section: Section, shown: int) -> None:
        pieces = self._names(view)
        pieces.append((f"  {shown} row{'' if shown == 1 else 's'}", "dim"))
        if self.tab == "processes":
            pieces.append((f"  {'tree' if self._sections.processes.as_tree else 'flat'}", "dim"))
        forgotten = self.forgotten if self.tab == "events" else 0
        rest = notes(view, section, self.look, forgotten=forgotten)
        self._about.show(pieces, *rest)
        self._about.styles.height = 1 + len(rest)

    # -- tabs and sections

    def on_bar_pressed(self, event: Bar.Pressed) -> None:
        """A tab, or a section, that was clicked."""
        event.stop()
        if event.bar is self._tabs:
            index = pressed(HEADS, event.x)
            if index is not None:
                self.action_tab(TABS[index])
        elif event.bar is self._about and event.y == 0 and self._view and self.tab in TABLES:
            titles = self._titles(self._view)
            index = pressed([f" {words} " for words in titles], event.x - 1)
            if too_many(titles, self.size.width):
                self.action_section()
            elif index is not None:
                self.action_section(index - self._section.get(self.tab, 0))

    def _titles(self, view: HostView) -> list[str]:
        every = [section.title for section in self._sections.of(self.tab)]
        return [FACTS, *every] if self.tab == "inventory" else every

    def _table_at(self) -> int:
        """Which of the tab's tables is in view; -1 where it is the page of facts before them."""
        return self._section.get(self.tab, 0) - (self.tab == "inventory")

    def _current(self, view: HostView) -> Section:
        every = self._sections.of(self.tab)
        return every[min(self._table_at(), len(every) - 1)]

    def _place(self) -> str:
        if self._opened is not None:
            return DETAILS
        return f"{self.tab}-{self._section.get(self.tab, 0)}"

    def _is_table(self) -> bool:
        tables = len(self._sections.of(self.tab))
        return self._opened is None and 0 <= self._table_at() < tables

    def _switch(self) -> None:
        """Show the widget of this tab and section, and make it when it is new."""
        name = self._place()
        for widget in self._made.values():
            widget.display = False
        if name not in self._made:
            self._made[name] = self._make()
            self._content.mount(self._made[name])
        self._made[name].display = True
        self._tabs.show(
            [
                (words, "bar" if tab == self.tab else "")
                for tab, words in zip(TABS, HEADS, strict=True)
            ]
        )
        self._made[name].focus()
        if self._view is not None:
            self._draw(self._view)
        self.tell("")

    def offers(self, action: Action) -> bool:
        """Rows are only in tables, sections only in some tabs, a tree is only of processes."""
        if action.id in ("host.filter", "host.sort", "host.details"):
            return self._is_table()
        if action.where == "table":
            return self._is_table()
        if action.id == "host.tree":
            return self.tab == "processes" and self._is_table()
        return action.id != "host.section" or self.tab in SECTIONED

    def _make(self) -> Widget:
        if not self._is_table() or self._view is None:
            return Page(self.look)
        section = self._current(self._view)
        model = TableModel(
            section.columns,
            section.key,
            section.text or row_text,
            sort=section.sort,
            down=section.down,
            name=section.name,
            copied=section.copied,
            needs=section.needs,
            stamps=self._stamps(),
        )
        return LineTable(model, self.look, empty=section.empty, name=section.title)

    def _stamps(self) -> tuple[Column[Any], ...]:
        """What an export says in each row: whose it is, and how old."""
        return (
            Column("name", "OF HOST", 8, lambda row, look: [], lambda row: self.host),
            *(
                replace(stamp, value=partial(lambda read, row: read(self._view), stamp.value))
                for stamp in STAMPS
            ),
        )

    @property
    def table(self) -> "LineTable[Any] | None":
        """The table in view, if there is one."""
        widget = self._made.get(self._place())
        return widget if isinstance(widget, LineTable) else None

    @property
    def aimed_row(self) -> Any:
        """The row whose details are shown, else the one under the cursor."""
        if self._opened is not None:
            return self._opened[2]
        return None if self.table is None else self.table.model.row(self.table.aimed)

    def refocus(self) -> None:
        """Keys go to what is in view."""
        self._made[self._place()].focus()

    # -- actions

    def action_back(self) -> None:
        """End typing, else close the details, else end the filter, else back to the fleet."""
        if self.end_typing(undo=True):
            return
        if self._opened is not None:
            self._open(None)
            return
        if self.table is not None and self.table.model.filter:
            self.table.filter("")
            self.hint()
            return
        self.app.pop_screen()

    def action_tab(self, tab: str) -> None:
        """Show a tab."""
        self.tab = tab
        self._opened = None
        self._switch()

    def action_next_tab(self) -> None:
        """The next tab."""
        self.action_tab(TABS[(TABS.index(self.tab) + 1) % len(TABS)])

    def action_previous_tab(self) -> None:
        """The tab before."""
        self.action_tab(TABS[(TABS.index(self.tab) - 1) % len(TABS)])

    def action_section(self, step: int = 1) -> None:
        """The next table of this tab."""
        if self._view is None or self.tab not in TABLES:
            return
        self._opened = None
        number = len(self._titles(self._view))
        self._section[self.tab] = (self._section.get(self.tab, 0) + step) % number
        self._switch()

    def action_details(self) -> None:
        """Everything about the row under the cursor."""
        if self.table is not None:
            self.table.choose()

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Enter or a second click on a row."""
        event.stop()
        if event.table is not self.table or self._view is None:
            return
        row = event.table.model.row(event.key)
        if row is not None:
            self._open((self._current(self._view), event.key, row))

    def _open(self, opened: tuple[Section, Hashable, Any] | None) -> None:
        self._opened = opened
        page = self._made.get(DETAILS)
        if page is not None:
            page.scroll_to(y=0, animate=False, immediate=True)
        self._switch()

    def action_tree(self, rest: str = "") -> None:
        """Processes below their parents, or in one list."""
        if self.tab != "processes" or self.table is None:
            self.remark("only processes are a tree")
            return
        processes = self._sections.processes
        processes.as_tree = not processes.as_tree
        arrange = processes.tree.arrange if processes.as_tree else None
        self.table.model.rearrange(arrange, time.monotonic())
        if self._view is not None:
            self._draw(self._view)

    def action_retry(self) -> None:
        """Connect to this host now."""
        if self.gone:
            self.remark(f"{self.host} is no longer watched, so there is nothing to connect to")
            return
        self.console.retry(self.host)
