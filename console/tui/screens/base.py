"""What all views share: the bar at the top, the bar of keys, and the line that is typed into."""

import time
from collections.abc import Callable
from typing import Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key, Paste
from textual.screen import Screen
from textual.widgets import Input
from textual.widgets.input import Selection

from console.model.event import Event
from console.model.view import FleetSnapshot
from console.model.words import utc
from console.tui.control.actions import Action, Mode, forbidden, of, offered_in, refusal
from console.tui.control.trail import Place
from console.tui.meaning import present
from console.tui.screens.console import Console
from console.tui.style.look import Cell, Look
from console.tui.tables.filter import LONGEST, FilterError
from console.tui.widgets.line_table import LineTable
from console.tui.widgets.lines import Bar
from console.tui.widgets.notices import Notices
from console.tui.widgets.replaybar import ReplayBar
from console.tui.widgets.strips import fold

DATED = 100
"""Cells of a screen from which on a replay shows the day too."""
TOLD_S = 4.0
"""So long a passing remark stays in the bottom line."""
Complete = Callable[[str], str]
"""What was typed, made longer where that is possible."""


class Typed(Input):
    """The one line that a person types into; hidden until it is wanted."""

    # The library's own rule for a focused input is as specific, and would draw a border over it.
    # It lies over the last line of what is looked at: taking a line of its own would move, and so
    # send, everything above it.
    DEFAULT_CSS = """
    Typed, Typed:focus {
        layer: over; dock: bottom; height: 1; border: none; padding: 0 1; display: none;
        background: $background;
    }
    Typed.shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "complete", show=False),
        Binding("up", "recall(-1)", "the command before", show=False),
        Binding("down", "recall(1)", "the next command", show=False),
    ]
    complete: Complete | None = None
    _back = 0  # how many commands back; 0: what is being typed

    def on_paste(self, event: Paste) -> None:
        """Refuse at once what no filter and no command can be."""
        if len(self.value) + len(event.text) > LONGEST:
            event.stop()
            event.prevent_default()
            words = f"{len(event.text):,} characters are too many here; nothing was pasted"
            cast("WatchScreen", self.screen).remark(words)

    def action_recall(self, by: int) -> None:
        """An earlier command, or a later one again."""
        earlier = cast("WatchScreen", self.screen).console.typed_before
        if not self.value.startswith(":") or not earlier:
            return
        self._back = min(max(self._back - by, 0), len(earlier))
        self.value = earlier[-self._back] if self._back else ":"
        self.cursor_position = len(self.value)

    def begin(self, text: str) -> None:
        """Show the line with ``text`` in it."""
        self._back = 0
        self.add_class("shown")
        self.value = text
        self.cursor_position = len(text)

    def action_complete(self) -> None:
        """Make what was typed longer; the keys stay here in any case."""
        if self.complete is not None:
            self.value = self.complete(self.value)
            self.cursor_position = len(self.value)


class WatchScreen(Screen[None]):
    """A view of the newest snapshot. Subclasses say what to draw; nothing is pushed into them."""

    CSS = "WatchScreen { layers: base over; } #keys { dock: bottom; }"
    KIND: ClassVar[str]
    """What its place is called, which says whose actions are offered."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look
        self._typed_for: Callable[[str], None] | None = None
        self._typed_from = ""
        self._typed_last = ""
        self._mistake = False
        self._told = ""
        self.ready = False  # its widgets are there
        self.top = Bar(look, style="bar", id="top")
        self.notices = Notices(look, id="notices")
        self.hints = Bar(look, id="keys")
        self.typed = Typed(id="typed", select_on_focus=False)
        self.typed.cursor_blink = not look.reduced_motion

    def body(self) -> ComposeResult:
        """The widgets between the two bars."""
        raise NotImplementedError

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw the newest snapshot."""
        raise NotImplementedError

    def show_events(self, events: list[Event]) -> None:
        """Take new events; most views show none."""

    def forget_events(self) -> None:
        """Events are told anew from the beginning: a replay went back."""

    @property
    def console(self) -> Console:
        """The application, as screens know it."""
        return cast(Console, self.app)

    @property
    def places(self) -> tuple[str, ...]:
        """Whose actions are offered here, nearest first."""
        replaying = self.console.settings.mode is Mode.REPLAY
        return tuple(p for p in offered_in(self.place.kind) if replaying or p != "replay")

    @property
    def place(self) -> Place:
        """What opens this view again."""
        return Place(self.KIND)

    def compose(self) -> ComposeResult:
        """Bar, body, typed line, keys."""
        yield self.top
        yield self.notices
        with Vertical(id="body"):
            yield from self.body()
        playback = self.console.playback
        if playback is not None:
            yield ReplayBar(self.look, playback, self.console.keys)
        yield self.typed
        yield self.hints

    def on_mount(self) -> None:
        """Keys of this view, and the newest picture at once."""
        self.ready = True
        self.notices.show(self.console.told)
        self.tell("")

    @property
    def table(self) -> "LineTable[Any] | None":
        """The table in view, if there is one."""
        return None

    def offers(self, action: Action) -> bool:
        """Whether an action does something in what is in view; the footer shows no other."""
        return True

    def _offered(self, action: Action) -> bool:
        if action.risk == "act" and not self.console.acts:
            return False
        return self.offers(action) and not refusal(action, self.console.settings.mode)

    def on_key(self, event: Key) -> None:
        """Say why a key does nothing, where the mode forbids what it would ask of a host."""
        mode = self.console.settings.mode
        if self.typing or mode is Mode.WALL:
            return
        for place in self.places:
            for action in of(place):
                if event.key in self.console.keys.of(action).split(","):
                    if action.risk == "act" and (why := refusal(action, mode)):
                        self.remark(why)
                    return

    def tell(self, words: str, style: str = "warn") -> None:
        """Say something in the bottom line; "" shows the keys again."""
        self._told = words
        lines: list[Cell]
        if words:
            lines = fold([(f" {words}", style)], max(20, self.size.width), 1)
        else:
            keys = self.console.keys.footer(*self.places, offered=self._offered)
            lines = [[*self._filtered(), (keys, "dim")]]
        self.hints.styles.height = len(lines)
        self.typed.styles.offset = (0, -len(lines))
        self.hints.show(*lines)

    def remark(self, words: str, style: str = "warn") -> None:
        """Say something that leaves by itself after ``TOLD_S`` seconds."""
        self.tell(words, style)
        self.set_timer(TOLD_S, lambda: self.tell("") if self._told == words else None)

    def hint(self) -> None:
        """Keys, and what is filtered, where nothing else is being said."""
        if not self._told:
            self.tell("")

    def _filtered(self) -> Cell:
        table = self.table
        if table is None:
            return []
        model = table.model
        if model.ended:
            return [(f" {model.ended}; the filter was ended ", "warn")]
        if not model.filter:
            return []
        return [
            (f" /{model.filter}: {len(model.order)} of {model.total} rows, Esc ends it ", "accent")
        ]

    # -- typing

    def ask(
        self, start: str, done: Callable[[str], None], *, complete: Complete | None = None
    ) -> None:
        """Let the person type after the sign that ``start`` begins with.

        ``done`` gets the text: of a filter and a jump with each change, of a command at its end.
        ``complete`` is what Tab does.
        """
        self._typed_for, self._typed_from, self._typed_last = done, start, start
        self._mistake = False
        self.typed.complete = complete
        self.typed.begin(start)
        self.set_focus(self.typed)  # now, not after the next key
        if start.startswith("/"):  # an old filter: letters replace it, arrows edit it
            self.typed.selection = Selection(1, len(start))

    @property
    def typing(self) -> bool:
        """True while the typed line is shown."""
        return self.typed.has_class("shown")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No action that the mode forbids; while a person types, keys that would type are text."""
        if self.console.leaving or forbidden(self.places, action, self.console.settings.mode):
            return False
        if action == "filter" and self.typing:
            return False
        return super().check_action(action, parameters)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing; a mistake is told and changes nothing."""
        event.stop()
        text, before = self.typed.value, self._typed_last
        if self._typed_for is None or text == before:
            return
        sign = self._typed_from[:1]
        if not text.startswith(sign):
            if before == sign:  # nothing was left but the sign, and that is gone now
                self.end_typing()
                return
            text = self.typed.value = sign + text
            self.typed.cursor_position = max(1, self.typed.cursor_position)
        self._typed_last = text
        if sign == "/":
            self._filter(text)
        elif sign == "'":
            self._typed_for(text)

    def _filter(self, text: str) -> None:
        if self._typed_for is None:
            return
        try:
            self._typed_for(text)
            self._mistake = False
            self.tell("")
        except FilterError as error:
            self._mistake = True
            self.tell(str(error))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: keep the filter, or carry out the command; a filter with a mistake stays open."""
        event.stop()
        done, text = self._typed_for, self.typed.value
        if text.startswith("/"):
            self._filter(text)
            if self._mistake:
                return
        self.end_typing()
        if done is not None and text.startswith(":"):
            done(text)

    def end_typing(self, *, undo: bool = False) -> bool:
        """Hide the typed line; False when it was not shown. ``undo``: as it was before."""
        if not self.typing:
            return False
        done, self._typed_for = self._typed_for, None
        if undo and done is not None and self._typed_from.startswith("/"):
            done(self._typed_from)
        self.typed.remove_class("shown")
        self.tell("")
        self.set_focus(None)
        self.refocus()
        return True

    def refocus(self) -> None:
        """Give the keys back to what was looked at."""

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

    def clock(self) -> Cell:
        """UTC, and local time where it is another."""
        now = present.now()
        if self.console.playback is not None:
            # On a narrow screen the head needs the room for how the fleet stands.
            then = utc(now, "%Y-%m-%d %H:%M:%S" if self.size.width >= DATED else "%H:%M:%S")
            return [(" REPLAY ", "warn"), (f" {then} UTC ", "")]
        local = time.localtime(now)
        words = f"{utc(now)} UTC "
        if local.tm_gmtoff:
            words += f" {time.strftime('%H:%M %Z', local)} "
        return [(words, "")]
