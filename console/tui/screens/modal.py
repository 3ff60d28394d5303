"""Small screens above the others: help, and the question for a passphrase."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from console.text import clean
from console.tui.control.help import help_lines
from console.tui.control.keys import Keys
from console.tui.style.look import Look
from console.tui.widgets.lines import Page

HOW = "Up Down PgUp PgDn scroll, Esc closes"
BOX = """
#box { width: 90; max-width: 100%; height: auto; max-height: 90%; border: round $edge;
       background: $background; padding: 0 1; }
#box.plain { border: ascii $edge; }
"""

TYPED = """
#secret, #secret:focus { border: none; height: 1; padding: 0; background: $background;
                         text-style: reverse; }
"""


class HelpScreen(ModalScreen[None]):
    """What can be done here, and what the words mean."""

    CSS = "HelpScreen { align: center middle; } #help { height: 44; max-height: 80vh; }" + BOX
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "close", "close", show=False),
        Binding("j", "scroll('down')", "down", show=False),
        Binding("k", "scroll('up')", "up", show=False),
        Binding("g", "scroll('home')", "begin", show=False),
        Binding("G", "scroll('end')", "end", show=False),
    ]

    def __init__(self, look: Look, places: tuple[str, ...], keys: Keys) -> None:
        super().__init__()
        self._look = look
        self._places = places
        self._keys = keys

    def compose(self) -> ComposeResult:
        """One page in a box."""
        with Vertical(id="box", classes="plain" if self._look.ascii_only else "") as box:
            box.border_title, box.border_subtitle = Content("help"), Content(HOW)
            yield Page(self._look, id="help")

    def on_mount(self) -> None:
        """Fill the page."""
        page = self.query_one(Page)
        page.show(help_lines(self._places, self._keys))
        page.focus()

    def action_scroll(self, way: str) -> None:
        """Scroll by the keys that also move in rows."""
        getattr(self.query_one(Page), f"scroll_{way}")(animate=False)

    def action_close(self) -> None:
        """Back to the view."""
        self.dismiss(None)


class PassphraseScreen(ModalScreen[str | None]):
    """Asks for the passphrase of one key. What is typed is handed on and kept nowhere."""

    CSS = "PassphraseScreen { align: center middle; }" + BOX + TYPED
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "give up", show=False)]

    def __init__(self, look: Look, path: str) -> None:
        super().__init__()
        self._look = look
        self._path = path

    def compose(self) -> ComposeResult:
        """The question, and a line that shows nothing of what is typed."""
        with Vertical(id="box", classes="plain" if self._look.ascii_only else ""):
            yield Label(Content(f"Passphrase of {clean(self._path)}"))
            line = Input(password=True, id="secret")
            line.cursor_blink = not self._look.reduced_motion
            yield line
            yield Label(Content("Enter uses it once; Esc leaves hosts that need it unconnected."))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand it on."""
        event.stop()
        self.dismiss(event.value)

    def action_give_up(self) -> None:
        """No passphrase."""
        self.dismiss(None)
