"""The part of the application that carries something out of it: clipboard, files, pictures."""

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from console.text import clean
from console.tui.screens.base import WatchScreen
from console.tui.takeaway.clipboard import copy
from console.tui.takeaway.export import ExportError, as_csv, as_json, as_line, store, target
from console.tui.takeaway.picture import picture
from console.tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from textual.app import App

    from console.tui.settings import Settings

ROW, TABLE = "row", "table"
EXPORTS = "exports"
"""Folder of the user's state that files without a name of their own go to."""


class Takeout:
    """Mixed into the application. Nothing here reaches further than this workstation."""

    settings: "Settings"

    if TYPE_CHECKING:

        def say(self, words: str, style: str = "warn") -> None: ...

    @property
    def _front(self) -> WatchScreen | None:
        screen = cast("App[None]", self).screen
        return screen if isinstance(screen, WatchScreen) else None

    def _table(self) -> LineTable[Any] | None:
        return self._front.table if self._front is not None else None

    # -- clipboard

    async def action_copy(self, rest: str = "") -> None:
        """Copy the name of the row under the cursor, all of it, or the table."""
        what, table, screen = rest.strip().lower(), self._table(), self._front
        if screen is None or what not in ("", ROW, TABLE):
            self.say(":copy, :copy row or :copy table")
            return
        if table is None:
            text, named = (":".join(screen.place.args[:1]), "") if not what else ("", "")
        elif what == TABLE:
            text, named = as_csv(table.model), f"{len(table.model.order)} rows"
        elif what == ROW:
            text, named = as_line(table.model, table.aimed), "the row"
        else:
            text, named = clean(table.model.copied(table.aimed), 65_536), ""
        if not text:
            self.say("there is nothing to copy here")
            return
        done = await copy(text, os.environ)
        if done.terminal:
            cast("App[None]", self).copy_to_clipboard(text)
        self.say(f"{named or clean(text, 60)}: {done.words}", done.style)

    def complete_copy(self, typed: str) -> list[str]:
        """How much."""
        return [word for word in (ROW, TABLE) if word.startswith(typed)]

    # -- files

    async def action_export(self, rest: str = "") -> None:
        """Write the table in view into a file; a page without rows as a picture."""
        table = self._table()
        stem = (table.name or "rows") if table is not None else "screen"
        at = time.time()
        try:
            path = target(rest, self._folder, f"watchfloor-{stem}", self._kind(table), at)
            if path.suffix.lower() == ".svg":
                text = picture(cast("App[Any]", self), "watchfloor")
            elif table is None:
                raise ExportError("this page has no rows; a name that ends in .svg is its picture")
            elif path.suffix.lower() == ".csv":
                text = as_csv(table.model)
            else:
                place = self._front.place if self._front is not None else None
                words = ":".join((place.kind, *place.args)) if place is not None else ""
                text = as_json(table.model, table.name or "", words, at)
            await asyncio.to_thread(store, path, text)
        except ExportError as error:
            self.say(str(error))
            return
        self.say(f"written: {clean(str(path), 300)}", "ok")

    async def action_picture(self, rest: str = "") -> None:
        """Write the screen as a picture."""
        at = time.time()
        try:
            path = target(rest, self._folder, "watchfloor-screen", ".svg", at)
            if path.suffix.lower() != ".svg":
                raise ExportError("a picture is an SVG file: say a name that ends in .svg")
            text = picture(cast("App[Any]", self), "watchfloor")
            await asyncio.to_thread(store, path, text)
        except ExportError as error:
            self.say(str(error))
            return
        self.say(f"written: {clean(str(path), 300)}", "ok")

    @property
    def _folder(self) -> Path:
        state = self.settings.state
        return state / EXPORTS if state is not None else Path.cwd()

    def _kind(self, table: LineTable[Any] | None) -> str:
        return ".svg" if table is None else ".csv"
