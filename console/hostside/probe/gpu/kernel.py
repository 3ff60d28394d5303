"""What the NVIDIA kernel module says in plain files: no driver lock, no library needed."""

from __future__ import annotations

import os
import re
from typing import Any, Dict

from .files import link, names, number, read

NVIDIA_VENDOR = 0x10DE
DISPLAY_CLASS = 0x03
Facts = Dict[str, Any]

_PARAMETER = re.compile(r"^(\w+):\s*(\d+)\s*$", re.MULTILINE)


def gpus(proc: str, sys: str) -> list[Facts]:
    """NVIDIA GPUs that the kernel knows, by PCI address, as far as plain files tell.

    Each has ``pci`` and, with the module loaded, ``name uuid vbios gsp_firmware minor``. Devices
    that another driver holds (a virtual machine's, for one) are not ours to watch.
    """
    folder = os.path.join(proc, "driver/nvidia/gpus")
    found = [_information(folder, pci) for pci in names(folder)]
    if found:
        return found
    devices = os.path.join(sys, "bus/pci/devices")
    return [
        {"pci": pci.lower()}
        for pci in names(devices)
        if number(devices, pci, "vendor") == NVIDIA_VENDOR
        and (number(devices, pci, "class") or 0) >> 16 == DISPLAY_CLASS
        and link(devices, pci, "driver") in ("", "nvidia")
    ]


def _information(folder: str, pci: str) -> Facts:
    facts: Facts = {"pci": pci.lower()}
    lines = (read(folder, pci, "information") or "").splitlines()
    for line in lines:
        label, _, value = line.partition(":")
        key = {
            "Model": "name",
            "GPU UUID": "uuid",
            "Video BIOS": "vbios",
            "GPU Firmware": "gsp_firmware",
            "Device Minor": "minor",
        }.get(label.strip())
        value = value.strip()[:200]
        if key == "minor":
            facts["minor"] = int(value) if value.isdigit() else None
        elif key and value and not value.startswith(("N/A", "?")):
            facts[key] = value
    return facts


def minors(proc: str, sys: str) -> dict[int, str]:
    """Number of the device node ``/dev/nvidiaN`` to PCI address."""
    return {
        gpu["minor"]: gpu["pci"] for gpu in gpus(proc, sys) if isinstance(gpu.get("minor"), int)
    }


def driver(proc: str, sys: str) -> Facts:
    """The part of ``GpuDriver`` that plain files tell, without what they do not."""
    version = read(proc, "driver/nvidia/version")
    parameters = dict(_PARAMETER.findall(read(proc, "driver/nvidia/params") or ""))
    facts: Facts = {}
    if version:
        facts["kernel_module"] = " ".join(version.splitlines()[0].split())[:200]
        facts["peermem"] = os.path.isdir(os.path.join(sys, "module/nvidia_peermem"))
    if "RmProfilingAdminOnly" in parameters:
        facts["profiling_admin_only"] = parameters["RmProfilingAdminOnly"] != "0"
    return facts
