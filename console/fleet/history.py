"""The last hour of a few numbers of each host, in memory, in as few bytes as hold them."""

import math
from array import array
from collections.abc import Iterator

from console.model.frame import Fast
from console.model.history import Point

HOST_STEP_S = 2.0
GPU_STEP_S = 20.0
KEEP_S = 3600.0
MAX_SERIES_A_HOST = 256


class Ring:
    """Steps of fixed length, each with the smallest, largest and last value seen within it.

    ``folded`` rings keep all three; others keep one value a step. Missing steps are NaN.
    """

    __slots__ = ("_first", "_size", "_values", "folded", "step")

    def __init__(self, step: float, *, folded: bool, keep: float = KEEP_S) -> None:
        self.step = step
        self.folded = folded
        self._size = int(keep / step)
        self._values = array("f")
        self._first = 0  # number of the oldest kept step since the epoch

    def add(self, at: float, value: float) -> None:
        """Take one sample. One from before the newest step is dropped."""
        width = 3 if self.folded else 1
        number = int(at / self.step)
        held = len(self._values) // width
        if held and number > self._first + held + self._size:
            self._values, held = array("f"), 0
        if not held:
            self._first = number
        last = self._first + held - 1
        if number < last:
            return
        if number == last:
            self._merge(value, width)
            return
        self._values.extend([math.nan] * (width * (number - last - 1)))
        self._values.extend([value] * width)
        surplus = len(self._values) // width - self._size
        if surplus > self._size // 8 or surplus > 64:
            del self._values[: surplus * width]
            self._first += surplus

    def _merge(self, value: float, width: int) -> None:
        values = self._values
        if width == 3:
            if not values[-3] <= value:  # also when it is NaN
                values[-3] = value
            if not values[-2] >= value:
                values[-2] = value
        values[-1] = value

    def points(self, since: float) -> Iterator[Point]:
        """Steps that end after ``since``, oldest first, without the missing ones."""
        width = 3 if self.folded else 1
        begin = max(0, int(since / self.step) - self._first)
        for index in range(begin, len(self._values) // width):
            last = self._values[index * width + width - 1]
            if math.isnan(last):
                continue
            low = self._values[index * width]
            high = self._values[index * width + 1] if self.folded else last
            yield Point((self._first + index) * self.step, low, high, last)


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
            # Twice a step is enough for lows and highs of what changes slowly.
            self._gpu_due = at + GPU_STEP_S / 4
            for name, value in gpu_numbers(fast):
                self._ring(name, GPU_STEP_S, folded=True, at=at, value=value)

    def _ring(self, name: str, step: float, *, folded: bool, at: float, value: float) -> None:
        ring = self._rings.get(name)
        if ring is None:
            if len(self._rings) >= MAX_SERIES_A_HOST:
                return
            ring = self._rings[name] = Ring(step, folded=folded)
        ring.add(at, value)

    def names(self) -> list[str]:
        """Which series there are."""
        return list(self._rings)

    def series(self, name: str, since: float) -> tuple[float, tuple[Point, ...]]:
        """Step in seconds, and the points since then; (0, ()) for an unknown name."""
        ring = self._rings.get(name)
        return (ring.step, tuple(ring.points(since))) if ring else (0.0, ())
