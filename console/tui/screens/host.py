"""One host: overview, GPUs, processes, network, inventory, events; built when first seen."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from console.model.event import Event
from console.model.history import Series
from console.model.view import FleetSnapshot, HostView
from console.model.words import span
from console.tui import actions, facts
from console.tui.events import EventRows, event_line
from console.tui.look import Cell, Look
from console.tui.newcomers import Newcomers
from console.tui.screens.base import WatchScreen
from console.tui.screens.gpu_page import gpus
from console.tui.screens.host_pages import LABEL, inventory_facts, overview
from console.tui.screens.host_tables import Section, denials, nothing, row_text, sections
from console.tui.table_model import TableModel
from console.tui.widgets.line_table import LineTable
from console.tui.widgets.lines import Bar, Page
from console.tui.widgets.strips import fold

TABS = ("overview", "gpus", "processes", "network", "inventory", "events")
TABLES = ("processes", "network", "inventory")
SECTIONED = ("network", "inventory")
HEADS = tuple(f" {number} {tab} " for number, tab in enumerate(TABS, 1))
FACTS = "facts"
MAX_EVENTS = 500
HistoryOf = Callable[[str, str, float], Series]


def pressed(words: Sequence[str], x: int) -> int | None:
    """Which of ``words``, which stand one after the other, is at cell ``x``."""
    left = 0
    for index, text in enumerate(words):
        left += len(text)
        if x < left:
            return index if x >= 0 else None
    return None


class HostScreen(WatchScreen):
    """Everything about one host."""

    PLACES = ("host", "app")
    BINDINGS = actions.bindings("host")
    CSS = "#tabs { height: 1; } #section { height: auto; max-height: 4; }"

    def __init__(self, look: Look, host: str, history: HistoryOf, newcomers: Newcomers) -> None:
        super().__init__(look)
        self._newcomers = newcomers
        self.host = host
        self.tab = "overview"
        self.forgotten = 0  # events from before this screen that the engine no longer holds
        self._history = history
        self._section: dict[str, int] = {}
        self._view: HostView | None = None
        self._events = EventRows(MAX_EVENTS)
        self._made: dict[str, Widget] = {}
        self._tabs = Bar(look, id="tabs")
        self._about = Bar(look, id="section")
        self._content = Vertical(id="content")

    def body(self) -> ComposeResult:
        """Tabs, what the section is, and the page or table."""
        yield self._tabs
        yield self._about
        yield self._content

    def on_mount(self) -> None:
        """Begin with the overview."""
        super().on_mount()
        self._switch()

    # -- drawing

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw this host from the newest snapshot."""
        view = snapshot.host(self.host)
        if view is None:
            return
        self._view = view
        symbol, age = self.look.state(view.state)[0], view.age(time.time())
        old = "" if age is None else f"{span(age)} "
        top: Cell = [(f" {view.name} ", "bold"), (f"{symbol} {view.state.value} {old} ", "")]
        self.top.show([*top, (facts.why(view), "")], right=self.clock())
        self._draw(view)
        self.hint()

    def show_events(self, events: list[Event]) -> None:
        """Take new events of any host; those of this one are kept."""
        self._events.add(event for event in events if event.host == self.host)
        if self.tab == "events" and events and self._view is not None:
            self._draw(self._view)

    def _draw(self, view: HostView) -> None:
        widget = self._made.get(self._place())
        if isinstance(widget, LineTable):
            section = self._current(view)
            widget.empty = nothing(view, section)
            widget.show(section.rows(view))
            self._tell_section(view, section, len(widget.model.order))
        elif isinstance(widget, Page):
            width = self.size.width - 1  # the scroll bar's cell, whether it is there or not
            lines = self._page(view, width)
            widget.show([part for cells in lines for part in fold(cells, width, LABEL + 2)])
            self._about.show([])

    def _page(self, view: HostView, width: int) -> list[Cell]:
        if self.tab == "gpus":
            return gpus(view, self.look, width)
        if self.tab == "events":
            lines = [event_line(row, self.look, host=False) for row in self._events.rows()]
            if self.forgotten:
                few = "1 older event is" if self.forgotten == 1 else None
                words = few or f"{self.forgotten} older events are"
                return [*lines, [(f" {words} no longer held.", "dim")]]
            return lines or [[(" Nothing has happened since this console began to watch.", "dim")]]
        if self.tab == "inventory":
            return inventory_facts(view, self.look)

        def history(name: str, seconds: float) -> Series:
            return self._history(self.host, name, seconds)

        return overview(view, self.look, history, width, self._newcomers.of(view))

    def _tell_section(self, view: HostView, section: Section, shown: int) -> None:
        every = self._titles(view)
        here = self._section.get(self.tab, 0)
        pieces: list[tuple[str, str]] = [(" ", "")]
        if self._too_many(every):
            pieces += [(f" {every[here]} ", "bar"), (f" {here + 1} of {len(every)}, n next", "dim")]
        else:
            for index, words in enumerate(every):
                pieces.append((f" {words} ", "bar" if index == here else "dim"))
        pieces.append((f"  {shown} row{'' if shown == 1 else 's'}", "dim"))
        missing = denials(view, section)
        rest: list[Cell] = [
            [(f"  {self.look.mark('warn')} not visible: {words}", "warn")] for words in missing[:2]
        ]
        if len(missing) > 2:
            rest.append([(f"  and {len(missing) - 2} more, see the overview", "warn")])
        self._about.show(pieces, *rest)
        self._about.styles.height = 1 + len(rest)

    # -- tabs and sections

    def _too_many(self, titles: list[str]) -> bool:
        """Whether the titles of sections do not fit beside each other."""
        return sum(len(words) + 2 for words in titles) + 14 > self.size.width

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
            if self._too_many(titles):
                self.action_section()
            elif index is not None:
                self.action_section(index - self._section.get(self.tab, 0))

    def _titles(self, view: HostView) -> list[str]:
        names = [section.title for section in sections(self.tab, view)]
        return [*names, FACTS] if self.tab == "inventory" else names

    def _current(self, view: HostView) -> Section:
        every = sections(self.tab, view)
        return every[min(self._section.get(self.tab, 0), len(every) - 1)]

    def _place(self) -> str:
        return f"{self.tab}-{self._section.get(self.tab, 0)}"

    def _is_table(self) -> bool:
        if self.tab == "inventory" and self._view is not None:
            return self._section.get(self.tab, 0) < len(sections(self.tab, self._view))
        return self.tab in TABLES

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

    def offers(self, action: actions.Action) -> bool:
        """Rows are only in tables, sections only in some tabs."""
        if action.id in ("host.filter", "host.sort"):
            return self._is_table()
        return action.id != "host.section" or self.tab in SECTIONED

    def _make(self) -> Widget:
        if not self._is_table() or self._view is None:
            return Page(self.look)
        section = self._current(self._view)
        model = TableModel(
            section.columns, section.key, row_text, sort=section.sort, down=section.down
        )
        return LineTable(model, self.look, empty=section.empty)

    @property
    def table(self) -> "LineTable[Any] | None":
        """The table in view, if there is one."""
        widget = self._made.get(self._place())
        return widget if isinstance(widget, LineTable) else None

    def refocus(self) -> None:
        """Keys go to what is in view."""
        self._made[self._place()].focus()

    # -- actions

    def action_back(self) -> None:
        """End typing, else end the filter, else back to the fleet."""
        if self.end_typing(undo=True):
            return
        if self.table is not None and self.table.model.filter:
            self.table.filter("")
            self.hint()
            return
        self.app.pop_screen()

    def action_tab(self, tab: str) -> None:
        """Show a tab."""
        self.tab = tab
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
        number = len(self._titles(self._view))
        self._section[self.tab] = (self._section.get(self.tab, 0) + step) % number
        self._switch()

    def action_previous_section(self) -> None:
        """The table of this tab before."""
        self.action_section(-1)

    def action_filter(self) -> None:
        """Type a filter for the table in view."""
        table = self.table
        if table is None:
            self.remark("this page has no rows to filter")
            return
        self.ask("/" + table.model.filter, lambda typed: table.filter(typed[1:]))

    def action_sort(self) -> None:
        """Order by the next column."""
        if self.table is not None:
            self.table.next_sort()

    def action_reverse(self) -> None:
        """Turn the order round."""
        if self.table is not None:
            self.table.reverse()

    def action_retry(self) -> None:
        """Connect to this host now."""
        self.app.retry(self.host)  # type: ignore[attr-defined]  # ConsoleApp
