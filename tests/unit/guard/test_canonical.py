"""Canonical documents: one form, and nothing in it that a person would not see."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical
from tests.support.guardkit import refused

GOOD = {
    "kind": "approval",
    "v": 1,
    "list": [1, -5, True, False, "x", {}],
    "deep": {"a": {"b": {"c": "d"}}},
    "reason": 'Müller said: "INC-4711" \\ 日本語 é',
}


def test_what_is_written_is_read_again() -> None:
    data = canonical.write(GOOD)
    assert canonical.parse(data) == GOOD
    assert canonical.write(canonical.parse(data)) == data
    assert list(json.loads(data)) == sorted(GOOD)


@pytest.mark.parametrize(
    "number",
    [
        b"1.0", b"1e3", b"1E3", b"-0", b"0.0", b"-0.0", b"NaN", b"Infinity", b"-Infinity",
        b"9007199254740992", b"-9007199254740992", b"9" * 400, b"-" + b"9" * 400, b"01", b"+1",
        b"0x1", b"1_0", b"null", "\uff11".encode(), b"1.", b".1", b"--1",
    ],
)  # fmt: skip
def test_numbers_are_whole_and_exact(number: bytes) -> None:
    """No float, no NaN, no number that another reader takes for another one. Threats: 38."""
    refused(canonical.parse, b'{"a":' + number + b"}")


@pytest.mark.parametrize("number", [0, 1, -1, 2**53 - 1, -(2**53) + 1])
def test_numbers_to_the_bounds_are_read(number: int) -> None:
    assert canonical.parse(b'{"a":%d}' % number) == {"a": number}


@pytest.mark.parametrize(
    "data",
    [b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'[{"a":1,"a":1}]'],
)
def test_a_field_is_there_once(data: bytes) -> None:
    """Duplicate fields, at any level. Threats: 38."""
    assert "twice" in refused(canonical.parse, data).words


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}', b'{"a" :1}', b' {"a":1}', b'{"a":1} ', b'{"a":1}\n', b'{"b":1,"a":1}',
        b'{"a":"\\u0041"}', b'{"a":"\\/"}', b'{"a":"\\u00fc"}', b'{"a":"\\b"}', b'{"a":"\\n"}',
        b'\xef\xbb\xbf{"a":1}', '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-16-le"),
        '{"a":1}'.encode("utf-32"), b'{"a":"\xc0\xaf"}', b'{"a":"\xc1\x81"}',
        b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"a":"\\ud83d\\ude00"}', b'{"a":"\xff"}',
        b'{"a":"\xf4\x90\x80\x80"}', b'{"a":1}{"a":1}', b'{"a":1}\x00', b'{"a":1}x', b"{'a':1}",
        b'{"a":1,}', b'{"a":[1,]}', b'{a:1}', b'{"a":1/**/}', b'{"a":\t1}',
    ],
)  # fmt: skip
def test_there_is_one_form_of_a_document(data: bytes) -> None:
    """Spaces, order, escapes, encodings and whatever stands behind the end. Threats: 39."""
    refused(canonical.parse, data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 5000, b'{"a":' * 5000, b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000, b"", b"\x00" * 64, bytes(range(256)), b"x" * 70_000,
        b'{"a":"' + b"x" * 70_000 + b'"}', b"1", b'"a"', b"[]", b"true", b"null",
    ],
)  # fmt: skip
def test_depth_size_and_rubbish(data: bytes) -> None:
    """Deep nesting, a large envelope, nothing, binary: refused at once. Threats: 40."""
    spent = []
    for _ in range(20):
        start = time.perf_counter()
        refused(canonical.parse, data)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.002


def test_a_deep_document_within_the_limit_of_bytes_is_no_recursion_error() -> None:
    """Whatever the interpreter's own limit is. Threats: 40."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(60_000)
    try:
        refused(canonical.parse, b"[" * 3000 + b"]" * 3000, 8192)
        refused(canonical.parse, b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}", 8192)
    finally:
        sys.setrecursionlimit(before)


def test_six_levels_and_no_more() -> None:
    doc: Any = {}
    for _ in range(5):
        doc = {"a": doc}
    assert canonical.parse(canonical.write(doc)) == doc
    refused(canonical.write, {"a": doc})
    refused(canonical.parse, json.dumps({"a": doc}, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    "control", ["\x1b", "\r", "\n", "\t", "\x00", "\x08", "\x7f", "\x9b", "\x85", "\x80", "\x9f"]
)
def test_no_control_character(control: str) -> None:
    """ESC, CR, C1 and DEL never reach a screen, escaped or not. Threats: 43."""
    doc = {"reason": f"a{control}b"}
    refused(canonical.write, doc)
    refused(canonical.parse, json.dumps(doc, separators=(",", ":")).encode())
    refused(canonical.parse, json.dumps(doc, separators=(",", ":"), ensure_ascii=False).encode())


UNSEEN = {
    "right-to-left override": "a\u202eb",
    "isolate": "a\u2066b",
    "mark": "a\u200fb",
    "Arabic letter mark": "a\u061cb",
    "zero width space": "a\u200bb",
    "zero width joiner": "a\u200db",
    "word joiner": "a\u2060b",
    "byte order mark": "a\ufeffb",
    "variation selector": "a\ufe0fb",
    "variation selector 17": "a\U000e0100b",
    "tag": "a\U000e0041b",
    "hangul filler": "a\u3164b",
    "hangul choseong filler": "a\u115fb",
    "hangul jungseong filler": "a\u1160b",
    "half-width filler": "a\uffa0b",
    "khmer vowel": "a\u17b4b",
    "combining grapheme joiner": "a\u034fb",
    "mongolian selector": "a\u180bb",
    "soft hyphen": "a\u00adb",
    "braille blank": "a\u2800b",
    "no-break space": "a\u00a0b",
    "em space": "a\u2003b",
    "ideographic space": "a\u3000b",
    "line separator": "a\u2028b",
    "null notehead": "a\U0001d159b",
    "object replacement": "a\ufffcb",
    "interlinear anchor": "a\ufff9b",
    "private use": "a\ue000b",
    "unassigned": "a\u0378b",
    "noncharacter": "a\ufffeb",
    "padding": "a" + " " * 200 + "b",
    "four spaces": "a    b",
    "zalgo": "a\u0335\u0336\u0337\u0338b",
    "enclosing": "a\u20ddb",
    "not normal": "e\u0301",
    "singleton": "\u212b",
    "Hebrew": "\u05d0\u05d1",
    "Arabic": "\u0627\u0644",
    "Arabic digits": "\u0661",
}


@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN.keys())
def test_no_character_that_hides_or_turns(text: str) -> None:
    """In a value, in a name, in a list. Threats: 44."""
    for doc in ({"reason": text}, {"a": [text]}, {text: 1}):
        refused(canonical.write, doc)
        data = json.dumps(doc, separators=(",", ":"), ensure_ascii=False).encode()
        refused(canonical.parse, data)
        refused(canonical.parse, data, names=True)


def test_every_default_ignorable_character_is_refused() -> None:
    """The list of Unicode's own property, all 4,174 of it. Threats: 44."""
    ranges = (
        (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
        (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8),
        (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
    )  # fmt: skip
    points = [point for low, high in ranges for point in range(low, high + 1)]
    assert len(points) == 4174
    passed = []
    for point in points:
        try:
            canonical.text(f"a{chr(point)}b")
        except Refused:
            continue
        passed.append(hex(point))
    assert not passed


@pytest.mark.parametrize(
    "text",
    [
        "Zürich, Ærø, Łódź", "日本語の理由", "причин\u0430: INC-4711", "Tiếng Việt", "ไม่ได้",
        "हिन्दी में", "한국어", "a   b", "[red]x[/red] [@click=app.quit]", "🔥", 'quote " and \\',
    ],
)  # fmt: skip
def test_what_people_write_is_allowed(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    assert canonical.parse(canonical.write({"a": text})) == {"a": text}


@pytest.mark.parametrize("name", ["A", "1a", "", "a-b", "a.b", "_a", "a" * 33, "ä", "a b", "a\n"])
def test_names_of_fields_are_plain(name: str) -> None:
    data = json.dumps({name: 1}, separators=(",", ":"), ensure_ascii=False).encode()
    refused(canonical.parse, data)


@pytest.mark.parametrize("value", [None, 1.5, float("nan"), b"x", (1,), {1: 2}, {"": 1}, {1}])
def test_nothing_else_is_written(value: Any) -> None:
    refused(canonical.write, {"a": value})


def test_limits_are_exact() -> None:
    data = canonical.write({"a": "x" * (8192 - 8)})
    assert len(data) == 8192
    canonical.parse(data)
    refused(canonical.parse, canonical.write({"a": "x" * (8192 - 7)}))
    canonical.parse(canonical.write({"a": "x" * 9000}), 10_000)


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).filter(
    lambda text: "    " not in text
)
CLEAN = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | ASCII,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_whatever_is_written_is_read_again_or_refused(doc: dict[str, Any]) -> None:
    try:
        data = canonical.write(doc)
    except Refused:
        return
    assert canonical.parse(data, names=True) == doc


@given(st.dictionaries(FIELDS, CLEAN, min_size=1, max_size=4), st.data())
def test_any_changed_byte_is_refused_or_says_something_else(
    doc: dict[str, Any], draw: st.DataObject
) -> None:
    try:
        data = canonical.write(doc)
    except Refused:  # too deep
        return
    assert canonical.parse(data) == doc
    at = draw.draw(st.integers(0, len(data) - 1))
    byte = draw.draw(st.integers(0, 255).filter(lambda byte: byte != data[at]))
    changed = data[:at] + bytes((byte,)) + data[at + 1 :]
    try:
        found = canonical.parse(changed)
    except Refused:
        return
    assert json.dumps(found) != json.dumps(doc)
    assert canonical.write(found) == changed


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_refused(data: bytes) -> None:
    try:
        found = canonical.parse(data)
    except Refused:
        return
    assert canonical.write(found) == data
