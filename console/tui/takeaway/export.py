"""The rows in view as CSV or JSON: filtered, ordered, and only the columns that are shown."""

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from console.model.words import utc
from console.text import clean
from console.tui.style.look import Look
from console.tui.tables.filter import Value
from console.tui.tables.spread import Column
from console.tui.tables.table_model import TableModel
from console.tui.tables.units import MOMENT, RATE, TEXT, YES_NO
from console.tui.takeaway.files import write_new

KINDS = (".csv", ".json", ".svg")
LONGEST_VALUE = 65_536
MOST_ENTRIES = 2_000
"""So many entries of a folder are looked at to complete a path."""

_UNITS = {"%": "%", "W": "W", "C": "C", "s": "s", "B": "B", "K": "KiB", "M": "MiB",
          RATE: "B/s", MOMENT: "UTC"}  # fmt: skip
_FORMULA = re.compile("(^|[;\t])(?=[\\s\ufffd]*[-=+@\uff1d\uff0b\uff0d\uff20])")
"""Where a spreadsheet begins to calculate: at a sign (or its wide form) that a cell begins with. In
many countries a cell ends at a semicolon, even within quotes that belong to a comma."""


class ExportError(ValueError):
    """Nothing was written; the message is for the person who asked."""


class Taken(NamedTuple):
    """A table as it was at one moment: nothing in it changes while it is written."""

    columns: tuple[Column[Any], ...]
    stamps: tuple[Column[Any], ...]
    rows: list[tuple[Any, Any]]  # key and row, in order
    filter: str
    sort: str
    down: bool


def take(model: TableModel[Any]) -> Taken:
    """What is in view of a table."""
    rows = [(key, row) for key in model.order if (row := model.row(key)) is not None]
    columns = model.arrangement.shown
    return Taken(columns, model.stamps, rows, model.filter, model.sort, model.down)


def as_csv(taken: Taken, look: Look, *, recorded: float | None = None) -> str:
    """A head of titles, then the rows; texts are no formulas to a spreadsheet.

    A column has the text as it is shown, and one of its own with the number where the text is not
    that number. ``recorded`` is the moment of a recording that is shown, in each row.
    """
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    head = [title for column in taken.columns for title in _heads(column)]
    head += [_raw_head(stamp) if stamp.unit != TEXT else stamp.title for stamp in taken.stamps]
    writer.writerow(head if recorded is None else [*head, "RECORDED AT UTC"])
    for _, row in taken.rows:
        values: list[Value | bool] = []
        for column in taken.columns:
            values += [_shown(column, row, look)] if _says_text(column) else []
            values += [_raw(column, row)] if column.unit != TEXT else []
        values += [_raw(stamp, row) for stamp in taken.stamps]
        values += [] if recorded is None else [_utc(recorded)]
        writer.writerow(
            [_defused(v) if isinstance(v, str) else "" if v is None else v for v in values]
        )
    return out.getvalue()


def as_json(
    taken: Taken, look: Look, table: str, place: str, at: float, *, recording: float | None = None
) -> str:
    """One object: what is shown, where and when (UTC), and each row by the ids of columns.

    ``at`` is the moment that is shown; of a ``recording``, that is when it is written, another one.
    """
    stamps = taken.stamps
    whole = {
        "table": table,
        "place": place,
        "at": _utc(at),
        "recording": recording is not None,
        "exported": _utc(at if recording is None else recording),
        "filter": taken.filter,
        "sort": taken.sort,
        "descending": taken.down,
        "columns": [
            {"id": c.id, "title": c.title, "unit": _UNITS.get(c.unit, "")} for c in taken.columns
        ],
        "rows": [
            {
                "id": _id(key, number),
                "values": {c.id: _value(c, row) for c in taken.columns},
                "shown": {c.id: _shown(c, row, look) for c in taken.columns},
                **({"host": {c.id: _raw(c, row) for c in stamps}} if stamps else {}),
            }
            for number, (key, row) in enumerate(taken.rows, 1)
        ],
    }
    return json.dumps(whole, ensure_ascii=True, indent=1, allow_nan=False) + "\n"


def as_line(model: TableModel[Any], key: Any) -> str:
    """One row as text, a tab between the columns; "" when it is not there."""
    row = model.row(key)
    if row is None:
        return ""
    values = [_value(column, row) for column in model.arrangement.shown]
    return "\t".join("" if value is None else str(value) for value in values)


def target(typed: str, folder: Path, stem: str, suffix: str, at: float) -> Path:
    """Where to write: what a person typed, or a new name with the time in ``folder``.

    Raises ExportError for a name without an ending that says what to write.
    """
    if not typed.strip():
        stamp = utc(at, "%Y%m%dT%H%M%SZ")
        name = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in stem)[:40]
        path, number = folder / f"{name}-{stamp}{suffix}", 2
        while path.exists():
            path, number = folder / f"{name}-{stamp}-{number}{suffix}", number + 1
        return path
    try:
        path = Path(typed.strip()).expanduser().absolute()
    except RuntimeError:
        raise ExportError(f"{clean(typed, 80)}: there is no such home directory") from None
    if path.suffix.lower() not in KINDS:
        raise ExportError(f"{clean(typed, 80)}: say a name that ends in {', '.join(KINDS)}")
    return path


def paths(typed: str) -> list[str]:
    """Folders, and files that an export could have written, whose path begins with ``typed``."""
    head, slash, name = typed.rpartition("/")
    try:
        folder = Path(head + slash or ".").expanduser()
        with os.scandir(folder) as entries:
            found = [
                f"{head}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
                for entry, _ in zip(entries, range(MOST_ENTRIES), strict=False)
                if entry.name.startswith(name) and (name or not entry.name.startswith("."))
                and (entry.is_dir() or entry.name.lower().endswith(KINDS))
            ]  # fmt: skip
    except (OSError, ValueError, RuntimeError):
        return []
    return sorted(path for path in found if clean(path, LONGEST_VALUE) == path)


def store(path: Path, text: str, *, make: bool = False) -> None:
    """Write the file; ``make`` its folder where that is not there. Raises ExportError."""
    try:
        write_new(path, text.encode("utf-8", "replace"), make=make)
    except FileExistsError:
        raise ExportError(
            f"{clean(str(path), 300)} is there already, and stays; say another name"
        ) from None
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
            folder = clean(str(path.parent), 300)
            raise ExportError(
                f"no such folder: {folder}; make it first, or say another name"
            ) from None
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise ExportError(
            f"{clean(str(path), 300)} was not written: {clean(words or 'no reason', 80)}"
        ) from None


def _id(key: Any, number: int) -> str | int:
    """The key of a row; its number where the key is nothing that can be written down."""
    if isinstance(key, str):
        return clean(key, LONGEST_VALUE)
    return key if isinstance(key, int) else number


def _utc(at: float) -> str:
    return utc(at, "%Y-%m-%dT%H:%M:%SZ")


def _says_text(column: Column[Any]) -> bool:
    """Whether the text of a column says something else than its number."""
    return column.unit not in ("", YES_NO) or column.told is not None


def _heads(column: Column[Any]) -> list[str]:
    title = column.title or column.called
    if not _says_text(column):
        return [title]
    return [title] if column.unit == TEXT else [title, _raw_head(column)]


def _raw_head(column: Column[Any]) -> str:
    return f"{column.title} {_UNITS.get(column.unit, '') or 'RANK'}"


def _shown(column: Column[Any], row: Any, look: Look) -> str:
    """What the screen shows, not cut; words where that is only a sign."""
    text = "".join(words for words, _ in column.cell(row, look)).strip()
    if not any(sign.isalnum() for sign in text):
        value = (column.told or column.value)(row)
        text = value if isinstance(value, str) and value else text
    return clean(text, LONGEST_VALUE)


def _value(column: Column[Any], row: Any) -> Value | bool:
    """What a script wants of a column: its number, or its whole text."""
    if column.told is not None:
        value = column.told(row)
        return clean(value, LONGEST_VALUE) if isinstance(value, str) else value
    return _raw(column, row)


def _raw(column: Column[Any], row: Any) -> Value | bool:
    value = (column.raw or column.value)(row)
    if value is None:
        return None
    if isinstance(value, str):
        return clean(value, LONGEST_VALUE)
    if column.unit == YES_NO:
        return bool(value)
    if value != value or value in (float("inf"), float("-inf")):  # not a number
        return None
    if column.unit == MOMENT:
        return _utc(value)
    return int(value) if float(value).is_integer() else float(value)


def _defused(text: str) -> str:
    """A text that a spreadsheet shows and does not calculate, whatever it takes for the end of a
    cell."""
    return text if text == "-" else _FORMULA.sub(r"\1'", text)
