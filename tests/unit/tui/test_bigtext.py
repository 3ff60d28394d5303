"""Big letters: five lines, the width that is said, nothing past its room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.tui.style.bigtext import _ROWS, HEIGHT, big, block, fitting, width

texts = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=40)


def test_every_glyph_is_a_rectangle() -> None:
    for sign, rows in _ROWS.items():
        assert len(rows) == HEIGHT, sign
        assert len({len(row) for row in rows}) == 1, sign
    assert len(set(_ROWS.values())) >= len(_ROWS) - 1, "only O and 0 look alike"


@given(texts)
def test_size(text: str) -> None:
    lines = big(text)
    assert len(lines) == HEIGHT
    assert {len(line) for line in lines} == {width(text)}
    assert all(line.isascii() for line in big(text, plain=True))


@given(st.lists(texts, max_size=4), st.integers(4, 200))
def test_block_stays_within_its_room(parts: list[str], room: int) -> None:
    lines = block([(text, "") for text in parts], room, plain=False)
    for line in lines:
        assert len("".join(words for words, _ in line).rstrip()) <= room


def test_cut_between_words() -> None:
    assert fitting("gpu01 DOWN", 200) == "gpu01 DOWN"
    assert fitting("gpu01 DOWN", width("gpu01 DOW")) == "gpu01"
    assert fitting("gpu01", width("gpu")) == "gpu"


def test_it_can_be_read() -> None:
    assert big("1") == [" █ ", "██ ", " █ ", " █ ", "███"]
