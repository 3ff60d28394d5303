"""Nothing that leaves ``clean`` can steer a terminal or hide from a reader."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.text import REPLACEMENT, cell_width, clean, clean_lines, clip

ATTACKS = {
    "OSC 52 clipboard": "\x1b]52;c;cHduZWQ=\x07",
    "OSC 0 title": "\x1b]0;pwned\x07",
    "OSC 8 link": "\x1b]8;;http://example.invalid\x1b\\x\x1b]8;;\x1b\\",
    "CSI erase": "\x1b[2J",
    "SGR": "\x1b[31mred\x1b[0m",
    "8-bit CSI": "\x9b2J",
    "8-bit OSC": "\x9d0;t\x9c",
    "bidi override": "user\u202egpj.exe",
    "bidi isolate": "a\u2066b\u2069",
    "zero width": "ro\u200bot",
    "NUL": "a\x00b",
    "DEL and backspace": "a\x7f\x08",
    "tag block": "a\U000e0041",
    "lone surrogate": "a\ud800",
    "carriage return": "good\rbad",
    "byte order mark": "\ufeffa",
}


@pytest.mark.parametrize("value", ATTACKS.values(), ids=ATTACKS.keys())
def test_attacks_are_replaced_and_leave_a_mark(value: str) -> None:
    result = clean(value)
    assert REPLACEMENT in result
    assert clean(result) == result
    result.encode("utf-8")


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_nothing_a_terminal_obeys_gets_through(value: str) -> None:
    for char in clean(value):
        assert unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(char) not in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
        )  # fmt: skip


@given(st.text(), st.integers(1, 50))
def test_clean_keeps_its_limit(value: str, limit: int) -> None:
    assert len(clean(value, limit)) <= limit


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=99))
def test_plain_text_is_untouched(value: str) -> None:
    assert clean(value) == value


def test_brackets_are_text_and_stay() -> None:
    assert clean("[@click=app.quit]python[/]") == "[@click=app.quit]python[/]"


def test_lines_are_kept_apart() -> None:
    assert clean_lines("a\tb\r\nc\x1bd") == f"a    b\nc{REPLACEMENT}d"


@given(st.text(), st.integers(0, 40))
def test_clip_never_exceeds_its_width(value: str, width: int) -> None:
    assert cell_width(clip(clean(value), width)) <= width


def test_clip_counts_wide_characters_twice() -> None:
    assert clip("\u6771\u4eac\u6771\u4eac", 5) == "\u6771\u4eac\u2026"
    assert cell_width("e\u0301") == 1
