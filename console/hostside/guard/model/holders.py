"""Who still has files open, mapped or mounted, whatever their names are by now."""

from __future__ import annotations

import os

from ..host.procs import living, pids
from ..world import World
from .folders import mount_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import NamedTuple

    class Hold(NamedTuple):
        """One process that holds a file; pid 0 is the kernel itself. ``how`` is ``open``,
        ``mapped``, ``deleted`` (open, and its name is gone), ``inside`` (its folder),
        ``mounted``, or ``unseen``: the process may not be looked at."""

        pid: int
        command: str
        how: str
        path: str
else:
    from collections import namedtuple

    Hold = namedtuple("Hold", "pid command how path")

GONE = " (deleted)"
UNSEEN = "unseen"
_KCMP = {"x86_64": 312, "aarch64": 272}  # its number; elsewhere every thread is looked at
_FILES, _FS = 2, 3  # KCMP_FILES, KCMP_FS (linux/kcmp.h)
_NO_SPACES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


def say(holds: Iterable[Hold], most: int = 8) -> list[str]:
    """Holders as lines for a person, at most ``most``, then how many more."""
    lines = []
    for hold in holds:
        who = f"process {hold.pid} ({hold.command})" if hold.pid else "the kernel"
        if hold.how == UNSEEN:
            lines.append(f"{who} may not be looked at: whether it holds anything is not known")
            continue
        lines.append(f"{who}: {hold.how} {hold.path}")
    unique = list(dict.fromkeys(lines))
    rest = len(unique) - most
    return unique[:most] + ([f"and {rest} more"] if rest > 0 else [])


def holders(inodes: set[tuple[int, int]], below: str, world: World) -> list[Hold]:
    """Every process but this one that has one of ``inodes`` (device, inode) open or mapped, is in
    such a folder, or holds a file open whose deleted name was ``below`` or in it.

    ``below`` is a path as the kernel tells it.
    """
    numbers = {inode for _, inode in inodes}
    found: list[Hold] = list(_kernel(inodes, world))
    for pid in pids(world):
        if pid == os.getpid():
            continue
        folder = world.path(f"/proc/{pid}")
        try:
            tables = _tables(pid, folder)
            of_one = [part for table in tables for part in _open(table, inodes, below)]
            of_one += _mapped(tables[0], folder, inodes, numbers, below)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile, and holds nothing
        except PermissionError:
            of_one = [(UNSEEN, "")]  # a container's or a hardened kernel's limit, even to root
        if of_one:
            command = _command(folder)
            found += [Hold(pid, command, how, path) for how, path in of_one]
    return found


def _tables(pid: int, folder: str) -> list[str]:
    """Folders of a process's threads with different open files or current folders: as a rule one,
    its own. The first thread may have ended, and any may have left what it shared (unshare)."""
    tasks = sorted(os.listdir(f"{folder}/task"), key=int)
    found: list[tuple[int, str]] = []
    for task in tasks:
        if any(_shared(int(other), int(task)) for other, _ in found):
            continue
        where = f"{folder}/task/{task}"
        try:
            with open(f"{where}/stat", "rb") as file:
                ended = file.read(4096).rpartition(b")")[2].split()[0] in (b"Z", b"X")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if not ended:
            found.append((int(task), where))
    return [where for _, where in found] or [folder]


def _shared(one: int, other: int) -> bool:
    """Whether two threads have the same open files and the same current folder (kcmp)."""
    import ctypes
    import platform

    number = _KCMP.get(platform.machine())
    if number is None:
        return False
    call = ctypes.CDLL(None).syscall
    words = (ctypes.c_long(number), ctypes.c_long(one), ctypes.c_long(other))
    return all(
        call(*words, ctypes.c_long(kind), ctypes.c_long(0), ctypes.c_long(0)) == 0
        for kind in (_FILES, _FS)
    )


def _command(folder: str) -> str:
    try:
        with open(f"{folder}/comm", "rb") as file:
            name = file.read(64).decode("utf-8", "replace").strip()
    except OSError:
        return "ended"
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _open(folder: str, inodes: set[tuple[int, int]], below: str) -> Iterator[tuple[str, str]]:
    for kind in ("cwd", "root", "exe"):
        status = _stat(f"{folder}/{kind}")
        if status in inodes:
            yield ("open" if kind == "exe" else "inside"), _name(f"{folder}/{kind}")
    for number in os.listdir(f"{folder}/fd"):
        link = f"{folder}/fd/{number}"
        status = _stat(link)
        if status in inodes:
            yield "open", _name(link)
        else:
            name = _name(link)
            if name.endswith(GONE) and _lies(name[: -len(GONE)], below):
                yield "deleted", name


def _stat(link: str) -> tuple[int, int] | None:
    try:
        found = os.stat(link)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError:
        os.readlink(link)  # raises where it is forbidden to look
        return None  # it leads to a file system that does not answer
    return found.st_dev, found.st_ino


def _name(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return "?"


def _lies(path: str, below: str) -> bool:
    return path == below or path.startswith(below + "/")


def _mapped(
    thread: str, folder: str, inodes: set[tuple[int, int]], numbers: set[int], below: str
) -> Iterator[tuple[str, str]]:
    # The kernel keeps map_files for the first thread alone: once it has ended, the number of an
    # inode is enough to be careful.
    ended = thread != folder and thread.rpartition("/")[2] != folder.rpartition("/")[2]
    with open(f"{thread}/maps", "rb") as lines:
        for raw in lines:
            parts = raw.split(None, 5)
            inode = int(parts[4])
            if inode == 0:
                continue
            name = os.fsdecode(parts[5].rstrip(b"\n")) if len(parts) > 5 else ""
            gone = name.endswith(GONE) and _lies(name[: -len(GONE)], below)
            if not gone and inode not in numbers:
                continue
            span = "-".join(f"{int(end, 16):x}" for end in parts[0].decode().split("-"))
            if gone:
                yield "deleted", name
            elif ended or _stat(f"{folder}/map_files/{span}") in inodes:
                yield "mapped", name


def _kernel(inodes: set[tuple[int, int]], world: World) -> Iterator[Hold]:
    """Swap files and the files behind loop devices: no process has them open."""
    names = []
    try:
        with open(world.path("/proc/swaps"), encoding="utf-8", errors="replace") as lines:
            names += [("swap", line.split()[0]) for line in lines if line.startswith("/")]
    except OSError:
        pass
    blocks = world.path("/sys/block")
    for block in os.listdir(blocks) if os.path.isdir(blocks) else ():
        try:
            with open(f"{blocks}/{block}/loop/backing_file", encoding="utf-8") as file:
                names.append((block, file.read().rstrip("\n")))
        except OSError:
            continue
    for what, name in names:
        for each, status in inodes_by_name(name):
            if status in inodes:
                yield Hold(0, what, "open", each)


def inodes_by_name(name: str) -> list[tuple[str, tuple[int, int]]]:
    """The inode behind a name of the kernel's, if it still leads anywhere."""
    try:
        found = os.stat(name)
    except OSError:
        return []
    return [(name, (found.st_dev, found.st_ino))]


def mounted(handle: int, path: str, world: World) -> list[Hold]:
    """Mounts of the folder or file ``path`` (open as ``handle``), or of anything in it, in any
    mount namespace: what a container was given of it, and what was mounted over it."""
    own = _mountinfo(world.path("/proc/self/mountinfo"))
    here = next((row for row in own if row[0] == mount_id(handle)), None)
    if here is None:
        return []
    _, device, root, point = here
    inside = (root.rstrip("/") + path[len(point.rstrip("/")) :]) or "/"
    found: list[Hold] = []
    seen: set[str] = set()
    for pid in pids(world):
        folder = world.path(f"/proc/{pid}")
        folder = living(folder) or folder
        try:
            space = os.readlink(f"{folder}/ns/mnt")
            if space in seen:
                continue
            rows = _mountinfo(f"{folder}/mountinfo")
        except OSError:
            continue
        seen.add(space)
        for _, dev, top, at in rows:
            if (dev == device and _lies(top, inside)) or (
                space == _space(world) and _lies(at, path)
            ):
                found.append(Hold(pid, _command(folder), "mounted", at))
    return found


def _space(world: World) -> str:
    return os.readlink(world.path("/proc/self/ns/mnt"))


def _mountinfo(path: str) -> list[tuple[int, str, str, str]]:
    """Rows of mount id, device, the mounted folder in its file system, and where it is."""
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        rows = [line.split(" ", 5) for line in lines]
    return [(int(row[0]), row[2], _plain(row[3]), _plain(row[4])) for row in rows]


def _plain(text: str) -> str:
    for code, letter in _NO_SPACES.items():
        text = text.replace(code, letter)
    return text
