"""The ``/`` filter: words, regular expressions and comparisons, all of which must hold.

vllm            a word anywhere in the row, case ignored
!vllm           no such word
~gpu-[0-9]      a regular expression anywhere in the row
temp>80         a field: > < >= <= = != with a number or a word
egress>1.5M     the number as the screen prints it
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from console.tui.units import TEXT, Amount, UnitError, amount

Value = str | float | None
Test = Callable[[Callable[[str], Value], str], bool]
"""Given a field reader and the row's whole text: does the row stay?"""

_COMPARE = re.compile(r"([A-Za-z_][\w./-]*)(>=|<=|!=|>|<|=)(.*)")
_BETWEEN = re.compile(r"[ _./-]")


class FilterError(ValueError):
    """The filter cannot be read; the message is for the person who typed it."""


class Field(NamedTuple):
    """What a comparison reads of a row of any kind."""

    read: Callable[[Any], Value]
    unit: str = TEXT  # of the number, see ``units``
    title: str = ""  # as the screen shows it; it names the field as well as its id does
    amount: str = ""  # id of the field that is meant where an amount with a letter is given


def compile_filter(text: str, fields: Mapping[str, Field]) -> Test:
    """Compile ``text``. Raises FilterError for an unknown field or a broken expression."""
    tests = [_term(term, fields) for term in text.split()]

    def holds(read: Callable[[str], Value], whole: str) -> bool:
        return all(test(read, whole) for test in tests)

    return holds


def sound(text: str, fields: Mapping[str, Field]) -> str:
    """The terms of ``text`` that can be read."""
    return " ".join(term for term in text.split() if _readable(term, fields))


def _readable(term: str, fields: Mapping[str, Field]) -> bool:
    try:
        _term(term, fields)
    except FilterError:
        return False
    return True


def _term(term: str, fields: Mapping[str, Field]) -> Test:
    if term.startswith("~"):
        try:
            pattern = re.compile(term[1:], re.IGNORECASE)
        except re.error as error:
            raise FilterError(f"not a regular expression: {error}") from None
        return lambda read, whole: pattern.search(whole) is not None
    if term.startswith("!") and len(term) > 1:
        absent = term[1:].lower()
        return lambda read, whole: absent not in whole.lower()
    found = _COMPARE.fullmatch(term)
    if found:
        name, sign, right = found.groups()
        return _comparison(_named(name, fields), sign, right, fields)
    word = term.lower()
    return lambda read, whole: word in whole.lower()


def _plain(name: str) -> str:
    return _BETWEEN.sub("", name).lower()


def _named(name: str, fields: Mapping[str, Field]) -> str:
    """The id of the field that a person calls ``name``: its id, or the title of its column."""
    wanted = _plain(name)
    for id in fields:
        if _plain(id) == wanted:
            return id
    for id, field in fields.items():
        if _plain(field.title) == wanted:
            return id
    known = " ".join(dict.fromkeys(_plain(field.title or id) for id, field in fields.items()))
    raise FilterError(f"no field {name!r} here: {known}")


def _comparison(id: str, sign: str, right: str, fields: Mapping[str, Field]) -> Test:
    field = fields[id]
    if field.unit == TEXT:
        return _words(id, sign, right)
    try:
        wanted = amount(right, field.unit)
    except UnitError as error:
        if not field.amount:
            raise FilterError(f"{id}{sign}{right}: {error}") from None
        return _comparison(field.amount, sign, right, fields)

    def test(read: Callable[[str], Value], whole: str) -> bool:
        left = read(id)
        if not isinstance(left, int | float):
            return sign == "!="
        return _numbers(float(left), sign, wanted)

    return test


def _words(id: str, sign: str, right: str) -> Test:
    wanted = right.lower()

    def test(read: Callable[[str], Value], whole: str) -> bool:
        left = read(id)
        if left is None:
            return sign == "!="
        text = str(left).lower()
        match sign:
            case "=":
                return text == wanted
            case "!=":
                return text != wanted
            case ">":
                return text > wanted
            case "<":
                return text < wanted
            case ">=":
                return text >= wanted
            case _:
                return text <= wanted

    return test


def _numbers(left: float, sign: str, right: Amount) -> bool:
    match sign:
        case ">":
            return left > right.value
        case "<":
            return left < right.value
        case ">=":
            return left >= right.value
        case "<=":
            return left <= right.value
        case "=":
            return abs(left - right.value) <= right.slack
        case _:
            return abs(left - right.value) > right.slack
