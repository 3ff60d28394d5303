"""Names and shape of the numbers that are kept over time."""

import msgspec


class Point(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One step of a series: smallest, largest and last value within it."""

    at: float  # start of the step, seconds since the epoch
    low: float
    high: float
    last: float


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """History of one number. Gaps are missing points, not zeros."""

    host: str
    name: str  # "cpu_pct", "mem_pct", "tx_bps", "rx_bps", "gpu.0.util_pct", "gpu.0.temp_c", ...
    step_s: float
    points: tuple[Point, ...] = ()
