"""As much of CBOR (RFC 8949) as authenticators use, read within bounds."""

from typing import Any

MAX_DEPTH = 8
MAX_ITEMS = 256


class CborError(Exception):
    """The bytes are not CBOR of the kinds that are read here."""


def decode(data: bytes) -> Any:
    """The one value in ``data``, with nothing behind it. Raises CborError."""
    value, rest = first(data)
    if rest:
        raise CborError("something follows the value")
    return value


def first(data: bytes) -> tuple[Any, bytes]:
    """The first value in ``data``, and the bytes behind it. Raises CborError."""
    value, at = _value(data, 0, 0)
    return value, data[at:]


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise CborError("it is nested too deep")
    kind, number, at = _head(data, at)
    if kind == 0:
        return number, at
    if kind == 1:
        return -1 - number, at
    if kind in (2, 3):
        raw = data[at : at + number]
        if len(raw) < number:
            raise CborError("it is cut short")
        return (raw if kind == 2 else raw.decode("utf-8", "replace")), at + number
    if kind in (4, 5) and number <= MAX_ITEMS:
        return _list(data, at, depth, number) if kind == 4 else _map(data, at, depth, number)
    if kind == 7 and number in (20, 21, 22):
        return {20: False, 21: True, 22: None}[number], at
    raise CborError("it has a value of a kind that is not read")


def _list(data: bytes, at: int, depth: int, count: int) -> tuple[list[Any], int]:
    found = []
    for _ in range(count):
        value, at = _value(data, at, depth + 1)
        found.append(value)
    return found, at


def _map(data: bytes, at: int, depth: int, count: int) -> tuple[dict[Any, Any], int]:
    found: dict[Any, Any] = {}
    for _ in range(count):
        key, at = _value(data, at, depth + 1)
        if not isinstance(key, int | str | bytes) or key in found:
            raise CborError("it has a key twice, or one that is no number or text")
        found[key], at = _value(data, at, depth + 1)
    return found, at


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    if at >= len(data):
        raise CborError("it is cut short")
    kind, low = data[at] >> 5, data[at] & 31
    at += 1
    if low < 24:
        return kind, low, at
    if low > 27 or kind == 7:
        raise CborError("it has a length of a kind that is not read")
    size = 1 << (low - 24)
    if len(data) < at + size:
        raise CborError("it is cut short")
    return kind, int.from_bytes(data[at : at + size], "big"), at + size
