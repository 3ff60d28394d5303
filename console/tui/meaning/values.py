"""Fields of the probe's structs as a person reads them: labels in words, values with units."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from console.model.words import number, rate, size, span, utc
from console.tui.meaning import present


class Value(NamedTuple):
    """One labelled value; ``style`` is a name of ``look`` ("", "warn", "bad")."""

    label: str
    text: str
    style: str = ""


_COMPUTE = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
_RECOVERY = {
    0: "none",
    1: "reset the GPU",
    2: "reboot the host",
    3: "drain peers",
    4: "drain, reset",
}
_SECCOMP = {0: "off", 1: "strict", 2: "filter"}
_STATE = {
    "R": "R, running", "S": "S, sleeping", "D": "D, waits for a device", "Z": "Z, ended (zombie)",
    "T": "T, stopped", "t": "t, stopped by a debugger", "I": "I, idle thread of the kernel",
}  # fmt: skip
_NAMED: dict[str, dict[Any, str]] = {
    "compute_mode": _COMPUTE,
    "recovery_action": _RECOVERY,
    "seccomp": _SECCOMP,
    "state": _STATE,
}
_MOMENTS = frozenset({"started", "since", "modified"})
"""Fields that are seconds since the epoch though their names do not end so; 0 is not known."""
_BAD_ABOVE_0 = frozenset(
    {"ecc_uncorrected_volatile", "remap_failure", "recovery_action", "retired_pages_dbe"}
)
_WARN_ABOVE_0 = frozenset(
    {
        "ecc_uncorrected",
        "remapped_uncorrected",
        "remap_pending",
        "retired_pages_pending",
        "last_xid",
    }
)
_SPELLED = {
    "api": "API", "bios": "BIOS", "bmc": "BMC", "cc": "CC", "crc": "CRC", "cuda": "CUDA",
    "dbe": "double-bit", "ecc": "ECC", "gpu": "GPU", "gsp": "GSP", "id": "ID", "iommu": "IOMMU",
    "lsm": "LSM", "mem": "memory", "mig": "MIG", "nvlink": "NVLink", "nvml": "NVML",
    "pci": "PCI", "pcie": "PCIe", "sbe": "single-bit", "sm": "SM", "tpm": "TPM", "util": "use",
    "uuid": "UUID", "vbios": "VBIOS", "xid": "Xid", "cpu": "CPU", "bpf": "BPF", "mac": "MAC",
    "pid": "PID", "ppid": "parent PID", "uid": "UID", "gid": "GID", "rss": "memory", "tx": "sent",
    "rx": "received", "cmdline": "command line", "exe": "program file", "userns": "user namespace",
    "privs": "privileges", "caps": "capabilities", "argv": "arguments", "cgroup": "control group",
    "dev": "dev", "inforom": "InfoROM", "bar1": "BAR1", "enc": "encoder", "dec": "decoder",
}  # fmt: skip


def values(item: Any, *, skip: tuple[str, ...] = (), known: bool = False) -> Iterator[Value]:
    """Every field of a struct but those of ``skip``; with ``known`` only those that say something.

    A field's unit is the end of its name (``_mib``, ``_w``, ``_at`` ...). Unknown is a dash.
    """
    for field in msgspec.structs.fields(item):
        value = getattr(item, field.name)
        empty = value is None or value == ""
        if field.name in skip or (known and empty):
            continue
        if isinstance(value, dict):
            yield from (Value(str(key), str(inner)) for key, inner in value.items())
            continue
        words, unit = _label(field.name)
        yield Value(
            words, "-" if empty else _text(field.name, value, unit), _style(field.name, value)
        )


def yes_no(value: object) -> str:
    """A truth value in words, anything else as text."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _label(name: str) -> tuple[str, str]:
    head, _, unit = name.rpartition("_")
    if head and unit in _UNITS:
        name = head
    else:
        unit = ""
    return " ".join(_SPELLED.get(word, word) for word in name.split("_")), unit


def _text(name: str, value: Any, unit: str) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return yes_no(value)
    if name in _NAMED:
        return _NAMED[name].get(value, str(value))
    if name in _MOMENTS:
        return f"{moment(value)}, {span(present.now() - value)} ago" if value else "-"
    return _UNITS[unit](value) if unit else str(value)


def _style(name: str, value: Any) -> str:
    if isinstance(value, int | float) and value > 0:
        if name in _BAD_ABOVE_0:
            return "bad"
        if name in _WARN_ABOVE_0:
            return "warn"
    return ""


def moment(seconds: float) -> str:
    """Seconds since the epoch as UTC, and as local time where that is another."""
    try:
        local = time.localtime(seconds)
    except (OverflowError, OSError, ValueError):  # whatever a host calls a time
        return f"{seconds:g} s after 1970"
    words = utc(seconds, "%Y-%m-%d %H:%M:%S UTC")
    return words + (time.strftime(" (%H:%M:%S %Z)", local) if local.tm_gmtoff else "")


_UNITS = {
    "mib": lambda v: size(v, start="M"),
    "kib": lambda v: size(v, start="K"),
    "bytes": size,
    "w": lambda v: number(v, 0, " W"),
    "c": lambda v: number(v, 0, " C"),
    "mj": lambda v: f"{v / 3.6e9:,.0f} kWh",
    "ns": lambda v: span(v / 1e9),
    "pct": lambda v: number(v, 0, "%"),
    "mhz": lambda v: f"{v} MHz",
    "bps": rate,
    "mbps": lambda v: f"{v} Mbit/s",
    "at": moment,
    "time": moment,
}
