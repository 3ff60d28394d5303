"""Columns at any width: pinned ones stay, every one can be reached, signs say what is hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tui.tables.spread import Arrangement, Column, ColumnError, needed


def columns(widths: list[int]) -> list[Column[int]]:
    return [
        Column(f"c{n}", f"C {n}", width, lambda r, look: [], lambda r: r, drop=n % 4)
        for n, width in enumerate(widths)
    ]


def ids(arrangement: Arrangement[int], width: int) -> list[str]:
    return [column.id for column, _ in arrangement.spread(width).placed]


TEN = columns([6] * 10)


def test_scrolling_keeps_the_pinned_and_reaches_the_last() -> None:
    table = Arrangement(TEN)
    assert ids(table, 200) == [f"c{n}" for n in range(10)]
    assert not table.scroll(1, 200), "everything is in view"
    first = table.spread(30)
    assert first.left == 0
    assert first.right == 10 - len(first.placed) > 0
    seen = set(ids(table, 30))
    while table.scroll(1, 30):
        spread = table.spread(30)
        assert spread.placed[0][0].id == "c0"
        assert (spread.pinned, spread.left) == (1, table.first)
        assert spread.left + spread.right + len(spread.placed) == 10
        seen |= set(ids(table, 30))
    assert seen == {f"c{n}" for n in range(10)}
    assert table.spread(30).right == 0
    assert table.scroll(-100, 30)
    assert table.spread(30) == first


def test_columns_are_chosen_pinned_and_put_back() -> None:
    table = Arrangement(TEN)
    table.change(["-c1", "-C-2"])
    assert ids(table, 200) == ["c0", *(f"c{n}" for n in range(3, 10))]
    table.change(["+c1"])
    assert ids(table, 200)[-1] == "c1", "a column that is shown again comes last"
    table.pin("c 9")
    assert ids(table, 200)[:2] == ["c0", "c9"]
    assert ids(table, 20) == ["c0", "c9", "c3"], "the pinned, and one beside them, stay"
    table.unpin("c0")
    assert ids(table, 200)[0] == "c9"
    table.change(["reset"])
    assert ids(table, 200) == [f"c{n}" for n in range(10)]
    assert table.pinned == ("c0",)


@pytest.mark.parametrize(
    ("words", "told"),
    [(["+nope"], "no column 'nope' here: c0 c1"), ([f"-c{n}" for n in range(10)], "has to stay")],
)
def test_a_wrong_choice_changes_nothing(words: list[str], told: str) -> None:
    table = Arrangement(TEN)
    with pytest.raises(ColumnError, match=told):
        table.change(words)
    assert table.chosen is None
    with pytest.raises(ColumnError, match="not pinned"):
        table.unpin("c3")


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.integers(1, 220),
    st.lists(st.integers(-3, 3), max_size=8),
    st.sets(st.integers(0, 11)),
)
def test_at_any_width_columns_fit_and_none_is_lost(
    widths: list[int], width: int, steps: list[int], pins: set[int]
) -> None:
    table = Arrangement(columns(widths))
    for pin in sorted(pins):
        if pin < len(widths):
            table.pin(f"c{pin}")
    for step in steps:
        table.scroll(step, width)
        spread = table.spread(width)
        assert spread.placed
        assert spread.left + spread.right + len(spread.placed) == len(widths)
        shown = [column for column, _ in spread.placed]
        if needed(shown) <= width:
            assert sum(size + 1 for _, size in spread.placed) - 1 <= width
    table.scroll(100, width)
    last = table.shown[-1].id
    rest = [column.id for column in table.shown if column.id not in table.pinned]
    if rest and table.first:
        assert ids(table, width)[-1] == last
