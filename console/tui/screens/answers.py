"""What each host answered to what was signed."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from console.model.guard import Outcome
from console.text import clean
from console.tui.meaning.preview import answers_page
from console.tui.screens.modal import BOX
from console.tui.style.look import Look
from console.tui.widgets.lines import Page
from console.tui.widgets.strips import fold


class AnswersScreen(ModalScreen[None]):
    """A page that a person closes; a passing remark would be too short for it."""

    CSS = "AnswersScreen { align: center middle; } #answers { height: auto; }" + BOX
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "close", "close", show=False),
    ]

    def __init__(self, look: Look, done: str, outcomes: Sequence[Outcome]) -> None:
        """``done`` says what was signed: requested, approved, ..."""
        super().__init__()
        self._look = look
        self._done = done
        self._outcomes = outcomes
        self._page = Page(look, id="answers")

    def compose(self) -> ComposeResult:
        """One page in a box."""
        with Vertical(id="box", classes="plain" if self._look.ascii_only else "") as box:
            box.border_title = Content(clean(f"{self._done}: what the hosts answered", 80))
            box.border_subtitle = Content("Up Down scroll, Esc closes")
            yield self._page

    def on_mount(self) -> None:
        """Fill the page."""
        self._fill()
        self._page.focus()

    def on_resize(self) -> None:
        """The same in another width."""
        self._fill()

    def _fill(self) -> None:
        width = max(20, min(90, self.size.width) - 5)
        page = answers_page(self._outcomes, self._look)
        lines = [piece for each in page for piece in fold(each, width, 4) or [[]]]
        self._page.styles.height = max(1, min(len(lines), int(self.size.height * 0.8)))
        self._page.show(lines)

    def action_close(self) -> None:
        """Back to the view."""
        self.dismiss(None)
