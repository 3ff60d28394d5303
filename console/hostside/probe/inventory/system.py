"""Sections ``os`` and ``kernel``."""

from __future__ import annotations

import os
import re
import sys

from ..counters import parse_stat
from ..digest import sha256_hex
from ..place import first_line, slurp, slurp_all, words
from ..redact import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..inventory_lane import Context
    from ..place import Place

TAINTS = (
    "proprietary-module", "forced-load", "smp-unsafe", "forced-unload", "machine-check",
    "bad-page", "user", "oops", "acpi-overridden", "warning", "staging-driver",
    "firmware-workaround", "out-of-tree-module", "unsigned-module", "soft-lockup", "live-patch",
    "auxiliary", "randstruct", "in-kernel-test",
)  # fmt: skip
"""Names of the taint bits, lowest first (kernel: Documentation/admin-guide/tainted-kernels.rst)."""

SYSCTLS = (
    ("ptrace_scope", "/proc/sys/kernel/yama/ptrace_scope"),
    ("dmesg_restrict", "/proc/sys/kernel/dmesg_restrict"),
    ("kptr_restrict", "/proc/sys/kernel/kptr_restrict"),
    ("unprivileged_bpf_disabled", "/proc/sys/kernel/unprivileged_bpf_disabled"),
)
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

_assignment = re.compile(r"([A-Z_]+)=(.*)")


def os_release(text: str) -> dict[str, str]:
    """Assignments of os-release(5), quotes taken off."""
    found = {}
    for line in text.split("\n"):
        match = _assignment.fullmatch(line.strip())
        if match:
            value = match[2].strip()
            if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            found[match[1]] = words(re.sub(r"\\(.)", r"\1", value))
    return found


def os_facts(context: Context) -> Iterator[tuple[Any, ...]]:
    """Section ``os``."""
    place = context.place
    text = ""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            text = slurp(place.path(path)).decode("utf-8", "replace")
            break
        except OSError:
            continue
    release = os_release(text)
    machine = first_line(place.path("/etc/machine-id"))
    facts = {
        "id": release.get("ID", ""),
        "version": release.get("VERSION_ID", ""),
        "pretty": release.get("PRETTY_NAME", ""),
        "codename": release.get("VERSION_CODENAME", ""),
        "like": release.get("ID_LIKE", ""),
        "hostname": first_line(place.proc + "/sys/kernel/hostname"),
        "machine_id_hash": sha256_hex(b"watchfloor:" + machine.encode())[:32] if machine else "",
        "virtualization": virtualization(place),
        "python": sys.version.split()[0],
        "reboot_required": os.path.exists(place.path("/run/reboot-required"))
        or os.path.exists(place.path("/var/run/reboot-required")),
    }
    yield ("section", "os", facts)


def virtualization(place: Place) -> str:
    """What this host runs in, by the marks that each leaves; "none" for bare metal."""
    container = first_line(place.path("/run/systemd/container"))
    if container:
        return "nspawn" if container == "systemd-nspawn" else container
    if os.path.exists(place.path("/.dockerenv")):
        return "docker"
    if os.path.exists(place.path("/run/.containerenv")):
        return "podman"
    vendor = first_line(place.path("/sys/class/dmi/id/sys_vendor")).lower()
    product = first_line(place.path("/sys/class/dmi/id/product_name")).lower()
    for word, name in (
        ("qemu", "kvm"), ("kvm", "kvm"), ("amazon ec2", "amazon"), ("google", "google"),
        ("vmware", "vmware"), ("virtualbox", "virtualbox"), ("xen", "xen"), ("bochs", "kvm"),
        ("openstack", "kvm"), ("firecracker", "firecracker"),
    ):  # fmt: skip
        if word in vendor or word in product:
            return name
    if vendor.startswith("microsoft") and "virtual" in product:
        return "hyper-v"
    try:
        hypervisor = b" hypervisor" in slurp(place.proc + "/cpuinfo", 16_384)
    except OSError:
        return ""
    return "vm" if hypervisor else "none"


def taint_flags(taint: int) -> list[str]:
    """Names of the bits that are set."""
    names = [name for bit, name in enumerate(TAINTS) if taint >> bit & 1]
    rest = taint >> len(TAINTS)
    return [*names, f"other-{rest:x}"] if rest else names


def _number(path: str) -> int | None:
    text = first_line(path)
    try:
        return int(text)
    except ValueError:
        return None


def lockdown(text: str) -> str:
    """The chosen word of ``/sys/kernel/security/lockdown``: ``none [integrity] ...``."""
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else ""


def secure_boot(place: Place) -> bool | None:
    """Whether firmware checks what it boots; None where there is no UEFI to ask."""
    try:
        value = slurp(place.path(SECURE_BOOT), 16)
    except OSError:
        return None
    return value[4] == 1 if len(value) >= 5 else None


def _modules(place: Place) -> tuple[int | None, str]:
    try:
        text = slurp_all(place.proc + "/modules").decode("utf-8", "replace")
    except OSError:
        return None, ""
    names = sorted(line.split(" ", 1)[0] for line in text.splitlines())
    return len(names), sha256_hex("\n".join(names).encode())


def _vulnerabilities(place: Place) -> dict[str, str]:
    folder = place.path("/sys/devices/system/cpu/vulnerabilities")
    try:
        names = sorted(os.listdir(folder))[:64]
    except OSError:
        return {}
    return {words(name, 64): first_line(f"{folder}/{name}") for name in names}


def _security_closed(folder: str) -> str | None:
    """What is missing to read lockdown and security modules; None where nothing is."""
    try:
        empty = not os.listdir(folder)
    except PermissionError:
        return "root: securityfs is closed to others"
    except OSError:
        empty = True
    return "securityfs, mounted at /sys/kernel/security" if empty else None


def _boot_closed(place: Place) -> str | None:
    """What is missing to read the state of Secure Boot; None where nothing is."""
    if not os.path.isdir(place.path("/sys/firmware/efi")) or secure_boot(place) is not None:
        return None
    return "efivarfs, mounted and readable at /sys/firmware/efi/efivars"


def kernel_facts(context: Context) -> Iterator[tuple[Any, ...]]:
    """Section ``kernel``."""
    place = context.place
    uname = os.uname()
    taint = _number(place.proc + "/sys/kernel/tainted")
    modules, digest = _modules(place)
    yield ("step",)
    security = place.path("/sys/kernel/security")
    try:
        iommu: bool | None = bool(os.listdir(place.path("/sys/class/iommu")))
    except OSError:
        iommu = None
    stat = parse_stat(slurp_all(place.proc + "/stat"))
    facts: dict[str, Any] = {
        "release": first_line(place.proc + "/sys/kernel/osrelease") or uname.release,
        "version": first_line(place.proc + "/sys/kernel/version") or uname.version,
        "machine": uname.machine,
        "cmdline": words(redact(first_line(place.proc + "/cmdline"))),
        "taint": taint,
        "taint_flags": taint_flags(taint or 0),
        "modules": modules,
        "modules_digest": digest,
        "lockdown": lockdown(first_line(security + "/lockdown")),
        "secure_boot": secure_boot(place),
        "iommu": iommu,
        "lsm": first_line(security + "/lsm"),
        "core_pattern": first_line(place.proc + "/sys/kernel/core_pattern"),
        "boot_time": float(stat["btime"]) if stat.get("btime") else None,
        "vulnerabilities": _vulnerabilities(place),
    }
    for name, path in SYSCTLS:
        facts[name] = _number(place.proc + path[len("/proc") :])
    yield ("denied", "kernel.lsm", _security_closed(security))
    yield ("denied", "kernel.secure_boot", _boot_closed(place))
    yield ("section", "kernel", {k: v for k, v in facts.items() if v is not None})
