"""The hour in memory: steps, lows and highs, gaps, bounds, and half floats that are good enough."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleet.history import MAX_SERIES_A_HOST, RATE_UNIT, History, Ring
from console.model.frame import Fast
from console.model.gpu import GpuFast

BEGIN = 1_700_000_000.0
value = st.floats(0, 60_000, allow_nan=False)


def close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-3)


@given(st.lists(st.tuples(st.floats(0, 300), value), min_size=1, max_size=60))
def test_a_folded_step_has_the_low_the_high_and_the_last(
    samples: list[tuple[float, float]],
) -> None:
    ring = Ring(30.0, folded=True)
    samples = sorted(samples, key=lambda sample: sample[0])
    steps: dict[int, list[float]] = {}
    for after, number in samples:
        ring.add(BEGIN + after, number)
        steps.setdefault(int((BEGIN + after) / 30), []).append(number)
    points = list(ring.points(0))
    assert [int(point.at / 30) for point in points] == sorted(steps)
    for point in points:
        seen = steps[int(point.at / 30)]
        assert close(point.low, min(seen))
        assert close(point.high, max(seen))
        assert close(point.last, seen[-1])
        assert point.low <= point.last <= point.high


@given(st.lists(st.floats(-1e7, 1e9), max_size=80), st.booleans())
def test_any_clock_is_survived_within_the_bound(times: list[float], folded: bool) -> None:
    ring = Ring(2.0, folded=folded, keep=60)
    for at in times:
        ring.add(at, 1.0)
    points = list(ring.points(-1e9))
    assert len(points) <= 60
    assert [p.at for p in points] == sorted({p.at for p in points})


def test_what_is_missing_is_no_point_and_what_is_old_is_gone() -> None:
    ring = Ring(2.0, folded=False, keep=100)
    for step in (0, 1, 5):
        ring.add(BEGIN + 2 * step, float(step))
    assert [point.last for point in ring.points(BEGIN)] == [0.0, 1.0, 5.0]
    assert [point.last for point in ring.points(BEGIN + 4)] == [5.0]
    ring.add(BEGIN + 2, 9.0)
    assert [point.last for point in ring.points(BEGIN)] == [0.0, 1.0, 5.0], "the past is closed"
    for step in range(6, 1_000):
        ring.add(BEGIN + 2 * step, 1.0)
    assert len(list(ring.points(0))) <= 50 + 50 // 8 + 1
    ring.add(BEGIN + 1e6, 3.0)
    assert [point.last for point in ring.points(0)] == [3.0], "a long gap begins anew"


@pytest.mark.parametrize("rate", [1.0, 1_500.0, 1.25e8, 5e10, 1e11])
def test_rates_of_any_network_keep_three_digits(rate: float) -> None:
    history = History()
    history.add(BEGIN, Fast(tx_bps=rate, rx_bps=0.0))
    _, (point,) = history.series("tx_bps", 0)
    assert math.isclose(point.last, rate, rel_tol=2e-3 if rate > 1e3 else 0.5)
    assert history.series("rx_bps", 0)[1][0].last == 0.0


def test_what_no_half_float_holds_is_cut_and_not_an_error() -> None:
    history = History()
    gpu = GpuFast(0, 1e19, 0.0, 1e19, 1.0, 1e19, 1e19)
    history.add(BEGIN, Fast(cpu_pct=1e19, tx_bps=1e19, mem_total_kib=1, mem_avail_kib=1 << 64,
                            gpu=(gpu,)))  # fmt: skip
    assert history.series("cpu_pct", 0)[1][0].last == 65_504.0
    assert history.series("tx_bps", 0)[1][0].last == 65_504.0 * RATE_UNIT
    assert history.series("mem_pct", 0)[1][0].last == -65_504.0


def test_series_are_named_and_bounded() -> None:
    history = History()
    gpus = tuple(GpuFast(n, 50.0, 1.0, 10.0, 20.0, 60.0, 300.0) for n in range(200))
    for second in range(0, 120, 2):
        history.add(BEGIN + second, Fast(cpu_pct=5.0, gpu=gpus))
    assert len(history.names()) == MAX_SERIES_A_HOST
    assert {"cpu_pct", "gpu_util_pct", "gpu_power_w", "gpu.0.util_pct", "gpu.0.mem_pct"} <= set(
        history.names()
    )
    step, points = history.series("gpu.0.mem_pct", 0)
    assert (step, points[0].last) == (30.0, 50.0)
    assert history.series("nothing", 0) == (0.0, ())
