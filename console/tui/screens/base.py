"""What both screens share: the bar at the top, the bar of keys, and the line of the filter."""

import time
from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Input

from console.model.view import FleetSnapshot
from console.tui import actions
from console.tui.filter import FilterError
from console.tui.look import Cell, Look
from console.tui.widgets.lines import Bar


class Typed(Input):
    """The one line that a person types into; hidden until it is wanted."""

    # The library's own rule for a focused input is as specific, and would draw a border over it.
    DEFAULT_CSS = """
    Typed, Typed:focus {
        height: 1; border: none; padding: 0 1; display: none; background: ansi_default;
    }
    Typed.shown { display: block; }
    """


class WatchScreen(Screen[None]):
    """A view of the newest snapshot. Subclasses say what to draw; nothing is pushed into them."""

    CSS = "WatchScreen { background: ansi_default; } #keys { dock: bottom; }"
    PLACES: tuple[str, ...] = ()

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look
        self._typed_for: Callable[[str], None] | None = None
        self._typed_from = ""
        self.ready = False  # its widgets are there
        self.top = Bar(look, style="bar", id="top")
        self.hints = Bar(look, id="keys")
        self.typed = Typed(id="typed", select_on_focus=False)

    def body(self) -> ComposeResult:
        """The widgets between the two bars."""
        raise NotImplementedError

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw the newest snapshot."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Bar, body, typed line, keys."""
        yield self.top
        with Vertical(id="body"):
            yield from self.body()
        yield self.typed
        yield self.hints

    def on_mount(self) -> None:
        """Keys of this view, and the newest picture at once."""
        self.ready = True
        self.tell("")

    def tell(self, words: str, style: str = "warn") -> None:
        """Say something in the bottom line; "" shows the keys again."""
        if words:
            self.hints.show([(f" {words}", style)])
        else:
            self.hints.show([(actions.footer(*self.PLACES), "dim")])

    # -- typing

    def ask(self, start: str, done: Callable[[str], None]) -> None:
        """Let the person type; ``done`` gets the text with each change."""
        self._typed_for, self._typed_from = done, start
        self.typed.add_class("shown")
        self.typed.value = start
        self.typed.cursor_position = len(start)
        self.set_focus(self.typed)  # now, not after the next key

    @property
    def typing(self) -> bool:
        """True while the typed line is shown."""
        return self.typed.has_class("shown")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a person types, the keys that open the typed line are text."""
        if action == "filter" and self.typing:
            return False
        return super().check_action(action, parameters)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing; a mistake is told and changes nothing."""
        event.stop()
        if self._typed_for is None or not event.value.startswith("/"):
            return
        try:
            self._typed_for(event.value)
            self.tell("")
        except FilterError as error:
            self.tell(str(error))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: keep the filter, or carry out the command."""
        event.stop()
        done, text = self._typed_for, event.value
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

    def clock(self) -> Cell:
        """UTC, and local time where it is another."""
        now = time.time()
        local = time.localtime(now)
        words = f"{time.strftime('%H:%M:%S', time.gmtime(now))} UTC "
        if local.tm_gmtoff:
            words += f" {time.strftime('%H:%M %Z', local)} "
        return [(words, "")]
