"""Table ``mounts``: file systems that hold data, and whether what is below them is encrypted."""

from __future__ import annotations

import os
import re

from ..place import Place, first_line, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..inventory_lane import Context

VIRTUAL = frozenset(
    (
        *("proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "pstore", "bpf", "tracefs"),
        *("debugfs", "securityfs", "configfs", "fusectl", "mqueue", "hugetlbfs", "autofs"),
        *("binfmt_misc", "efivarfs", "rpc_pipefs", "nsfs", "selinuxfs", "tmpfs", "ramfs"),
        *("squashfs", "fuse.lxcfs", "fuse.gvfsd-fuse", "fuse.portal"),
    )
)
NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "lustre", "beegfs", "9p", "afs", "gpfs")
)
"""File systems of a server; so is whatever a process serves (fuse): it may never answer."""
CRYPT = {"ecryptfs": "crypt", "fuse.gocryptfs": "crypt", "fuse.encfs": "crypt"}
MAX_MOUNTS = 512
MAX_DEPTH = 8

_escape = re.compile(r"\\([0-7]{3})")


def unescape(text: str) -> str:
    """``\\040`` and its like of mountinfo as the characters they stand for."""
    return words(_escape.sub(lambda found: chr(int(found[1], 8)), text))


def parse(text: str) -> list[dict[str, str]]:
    """Lines of ``/proc/self/mountinfo`` (proc(5)) as dictionaries; broken lines are left out."""
    out = []
    for line in text.split("\n"):  # the kernel escapes the newline and nothing else that ends one
        left, dash, right = line.partition(" - ")
        before, after = left.split(" "), right.split(" ")
        if not dash or len(before) < 6 or len(after) < 2:
            continue
        out.append(
            {
                "device": before[2],
                "target": unescape(before[4]),
                "options": words(before[5]),
                "fstype": words(after[0], 40),
                "source": unescape(after[1]),
            }
        )
    return out


def encryption(place: Place, device: str, depth: int = 0) -> str:
    """What is below the block device ``major:minor``: luks, plain, crypt, none, unknown."""
    folder = place.path(f"/sys/dev/block/{device}")
    if not os.path.isdir(folder):
        return "unknown"
    uuid = first_line(folder + "/dm/uuid")
    if uuid.startswith("CRYPT-"):
        kind = uuid.split("-")[1]
        return "luks" if kind.startswith("LUKS") else "plain" if kind == "PLAIN" else "crypt"
    if depth >= MAX_DEPTH:
        return "unknown"
    slaves = folder + "/slaves"
    if not os.path.isdir(slaves):
        slaves = folder + "/../slaves"  # a partition: its disk may be stacked
    try:
        names = os.listdir(slaves)
    except OSError:
        return "none"
    below = {encryption(place, first_line(f"{slaves}/{name}/dev"), depth + 1) for name in names}
    if not below:
        return "none"
    if len(below) == 1:
        return below.pop()
    return "none" if "none" in below else "unknown"


def _size(target: str) -> tuple[int | None, int | None]:
    try:
        stat = os.statvfs(target)
    except OSError:
        return None, None
    block = stat.f_frsize or stat.f_bsize
    return stat.f_blocks * block >> 20, (stat.f_blocks - stat.f_bfree) * block >> 20


def _encrypted(place: Place, mount: dict[str, str]) -> str:
    if mount["device"].startswith("0:"):  # no block device below it that this host could see
        return "none" if mount["fstype"] == "overlay" else "unknown"
    return encryption(place, mount["device"])


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """The table; a target that is mounted over shows what is on top."""
    place = context.place
    text = slurp_all(place.proc + "/self/mountinfo").decode("utf-8", "replace")
    rows: dict[str, list[Any]] = {}
    cut: str | None = None
    for mount in parse(text):
        if mount["fstype"] in VIRTUAL:
            continue
        if len(rows) >= MAX_MOUNTS:
            cut = f"a host with fewer than {MAX_MOUNTS} mounts"
            break
        kind = mount["fstype"]
        remote = kind in NETWORK or kind.startswith("fuse")
        total, used = (None, None) if remote or not place.real else _size(mount["target"])
        target = mount["target"]
        rows[target] = [
            target,
            mount["source"],
            mount["fstype"],
            mount["options"],
            CRYPT.get(kind) or ("unknown" if remote else _encrypted(place, mount)),
            total,
            used,
        ]
        yield ("step",)
    yield ("denied", "mounts", cut)
    yield ("table", "mounts", list(rows.values()))
