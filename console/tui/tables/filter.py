"""The ``/`` filter: words, regular expressions and comparisons, all of which must hold.

vllm            a word anywhere in the row, case ignored
"two words"     with blanks, or signs that would mean something else
!vllm           no such word; any other term is turned round by it too
~gpu-[0-9]      a regular expression anywhere in the row
name~^gpu       a regular expression in one field
temp>80         a field: > < >= <= = != with a number or a word
state=down|new  one of several, also state=down,new; with != none of them
name=gpu*       * stands for any letters, ? for one
egress>1.5M     the number as the screen prints it; blanks around the sign are allowed
@fra            of this site, zone, environment, group or tag; @gpu-* of all that begin so
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase, translate
from typing import Any, NamedTuple

from console.text import clean
from console.tui.tables.pattern import Budget, PatternError, SlowPattern, compiled
from console.tui.tables.units import TEXT, Amount, UnitError, amount

Value = str | float | None
Read = Callable[[str], Value]
Rows = Iterable[Any]
Test = Callable[[Read, str], bool]
"""Given a field reader and the row's whole text: does the row stay?"""

LONGEST = 1_000
"""Characters of a filter."""
MOST_TERMS = 50
PLACES = "@"
"""Id of the field that ``@`` terms read: its value is names, one a line."""

_TERM = re.compile(
    r"(!?(?:[A-Za-z_][\w./-]*(?:>=|<=|!=|[<>=~])|[~@])?)"  # what stands before a value
    r'(?:"([^"]*)(?:"(?=\s|$)|$)|(\S*))'
)
_HEAD = re.compile(r"(!?)(?:([A-Za-z_][\w./-]*)(>=|<=|!=|[<>=~])|([~@])|)")
_BETWEEN = re.compile(r"[ _./-]")
_NAME = re.compile(r"[A-Za-z_][\w./-]*")
_SIGN = re.compile(r"(>=|<=|!=|[<>=])(.*)|~", re.DOTALL)
_SIGNS = (">", "<", "=", "~")
_SEVERAL = re.compile(r"[|,]")
_MOST_SHOWN = 8
"""Values of a field that are named where none of them is the one asked for."""


class FilterError(ValueError):
    """The filter cannot be read; the message is for the person who typed it."""


class SlowFilter(FilterError):
    """The expressions of the filter need more time than a look at the rows may take."""


class Field(NamedTuple):
    """What a comparison reads of a row of any kind."""

    read: Callable[[Any], Value]
    unit: str = TEXT  # of the number, see ``units``
    title: str = ""  # as the screen shows it; it names the field as well as its id does
    amount: str = ""  # id of the field that is meant where an amount with a letter is given


class Term(NamedTuple):
    """One term as it was typed: what is before the value, the value, and whether it was quoted."""

    head: str
    value: str
    quoted: bool

    def __str__(self) -> str:
        return f'{self.head}"{self.value}"' if self.quoted else self.head + self.value


class Filter:
    """A compiled filter. ``begin`` is called before a look at all rows.

    ``whole`` is False where only fields are asked for, so that no row's text need be made.
    """

    def __init__(self, tests: Sequence[Test], budget: Budget, *, whole: bool = True) -> None:
        self.budget = budget
        self.whole = whole
        self._tests = tests

    def __len__(self) -> int:
        return len(self._tests)

    def passes(self, number: int, read: Read, whole: str) -> bool:
        """Whether a row passes the term of that number. Raises SlowPattern."""
        return self._tests[number](read, whole)

    def begin(self) -> None:
        """A new look at all rows begins."""
        self.budget.begin()

    def __call__(self, read: Read, whole: str) -> bool:
        """Whether a row stays. Raises SlowFilter."""
        try:
            return all(test(read, whole) for test in self._tests)
        except SlowPattern:
            raise SlowFilter(
                "a regular expression of the filter takes too long on these rows; say it simpler"
            ) from None


def compile_filter(text: str, fields: Mapping[str, Field]) -> Filter:
    """Compile ``text``. Raises FilterError for an unknown field or a broken expression."""
    budget = Budget()
    found = terms(text)
    tests = [_test(term, fields, budget) for term in found]
    return Filter(tests, budget, whole=any(_of_text(term, fields) for term in found))


def _of_text(term: Term, fields: Mapping[str, Field]) -> bool:
    """Whether a term looks at the text of a row, not at one of its fields."""
    found = _HEAD.fullmatch(term.head)
    if found is None:
        return True
    _, name, _, mark = found.groups()
    return not name and not (mark == "@" and PLACES in fields)


def sound(text: str, fields: Mapping[str, Field]) -> str:
    """The terms of ``text`` that can be read; none of one that is too long."""
    try:
        return " ".join(str(term) for term in terms(text) if _readable(term, fields))
    except FilterError:
        return ""


def terms(text: str) -> list[Term]:
    """Cut a filter into terms. Raises FilterError when there are too many."""
    if len(text) > LONGEST:
        raise FilterError(f"a filter has at most {LONGEST:,} characters, this one {len(text):,}")
    found = _cut(text)
    for _ in range(len(found)):  # what is put together may belong to what stands beside it
        again = _cut(" ".join(map(str, _joined(found))))
        if again == found:
            break
        found = again
    if len(found) > MOST_TERMS:
        raise FilterError(f"a filter has at most {MOST_TERMS} terms, this one {len(found)}")
    return found


def _cut(text: str) -> list[Term]:
    found = []
    for match in _TERM.finditer(text):
        head, quoted, plain = match.groups()
        if match.group().strip():
            found.append(Term(head, plain if quoted is None else quoted, quoted is not None))
    return found


def _joined(found: list[Term]) -> list[Term]:
    """What was typed with blanks put together: ``egress > 20M`` and ``! word``."""
    out: list[Term] = []
    waiting = list(reversed(found))
    while waiting:
        term = waiting.pop()
        after = waiting[-1] if waiting else None
        if after is None:
            out.append(term)
        elif str(term) == "!" and not after.head.startswith("!"):
            waiting[-1] = after._replace(head=f"!{after.head}")
        elif term.head[-1:] in _SIGNS and not (term.value or term.quoted or after.head):
            out.append(Term(term.head, waiting.pop().value, after.quoted))
        elif term.head in ("", "!") and not term.quoted and _NAME.fullmatch(term.value) and (
            sign := None if after.quoted else _SIGN.fullmatch(str(after))
        ):  # fmt: skip
            waiting[-1] = Term(f"{term.head}{term.value}{sign[1] or '~'}", sign[2] or "", False)
        else:
            out.append(term)
    return out


def lacking(text: str, fields: Mapping[str, Field], passing: Sequence[int], rows: Rows) -> str:
    """Which comparison of a filter no row passes, with the values that there are; "" for none.

    ``passing`` counts, for each term, the rows that pass it.
    """
    for term, rows_left in zip(terms(text), passing, strict=False):
        found = _HEAD.fullmatch(term.head)
        if rows_left or found is None or found[1] or not (found[2] or found[4] == PLACES):
            continue
        words = f"{clean(str(term), 60)} fits none"
        id = PLACES if found[4] == PLACES else _named(found[2], fields)
        if id not in fields or fields[id].unit != TEXT or found[3] not in ("=", "!=", None):
            return words
        texts = (str(value) for row in rows if (value := fields[id].read(row)) is not None)
        values = Counter(part for value in texts for part in value.split("\n") if part)
        there = " ".join(clean(value, 20) for value, _ in values.most_common(_MOST_SHOWN))
        return f"{words}; values: {there}{' ...' if len(values) > _MOST_SHOWN else ''}"
    return ""


def _readable(term: Term, fields: Mapping[str, Field]) -> bool:
    try:
        _test(term, fields, Budget())
    except FilterError:
        return False
    return True


def _test(term: Term, fields: Mapping[str, Field], budget: Budget) -> Test:
    found = _HEAD.fullmatch(term.head)
    if found is None:
        return _word(str(term), False)
    turned, name, sign, mark = found.groups()
    if mark == "~":
        return _turned(_expression(term.value, budget), turned)
    if mark == "@" and PLACES in fields:
        return _turned(_place(term.value), turned)
    if name:
        id = _named(name, fields)
        if sign == "~":
            return _turned(_expression(term.value, budget, id), turned)
        return _turned(_comparison(id, sign, term.value, fields, quoted=term.quoted), turned)
    word = (mark or "") + term.value
    if not word:
        return _word("!" if turned else "", False)
    return _word(word, bool(turned))


def _word(text: str, absent: bool) -> Test:
    word = text.lower()
    if absent:
        return lambda read, whole: word not in whole.lower()
    return lambda read, whole: word in whole.lower()


def _turned(test: Test, turned: str) -> Test:
    return (lambda read, whole: not test(read, whole)) if turned else test


def _expression(text: str, budget: Budget, id: str = "") -> Test:
    try:
        pattern = compiled(text)
    except PatternError as error:
        raise FilterError(str(error)) from None
    if not id:
        return lambda read, whole: budget.search(pattern, whole)

    def test(read: Read, whole: str) -> bool:
        value = read(id)
        if value is None:
            return False
        return budget.search(pattern, value if isinstance(value, str) else _digits(value))

    return test


def _digits(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _place(wanted: str) -> Test:
    matches = re.compile(translate(wanted.lower())) if _simple(wanted) else None
    exact = wanted.lower()

    def test(read: Read, whole: str) -> bool:
        names = str(read(PLACES) or "").lower().split("\n")
        if matches is None:
            return exact in names
        return any(matches.fullmatch(name) for name in names)

    return test


def _simple(wanted: str) -> bool:
    """Whether it is a pattern, and one that cannot take long: two stars are enough."""
    if wanted.count("*") > 2:
        raise FilterError("a name after @ has at most two stars")
    return any(sign in wanted for sign in "*?[")


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
    known = " ".join(dict.fromkeys(_called(id, fields) for id in fields if id != PLACES))
    raise FilterError(f"no field {clean(name, 40)!r} here: {known}")


def _called(id: str, fields: Mapping[str, Field]) -> str:
    return _plain(fields[id].title or id)


def _comparison(
    id: str, sign: str, right: str, fields: Mapping[str, Field], *, quoted: bool = False
) -> Test:
    field = fields[id]
    parts = [right] if quoted else _SEVERAL.split(right)
    if sign in ("=", "!=") and (len(parts) > 1 or "|" in right):
        parts = [part for each in parts for part in each.split("|")]
        several = [_comparison(id, sign, part, fields, quoted=True) for part in parts]
        if "," in right and field.unit == TEXT:  # or it is a value with a comma in it
            several.append(_words(id, sign, right))
        every = any if sign == "=" else all
        return lambda read, whole: every(test(read, whole) for test in several)
    if field.unit == TEXT:
        return _words(id, sign, right)
    try:
        wanted = amount(right, field.unit)
    except UnitError as error:
        if not field.amount:
            name = _called(id, fields)
            raise FilterError(f"{name}{sign}{clean(right, 40)}: {error}") from None
        return _comparison(field.amount, sign, right, fields)

    def test(read: Read, whole: str) -> bool:
        left = read(id)
        if not isinstance(left, int | float):
            return sign == "!="
        return _numbers(float(left), sign, wanted)

    return test


def _words(id: str, sign: str, right: str) -> Test:
    wanted = right.lower()

    def test(read: Read, whole: str) -> bool:
        left = read(id)
        if left is None:
            return sign == "!="
        text = str(left).lower()
        match sign:
            case "=":
                return fnmatchcase(text, wanted)
            case "!=":
                return not fnmatchcase(text, wanted)
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
