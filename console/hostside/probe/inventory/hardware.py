"""Section ``hardware``: DMI (SMBIOS), processor, management controller, TPM."""

from __future__ import annotations

import os
import re

from ..digest import sha256_hex
from ..place import first_line, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..inventory_lane import Context
    from ..place import Place

_DMI = {
    "vendor": "sys_vendor",
    "product": "product_name",
    "board": "board_name",
    "bios_vendor": "bios_vendor",
    "bios_version": "bios_version",
    "bios_date": "bios_date",
}


def cpu(text: str) -> dict[str, Any]:
    """Model, number of processors and microcode of ``/proc/cpuinfo``."""
    model = microcode = ""
    count = 0
    for line in text.splitlines():
        name, _, value = line.partition(":")
        name, value = name.strip(), words(value.strip())
        if name == "processor":
            count += 1
        elif name == "model name" and not model:
            model = value
        elif name == "microcode" and not microcode:
            microcode = value
    return {"cpu_model": model, "cpu_count": count or None, "microcode": microcode}


def bmc(place: Place) -> str:
    """Firmware of the management controller, where the kernel's IPMI driver knows it."""
    folder = place.path("/sys/class/ipmi")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ""
    for name in names:
        revision = first_line(f"{folder}/{name}/device/bmc/firmware_revision")
        if revision:
            return revision
    return ""


def tpm(place: Place) -> str:
    """Version of the TPM; empty where there is none."""
    folder = place.path("/sys/class/tpm/tpm0")
    if not os.path.isdir(folder):
        return ""
    return first_line(folder + "/tpm_version_major") or "1"


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """One section; the serial number only as a hash, and only where it may be read."""
    place = context.place
    dmi = place.path("/sys/class/dmi/id/")
    facts: dict[str, Any] = {name: first_line(dmi + file) for name, file in _DMI.items()}
    serial = dmi + "product_serial"
    refused = os.path.exists(serial) and not os.access(serial, os.R_OK)
    yield ("denied", "hardware.serial", "root" if refused else None)
    value = first_line(serial)
    facts["serial_hash"] = sha256_hex(b"watchfloor:" + value.encode())[:32] if value else ""
    facts["bmc"] = bmc(place)
    facts["tpm"] = tpm(place)
    yield ("step",)
    try:
        facts.update(cpu(slurp_all(place.proc + "/cpuinfo").decode("utf-8", "replace")))
        memory = re.search(rb"MemTotal:\s+(\d+) kB", slurp_all(place.proc + "/meminfo"))
        facts["mem_total_kib"] = int(memory[1]) if memory else None
    except OSError:
        pass
    yield ("section", "hardware", {k: v for k, v in facts.items() if v is not None})
