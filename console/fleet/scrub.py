"""The slow way to read a line: everything foreign in it is cleaned before it gets a type.

Most lines are printable ASCII without an escape and need none of this (``decode.plain``). The
others are read as plain JSON, cleaned value by value, written again and then decoded like all
others. So there is one typed decoder, and nothing reaches it uncleaned.
"""

import json
import math
from typing import Any, NoReturn

import msgspec

from console.errors import ProtocolError
from console.model.frame import MAX_TEXT
from console.text import clean

MAX_DEPTH = 6
MAX_VALUES = 200_000
"""Commas in one line. A full chunk of 2,000 processes has 44,000."""
MAX_NUMBER = 1 << 64


def scrub(line: bytes) -> bytes:
    """Return ``line`` with clean text, sane numbers and valid UTF-8. Raises ProtocolError.

    Not touched: keys of table rows (element 0) and ``gone``, whose checksum is over what the
    probe wrote (``tables`` cleans what is shown of them), and the base64 of a guard's document.
    """
    whole = _parse(line.decode("utf-8", "replace"))
    if not isinstance(whole, dict):
        raise ProtocolError("sent a line that is not a JSON object")
    out: dict[str, Any] = {}
    for name, value in whole.items():
        if name == "t" and isinstance(value, dict):
            out[name] = {clean(key): _delta(delta) for key, delta in value.items()}
        elif name == "doc" and isinstance(value, dict):
            out[name] = _document(value)
        else:
            out[clean(name)] = _clean(value, 2)
    return msgspec.json.encode(out)


def _parse(text: str) -> Any:
    try:
        # The standard parser, because the fast one refuses lone surrogates ("\ud800").
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:
        raise ProtocolError(f"sent a line that is not JSON: {clean(str(error), 120)}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def too_deep() -> ProtocolError:
    """The error for a line with too many levels."""
    return ProtocolError(f"sent a line nested deeper than {MAX_DEPTH} levels")


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean(value, MAX_TEXT)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if math.isfinite(value) and abs(value) <= MAX_NUMBER else None
    if depth > MAX_DEPTH:
        raise too_deep()
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    return {clean(key): _clean(item, depth + 1) for key, item in value.items()}


def _delta(delta: Any) -> Any:
    if not isinstance(delta, dict):
        return _clean(delta, 3)
    out: dict[str, Any] = {}
    for name, value in delta.items():
        if name == "set" and isinstance(value, list):
            out[name] = [_row(row) for row in value]
        elif name == "gone" and isinstance(value, list):
            out[name] = [_key(item) for item in value]
        else:
            out[clean(name)] = _clean(value, 4)
    return out


def _row(row: Any) -> Any:
    if not isinstance(row, list) or not row:
        return _clean(row, 5)
    return [_key(row[0]), *[_clean(item, 6) for item in row[1:]]]


def _key(value: Any) -> Any:
    """A table key as it is, but for lone surrogates, which cannot be written as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return _clean(value, 6)


def _document(value: dict[str, Any]) -> dict[str, Any]:
    out = {clean(name): _clean(item, 3) for name, item in value.items() if name != "b64"}
    b64 = value.get("b64", "")
    if not isinstance(b64, str) or not b64.isascii():
        raise ProtocolError("sent a document that is not base64")
    out["b64"] = b64
    return out
