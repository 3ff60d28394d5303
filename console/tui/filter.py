"""The ``/`` filter: words, regular expressions and comparisons, all of which must hold.

vllm            a word anywhere in the row, case ignored
!vllm           no such word
~gpu-[0-9]      a regular expression anywhere in the row
temp>80         a field: > < >= <= = != with a number or a word
"""

import re
from collections.abc import Callable, Mapping

Value = str | float | None
Test = Callable[[Callable[[str], Value], str], bool]
"""Given a field reader and the row's whole text: does the row stay?"""

_COMPARE = re.compile(r"([A-Za-z_][\w.-]*)(>=|<=|!=|>|<|=)(.*)")


class FilterError(ValueError):
    """The filter cannot be read; the message is for the person who typed it."""


def compile_filter(text: str, fields: Mapping[str, object]) -> Test:
    """Compile ``text``. Raises FilterError for an unknown field or a broken expression."""
    tests = [_term(term, fields) for term in text.split()]

    def holds(read: Callable[[str], Value], whole: str) -> bool:
        return all(test(read, whole) for test in tests)

    return holds


def _term(term: str, fields: Mapping[str, object]) -> Test:
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
        if name not in fields:
            known = ", ".join(sorted(fields))
            raise FilterError(f"no field {name!r} here; there are: {known}")
        return _comparison(name, sign, right)
    word = term.lower()
    return lambda read, whole: word in whole.lower()


def _comparison(name: str, sign: str, right: str) -> Test:
    try:
        wanted: float | None = float(right)
    except ValueError:
        wanted = None

    def test(read: Callable[[str], Value], whole: str) -> bool:
        left = read(name)
        if left is None:
            return sign == "!="
        if isinstance(left, int | float) and wanted is not None:
            return _numbers(float(left), sign, wanted)
        text = str(left).lower()
        if sign == "=":
            return text == right.lower()
        if sign == "!=":
            return text != right.lower()
        return text > right.lower() if ">" in sign else text < right.lower()

    return test


def _numbers(left: float, sign: str, right: float) -> bool:
    match sign:
        case ">":
            return left > right
        case "<":
            return left < right
        case ">=":
            return left >= right
        case "<=":
            return left <= right
        case "=":
            return left == right
        case _:
            return left != right
