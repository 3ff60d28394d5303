"""The last look before a signature, and what a key asks for while it signs.

Nothing is signed by one key: a person types a word, or for high risk the host's name, after the end
of the page was on the screen. What was typed before the page was painted is thrown away.
"""

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from console.model.guard import Prompt
from console.text import clean
from console.tui.meaning import present
from console.tui.screens.modal import BOX, TYPED
from console.tui.style.look import Cell, Look
from console.tui.widgets.lines import Page
from console.tui.widgets.strips import fold

SIGN_BOX = """
#box { width: 110; max-width: 100%; height: auto; max-height: 100%; border: round $edge;
       background: $background; padding: 0 1; }
#box.plain { border: ascii $edge; }
#page { height: auto; }
#told { width: 100%; height: 2; }
#typed-word, #typed-word:focus { border: none; height: 1; padding: 0; background: $background;
                                 text-style: reverse; }
"""
NO_MATCH = "type it exactly; Esc leaves without signing"
WIDE = 110
FRAME = 5
"""Cells of the frame, its padding and the scroll bar."""
AROUND = 5
"""Lines of the frame, of what is told below the page, and of the line that is typed into."""
DWELL_S = 0.7
"""Keys count from then on after the first paint: what was typed before it comes in late."""
READ = "Read it first: keys count in a moment."
PAINTED_S = 0.3
"""When the page is taken to be painted at the latest, if this screen is in front."""


class Question(NamedTuple):
    """What somebody is asked to sign, and how they say yes."""

    title: str
    lines: Callable[[float], Sequence[Cell]]  # of that moment: countdowns go on
    word: str  # must be typed
    why: str  # what the word is: "the host's name", ...
    over: Callable[[float], str] = lambda now: ""  # why it cannot be signed any more


class SignScreen(ModalScreen[bool]):
    """Shows what will be signed; True where the person typed what was asked for."""

    CSS = "SignScreen { align: center middle; }" + SIGN_BOX
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "give up", show=False),
        Binding("down,pagedown", "scroll('page_down')", "down", show=False),
        Binding("up,pageup", "scroll('page_up')", "up", show=False),
        Binding("home", "scroll('home')", "to the begin", show=False, priority=True),
        Binding("end", "scroll('end')", "to the end", show=False, priority=True),
    ]

    def __init__(self, look: Look, question: Question) -> None:
        super().__init__()
        self._look = look
        self._question = question
        self._page = Page(look, id="page")
        self._page.can_focus = False
        self._typed = Input(id="typed-word", select_on_focus=False)
        self._typed.cursor_blink = not look.reduced_motion
        self._told = Label(Content(""), id="told")
        self._first_at: float | None = None
        self._painted = False  # and looked at: from then on keys count
        self._end_seen = False
        self._lines = 0
        self._mistake = ""

    def compose(self) -> ComposeResult:
        """The page, what to type, and the line for it."""
        with Vertical(id="box", classes="plain" if self._look.ascii_only else "") as box:
            box.border_title = Content(clean(self._question.title, 80))
            box.border_subtitle = Content("Up Down PgUp PgDn Home End scroll, Esc leaves unsigned")
            yield self._page
            yield self._told
            yield self._typed

    def on_mount(self) -> None:
        """Fill the page; only what is typed from the first paint on counts."""
        self._fill()
        self._typed.focus()
        self.watch(self._page, "scroll_y", self._scrolled, init=False)
        self.call_after_refresh(self._first_paint)
        # The call above never comes where another screen covers this one meanwhile.
        self.set_interval(PAINTED_S, self._first_paint)
        self.set_interval(1.0, self._tick)

    def _first_paint(self) -> None:
        if self._painted or not self.is_active or not self._page.size.height:
            return
        if self._first_at is None:
            self._first_at = time.monotonic()
            if DWELL_S:
                self.set_timer(DWELL_S, self._first_paint)
        if time.monotonic() - self._first_at < DWELL_S:
            return
        self._typed.value = ""
        self._painted = True
        self._look_at_end()

    def on_resize(self) -> None:
        """Another size shows other lines: the end must be seen at this one."""
        self._end_seen = False
        self._fill()
        self.call_after_refresh(self._look_at_end)

    def _tick(self) -> None:
        self._fill()
        self._look_at_end()

    def _fill(self) -> None:
        width = max(20, min(WIDE, self.size.width) - FRAME)
        lines = [
            piece
            for each in self._question.lines(present.now())
            for piece in (fold(each, width, 12) or [[]])
        ]
        if len(lines) != self._lines:  # other lines: what was the end is not any more
            self._lines, self._end_seen = len(lines), False
            self._page.styles.height = max(1, min(len(lines), self.size.height - AROUND))
        self._page.show(lines)

    def _look_at_end(self) -> None:
        page = self._page
        if self._painted and self.is_active and page.size.height > 0 and not self._end_seen:
            shown = page.scroll_offset.y + page.size.height
            self._end_seen = shown >= self._lines
            if self._end_seen:
                self._mistake = ""
        why, word = self._question.why, self._question.word
        if over := self._question.over(present.now()):
            words = f"It cannot be signed any more: {over}. Esc leaves."
        elif not self._painted:
            words = READ
        elif not self._end_seen:
            words = "Scroll down to the end; then it can be signed."
        else:
            words = f"Type {why} to sign: {word}"
        self._told.update(Content(clean(f"{self._mistake}{words}", 400)))

    def _scrolled(self) -> None:
        self.call_after_refresh(self._look_at_end)

    def action_scroll(self, way: str) -> None:
        """Scroll the page; the end counts once it was shown."""
        if self._painted:
            getattr(self._page, f"scroll_{way}")(animate=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """What was wrong before is not any more."""
        event.stop()
        if self._mistake and event.value:
            self._mistake = ""
            self._look_at_end()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Sign where what was asked for was typed; anything else signs nothing."""
        event.stop()
        if not self._painted:
            self._typed.value = ""
            return
        self._look_at_end()
        if self._question.over(present.now()):
            self._mistake = "Not signed. "
        elif not self._end_seen:
            self._typed.value = ""
            self._mistake = "Not signed: the end was not shown yet. "
        elif event.value.strip() == self._question.word:
            self.dismiss(True)
            return
        else:
            self._mistake = f"Not signed: that is not {self._question.why}; {NO_MATCH}. "
        self._look_at_end()

    def action_give_up(self) -> None:
        """Sign nothing."""
        self.dismiss(False)


class PromptScreen(ModalScreen[str | None]):
    """What a key asks for while it signs: its PIN, a passphrase, a touch."""

    CSS = "PromptScreen { align: center middle; }" + BOX + TYPED
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "give up", show=False)]
    HEADS: ClassVar[dict[str, str]] = {
        "pin": "PIN of the hardware key",
        "passphrase": "Passphrase of the key file",
        "touch": "Touch the key now",
        "confirm": "The key asks",
    }

    def __init__(self, look: Look, prompt: Prompt) -> None:
        super().__init__()
        self._look = look
        self._prompt = prompt
        self._done = False

    def compose(self) -> ComposeResult:
        """What ssh-keygen said, the key, and a line that shows nothing of what is typed."""
        with Vertical(id="box", classes="plain" if self._look.ascii_only else ""):
            yield Label(Content(self.HEADS.get(self._prompt.kind, "The key asks")))
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

    def over(self) -> None:
        """The key has had its answer: leave, now or once what lies above has left."""
        self._done = True
        if self.is_active:
            self.dismiss(None)

    def on_screen_resume(self) -> None:
        """Leave where that was asked for meanwhile."""
        if self._done:
            self.call_later(self.dismiss, None)

    def action_give_up(self) -> None:
        """No answer."""
        self.dismiss(None)
