"""Intel GPUs by the files of the i915 and xe drivers; busy time comes from the clients' fdinfo."""

from __future__ import annotations

import os
import time
from typing import Any, Dict

from . import drm
from .fields_fast import mib
from .files import names, number, read, scaled
from .nvml import Lost

Facts = Dict[str, Any]

# Reasons of the drivers as bits of nvml.h, so that one field means the same for every vendor.
_HW_THERMAL, _SW_POWER, _HW_SLOWDOWN = 0x40, 0x04, 0x08
_REASONS = {
    "pl1": _SW_POWER,
    "pl2": _SW_POWER,
    "pl4": _SW_POWER,
    "thermal": _HW_THERMAL,
    "prochot": _HW_THERMAL,
    "vr_thermalert": _HW_THERMAL,
    "ratl": _HW_SLOWDOWN,
    "vr_tdc": _HW_SLOWDOWN,
}


class IntelCard:
    """Reads one card. ``watch`` gives it the descriptors of its clients, ``blind`` says that
    there may be clients it is not shown: then idle and unseen cannot be told apart.
    """

    vendor = "intel"

    def __init__(self, card: drm.Card, proc: str) -> None:
        self._folder = card.folder
        self._card = card
        self.pci = card.pci
        self._proc = proc
        self._busy = drm.Busy()
        self._energy: tuple[int, float] | None = None
        self._clients: list[tuple[int, str]] | None = None
        self._blind = False

    def watch(self, clients: list[tuple[int, str]], blind: bool) -> None:
        """Take the (pid, descriptor) pairs that are open on this card, from the slow lane."""
        self._blind = blind
        self._clients = clients

    def fast(self) -> list[Any]:
        """``GpuFast`` from ``util_pct`` to ``throttle``; Lost when the device is gone."""
        if not os.path.isdir(self._folder):
            raise Lost("the device is gone from sysfs")
        if drm.asleep(self._folder):
            return [None] * 9
        clients = self._read_clients()
        used = None
        if clients is not None and not self._blind:
            used = mib(sum(drm.vram_bytes(c) for c in clients))
        monitor = drm.hwmon(self._folder)
        return [
            self._utilisation(clients),
            None,
            used,
            self._memory(),
            _temperature(monitor),
            self._power(monitor),
            self._frequency(),
            None,
            self._throttle(),
        ]

    def _read_clients(self) -> list[drm.Client] | None:
        if self._clients is None:
            return None
        found: dict[str, drm.Client] = {}
        for pid, fd in list(self._clients):
            client = drm.read_client(self._proc, pid, fd)
            if client is not None and client.pci in ("", self._card.pci):
                found[client.client or f"{pid}/{fd}"] = client
        return list(found.values())

    def _utilisation(self, clients: list[drm.Client] | None) -> float | None:
        if clients is None:
            return None
        share = self._busy.update(clients, time.monotonic())
        return None if self._blind and not share else share

    def _memory(self) -> float | None:
        total = number(self._card.card, "lmem_total_bytes")
        if total is None:
            tiles = [n for n in names(self._folder) if n.startswith("tile")]
            sizes = [number(self._folder, t, "physical_vram_size_bytes") for t in tiles]
            total = sum(s for s in sizes if s) or None
        return mib(total)

    def _power(self, monitor: str) -> float | None:
        if not monitor:
            return None
        direct = scaled(1e6, monitor, "power1_input")
        if direct is not None:
            return direct
        energy, now = number(monitor, "energy1_input"), time.monotonic()
        if energy is None:
            return None
        before, self._energy = self._energy, (energy, now)
        if before is None or energy < before[0] or now <= before[1]:
            return None
        return round((energy - before[0]) / (now - before[1]) / 1e6, 1)

    def _frequency(self) -> int | None:
        for folder, name in (
            (self._card.card, "gt/gt0/rps_act_freq_mhz"),
            (self._card.card, "gt_act_freq_mhz"),
            (self._folder, "tile0/gt0/freq0/act_freq"),
        ):
            value = number(folder, name)
            if value is not None:
                return value
        return None

    def _throttle(self) -> int | None:
        for folder, prefix in (
            (os.path.join(self._card.card, "gt/gt0"), "throttle_reason_"),
            (os.path.join(self._folder, "tile0/gt0/freq0/throttle"), "reason_"),
        ):
            if number(folder, prefix + "status") is None and number(folder, "status") is None:
                continue
            mask = 0
            for reason, bit in _REASONS.items():
                if number(folder, prefix + reason):
                    mask |= bit
            return mask
        return None

    def counters(self) -> Facts:
        """Fields of ``GpuCounters`` that the card has."""
        if drm.asleep(self._folder):
            return {}
        monitor = drm.hwmon(self._folder)
        energy = number(monitor, "energy1_input") if monitor else None
        memory = scaled(1e3, monitor, "temp3_input") if monitor else None
        facts = {"energy_mj": None if energy is None else energy // 1000, "mem_temp_c": memory}
        return {key: value for key, value in facts.items() if value is not None}

    def static(self) -> Facts:
        """Fields of ``GpuStatic`` that the card has."""
        folder = self._folder
        device = read(folder, "device") or "?"
        monitor = "" if drm.asleep(folder) else drm.hwmon(folder)
        facts: Facts = {
            "vendor": self.vendor,
            "name": f"Intel GPU {device}",
            "pci": self._card.pci,
            "driver": self._card.driver,
            "mem_total_mib": self._memory(),
            "display_active": drm.display_active(self._card.card),
        }
        if monitor:
            facts["power_limit_w"] = scaled(1e6, monitor, "power1_max")
            facts["power_max_limit_w"] = scaled(1e6, monitor, "power1_rated_max")
        virtual = number(folder, "sriov_numvfs")
        if virtual is not None:
            facts["isolation"] = f"SR-IOV {virtual} of {number(folder, 'sriov_totalvfs') or 0}"
        facts.update(drm.pcie(folder))
        return {key: value for key, value in facts.items() if value not in (None, "")}


def _temperature(monitor: str) -> float | None:
    if not monitor:
        return None
    for sensor in ("temp1_input", "temp2_input"):
        value = scaled(1e3, monitor, sensor)
        if value is not None:
            return value
    return None
