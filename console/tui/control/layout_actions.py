"""The part of the application that keeps layouts: what ``:layout`` does."""

import time
from typing import TYPE_CHECKING, cast

from console.text import clean
from console.tui.tables.layout import MOST_LINES, OFF, TAKEN, LayoutError, Layouts
from console.tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from textual.app import App

HELP = ":layout NAME, :layout save NAME, delete NAME, list, reset, or events LINES|off|auto"


class LayoutActions:
    """Mixed into the application."""

    layouts: Layouts

    if TYPE_CHECKING:

        def say(self, words: str, style: str = "warn") -> None: ...

    def action_layout(self, rest: str = "") -> None:
        """Take, keep, list or forget a layout."""
        words = rest.split()
        try:
            match words:
                case [] | ["list"]:
                    here = f"; in use: {self.layouts.name}" if self.layouts.name else ""
                    self.say(f"layouts: {self.layouts.listed}{here}", "")
                case ["save", name]:
                    self.layouts.save(name)
                    self.say(f"layout {name} is kept, and the next start begins with it", "ok")
                case ["delete", name]:
                    self.layouts.delete(name)
                    self.say(f"layout {name} is forgotten", "ok")
                case ["events", lines]:
                    self._events(lines)
                case ["reset"]:
                    self.layouts.reset()
                    self._arrange("the layout is as it was made")
                case [name]:
                    self.layouts.use(name)
                    self._arrange(f"layout {name}")
                case _:
                    self.say(HELP)
        except LayoutError as error:
            self.say(str(error))

    def complete_layout(self, typed: str) -> list[str]:
        """Verbs and names."""
        head, space, last = typed.partition(" ")
        if not space:
            return [word for word in [*TAKEN, *self.layouts.names] if word.startswith(head)]
        offered = {"delete": self.layouts.names, "save": self.layouts.names}
        offered["events"] = [OFF, "auto"]
        return [f"{head} {word}" for word in offered.get(head, []) if word.startswith(last)]

    def _events(self, lines: str) -> None:
        if lines == OFF:
            self.layouts.pane("events", OFF)
        elif lines == "auto":
            self.layouts.pane("events", None)
        elif lines.isascii() and lines.isdigit() and 1 <= int(lines[:4]) <= MOST_LINES:
            self.layouts.pane("events", int(lines))
        else:
            raise LayoutError(f"say a number of lines from 1 to {MOST_LINES}, off or auto")
        self.paint_soon()

    def _arrange(self, words: str) -> None:
        """Every table that is there, as the layout in use says."""
        unknown: list[str] = []
        for screen in cast("App[None]", self).screen_stack:
            for table in screen.query(LineTable):
                unknown += table.arrange_by(self.layouts, time.monotonic())
        self.paint_soon()
        missing = f"; no such columns: {clean(' '.join(unknown), 120)}" if unknown else ""
        self.say(words + missing, "warn" if unknown else "ok")

    if TYPE_CHECKING:

        def paint_soon(self) -> None: ...
