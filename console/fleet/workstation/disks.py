"""Whether the disks below / and the home folder are encrypted, by what the kernel shows."""

import os
import re
import sys
from pathlib import Path

from console.fleet.workstation.system import run, unknown

SYS = Path("/sys")
MOUNTINFO = Path("/proc/self/mountinfo")
MAX_DEPTH = 16

_MEMORY = ("tmpfs", "ramfs")


def encryption(place: Path) -> str:
    """``yes: LUKS`` and such, ``no``, or why it is unknown, for the file system of ``place``.

    A drive that encrypts itself is not seen: the kernel does not know.
    """
    if sys.platform == "darwin":
        return _filevault()
    try:
        mountinfo = MOUNTINFO.read_text(encoding="utf-8", errors="replace")
        real = place.resolve(strict=True)
    except OSError as exc:
        return unknown(f"{exc.filename}: {exc.strerror}")
    mount = find_mount(mountinfo, str(real))
    if mount is None:
        return unknown("its mount is not listed")
    number, kind, source = mount
    if kind in _MEMORY:
        return f"yes: only in memory ({kind})"
    if number.startswith("0:"):  # btrfs, overlay: no device of its own
        try:
            device = os.stat(source).st_rdev if source.startswith("/dev/") else 0
        except OSError:
            device = 0
        if not device:
            return unknown(f"{kind} is not on a block device of this machine")
        number = f"{os.major(device)}:{os.minor(device)}"
    return below(SYS, number)


def find_mount(mountinfo: str, place: str) -> tuple[str, str, str] | None:
    """Device number, type and source of the mount that holds ``place``; the last one wins."""
    best: tuple[int, tuple[str, str, str]] | None = None
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if not separator or len(fields) < 5 or len(tail) < 2:
            continue
        target = _plain(fields[4])
        inside = place == target or place.startswith(target.rstrip("/") + "/")
        if inside and (best is None or len(target) >= best[0]):
            best = (len(target), (fields[2], tail[0], _plain(tail[1])))
    return best[1] if best else None


def below(sys_folder: Path, number: str) -> str:
    """Walk from a block device down to disks; encrypted when every way passes dm-crypt."""
    top = sys_folder / "dev/block" / number
    if not top.exists():
        return unknown(f"device {number} is not in sysfs")
    kinds = _kinds(top, 0)
    if not kinds:
        return unknown("the devices below it cannot be read")
    if "" in kinds:
        return "no" if kinds == {""} else "no: only in part"
    return f"yes: {', '.join(sorted(kinds))}"


def _kinds(device: Path, depth: int) -> set[str]:
    """Kind of encryption on each way down, empty text for none."""
    try:
        uuid = (device / "dm/uuid").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        uuid = ""
    match = re.match(r"CRYPT-([A-Z]+\d?)", uuid)
    if match:
        return {match[1]}
    try:
        lower = list((device / "slaves").iterdir())
    except OSError:
        lower = []
    if not lower or depth >= MAX_DEPTH:
        return {""}
    return set().union(*(_kinds(path, depth + 1) for path in lower))


def _plain(text: str) -> str:
    """mountinfo writes blanks and backslashes as octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _filevault() -> str:
    said = run("fdesetup", "status")
    if said.code is None:
        return unknown(said.why)
    return "yes: FileVault" if "FileVault is On" in said.out else "no"
