"""AMD GPUs by the files of the amdgpu driver (kernel documentation, "AMDGPU driver misc info")."""

from __future__ import annotations

import os
import re
from typing import Any, Dict

from . import drm
from .fields_fast import mib
from .files import names, number, read, scaled
from .nvml import Lost

Facts = Dict[str, Any]
_RAS = re.compile(r"^(ue|ce):\s*(\d+)", re.MULTILINE)


class AmdCard:
    """Reads one card. Every method may block in the driver: call them in a worker."""

    vendor = "amd"

    def __init__(self, card: drm.Card, sys: str) -> None:
        self._folder = card.folder
        self._card = card
        self.pci = card.pci
        self._sys = sys

    def fast(self) -> list[Any]:
        """``GpuFast`` from ``util_pct`` to ``throttle``; Lost when the device is gone."""
        folder = self._folder
        if not os.path.isdir(folder):
            raise Lost("the device is gone from sysfs")
        if drm.asleep(folder):
            return [None] * 9
        monitor = drm.hwmon(folder)
        busy = number(folder, "gpu_busy_percent")
        memory = number(folder, "mem_busy_percent")
        return [
            None if busy is None else float(busy),
            None if memory is None else float(memory),
            mib(number(folder, "mem_info_vram_used")),
            mib(number(folder, "mem_info_vram_total")),
            _temperature(monitor, ("edge", "junction")),
            _power(monitor),
            _clock(monitor, "sclk"),
            _clock(monitor, "mclk"),
            None,
        ]

    def counters(self) -> Facts:
        """Fields of ``GpuCounters`` that the card has."""
        if drm.asleep(self._folder):
            return {}
        facts: Facts = {
            "pcie_replays": number(self._folder, "pcie_replay_count"),
            "mem_temp_c": _temperature(drm.hwmon(self._folder), ("mem",)),
        }
        ras = os.path.join(self._folder, "ras")
        for name in names(ras):
            if name.endswith("_err_count"):
                for kind, count in _RAS.findall(read(ras, name) or ""):
                    key = "ecc_uncorrected" if kind == "ue" else "ecc_corrected"
                    facts[key] = facts.get(key, 0) + int(count)
        pages = read(ras, "gpu_vram_bad_pages")
        if pages is not None:
            marks = [line.rsplit(":", 1)[-1].strip() for line in pages.splitlines() if ":" in line]
            facts["retired_pages_dbe"] = marks.count("R")
            facts["retired_pages_pending"] = marks.count("P")
            facts["remap_failure"] = marks.count("F")
        return {key: value for key, value in facts.items() if value is not None}

    def static(self) -> Facts:
        """Fields of ``GpuStatic`` that the card has."""
        folder = self._folder
        device = read(folder, "device") or "?"
        monitor = "" if drm.asleep(folder) else drm.hwmon(folder)
        facts: Facts = {
            "vendor": self.vendor,
            "name": read(folder, "product_name") or f"AMD GPU {device}",
            "uuid": read(folder, "unique_id"),
            "serial": read(folder, "serial_number"),
            "pci": self._card.pci,
            "driver": self._card.driver,
            "vbios": read(folder, "vbios_version"),
            "mem_total_mib": mib(number(folder, "mem_info_vram_total")),
            "display_active": drm.display_active(self._card.card),
            "isolation": self._isolation(),
        }
        if monitor:
            facts["power_limit_w"] = scaled(1e6, monitor, "power1_cap")
            facts["power_max_limit_w"] = scaled(1e6, monitor, "power1_cap_max")
            facts["temp_slowdown_c"] = scaled(1e3, monitor, "temp1_crit")
            facts["temp_shutdown_c"] = scaled(1e3, monitor, "temp1_emergency")
        facts.update(drm.pcie(folder))
        return {key: value for key, value in facts.items() if value not in (None, "")}

    def _isolation(self) -> str:
        parts = []
        for label, name in (
            ("compute", "current_compute_partition"),
            ("memory", "current_memory_partition"),
            ("isolation", "enforce_isolation"),
        ):
            value = read(self._folder, name)
            if value:
                parts.append(f"{label} {' '.join(value.split())[:40]}")
        return ", ".join(parts)

    def kfd_use(self) -> dict[int, int]:
        """Bytes of VRAM by process, as the compute driver counts them."""
        return kfd_use(self._sys, self._card.pci)


def kfd_use(sys: str, pci: str) -> dict[int, int]:
    """Bytes of VRAM of the card at ``pci`` by process, from ``/sys/class/kfd``."""
    kfd = os.path.join(sys, "class/kfd/kfd")
    wanted = _kfd_id(kfd, pci)
    found: dict[int, int] = {}
    if not wanted:
        return found
    for name in names(kfd, "proc"):
        amount = number(kfd, "proc", name, f"vram_{wanted}")
        if name.isdigit() and amount is not None:
            found[int(name)] = amount
    return found


def _kfd_id(kfd: str, pci: str) -> int:
    for node in names(kfd, "topology/nodes"):
        properties = read(kfd, "topology/nodes", node, "properties") or ""
        values = dict(line.split(" ", 1) for line in properties.splitlines() if " " in line)
        try:
            domain = int(values.get("domain", "0"))
            place = int(values.get("location_id", "0"))
        except ValueError:
            continue
        address = f"{domain:04x}:{place >> 8 & 0xFF:02x}:{place >> 3 & 0x1F:02x}.{place & 7}"
        gpu = number(kfd, "topology/nodes", node, "gpu_id") or 0
        if gpu and address == pci:
            return gpu
    return 0


def _labelled(monitor: str, prefix: str, labels: tuple[str, ...]) -> str | None:
    """Name of the sensor of the first label that is there; the first sensor where none is named."""
    if not monitor:
        return None
    found = {read(monitor, n): n[: -len("_label")] for n in names(monitor) if _is(n, prefix)}
    for label in labels:
        if label in found:
            return found[label]
    return None if found else prefix + "1"


def _is(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name.endswith("_label")


def _temperature(monitor: str, labels: tuple[str, ...]) -> float | None:
    sensor = _labelled(monitor, "temp", labels)
    return scaled(1e3, monitor, sensor + "_input") if sensor else None


def _clock(monitor: str, label: str) -> int | None:
    sensor = _labelled(monitor, "freq", (label,))
    hertz = number(monitor, sensor + "_input") if sensor else None
    return None if hertz is None else hertz // 1_000_000


def _power(monitor: str) -> float | None:
    if not monitor:
        return None
    average = scaled(1e6, monitor, "power1_average")
    return average if average is not None else scaled(1e6, monitor, "power1_input")
