"""The rows in view as CSV or JSON: filtered, ordered, and only the columns that are shown."""

import csv
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from console.text import clean
from console.tui.tables.filter import Value
from console.tui.tables.spread import Column
from console.tui.tables.table_model import TableModel
from console.tui.tables.units import YES_NO
from console.tui.takeaway.files import write_new

KINDS = (".csv", ".json", ".svg")
LONGEST_VALUE = 65_536

_UNITS = {"%": "%", "W": "W", "C": "C", "s": "s", "B": "B", "K": "KiB", "M": "MiB"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet begins to calculate at, in its wide forms too."""


class ExportError(ValueError):
    """Nothing was written; the message is for the person who asked."""


def as_csv(model: TableModel[Any]) -> str:
    """A head of titles with units, then the rows; texts are no formulas to a spreadsheet."""
    columns = model.arrangement.shown
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow([_head(column) for column in columns])
    for _, row in _rows(model):
        values = [_value(column, row) for column in columns]
        writer.writerow(
            [_defused(v) if isinstance(v, str) else "" if v is None else v for v in values]
        )
    return out.getvalue()


def as_json(model: TableModel[Any], table: str, place: str, at: float) -> str:
    """One object: what is shown, where and when (UTC), and each row by the ids of columns."""
    columns = model.arrangement.shown
    whole = {
        "table": table,
        "place": place,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        "filter": model.filter,
        "sort": model.sort,
        "descending": model.down,
        "columns": [
            {"id": c.id, "title": c.title, "unit": _UNITS.get(c.unit, "")} for c in columns
        ],
        "rows": [
            {"id": _id(key), "values": {c.id: _value(c, row) for c in columns}}
            for key, row in _rows(model)
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
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
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


def store(path: Path, text: str) -> None:
    """Write the file. Raises ExportError."""
    try:
        write_new(path, text.encode("utf-8", "replace"))
    except FileExistsError:
        raise ExportError(
            f"{clean(str(path), 300)} is there already, and stays; say another name"
        ) from None
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise ExportError(
            f"{clean(str(path), 300)} was not written: {clean(words or 'no reason', 80)}"
        ) from None


def _rows(model: TableModel[Any]) -> Sequence[tuple[Any, Any]]:
    return [(key, row) for key in model.order if (row := model.row(key)) is not None]


def _id(key: Any) -> str | int:
    return key if isinstance(key, int) else clean(str(key), LONGEST_VALUE)


def _head(column: Column[Any]) -> str:
    unit = _UNITS.get(column.unit, "")
    return f"{column.title} ({unit})" if unit else column.title


def _value(column: Column[Any], row: Any) -> Value | bool:
    value = (column.told or column.value)(row)
    if value is None:
        return None
    if isinstance(value, str):
        return clean(value, LONGEST_VALUE)
    if column.unit == YES_NO:
        return bool(value)
    if value != value or value in (float("inf"), float("-inf")):  # not a number
        return None
    return int(value) if float(value).is_integer() else float(value)


def _defused(text: str) -> str:
    """A text that a spreadsheet shows and does not calculate."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) and text != "-" else text
