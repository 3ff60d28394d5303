"""What lies under a path: file system, medium, encrypted volume; and what it may keep."""

from __future__ import annotations

import os

from ..world import World
from .folders import mount_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Medium(NamedTuple):
        """``point`` is where it is mounted, ``device`` its ``MAJOR:MINOR``, ``discards`` whether
        it can be told which blocks are free, ``rotates`` 1, 0 or -1 for not known."""

        point: str
        kind: str
        options: str
        device: str
        discards: bool
        rotates: int

    class Luks(NamedTuple):
        """A LUKS volume: the device that holds its header, its UUID, its open mapping."""

        header: str
        uuid: str
        mapping: str
else:
    from collections import namedtuple

    Medium = namedtuple("Medium", "point kind options device discards rotates")
    Luks = namedtuple("Luks", "header uuid mapping")

COPY_ON_WRITE = ("btrfs", "zfs", "bcachefs", "overlay", "nilfs2", "f2fs")
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "lustre", "glusterfs")
_CRYPT = "CRYPT-LUKS"


def under(handle: int, world: World) -> Medium:
    """The medium under an open file or folder."""
    wanted = mount_id(handle)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            left, _, right = line.partition(" - ")
            row = left.split(" ")
            if int(row[0]) == wanted:
                kind, _, rest = right.partition(" ")
                options = row[5] + "," + rest.split(" ")[1].strip()
                return Medium(row[4], kind, options, row[2], *_queue(row[2], world))
    return Medium("/", "unknown", "", "0:0", False, -1)


def _queue(device: str, world: World) -> tuple[bool, int]:
    block = world.path(f"/sys/dev/block/{device}")
    for folder in (f"{block}/queue", f"{block}/../queue"):
        try:
            with open(f"{folder}/discard_max_bytes", encoding="ascii") as file:
                discards = int(file.read()) > 0
            with open(f"{folder}/rotational", encoding="ascii") as file:
                return discards, int(file.read())
        except (OSError, ValueError):
            continue
    return False, -1


def luks(device: int, world: World) -> Luks | None:
    """The LUKS volume that a file system's device is, if it is one by itself."""
    block = world.path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    try:
        with open(f"{block}/dm/uuid", encoding="ascii") as file:
            uuid = file.read().strip()
        with open(f"{block}/dm/name", encoding="ascii") as file:
            name = file.read().strip()
        slaves = os.listdir(f"{block}/slaves")
    except OSError:
        return None
    parts = uuid.split("-")
    if not uuid.startswith(_CRYPT) or len(slaves) != 1 or len(parts) < 4 or len(parts[2]) != 32:
        return None
    plain = parts[2]
    pieces = (plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:])
    return Luks("/dev/" + slaves[0], "-".join(pieces), name)


def keeps(medium: Medium, world: World) -> list[str]:
    """What may be left of a file after it was overwritten and unlinked, for a person."""
    lines = []
    kind = medium.kind
    if kind in COPY_ON_WRITE or (kind == "xfs" and "reflink=0" not in medium.options):
        lines.append(
            f"{kind} may write beside the old blocks instead of over them: "
            "OVERWRITING MAY NOT REACH THEM, nor snapshots and reflink copies"
        )
    if kind in NETWORK or kind.startswith("fuse"):
        lines.append(f"{kind}: what the server behind it keeps is not known")
    elif kind in ("tmpfs", "ramfs"):
        lines.append(f"{kind}: it was in memory only, or in swap")
    else:
        lines.append("the journal of the file system keeps names and sizes for a while")
    if "data=journal" in medium.options:
        lines.append("the journal also holds contents (data=journal)")
    if medium.rotates == 0:
        lines.append(
            "flash or virtual disk: it keeps old copies of blocks where no program reaches them, "
            "until it erases them by itself; only encryption from the start avoids that"
        )
    elif medium.rotates < 0 and kind not in ("tmpfs", "ramfs"):
        lines.append("what the medium is could not be seen, nor what it keeps")
    if not medium.discards:
        lines.append("the medium takes no discard: freed blocks are not handed back to it")
    lines += _elsewhere(world)
    return lines


def _elsewhere(world: World) -> list[str]:
    lines = ["backups, volume snapshots, registries and other hosts are not touched"]
    try:
        with open(world.path("/proc/swaps"), encoding="utf-8", errors="replace") as file:
            swaps = len(file.readlines()) - 1
    except OSError:
        swaps = 0
    if swaps > 0:
        lines.append("swap is in use: memory of processes that had it loaded may lie there")
    dumps = world.path("/var/lib/systemd/coredump")
    count = len(os.listdir(dumps)) if os.path.isdir(dumps) else 0
    if count:
        lines.append(f"{count} core dumps lie in /var/lib/systemd/coredump: one may hold parts")
    lines.append("memory of GPUs and of processes that had loaded it is not wiped")
    return lines
