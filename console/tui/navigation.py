"""The part of the application that opens views: the command line, the ways back and forward."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from console.engine.protocol import Engine
from console.model.event import Event
from console.text import clean
from console.tui.control.actions import Action, Mode, verbs
from console.tui.control.commands import (
    CommandError,
    complete,
    fitting,
    parse,
    pattern_and_filter,
    resolve,
)
from console.tui.control.trail import Place, Trail
from console.tui.screens.base import WatchScreen
from console.tui.screens.fleet import FleetScreen
from console.tui.screens.host import HostScreen
from console.tui.settings import Settings
from console.tui.style.look import Look
from console.tui.style.themed import ThemedApp
from console.tui.tables.filter import FilterError
from console.tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

Opener = Callable[["ConsoleApp", tuple[str, ...]], WatchScreen]
"""Makes the screen of a place from what the place was opened with."""

RECALLED = 100
"""Commands that the typed line can bring back."""
VIEWS: dict[str, Opener] = {}
"""Views besides the fleet and the host, by the kind of their place."""


class Navigation(ThemedApp):
    """The fleet lies at the bottom; above it at most one view of each kind, the newest in front."""

    settings: Settings
    engine: Engine

    def __init__(self, look: Look, *, theme: str, own_themes: Path | None) -> None:
        super().__init__(look, theme=theme, own_themes=own_themes)
        self._trail = Trail()
        self.leaving = False  # the end was asked for: no view opens any more
        self.typed_before: list[str] = []
        self._moving = False  # along the trail: no new visits
        self._fleet: FleetScreen

    def begin_views(self) -> None:
        """Show the first view."""
        self._fleet = FleetScreen(self.look, self.settings.title, self.engine.snapshot)
        self.push_screen(self._fleet)
        self._trail.visit(self._fleet.place)

    def exit(self, *args: Any, **more: Any) -> None:
        """End the application; nothing that was typed ahead is carried out."""
        self.leaving = True
        super().exit(*args, **more)

    # -- opening

    def host_names(self) -> list[str]:
        """Every host, in the order of the fleet."""
        return [view.name for view in self.engine.snapshot().hosts]

    def open_host(self, host: str, tab: str = "overview") -> None:
        """Show one host, with its full process table while its screen is open."""
        screen = HostScreen(
            self.look,
            host,
            self._console.history,
            self._fleet.newcomers,
            tab=tab,
            first=self.engine.snapshot().host(host),
        )
        self.open_view(screen)
        screen.call_after_refresh(self._fill, screen)

    def _fill(self, screen: HostScreen) -> None:
        screen.forgotten = self.engine.forgotten(screen.host)
        screen.show_events(self._console.past(screen.host))
        screen.show(self.engine.snapshot())

    def open_view(self, screen: WatchScreen) -> None:
        """Put a view in front; an open one of its kind, and what lies above that, is closed."""
        if self.leaving:  # keys that were typed ahead of the end
            return
        self._note_place()
        kinds = [type(open_one) for open_one in self.screen_stack]
        if type(screen) in kinds:
            for _ in range(len(kinds) - kinds.index(type(screen))):
                super().pop_screen()
        self.push_screen(screen)
        self._arrived()

    def go(self, place: Place) -> None:
        """Open the view of a place."""
        if place.kind == "host":
            self.open_host(*place.args)
        elif place.kind in VIEWS:
            self.open_view(VIEWS[place.kind](self._console, place.args))
        else:
            self.to_fleet()

    def to_fleet(self) -> None:
        """Close every view above the fleet."""
        self._note_place()
        while len(self.screen_stack) > 1 and self.screen is not self._fleet:
            super().pop_screen()
        self._arrived()

    def pop_screen(self):  # type: ignore[no-untyped-def]  # as the library declares it
        """Leave a view; the summaries are enough again when it was a host."""
        self._note_place()
        result = super().pop_screen()
        self._arrived()
        return result

    def _note_place(self) -> None:
        if isinstance(self.screen, WatchScreen):
            self._trail.now(self.screen.place)

    def _arrived(self) -> None:
        hosts = [s.host for s in self.screen_stack if isinstance(s, HostScreen)]
        self.engine.focus(*hosts)
        screen: Screen[Any] = self.screen
        if isinstance(screen, WatchScreen) and not self._moving:
            self._trail.visit(screen.place)
        self._console.paint_soon()

    @property
    def _console(self) -> "ConsoleApp":
        return self  # type: ignore[return-value]  # there is no other application

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        """Open the host whose row was chosen."""
        event.stop()
        if self.screen is self._fleet:
            self.open_host(str(event.key))

    # -- actions

    def action_view_back(self) -> None:
        """The view before this one."""
        self._walk(-1)

    def action_view_forward(self) -> None:
        """The view that was left by going back."""
        self._walk(1)

    def _walk(self, by: int) -> None:
        self._note_place()
        place = self._trail.step(by)
        if place is None:
            self.say("there is no view before this one" if by < 0 else "there is no view after it")
            return
        self._moving = True
        try:
            self.go(place)
        finally:
            self._moving = False

    def action_last(self) -> None:
        """The view that was in front before this one."""
        self._note_place()
        place = self._trail.last()
        if place is None:
            self.say("no other view has been open yet")
        else:
            self.go(place)

    def action_fleet(self, rest: str = "") -> None:
        """The fleet, filtered where a filter is given."""
        self.to_fleet()
        wanted = " ".join(filter(None, pattern_and_filter(rest)))
        if rest:
            self._filter_fleet(wanted)

    def action_host(self, rest: str = "") -> None:
        """Open the host of that name, or show those that a pattern and a filter fit."""
        pattern, wanted = pattern_and_filter(rest)
        names = self.host_names()
        found = fitting(pattern, names) if pattern else names
        if not pattern and not wanted:
            self.ask_command(":host ")
        elif not found:
            near = get_close_matches(pattern, names, 3, 0.5)
            words = f"nearest: {', '.join(near)}" if near else "Tab completes names"
            self.say(f"no host is called {clean(pattern, 60)}; {words}")
        elif len(found) == 1 and not wanted:
            self.open_host(found[0])
        else:
            self.to_fleet()
            term = f"host={pattern}" if any(sign in pattern for sign in "*?[") else pattern
            self._filter_fleet(" ".join(filter(None, (term, wanted))))

    def _filter_fleet(self, text: str) -> None:
        try:
            self._fleet.table.filter(text)
            self._fleet.hint()
        except FilterError as error:
            self.say(str(error))

    def complete_host(self, typed: str) -> list[str]:
        """Names of hosts that begin with what was typed."""
        return [name for name in self.host_names() if name.startswith(typed)]

    # -- the command line

    def action_command(self) -> None:
        """Type a command."""
        self.ask_command(":")

    def ask_command(self, start: str) -> None:
        """Let the person complete a command that begins with ``start``."""
        if isinstance(self.screen, WatchScreen):
            self.screen.ask(start, self.command, complete=self._complete)

    def offered(self) -> Mapping[str, Action]:
        """The verbs of the view in front."""
        if self.settings.mode is Mode.WALL or not isinstance(self.screen, WatchScreen):
            return {}
        return verbs(*self.screen.places)

    def command(self, typed: str) -> None:
        """Carry out a typed command."""
        command = parse(typed)
        if not command.verb:
            return
        line = f":{command.verb} {command.rest}".rstrip()
        others = [typed for typed in self.typed_before if typed != line]
        self.typed_before = [*others[-RECALLED + 1 :], line]
        try:
            action = resolve(command, self.offered())
        except CommandError as error:
            self.say(str(error))
            return
        self.call_later(self._console.carry_out, action, command.rest)

    def _complete(self, typed: str) -> str:
        longer, several = complete(typed, self.offered(), self._candidates)
        if several and isinstance(self.screen, WatchScreen):
            self.screen.remark("  ".join(several), "dim")
        return longer

    def _candidates(self, action: Action, typed: str) -> Iterable[str]:
        """What may stand after a verb, as whoever carries it out knows it."""
        screen = self.screen
        targets = (self, screen, screen.table if isinstance(screen, WatchScreen) else None)
        for target in targets:
            known = getattr(target, f"complete_{action.name}", None)
            if known is not None:
                return [clean(text, 200) for text in known(typed)]
        return []

    def forget_events(self) -> None:
        """Let every open view begin anew with events: a replay went back."""
        for screen in self.screen_stack:
            if isinstance(screen, WatchScreen):
                screen.forget_events()

    def show_events(self, events: list[Event]) -> None:
        """Hand new events to every open view."""
        for screen in self.screen_stack:
            if isinstance(screen, WatchScreen):
                screen.show_events(events)
