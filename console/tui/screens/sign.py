"""The last look before a signature, and what a key asks for while it signs.

Nothing is signed by one key: a person types a word, or for high risk the host's name, after the end
of the page was on the screen. What was typed before the page was painted is thrown away.
"""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from console.model.guard import Prompt
from console.text import clean
from console.tui.screens.modal import BOX, TYPED
from console.tui.style.look import Cell, Look
from console.tui.widgets.lines import Page
from console.tui.widgets.strips import fold

SIGN_BOX = """
#box { width: 110; max-width: 100%; height: auto; max-height: 96%; border: round $edge;
       background: $background; padding: 0 1; }
#box.plain { border: ascii $edge; }
#page { height: auto; max-height: 70vh; }
#typed-word, #typed-word:focus { border: none; height: 1; padding: 0; background: $background;
                                 text-style: reverse; }
"""
NO_MATCH = "type it exactly; Esc leaves without signing"


class SignScreen(ModalScreen[bool]):
    """Shows what will be signed; True where the person typed what was asked for."""

    CSS = "SignScreen { align: center middle; }" + SIGN_BOX
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "give up", show=False),
        Binding("down,pagedown", "scroll('page_down')", "down", show=False, priority=True),
        Binding("up,pageup", "scroll('page_up')", "up", show=False, priority=True),
    ]

    def __init__(self, look: Look, title: str, lines: Sequence[Cell], word: str, why: str) -> None:
        """``word`` must be typed; ``why`` says what it is: the host's name, an action."""
        super().__init__()
        self._look = look
        self._title = title
        self._lines = lines
        self._word = word
        self._why = why
        self._page = Page(look, id="page")
        self._typed = Input(id="typed-word", select_on_focus=False)
        self._typed.cursor_blink = not look.reduced_motion
        self._told = Label(Content(""), id="told")
        self._painted = False
        self._end_seen = False

    def compose(self) -> ComposeResult:
        """The page, what to type, and the line for it."""
        with Vertical(id="box", classes="plain" if self._look.ascii_only else "") as box:
            box.border_title = Content(clean(self._title, 80))
            box.border_subtitle = Content("Up Down scroll, Esc leaves without signing")
            yield self._page
            yield self._told
            yield self._typed

    def on_mount(self) -> None:
        """Fill the page; only what is typed from the first paint on counts."""
        self._fill()
        self._typed.focus()
        self.call_after_refresh(self._first_paint)

    def _first_paint(self) -> None:
        self._typed.value = ""
        self._painted = True
        self._look_at_end()

    def on_resize(self) -> None:
        """Another size shows other lines: the end must be seen at this one."""
        self._end_seen = False
        self._fill()
        self.call_after_refresh(self._look_at_end)

    def _fill(self) -> None:
        width = max(20, min(110, self.size.width) - 5)
        lines = [piece for each in self._lines for piece in (fold(each, width, 12) or [[]])]
        self._page.show(lines)
        self._page.styles.height = max(1, min(len(lines), int(self.size.height * 0.7)))

    def _look_at_end(self) -> None:
        page = self._page
        self._end_seen |= page.scroll_offset.y >= page.max_scroll_y and page.size.height > 0
        if self._end_seen:
            self._told.update(Content(f"Type {self._why} to sign: {self._word}"))
        else:
            self._told.update(Content("Scroll to the end; then it can be signed."))

    def action_scroll(self, way: str) -> None:
        """Scroll the page; the end counts once it was shown."""
        getattr(self._page, f"scroll_{way}")(animate=False)
        self.call_after_refresh(self._look_at_end)

    def on_mouse_scroll_down(self) -> None:
        """The wheel scrolls too."""
        self.action_scroll("down")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Sign where what was asked for was typed; anything else signs nothing."""
        event.stop()
        if not self._painted:
            return
        if not self._end_seen:
            self._typed.value = ""
            self._told.update(Content("Not signed: scroll to the end first."))
        elif event.value.strip() == self._word:
            self.dismiss(True)
        else:
            self._told.update(
                Content(f"Not signed: that is not {self._why} ({self._word}); {NO_MATCH}.")
            )

    def action_give_up(self) -> None:
        """Sign nothing."""
        self.dismiss(False)


class PromptScreen(ModalScreen[str | None]):
    """What a key asks for while it signs: its PIN, a passphrase, a touch."""

    CSS = "PromptScreen { align: center middle; }" + BOX + TYPED
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "give up", show=False)]

    def __init__(self, look: Look, prompt: Prompt) -> None:
        super().__init__()
        self._look = look
        self._prompt = prompt

    def compose(self) -> ComposeResult:
        """What ssh-keygen said, the key, and a line that shows nothing of what is typed."""
        heads = {"pin": "PIN of the hardware key", "passphrase": "Passphrase of the key file",
                 "touch": "Touch the key now", "confirm": "The key asks"}  # fmt: skip
        with Vertical(id="box", classes="plain" if self._look.ascii_only else ""):
            yield Label(Content(heads.get(self._prompt.kind, "The key asks")))
            yield Label(Content(clean(self._prompt.text, 200)))
            if self._prompt.key:
                yield Label(Content(f"key {clean(self._prompt.key, 200)}"))
            if self._prompt.kind != "touch":
                line = Input(password=True, id="secret")
                line.cursor_blink = not self._look.reduced_motion
                yield line
            yield Label(Content("Esc gives up; nothing is signed then."))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand it on; it is kept nowhere."""
        event.stop()
        self.dismiss(event.value)

    def action_give_up(self) -> None:
        """No answer."""
        self.dismiss(None)
