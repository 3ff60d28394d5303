"""Canonical JSON: the one form in which a document may be signed.

The rule is short: read it, write it again, and the bytes are the same. What is left to say is what
may be in it at all. Texts are kept to characters that a person sees as themselves, because people
sign what they read.
"""

from __future__ import annotations

import hashlib
import json
import re
from unicodedata import bidirectional, category, is_normalized

from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

LIMIT = 8192
MAX_INT = 2**53 - 1
MAX_DEPTH = 6
MAX_KEY = 512

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")

# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties), as far as `isprintable` lets it
# pass: it goes by category, and half of these are letters or marks. Then signs that look like
# nothing or stand for what could not be shown.
# Compiled when the first text comes that is not ASCII.
_UNSEEN = (
    "["
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u2800\u3000\ufffc\ufffd\U00013441\U00013442\U00016fe4\U0001d159"
    "]"
)
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN", "LRE", "RLE", "LRO", "RLO", "PDF"))
_MAX_MARKS = 2  # on one letter: more of them climb over the lines above and below


def _no(words: str) -> NoReturn:
    raise Refused("document", words, "make the document again with this console's own verbs")


def sha256(data: bytes) -> str:
    """64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def text(value: str) -> None:
    """Raise Refused where a person could not see all of ``value`` as it is."""
    if "    " in value:
        _no("a text has more than 3 spaces in a row")
    if not value.isprintable():
        _no("a text has a control, format or unassigned character")
    if value.isascii():
        return
    if re.search(_UNSEEN, value):
        _no("a text has an invisible character")
    if not is_normalized("NFC", value):
        _no("a text is not in Unicode's normal form C")
    marks = 0
    for char in value:
        if char < "\u0300":
            marks = 0
            continue
        kind = category(char)
        if kind == "Me" or bidirectional(char) in _RIGHT_TO_LEFT:
            _no("a text has a character that changes how its neighbours are shown")
        marks = marks + 1 if kind == "Mn" or kind == "Mc" else 0
        if marks > _MAX_MARKS:
            _no(f"a text has more than {_MAX_MARKS} marks on one letter")


def _walk(value: Any, depth: int, strict: bool) -> None:
    kind = type(value)
    if kind is str:
        text(value)
    elif kind is int:
        if not -MAX_INT <= value <= MAX_INT:
            _no("a number is beyond 2^53-1")
    elif kind is dict:
        if depth > MAX_DEPTH:
            _no(f"it is nested more than {MAX_DEPTH} levels deep")
        for key, item in value.items():
            if type(key) is not str or not (strict and _FIELD.match(key)):
                if strict or type(key) is not str or not 0 < len(key) <= MAX_KEY:
                    _no("a field has a name that is not allowed")
                text(key)
            _walk(item, depth + 1, strict)
    elif kind is list:
        if depth > MAX_DEPTH:
            _no(f"it is nested more than {MAX_DEPTH} levels deep")
        for item in value:
            _walk(item, depth + 1, strict)
    elif kind is not bool:
        _no("it has a value that is no text, whole number, truth value, list or object")


def _dump(doc: dict[str, Any]) -> bytes:
    return json.dumps(
        doc, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    ).encode()


def write(doc: dict[str, Any]) -> bytes:
    """The canonical bytes. Names of fields may be any text here (names of people, paths); what
    reads them says which. Raises Refused where ``doc`` has what no document may have."""
    _walk(doc, 1, False)
    return _dump(doc)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _no("a field is there twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > 17:
        _no("a number is beyond 2^53-1")
    return int(digits)


def _number(digits: str) -> NoReturn:
    _no("a number is not whole")


# Made once: json.loads makes a new one at every call that gives it anything.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_number, parse_constant=_number
)


def parse(data: bytes, limit: int = LIMIT, names: bool = False) -> dict[str, Any]:
    """The document in ``data``, at most ``limit`` bytes. Raises Refused.

    Names of fields are ``[a-z][a-z0-9_]{0,31}``, or with ``names`` any text (where an object maps
    names of people, actions, services or files).
    """
    if len(data) > limit:
        _no(f"it has {len(data)} bytes, more than the {limit} that are allowed")
    try:
        doc = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        # UnicodeDecodeError and JSONDecodeError are ValueErrors; neither says more than this here.
        _no("it is not JSON in UTF-8")
    if type(doc) is not dict:
        _no("it is not a JSON object")
    _walk(doc, 1, not names)
    if _dump(doc) != data:
        _no("it is not in canonical form: sorted fields, no spaces, no needless escapes")
    found: dict[str, Any] = doc
    return found
