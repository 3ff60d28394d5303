"""Process lists of an NVIDIA GPU, with checks that the driver meant the struct we read.

Drivers R535.43 to .86 answered the third version of the call with a longer struct: pids and
memory then come back shuffled. A list is believed only if it holds together; else the second
version is asked.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from .fields_fast import mib
from .nvml import Nvml

KINDS: tuple[tuple[str, str], ...] = (
    ("compute", "nvmlDeviceGetComputeRunningProcesses"),
    ("graphics", "nvmlDeviceGetGraphicsRunningProcesses"),
    ("mps", "nvmlDeviceGetMPSComputeRunningProcesses"),
)
SLACK = 0.05  # of the device's memory: use changes between two calls
MAX_PROCESSES = 2048
MAX_SAMPLES = 8192


class Use(NamedTuple):
    """A process on a GPU: ``mem_mib`` is None where the driver does not say."""

    pid: int
    kind: str
    mem_mib: float | None
    source: str = "nvml"
    reliable: bool = True
    sm_pct: float | None = None


def plausible(
    uses: list[Use],
    total_mib: float | None,
    used_mib: float | None,
    exists: Callable[[int], bool],
) -> bool:
    """Whether a list can be what the driver meant: real pids, memory that the device has."""
    together = 0.0
    for use in uses:
        if use.pid <= 0 or not exists(use.pid):
            return False
        if use.mem_mib is not None:
            if total_mib is not None and use.mem_mib > total_mib:
                return False
            together += use.mem_mib
    if total_mib is None or used_mib is None:
        return True
    return together <= used_mib + SLACK * total_mib


class ProcessReader:
    """Lists the processes of one device and remembers which version of each call to believe."""

    def __init__(self, nvml: Nvml, handle: Any, index: int, exists: Callable[[int], bool]) -> None:
        self._nvml = nvml
        self._handle = handle
        self._index = index
        self._exists = exists
        self._second: dict[str, bool] = {}
        self._sampled = 0  # time of the newest sample of use, microseconds of the driver's clock

    def read(self, total_mib: float | None, used_mib: float | None) -> list[Use]:
        """All processes of all kinds that the driver names."""
        found: list[Use] = []
        for kind, function in KINDS:
            found += self._kind(kind, function, total_mib, used_mib)
        busy = self._busy() if found else {}
        return [use._replace(sm_pct=busy.get(use.pid)) for use in found] if busy else found

    def _busy(self) -> dict[int, float]:
        """Share of the multiprocessors by pid: the newest sample since the last call.

        The driver answers NOT_FOUND while nothing ran, and not at all in MIG mode.
        """
        function = "nvmlDeviceGetProcessUtilization"
        samples = self._nvml.call(function, self._handle, self._sampled, index=self._index)
        newest: dict[int, tuple[int, float]] = {}
        for one in (samples or ())[:MAX_SAMPLES]:
            if one.timeStamp and one.smUtil <= 100:
                before = newest.get(one.pid)
                if before is None or before[0] <= one.timeStamp:
                    newest[one.pid] = (one.timeStamp, float(one.smUtil))
        self._sampled = max([self._sampled, *(at for at, _ in newest.values())])
        return {pid: share for pid, (_, share) in newest.items()}

    def _kind(self, kind: str, function: str, total: float | None, used: float | None) -> list[Use]:
        third = None if self._second.get(kind) else self._list(kind, function + "_v3")
        if third is not None and plausible(third, total, used, self._exists):
            return third
        second = self._list(kind, function + "_v2")
        if second is None:
            return self._doubt(third or [])
        if plausible(second, total, used, self._exists):
            if third is not None and {u.pid for u in third} != {u.pid for u in second}:
                self._second[kind] = True
            return second
        if third is not None and {u.pid for u in third} == {u.pid for u in second}:
            # Both agree, so the layout is right: a process has just ended, or is one of another
            # pid namespace, or one number alone is wrong.
            return [u._replace(reliable=plausible([u], total, None, self._exists)) for u in third]
        return self._doubt(second)

    def _doubt(self, uses: list[Use]) -> list[Use]:
        return [use._replace(reliable=False) for use in uses if use.pid > 0]

    def _list(self, kind: str, function: str) -> list[Use] | None:
        rows = self._nvml.call(function, self._handle, index=self._index)
        if rows is None:
            return None
        memory: dict[int, int | None] = {}  # one process may be in several MIG instances
        for row in rows[:MAX_PROCESSES]:
            if row.usedGpuMemory is not None:
                memory[row.pid] = (memory.get(row.pid) or 0) + row.usedGpuMemory
            else:
                memory.setdefault(row.pid, None)
        return [Use(pid, kind, mib(used)) for pid, used in memory.items()]
