"""The last hour of a few numbers of each host, in memory, in as few bytes as hold them.

Values are kept as half floats: two bytes, three digits. A thousand hosts with eight GPUs each have
forty thousand series, and no plot shows more than three digits.
"""

import math
import struct
from collections.abc import Iterator

from console.model.frame import Fast
from console.model.history import Point

HOST_STEP_S = 2.0
GPU_STEP_S = 30.0
KEEP_S = 3600.0
MAX_SERIES_A_HOST = 256

MAX_HALF = 65_504.0
RATE_UNIT = 1e7
"""Rates are kept in this unit, so that 1 B/s and 600 GB/s are both within a half float."""

_one = struct.Struct("<e")
_three = struct.Struct("<3e")


class Ring:
    """Steps of fixed length, each with the smallest, largest and last value seen within it.

    ``folded`` rings keep all three; others keep one value a step. Missing steps are NaN. ``unit``
    is what one means in the half floats.
    """

    __slots__ = ("_first", "_size", "_values", "folded", "step", "unit")

    def __init__(
        self, step: float, *, folded: bool, keep: float = KEEP_S, unit: float = 1.0
    ) -> None:
        self.step = step
        self.folded = folded
        self.unit = unit
        self._size = int(keep / step)
        self._values = bytearray()
        self._first = 0  # number of the oldest kept step since the epoch

    def add(self, at: float, value: float) -> None:
        """Take one sample. One from before the newest step is dropped."""
        width = (_three if self.folded else _one).size
        number = int(at / self.step)
        held = len(self._values) // width
        if held and number > self._first + held + self._size:
            self._values, held = bytearray(), 0
        if not held:
            self._first = number
        last = self._first + held - 1
        if number < last:
            return
        value = min(max(value / self.unit, -MAX_HALF), MAX_HALF)
        if number == last:
            self._merge(value, len(self._values) - width)
            return
        missing = number - last - 1
        if missing:
            self._values += _one.pack(math.nan) * (missing * width // _one.size)
        self._values += _three.pack(value, value, value) if self.folded else _one.pack(value)
        surplus = len(self._values) // width - self._size
        if surplus > self._size // 8 or surplus > 64:
            del self._values[: surplus * width]
            self._first += surplus

    def _merge(self, value: float, place: int) -> None:
        if not self.folded:
            _one.pack_into(self._values, place, value)
            return
        low, high, _ = _three.unpack_from(self._values, place)
        low = low if low <= value else value  # also when it is NaN
        high = high if high >= value else value
        _three.pack_into(self._values, place, low, high, value)

    def points(self, since: float) -> Iterator[Point]:
        """Steps that end after ``since``, oldest first, without the missing ones."""
        form = _three if self.folded else _one
        begin = max(0, int(since / self.step) - self._first)
        steps = form.iter_unpack(bytes(self._values[begin * form.size :]))
        for number, step in enumerate(steps, self._first + begin):
            last = step[-1] * self.unit
            if not math.isnan(last):
                low, high = (step[0], step[1]) if self.folded else (step[0], step[0])
                yield Point(number * self.step, low * self.unit, high * self.unit, last)


def numbers(fast: Fast) -> Iterator[tuple[str, float]]:
    """The host's own numbers in a fast sample, by the name they are kept under."""
    for name in ("cpu_pct", "rx_bps", "tx_bps", "psi_mem"):
        value = getattr(fast, name)
        if value is not None:
            yield name, value
    if fast.mem_total_kib and fast.mem_avail_kib is not None:
        used = fast.mem_total_kib - fast.mem_avail_kib
        yield "mem_pct", 100.0 * used / fast.mem_total_kib
    busy = [gpu.util_pct for gpu in fast.gpu if gpu.util_pct is not None]
    if busy:
        yield "gpu_util_pct", sum(busy) / len(busy)
    power = [gpu.power_w for gpu in fast.gpu if gpu.power_w is not None]
    if power:
        yield "gpu_power_w", sum(power)


def gpu_numbers(fast: Fast) -> Iterator[tuple[str, float]]:
    """The numbers of each GPU: ``gpu.<index>.<what>``."""
    for gpu in fast.gpu:
        head = f"gpu.{gpu.index}."
        for name in ("util_pct", "temp_c", "power_w"):
            value = getattr(gpu, name)
            if value is not None:
                yield head + name, value
        if gpu.mem_total_mib and gpu.mem_used_mib is not None:
            yield head + "mem_pct", 100.0 * gpu.mem_used_mib / gpu.mem_total_mib


class History:
    """All series of one host."""

    __slots__ = ("_gpu_due", "_rings")

    def __init__(self) -> None:
        self._rings: dict[str, Ring] = {}
        self._gpu_due = 0.0

    def add(self, at: float, fast: Fast) -> None:
        """Take a fast sample, stamped by the console's clock."""
        for name, value in numbers(fast):
            self._ring(name, HOST_STEP_S, folded=False, at=at, value=value)
        if at >= self._gpu_due or at < self._gpu_due - 60:
            # A few times a step is enough for lows and highs of what changes slowly.
            self._gpu_due = at + GPU_STEP_S / 6
            for name, value in gpu_numbers(fast):
                self._ring(name, GPU_STEP_S, folded=True, at=at, value=value)

    def _ring(self, name: str, step: float, *, folded: bool, at: float, value: float) -> None:
        ring = self._rings.get(name)
        if ring is None:
            if len(self._rings) >= MAX_SERIES_A_HOST:
                return
            unit = RATE_UNIT if name.endswith("_bps") else 1.0
            ring = self._rings[name] = Ring(step, folded=folded, unit=unit)
        ring.add(at, value)

    def names(self) -> list[str]:
        """Which series there are."""
        return list(self._rings)

    def series(self, name: str, since: float) -> tuple[float, tuple[Point, ...]]:
        """Step in seconds, and the points since then; (0, ()) for an unknown name."""
        ring = self._rings.get(name)
        return (ring.step, tuple(ring.points(since))) if ring else (0.0, ())
