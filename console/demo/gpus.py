"""One simulated GPU: load, memory, heat, power and error counters."""

import random

import msgspec

from console.demo.fleet import GpuModel
from console.model.gpu import GpuCounters, GpuFast

POWER_CAP = 0x04
IDLE = 0x01
ROOM_C = 29.0


class GpuSim:
    """Moves towards its load with noise; heat follows power with a lag of some seconds."""

    def __init__(self, index: int, kind: GpuModel, noise: random.Random) -> None:
        self.index = index
        self.kind = kind
        self.lost = ""
        self._random = noise
        self._goal = 0.0
        self._util = 0.0
        self._mem = 4.0  # MiB that the driver itself takes
        self._temp = ROOM_C + noise.uniform(1, 4)
        self._power = kind.idle_w
        nvidia = kind.vendor == "nvidia"
        self.counters = GpuCounters(
            index=index,
            ecc_corrected=noise.choice((0, 0, 0, 3, 17)),
            ecc_uncorrected=0,
            ecc_corrected_volatile=0,
            ecc_uncorrected_volatile=0,
            remapped_corrected=0 if nvidia else None,
            remapped_uncorrected=0 if nvidia else None,
            remap_pending=0 if nvidia else None,
            remap_failure=0 if nvidia else None,
            pcie_replays=noise.choice((0, 0, 1)),
            nvlink_crc_errors=0 if kind.nvlinks else None,
            nvlink_replay_errors=0 if kind.nvlinks else None,
            mem_temp_c=round(ROOM_C + 14),
            energy_mj=noise.randrange(10**12, 10**13),
            recovery_action=0 if nvidia else None,
        )

    def serve(self, util_pct: float, share: float) -> None:
        """A service holds this GPU: mean load in percent and share of the memory."""
        self.load(util_pct, self.kind.mem_mib * share)

    def load(self, util_pct: float, mem_mib: float) -> None:
        """Another process loads this GPU and holds ``mem_mib`` of its memory."""
        idle = self._goal == 0
        self._goal = min(100.0, self._goal + util_pct)
        self._mem = min(self.kind.mem_mib, self._mem + mem_mib)
        if idle:
            self._util = self._goal * 0.9
            self._power = self._power_at(self._util)
            self._temp = self._temp_at(self._power)

    def rest(self, mem_mib: float) -> None:
        """What loaded this GPU is gone, and gives its memory back."""
        self._goal = self._util = 0.0
        self._mem = max(4.0, self._mem - mem_mib)

    def step(self) -> None:
        """One second passes."""
        if self.lost:
            return
        noise = self._random.gauss
        if self._goal:
            self._util += 0.25 * (self._goal - self._util) + noise(0, 4.0)
            self._util = min(100.0, max(0.0, self._util))
        self._power += 0.5 * (self._power_at(self._util) - self._power) + noise(0, 1.5)
        self._power = max(self.kind.idle_w * 0.9, self._power)
        self._temp += 0.12 * (self._temp_at(self._power) - self._temp) + noise(0, 0.15)

    def count(self, **changed: float | None) -> None:
        """Set error counters by name."""
        self.counters = msgspec.structs.replace(self.counters, **changed)

    def fast(self) -> GpuFast:
        """The fast lane, or why there is none."""
        if self.lost:
            return GpuFast(self.index, lost=self.lost)
        busy = self._goal > 0
        clock = self.kind.clock_mhz if busy else self.kind.clock_mhz // 6
        capped = self._power > self.kind.limit_w * 0.97
        return GpuFast(
            self.index,
            round(self._util),
            round(self._util * 0.55),
            round(self._mem),
            self.kind.mem_mib,
            round(self._temp),
            round(self._power, 1),
            clock - (120 if capped else 0),
            self.kind.mem_clock_mhz,
            POWER_CAP if capped else (0 if busy else IDLE),
        )

    def _power_at(self, util: float) -> float:
        return self.kind.idle_w + (self.kind.limit_w - self.kind.idle_w) * util / 100 * 0.93

    def _temp_at(self, power: float) -> float:
        return ROOM_C + 40 * power / self.kind.limit_w + self.index % 4
