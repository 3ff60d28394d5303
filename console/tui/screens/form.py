"""What is asked of one host or several: the action, its parameters, the reason."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from console.model.guard import ActionAbout
from console.text import clean
from console.tui.control.asking import EXPIRES, MODE, REASON, lacking, needed
from console.tui.style.look import Cell, Look
from console.tui.widgets.lines import Page

FORM_BOX = """
#box { width: 100; max-width: 100%; height: auto; max-height: 96%; border: round $edge;
       background: $background; padding: 0 1; }
#box.plain { border: ascii $edge; }
#fields { height: auto; max-height: 70vh; }
#fields Input, #fields Input:focus { border: none; height: 1; padding: 0; margin: 0 0 1 0;
                                     background: $background; text-style: underline; }
#fields Input:focus { text-style: reverse; }
#told { width: 100%; height: auto; max-height: 6; }
#choices { height: auto; }
#pick, #pick:focus { border: none; height: 1; padding: 0; background: $background;
                     text-style: reverse; }
"""
AROUND = 5
"""Lines of a frame, of what is told below the list, and of the line that is typed into."""


class ActionScreen(ModalScreen[str | None]):
    """Which action; the beginning of its name is enough, Tab completes it."""

    CSS = "ActionScreen { align: center middle; }" + FORM_BOX
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "give up", show=False),
        Binding("tab", "complete", "complete", show=False),
        Binding("down", "move(1)", "down", show=False),
        Binding("up", "move(-1)", "up", show=False),
        Binding("pagedown", "move(8)", "further down", show=False),
        Binding("pageup", "move(-8)", "further up", show=False),
    ]

    def __init__(self, look: Look, hosts: Sequence[str], every: Sequence[ActionAbout]) -> None:
        super().__init__()
        self._look = look
        self._hosts = hosts
        self._every = every
        self._page = Page(look, id="choices")
        self._pick = Input(id="pick")
        self._pick.cursor_blink = not look.reduced_motion
        self._told = Label(Content(""))
        self._at: int | None = None  # of those that fit; None: nothing was picked by a key
        self._typed = ""

    def compose(self) -> ComposeResult:
        """The actions, and the line for the name of one."""
        with Vertical(id="box", classes="plain" if self._look.ascii_only else "") as box:
            box.border_title = Content(clean(f"action on {', '.join(self._hosts)}", 90))
            box.border_subtitle = Content("Up Down pick, Tab completes, Enter opens, Esc leaves")
            yield self._page
            yield self._told
            yield self._pick

    def on_mount(self) -> None:
        """All actions."""
        self._show("")
        self._pick.focus()

    def _fitting(self, typed: str) -> list[ActionAbout]:
        begin = [each for each in self._every if each.name.startswith(typed)]
        return begin or [each for each in self._every if typed in each.name]

    def _show(self, typed: str) -> None:
        lines: list[Cell] = []
        self._typed = typed
        begin = 0
        for number, each in enumerate(self._fitting(typed)):
            here = number == self._at
            begin = len(lines) if here else begin
            style = "reverse" if here else "dim" if each.why_not else "bold"
            marks = {"destroy": "bad", "open": "warn"}.get(each.about.direction, "")
            lines.append([(f"{each.name:20} ", style), (each.about.words, marks or "")])
            if each.why_not:
                lines.append([(f"{'':20} not by you: {each.why_not}", "dim")])
        self._page.show(lines or [[("no action has that in its name", "warn")]])
        room = int(self.size.height * 0.9) - AROUND
        height = max(1, min(len(lines) or 1, room))
        self._page.styles.height = height
        top = int(self._page.scroll_offset.y) if self._at is not None else 0
        if self._at is not None:
            top = max(0, min(top, begin), begin + 2 - height)
            top = min(top, max(0, len(lines) - height))
        self._page.scroll_to(y=top, animate=False, immediate=True)
        below = len(lines) - height - top
        self._told.update(Content(f"{below} more lines below; Down goes on" if below > 0 else ""))

    def action_move(self, step: int) -> None:
        """Move the cursor; the line that is typed into stays as it is."""
        count = len(self._fitting(self._typed))
        if count:
            at = (0 if step > 0 else count - 1) if self._at is None else self._at + step
            self._at = max(0, min(at, count - 1))
            self._show(self._typed)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show those that fit."""
        event.stop()
        if event.value.strip() != self._typed:
            self._at = None
        self._show(event.value.strip())

    def action_complete(self) -> None:
        """The name of the first that fits."""
        fitting = self._fitting(self._pick.value.strip())
        if fitting:
            self._pick.value = fitting[0].name
            self._pick.cursor_position = len(fitting[0].name)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on with the one that is meant."""
        event.stop()
        typed = event.value.strip()
        fitting = [each for each in self._every if each.name == typed] or self._fitting(typed)
        if self._at is not None:
            fitting = self._fitting(self._typed)[self._at :][:1]
        if len(fitting) != 1 or not (typed or self._at is not None):
            self._told.update(Content("Up and Down pick one, or type its name; Tab completes."))
        elif fitting[0].why_not:
            self._told.update(Content(clean(f"not by you: {fitting[0].why_not}", 200)))
        else:
            self.dismiss(fitting[0].name)

    def action_give_up(self) -> None:
        """Ask for nothing."""
        self.dismiss(None)


class FormScreen(ModalScreen[dict[str, str] | None]):
    """Parameters, mode and reason of one action, as typed; nothing is asked of a host yet."""

    CSS = "FormScreen { align: center middle; }" + FORM_BOX
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "give up", show=False),
        Binding("tab,down", "app.focus_next", "next", show=False),
        Binding("shift+tab,up", "app.focus_previous", "before", show=False),
    ]

    def __init__(
        self,
        look: Look,
        hosts: Sequence[str],
        action: ActionAbout,
        known: dict[str, str],
        told: str = "",
    ) -> None:
        """``known`` are values that were given already, by name of the field; ``told`` is what was
        wrong with them."""
        super().__init__()
        self._look = look
        self._hosts = hosts
        self._action = action
        self._known = known
        self._told = Label(Content(clean(told, 500)), id="told")

    def compose(self) -> ComposeResult:
        """One line a field, the reason last."""
        with Vertical(id="box", classes="plain" if self._look.ascii_only else "") as box:
            box.border_title = Content(clean(f"{self._action.name} on {self._where()}", 90))
            box.border_subtitle = Content("Tab next field, Enter looks at the effect, Esc leaves")
            with VerticalScroll(id="fields", can_focus=False):
                yield Label(Content(clean(self._action.about.words, 200)))
                yield Label(Content(""))
                for field in self._action.fields:
                    choices = f" ({' | '.join(field.choices)})" if field.choices else ""
                    yield Label(Content(clean(f"{field.name}: {field.words}{choices}", 300)))
                    yield self._input(field.name, field.default)
                if len(self._action.modes) > 1:
                    words = f"mode: {' | '.join(self._action.modes)}"
                    yield Label(Content(clean(words, 200)))
                    yield self._input(MODE, self._action.modes[0])
                yield Label(Content("expires: minutes it waits, 5 to 60; empty: by the policy"))
                yield self._input(EXPIRES, "")
                yield Label(Content("reason: why, for whoever approves and for the audit"))
                yield self._input(REASON, "")
            yield self._told

    def _where(self) -> str:
        names = ", ".join(self._hosts[:6])
        return f"{names} and {len(self._hosts) - 6} more" if len(self._hosts) > 6 else names

    def _input(self, name: str, value: str) -> Input:
        line = Input(value=self._known.get(name, value), id=f"field-{name}", select_on_focus=False)
        line.cursor_blink = not self._look.reduced_motion
        return line

    def on_mount(self) -> None:
        """Keys go to the first field that is empty."""
        every = list(self.query(Input))
        empty = [line for line in every if not line.value and needed(self._action, _name(line))]
        next(iter(empty), every[0]).focus()

    def _values(self) -> dict[str, str]:
        return {_name(line): line.value.strip() for line in self.query(Input)}

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """On to the next empty field; with none left, hand everything on."""
        event.stop()
        values = self._values()
        empty = lacking(self._action, values)
        if not empty:
            self.dismiss(values)
            return
        every = list(self.query(Input))
        at = every.index(event.input)
        lines = [line for line in every if _name(line) in empty]
        after = [line for line in lines if every.index(line) > at] or lines
        after[0].focus()
        self._told.update(Content(f"{_name(after[0])} is still empty."))

    def action_give_up(self) -> None:
        """Ask for nothing."""
        self.dismiss(None)


def _name(line: Input) -> str:
    return (line.id or "")[len("field-") :]
