"""Layouts: which columns, order and panes a person wants, kept under names in one file."""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from console.text import clean
from console.tui.tables.table_model import TableModel
from console.tui.takeaway.files import replace

MOST_BYTES = 256 * 1024
MOST_LAYOUTS = 50
MOST_LINES = 20
OFF: Final = "off"
TAKEN = ("save", "list", "delete", "reset", "events")
"""Words of the command, which cannot be names."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class LayoutError(ValueError):
    """The message is for the person."""


class TableLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table, by ids of columns. ``columns`` None: all of them, as far as they fit."""

    columns: tuple[str, ...] | None = None
    pinned: tuple[str, ...] | None = None
    sort: str | None = None
    down: bool = False


Lines = Annotated[int, msgspec.Meta(ge=1, le=MOST_LINES)] | Literal["off"]


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One layout. ``panes`` are lines of what stands beside tables: ``events``."""

    tables: Mapping[str, TableLayout] = {}
    panes: Mapping[Literal["events"], Lines] = {}


class Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    last: str = ""
    layouts: Mapping[str, Layout] = {}


def taken(model: TableModel[Any]) -> TableLayout:
    """How a table stands now."""
    arrangement = model.arrangement
    chosen = arrangement.chosen
    return TableLayout(chosen, tuple(arrangement.pinned), model.sort, model.down)


def apply(model: TableModel[Any], layout: TableLayout, now: float) -> list[str]:
    """Arrange a table so; returns the columns that it does not have, which are left out."""
    arrangement = model.arrangement
    known = {column.id for column in arrangement.columns}
    asked = [*(layout.columns or ()), *(layout.pinned or ()), *filter(None, [layout.sort])]
    arrangement.reset()
    chosen = tuple(dict.fromkeys(id for id in layout.columns or () if id in known))
    if chosen:
        arrangement.chosen = chosen
    if layout.pinned is not None:
        arrangement.pinned = tuple(dict.fromkeys(id for id in layout.pinned if id in known))
    if layout.sort is not None and (layout.sort in known or not layout.sort):
        model.sort_by(layout.sort, down=layout.down, now=now)
    return list(dict.fromkeys(id for id in asked if id not in known))


def read(path: Path) -> Saved:
    """The file; an empty one where there is none. Raises LayoutError."""
    where = clean(str(path), 300)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise LayoutError(f"{where}: not a file")
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Saved()
    except OSError as error:
        raise LayoutError(f"{where}: {clean(error.strerror or 'cannot be read')}") from None
    if len(data) > MOST_BYTES:
        raise LayoutError(f"{where}: larger than {MOST_BYTES // 1024} KiB")
    try:
        saved = msgspec.convert(tomllib.loads(data.decode("utf-8")), Saved)
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{where}: {clean(str(error), 160)}") from None
    for name in saved.layouts:
        if not _NAME.fullmatch(name) or name in TAKEN:
            raise LayoutError(f"{where}: {clean(name, 40)!r} cannot be the name of a layout")
    return saved


class Layouts:
    """The layouts of a user, and the one in use."""

    def __init__(self, path: Path | None, wanted: str = "") -> None:
        """``path`` None: nothing is kept. ``wanted`` is the layout to begin with, else the last."""
        self.path = path
        self.name = ""
        self.current = Layout()
        self.problem = ""  # to tell at the start
        self._saved = Saved()
        self._broken = ""
        try:
            self._saved = read(path) if path is not None else Saved()
        except LayoutError as error:
            self._broken = str(error)
            self.problem = f"no layouts: {error}"
        name = wanted or self._saved.last
        if name in self._saved.layouts:
            self.name, self.current = name, self._saved.layouts[name]
        elif wanted and not self.problem:
            self.problem = f"no layout is called {clean(wanted, 40)!r}; there is: {self.listed}"

    @property
    def names(self) -> list[str]:
        """The names that are kept."""
        return sorted(self._saved.layouts)

    @property
    def listed(self) -> str:
        """The names as a person reads them."""
        return ", ".join(self.names) or "none yet, :layout save NAME keeps this one"

    def take(self, table: str, model: TableModel[Any]) -> None:
        """A person has arranged a table anew."""
        if table:
            tables = {**self.current.tables, table: taken(model)}
            self.current = msgspec.structs.replace(self.current, tables=tables)

    def pane(self, name: Literal["events"], lines: int | Literal["off"] | None) -> None:
        """A person wants a pane of so many lines, none, or (None) what there is room for."""
        panes = {key: value for key, value in self.current.panes.items() if key != name}
        if lines is not None:
            panes[name] = lines
        self.current = msgspec.structs.replace(self.current, panes=panes)

    def arrange(self, table: str, model: TableModel[Any], now: float) -> list[str]:
        """Arrange a table as the layout in use says; returns columns that it does not have."""
        wanted = self.current.tables.get(table)
        return [] if wanted is None else apply(model, wanted, now)

    def save(self, name: str) -> None:
        """Keep the layout in use under a name. Raises LayoutError."""
        if not _NAME.fullmatch(name) or name in TAKEN:
            raise LayoutError("a name has up to 40 letters, digits, dots, dashes and underscores")
        if name not in self._saved.layouts and len(self._saved.layouts) >= MOST_LAYOUTS:
            raise LayoutError(f"there are {MOST_LAYOUTS} layouts already; delete one first")
        self._store(Saved(name, {**self._saved.layouts, name: self.current}))
        self.name = name

    def use(self, name: str) -> None:
        """Take a kept layout, also for the next start. Raises LayoutError."""
        if name not in self._saved.layouts:
            raise LayoutError(f"no layout is called {clean(name, 40)!r}; there is: {self.listed}")
        self.name, self.current = name, self._saved.layouts[name]
        self._store(Saved(name, self._saved.layouts))

    def reset(self) -> None:
        """Everything as it was made, also for the next start. Raises LayoutError."""
        self.name, self.current = "", Layout()
        if self._saved.last:
            self._store(Saved("", self._saved.layouts))

    def delete(self, name: str) -> None:
        """Forget a kept layout; what is in view stays. Raises LayoutError."""
        if name not in self._saved.layouts:
            raise LayoutError(f"no layout is called {clean(name, 40)!r}; there is: {self.listed}")
        rest = {key: layout for key, layout in self._saved.layouts.items() if key != name}
        self._store(Saved("" if self._saved.last == name else self._saved.last, rest))
        self.name = "" if self.name == name else self.name

    def _store(self, saved: Saved) -> None:
        if self.path is None:
            raise LayoutError("this console keeps no layouts")
        if self._broken:
            raise LayoutError(f"{self._broken}; mend that file or move it away first")
        import tomlkit  # only who saves a layout pays for it

        try:  # another console of the same person may have saved one meanwhile
            theirs = read(self.path).layouts
        except LayoutError as error:
            raise LayoutError(f"{error}; mend that file or move it away first") from None
        gone = set(self._saved.layouts) - set(saved.layouts)
        merged = {**{k: v for k, v in theirs.items() if k not in gone}, **saved.layouts}
        whole = Saved(saved.last, merged)
        text = tomlkit.dumps(_without_none(msgspec.to_builtins(whole)))
        try:
            replace(self.path, text.encode())
        except OSError as error:
            where = clean(str(self.path), 300)
            raise LayoutError(f"{where}: {clean(error.strerror or 'not written')}") from None
        self._saved = whole


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return value
