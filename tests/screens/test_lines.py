"""Cells to lines of exact width: columns that share the room, long text that folds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.model.gpu import GpuCounters, GpuStatic
from console.text import cell_width, clean
from console.tui.environ import ascii_only
from console.tui.meaning.values import values
from console.tui.style.look import Look
from console.tui.tables.table_model import LEAST, Column, fit
from console.tui.widgets.strips import fold, line


def column(name: str, width: int, most: int = 0, drop: int = 0) -> Column[str]:
    return Column(name, name, width, lambda r, look: [(r, "")], lambda r: r, most=most, drop=drop)


def widths(columns: list[Column[str]], width: int) -> dict[str, int]:
    return {c.id: room for c, room in fit(columns, width)}


def test_columns_drop_grow_to_their_most_and_give_way() -> None:
    three = [column("a", 10, most=20), column("b", 10, drop=1), column("c", 30, most=99)]
    assert widths(three, 52) == {"a": 10, "b": 10, "c": 30}
    assert widths(three, 72) == {"a": 20, "b": 10, "c": 40}
    assert widths(three, 45) == {"a": 12, "c": 32}
    assert widths(three, 31) == {"a": 10, "c": 20}


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 90)), min_size=1, max_size=9),
       st.integers(10, 220))  # fmt: skip
def test_columns_never_take_more_than_there_is(sizes: list[tuple[int, int]], width: int) -> None:
    columns = [column(str(n), size, most) for n, (size, most) in enumerate(sizes)]
    given_ = fit(columns, width)
    total = sum(room + 1 for _, room in given_) - 1
    assert total <= width or all(room <= max(LEAST, 0) or c.width < LEAST for c, room in given_)


PIECES = st.lists(
    st.tuples(st.text(max_size=60).map(clean), st.sampled_from(["", "dim", "bad"])), max_size=5
)


@given(PIECES, st.integers(20, 100), st.integers(0, 8))
def test_folded_lines_fit_and_lose_nothing(
    pieces: list[tuple[str, str]], width: int, indent: int
) -> None:
    lines = fold(pieces, width, indent)
    for cells in lines:
        assert sum(cell_width(text) for text, _ in cells) <= width
    before = "".join(text for text, _ in pieces)
    after = "".join(text for cells in lines for text, _ in cells)
    assert "".join(after.split()) == "".join(before.split())


@given(PIECES, st.integers(0, 100))
def test_a_line_is_exactly_as_wide_as_asked(pieces: list[tuple[str, str]], width: int) -> None:
    strip = line(pieces, width, Look())
    assert sum(cell_width(segment.text) for segment in strip) == width


def test_values_have_units_and_say_how_bad() -> None:
    counters = GpuCounters(
        index=0, ecc_uncorrected=3, ecc_uncorrected_volatile=0, energy_mj=7_200_000_000,
        recovery_action=1, last_xid_at=0.0, mem_temp_c=43.0,
    )  # fmt: skip
    shown = {v.label: (v.text, v.style) for v in values(counters, skip=("index",), known=True)}
    assert shown == {
        "ECC uncorrected": ("3", "warn"),
        "ECC uncorrected volatile": ("0", ""),
        "energy": ("2 kWh", ""),
        "recovery action": ("reset the GPU", "bad"),
        "last Xid": ("1970-01-01 00:00:00 UTC", ""),
        "memory temp": ("43 C", ""),
    }
    static = {v.label: v.text for v in values(GpuStatic(index=0, ecc_mode=False, bar1_used_mib=2))}
    assert static["ECC mode"] == "no"
    assert static["BAR1 used"] == "2.0M"
    assert static["driver"] == "-"


@pytest.mark.parametrize(
    ("env", "ascii_"),
    [
        ({"LANG": "C"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),  # what Python makes of the line above
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LC_CTYPE": "de_DE.utf8"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "C", "LC_ALL": "C.UTF-8"}, False),
    ],
)
def test_the_locale_says_whether_blocks_can_be_drawn(env: dict[str, str], ascii_: bool) -> None:
    assert ascii_only(env) is ascii_
