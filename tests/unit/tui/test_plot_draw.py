"""Plots as text: exact widths, the right characters, every series told without colour."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.model.history import Point, Series
from console.text import cell_width
from console.tui.plot.draw import ASCII, BLOCK, BRAILLE, KINDS, MARKS, Curve, chart, finer, level
from console.tui.plot.fold import Step, Steps, fold, window
from console.tui.plot.frame import framed, gutter
from console.tui.plot.names import ordered, reading, scale, title, unit
from console.tui.plot.small import small_plot, small_plots
from console.tui.style.look import Cell, Look

NOW = 1_700_000_000.0


def text(lines: list[Cell]) -> list[str]:
    return ["".join(words for words, _ in line) for line in lines]


def look(kind: str) -> Look:
    return Look(ascii_only=kind == ASCII, plots=kind)


step = st.one_of(
    st.none(),
    st.lists(st.floats(-10, 110), min_size=3, max_size=3).map(lambda v: Step(min(v), max(v), v[1])),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(step, max_size=120), min_size=1, max_size=6),
    st.integers(0, 60),
    st.integers(1, 12),
    st.sampled_from(KINDS),
)
def test_never_wider_or_higher_than_asked(
    many: list[Steps], width: int, height: int, kind: str
) -> None:
    curves = [Curve(steps, f"series{n + 1}", MARKS[n]) for n, steps in enumerate(many)]
    lines = chart(curves, (0.0, 100.0), width, height, kind, ruler=3)
    assert len(lines) == height
    assert all(cell_width(line) == width for line in text(lines))
    if kind == ASCII:
        assert all(line.isascii() for line in text(lines))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("height", [3, 8, 20])
def test_a_spike_reaches_the_top_line(kind: str, height: int) -> None:
    steps: Steps = [Step(10.0, 10.0, 10.0)] * 40
    steps[20] = Step(10.0, 100.0, 10.0)
    top = text(chart([Curve(steps)], (0.0, 100.0), 40 // finer(kind), height, kind))[0]
    assert top.strip(), "the spike is drawn"
    assert len(top.strip()) == 1, "and nothing else is up there"


@pytest.mark.parametrize("kind", KINDS)
def test_a_dip_is_seen_too(kind: str) -> None:
    flat: Steps = [Step(90.0, 90.0, 90.0)] * 40
    dipped: Steps = [*flat]
    dipped[20] = Step(0.0, 90.0, 90.0)
    width = 40 // finer(kind)
    before = text(chart([Curve(flat)], (0.0, 100.0), width, 8, kind))
    assert before != text(chart([Curve(dipped)], (0.0, 100.0), width, 8, kind))


def test_braille_dots_are_where_they_belong() -> None:
    steps: Steps = [Step(0, 0, 0), Step(99, 99, 99)]
    top, bottom = text(chart([Curve(steps)], (0.0, 100.0), 1, 2, BRAILLE))
    assert ord(bottom) & 0x40, "the left dot of the lowest row"
    assert ord(top) & 0x08, "the right dot of the highest row"


def test_blocks_in_eighths() -> None:
    steps: Steps = [Step(v, v, v) for v in (0, 13, 30, 45, 55, 70, 80, 99)]
    assert text(chart([Curve(steps)], (0.0, 100.0), 8, 1, BLOCK)) == ["▁▂▃▄▅▆▇█"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_several_series_is_told_by_its_letter(kind: str) -> None:
    width = 80
    curves = [
        Curve([Step(v, v, v)] * (width * finer(kind)), f"series{n + 1}", MARKS[n])
        for n, v in enumerate((5, 20, 40, 55, 70, 90))
    ]
    whole = "".join(text(chart(curves, (0.0, 100.0), width, 12, kind)))
    for mark in MARKS:
        assert mark in whole


def test_the_band_is_told_from_the_line() -> None:
    steps: Steps = [Step(10.0, 90.0, 50.0)] * 40
    for kind in (BRAILLE, BLOCK, ASCII):
        styles = {s for line in chart([Curve(steps)], (0, 100), 20, 10, kind) for _, s in line}
        assert {"dim", "series1"} <= styles, kind


def test_gaps_are_blank() -> None:
    steps: Steps = [Step(50, 50, 50)] * 10 + [None] * 20 + [Step(50, 50, 50)] * 10
    for kind in KINDS:
        width = 40 // finer(kind)
        for line in text(chart([Curve(steps)], (0.0, 100.0), width, 6, kind)):
            assert not line[10 // finer(kind) : 30 // finer(kind)].strip(), kind


def test_level_is_bounded() -> None:
    assert level(-5, (0, 100), 10) == 0
    assert level(500, (0, 100), 10) == 9
    assert level(5, (5, 5), 10) == 0


@pytest.mark.parametrize("seconds", [600.0, 3600.0, 86_400.0, 604_800.0])
@pytest.mark.parametrize("width", [20, 60, 180])
@pytest.mark.parametrize("kind", KINDS)
def test_axes(seconds: float, width: int, kind: str) -> None:
    over = window(NOW, seconds, width)
    left = gutter("cpu_pct", (0.0, 100.0))
    steps: Steps = [Step(50, 50, 50)] * (width * finer(kind))
    lines = text(framed([Curve(steps)], "cpu_pct", (0.0, 100.0), over, 14, look(kind)))
    assert len(lines) == 14
    assert {cell_width(line) for line in lines} == {left + width}
    assert lines[0].startswith("100%")
    assert lines[11].lstrip().startswith("0%")
    assert lines[-1].endswith(" UTC")
    ticks = sum(sign in "┬+" for sign in lines[-2][left:])
    assert ticks >= 1 or width == 20
    if kind == ASCII:
        assert all(line.isascii() for line in lines)


def test_times_below_the_axis_are_utc() -> None:
    over = window(NOW, 3600.0, 120)  # 22:13:20 UTC
    lines = text(framed([], "cpu_pct", (0.0, 100.0), over, 10, Look()))
    assert "22:00" in lines[-1]
    at = lines[-1].index("22:00") + 2
    assert lines[-2][at] == "┬"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cpu_pct", 63.2, "63%"), ("cpu_pct", 0.4, "0.4%"), ("tx_bps", 1.5e6, "1.4M/s"),
        ("gpu.3.temp_c", 54.0, "54 C"), ("gpu_power_w", 412.0, "412 W"),
        ("gpu_power_w", 12_000.0, "12.0 kW"), ("plugin.vllm.queue", 12.345, "12.35"),
        ("plugin.vllm.wait_ms", 8.0, "8 ms"), ("plugin.x.cache_bytes", 2048.0, "2.0K"),
        ("psi_mem", 2.0, "2%"),
    ],
)  # fmt: skip
def test_readings(name: str, value: float, words: str) -> None:
    assert reading(name, value) == words


def test_names() -> None:
    assert title("gpu.3.temp_c") == "GPU 3 temperature"
    assert title("plugin.a.b") == "plugin.a.b"
    assert unit("queue") == ""
    names = ["plugin.x", "gpu.10.util_pct", "gpu.2.util_pct", "tx_bps", "cpu_pct", "cpu_pct"]
    assert ordered(names) == ["cpu_pct", "tx_bps", "gpu.2.util_pct", "gpu.10.util_pct", "plugin.x"]


@given(st.floats(-1e15, 1e15), st.floats(0, 1e15))
def test_a_scale_holds_all_values(low: float, more: float) -> None:
    for name in ("cpu_pct", "tx_bps", "gpu.0.temp_c", "gpu_power_w", "plugin.x"):
        bottom, top = scale(name, low, low + more)
        assert bottom <= low
        assert top >= low + more
        assert top > bottom


def test_small_plots_fit_and_say_least_and_most() -> None:
    points = tuple(Point(NOW - 600 + 2 * n, 10.0, 10.0 + n % 50, 20.0) for n in range(300))
    series = Series(host="h", name="cpu_pct", step_s=2.0, points=points)
    for width in (40, 80, 120, 200):
        for tall in (False, True):
            for kind in KINDS:
                lines = text(
                    small_plot(series, look(kind), width, now=NOW, seconds=600.0, tall=tall)
                )
                assert len(lines) == (2 if tall else 1)
                assert all(cell_width(line) <= max(width, 70) for line in lines)
                assert "10%..59%" in lines[-1]
    assert small_plots(("none",), lambda n, s: Series(host="", name=n, step_s=0), Look(), 80) == []


def test_what_is_folded_is_what_is_drawn() -> None:
    points = tuple(Point(NOW - 3600 + 2 * n, 50, 99.0 if n == 700 else 50, 50) for n in range(1800))
    series = Series(host="h", name="cpu_pct", step_s=2.0, points=points)
    over = window(NOW, 3600.0, 100)
    for kind in KINDS:
        steps = fold(series, over.finer(finer(kind)))
        top = text(chart([Curve(steps)], (0.0, 100.0), 100, 10, kind))[0]
        assert len(top.strip()) == 1
