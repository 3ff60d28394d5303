"""Folding to columns: no spike is lost, no gap is filled, nothing is wider than asked."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.model.history import Point, Series
from console.tui.plot.fold import MOST, ends, fold, newest, window

NOW = 1_700_000_000.0


def series(step: float, *values: float | None, until: float = NOW) -> Series:
    """Values on a grid of ``step`` seconds that end at ``until``; None is a gap."""
    last = int(until / step)
    points = tuple(
        Point((last - len(values) + 1 + n) * step, value - 1, value + 1, value)
        for n, value in enumerate(values)
        if value is not None
    )
    return Series(host="h", name="cpu_pct", step_s=step, points=points)


values = st.lists(
    st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False)), min_size=1, max_size=400
)


@settings(max_examples=200, deadline=None)
@given(
    values,
    st.sampled_from((1.0, 2.0, 30.0, 60.0, 900.0)),
    st.floats(5, 1e6),
    st.integers(1, 300),
)
def test_every_column_keeps_the_ends_of_its_points(
    numbers: list[float | None], step: float, seconds: float, width: int
) -> None:
    given_ = series(step, *numbers)
    over = window(NOW, seconds, width)
    folded = fold(given_, over)
    assert len(folded) == width
    for column, got in enumerate(folded):
        own = [p for p in given_.points if math.floor(p.at / over.column_s) == over.first + column]
        if own:
            assert got == (min(p.low for p in own), max(p.high for p in own), own[-1].last)
        elif got is not None:  # held by a point whose step reaches into the column
            begin = over.begin(column)
            assert any(
                p.at <= begin <= p.at + step and (p.low, p.high, p.last) == got
                for p in given_.points
            )
    inside = [p for p in given_.points if 0 <= over.column(p.at) < width]
    if inside:
        found = ends(folded)
        assert found is not None
        assert found[0] <= min(p.low for p in inside)
        assert found[1] >= max(p.high for p in inside)


def test_a_spike_of_one_sample_is_in_a_week() -> None:
    numbers: list[float | None] = [5.0] * 5000
    numbers[1234] = 99.0
    folded = fold(series(120.0, *numbers), window(NOW, 604_800.0, 80))
    assert sum(step is not None and step.high == 100.0 for step in folded) == 1


def test_gaps_stay_gaps_and_long_steps_hold() -> None:
    folded = fold(series(30.0, 1.0, None, None, 4.0), window(NOW, 120.0, 12))
    shown = [None if step is None else step.last for step in folded]
    assert shown.count(None) >= 5, "two missing steps of three columns each"
    assert shown.count(1.0) >= 2
    assert shown[-1] == 4.0
    assert all(step is not None for step in fold(series(30.0, *[1.0] * 9), window(NOW, 200, 200)))


def test_same_step_as_column_leaves_no_holes() -> None:
    folded = fold(series(2.0, *[float(n) for n in range(301)]), window(NOW, 600.0, 300))
    assert None not in folded


def test_columns_stand_still_while_time_goes_on() -> None:
    numbers = [float(n % 17) for n in range(400)]
    first = window(NOW, 600.0, 100)
    later = window(NOW + first.column_s, 600.0, 100)
    assert fold(series(2.0, *numbers), first)[1:90] == fold(series(2.0, *numbers), later)[:89]


def test_bounds_of_what_is_asked() -> None:
    assert window(NOW, 600.0, 10**9).width == MOST
    assert window(NOW, 0.0, 0).width == 1
    assert window(NOW, 600.0, 50).finer(2).since == pytest.approx(window(NOW, 600.0, 50).since)
    empty = fold(Series(host="h", name="x", step_s=0.0), window(NOW, 600.0, 50))
    assert empty == [None] * 50
    assert ends(empty) is None
    assert newest(empty) is None


def test_points_from_before_and_after_are_left_out() -> None:
    given_ = series(2.0, *[1.0] * 10, until=NOW + 3600)
    assert fold(given_, window(NOW, 600.0, 50)) == [None] * 50
    assert fold(series(2.0, 1.0, until=NOW - 700), window(NOW, 600.0, 50)) == [None] * 50
