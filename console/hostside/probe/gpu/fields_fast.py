"""The fast lane of an NVIDIA GPU: seven calls a sample, no more.

Left out on purpose: ``nvmlDeviceGetPcieThroughput`` blocks 20 ms a counter (the slow lane reads
byte counters instead), fan speed costs ten times all of this and data centre boards have no fan.
"""

from __future__ import annotations

from typing import Any

from .nvml import Lost, Nvml

MIB = 1024.0 * 1024.0
CLOCK_SM = 1
CLOCK_MEM = 2
VALUES = 9  # of GpuFast between the index and the age


def mib(value: int | None) -> float | None:
    """Bytes as MiB with one decimal."""
    return None if value is None else round(value / MIB, 1)


def watts(milliwatts: int | None) -> float | None:
    """Milliwatts as W."""
    return None if milliwatts is None else round(milliwatts / 1000.0, 1)


class FastReader:
    """Samples one device. ``used_mib`` and ``total_mib`` keep what it saw last."""

    def __init__(self, nvml: Nvml, handle: Any, index: int) -> None:
        self._nvml = nvml
        self._handle = handle
        self._index = index
        self._answers = 0
        self._error = ""
        self.used_mib: float | None = None
        self.total_mib: float | None = None

    def read(self) -> list[Any]:
        """``GpuFast`` from ``util_pct`` to ``throttle``; Lost when nothing at all is answered."""
        self._answers = 0
        self._error = ""
        use = self._get("nvmlDeviceGetUtilizationRates")
        memory = self._memory()
        if memory is not None:
            self.used_mib, self.total_mib = mib(memory.used), mib(memory.total)
        row = [
            None if use is None else float(use.gpu),
            None if use is None else float(use.memory),
            None if memory is None else self.used_mib,
            None if memory is None else self.total_mib,
            self._temperature(),
            watts(self._get("nvmlDeviceGetPowerUsage")),
            self._get("nvmlDeviceGetClockInfo", CLOCK_SM),
            self._get("nvmlDeviceGetClockInfo", CLOCK_MEM),
            self._throttle(),
        ]
        if not self._answers and self._error:
            raise Lost(self._error)
        return row

    def _get(self, function: str, *args: Any) -> Any:
        value, code = self._nvml.attempt(function, self._handle, *args, index=self._index)
        if value is not None:
            self._answers += 1
        elif code is not None and self._nvml.retries(code):
            self._error = f"driver answers with error {code} ({self._nvml.text(code)})"
        return value

    def _memory(self) -> Any:
        version = getattr(self._nvml.api, "nvmlMemory_v2", None)
        if version is not None:
            memory = self._get("nvmlDeviceGetMemoryInfo", version)
            if memory is not None:
                return memory
        return self._get("nvmlDeviceGetMemoryInfo")

    def _temperature(self) -> float | None:
        value = self._get("nvmlDeviceGetTemperature", 0)
        if value is None:
            value = self._get("nvmlDeviceGetTemperatureV", 0)
        return None if value is None else float(value)

    def _throttle(self) -> int | None:
        value = self._get("nvmlDeviceGetCurrentClocksEventReasons")
        if value is None:
            value = self._get("nvmlDeviceGetCurrentClocksThrottleReasons")
        return None if value is None else int(value)
