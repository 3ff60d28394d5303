"""Small screens above the others: help, and the question for a passphrase."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from console.text import clean
from console.tui.actions import of
from console.tui.keys import Keys
from console.tui.look import Cell, Look
from console.tui.widgets.lines import Page

STATES = """\
 LIVE        frames arrive
 CONNECTING  the first attempt is under way
 STALE       connected, but no frame for three periods: what you see is old
 DOWN        no connection; tried again with growing pauses
 REFUSED     the host refused our key twice, or it cannot be used; r tries again
 NEW-KEY     the host showed another key than the pinned one: a person decides;
             r tries once another key is stored
"""
FILTER = """\
 vllm        rows with this word           !vllm    rows without it
 "two words" as they stand                 temp>80  a value; > < >= <= = !=
 ~gpu-[0-9]  a regular expression          name~^g  in one field
 state=down|stale  one of several          @fra     site, zone, group or tag; @gpu-*
 Fields are called as their column: GPU MEM is gpumem. Numbers are written as the
 screen prints them: egress>1.5M  mem>50%  power>300W  age>5m
 Terms are joined by and. A wrong field name shows the right ones.
 Enter keeps the filter, Esc ends it.
"""
COLUMNS = """\
 GPUS        one bar a GPU, how busy it is, and the mean; a cross: GPU lost
 WORST       worst of: GPU lost, Xid, memory errors (ECC), remapping, throttling;
             then a process that took a GPU since this console began, then
             listeners that are not declared
 ON GPU      processes that hold a GPU
 LISTEN      listening sockets; UNDECL: those the inventory does not declare
 EGRESS      bytes a second that leave the host, all interfaces
"""
WORDS = """\
 DECLARED    whether the inventory names this listener in `listeners`; a dash where
             it names none of the host
 THR         threads of the process           S    its state as ps shows it
 LABEL       its AppArmor profile or SELinux context; ? where it may not be read
 openers     processes that hold a declared weight file open or mapped;
             HOW: fd (open) or map (mapped), WRITES: opened for writing
 SM          share of a GPU's multiprocessors that the process used last
 ECC pending memory protection after the next reset; shown where it differs from now
 limited by  why a GPU does not run faster: power, heat, or nothing to do (idle)
"""
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


def help_lines(places: tuple[str, ...], keys: Keys) -> list[Cell]:
    """Help for a view, from the registry of actions."""
    lines: list[Cell] = []
    for place in places:
        lines.append([(f" {place}", "bold")])
        for action in of(place):
            verb = f"  :{' '.join(filter(None, (action.verb, action.takes)))}"
            how: Cell = [(f"   {keys.words(action):14} ", "accent"), (action.words, "")]
            lines.append([*how, (verb if action.verb else "", "dim")])
        lines.append([])
    pages = [("filter", FILTER), ("host states", STATES)]
    pages.insert(1, ("columns", COLUMNS) if "fleet" in places else ("words", WORDS))
    for head, text in pages:
        lines += [[(f" {head}", "bold")], *([(f"  {line}", "")] for line in text.splitlines()), []]
    return lines


class HelpScreen(ModalScreen[None]):
    """What can be done here, and what the words mean."""

    CSS = "HelpScreen { align: center middle; } #help { height: 44; max-height: 80vh; }" + BOX
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "close", "close", show=False)
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
