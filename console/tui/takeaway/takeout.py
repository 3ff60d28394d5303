"""The part of the application that carries something out of it: clipboard, files, pictures."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from console.text import clean
from console.tui.control.actions import Mode
from console.tui.meaning import present
from console.tui.screens.base import WatchScreen
from console.tui.takeaway.clipboard import copy
from console.tui.takeaway.export import (
    ExportError,
    Taken,
    as_csv,
    as_json,
    as_line,
    paths,
    store,
    take,
    target,
)
from console.tui.takeaway.picture import picture
from console.tui.widgets.line_table import LineTable

if TYPE_CHECKING:
    from textual.app import App

    from console.tui.settings import Settings
    from console.tui.style.look import Look
    from console.tui.style.themed import ThemedApp

ROW, TABLE = "row", "table"
AT_ONCE = 2_000
"""Up to so many rows are written down at once; more in a thread, so that the screen goes on."""
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
            text, named = await self._csv(table), f"{len(table.model.order)} rows"
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
        at = present.now()
        try:
            path = target(rest, self._folder, self._stem(stem), self._kind(table), at)
            if path.suffix.lower() == ".svg":
                text = picture(cast("App[Any]", self), "watchfloor")
            elif table is None:
                raise ExportError("this page has no rows; a name that ends in .svg is its picture")
            elif path.suffix.lower() == ".csv":
                text = await self._csv(table)
            else:
                place = self._front.place if self._front is not None else None
                words = ":".join((place.kind, *place.args)) if place is not None else ""
                written = time.time() if self._replaying else None
                text = await _made(
                    take(table.model),
                    lambda taken: as_json(
                        taken, self._look, table.name or "", words, at, recording=written
                    ),
                )
            await asyncio.to_thread(store, path, text, make=not rest.strip())
        except ExportError as error:
            self.say(str(error))
            return
        self.say(f"written: {clean(str(path), 300)}", "ok")

    def complete_export(self, typed: str) -> list[str]:
        """Paths."""
        return paths(typed)

    def complete_picture(self, typed: str) -> list[str]:
        """Paths."""
        return paths(typed)

    async def action_picture(self, rest: str = "") -> None:
        """Write the screen as a picture."""
        try:
            path = target(rest, self._folder, self._stem("screen"), ".svg", present.now())
            if path.suffix.lower() != ".svg":
                raise ExportError("a picture is an SVG file: say a name that ends in .svg")
            text = picture(cast("App[Any]", self), "watchfloor")
            await asyncio.to_thread(store, path, text, make=not rest.strip())
        except ExportError as error:
            self.say(str(error))
            return
        self.say(f"written: {clean(str(path), 300)}", "ok")

    async def _csv(self, table: LineTable[Any]) -> str:
        recorded = present.now() if self._replaying else None
        return await _made(
            take(table.model), lambda taken: as_csv(taken, self._look, recorded=recorded)
        )

    @property
    def _look(self) -> "Look":
        return cast("ThemedApp", self).look

    @property
    def _replaying(self) -> bool:
        return self.settings.mode is Mode.REPLAY

    def _stem(self, what: str) -> str:
        return f"watchfloor-{'replay-' if self._replaying else ''}{what}"

    @property
    def _folder(self) -> Path:
        state = self.settings.state
        return state / EXPORTS if state is not None else Path.cwd()

    def _kind(self, table: LineTable[Any] | None) -> str:
        return ".svg" if table is None else ".csv"


async def _made(taken: Taken, make: Callable[[Taken], str]) -> str:
    if len(taken.rows) <= AT_ONCE:
        return make(taken)
    return await asyncio.to_thread(make, taken)
