"""What the probe costs: processor share with children, memory, lateness, by lane."""

from __future__ import annotations

import os

from .place import Place, slurp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PERIOD_S = 60.0


def rss_kib(place: Place) -> int:
    """Resident memory of this process."""
    try:
        pages = int(slurp(place.proc + "/self/statm", 256).split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGESIZE") // 1024


def _used() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class SelfCost:
    """Collects runs of lanes and reports each minute."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._at = place.mono()
        self._cpu = _used()
        self._runs: dict[str, tuple[int, float]] = {}

    def ran(self, lane: str, seconds: float) -> None:
        """Count one run of ``lane``."""
        runs, spent = self._runs.get(lane, (0, 0.0))
        self._runs[lane] = (runs + 1, spent + seconds)

    def report(self, late: int, dropped: int, extra_cpu: float = 0.0) -> dict[str, Any] | None:
        """The part ``self`` when a minute has passed; ``extra_cpu``: seconds of live children."""
        now = self._place.mono()
        passed = now - self._at
        if passed < PERIOD_S:
            return None
        cpu = _used() + extra_cpu
        part = {
            "cpu_pct": round(max(0.0, cpu - self._cpu) / passed * 100, 3),
            "rss_kib": rss_kib(self._place),
            "late": late,
            "dropped": dropped,
            "lanes_ms": {
                lane: round(spent / runs * 1000, 3) for lane, (runs, spent) in self._runs.items()
            },
        }
        self._at, self._cpu, self._runs = now, cpu, {}
        return part
