"""Who holds which socket and which file: one pass over ``/proc/*/fd`` answers both."""

from __future__ import annotations

import os
from collections import deque
from itertools import islice

from .fair import group_of, in_turn
from .place import Place, slurp
from .procs import read_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from .procs import Process

FIRST = 1024  # descriptors of a process that are read before the rest of anybody's
NEXT = 4096  # and as many in each further turn
MAX_FDS = 32_768  # of one process
LOOK_S = 0.4  # for a whole pass


class Holdings:
    """Result of a pass: pid by socket inode, and open files ``(pid, descriptor, path)``."""

    __slots__ = ("complete", "cut", "files", "sockets")

    def __init__(self) -> None:
        self.sockets: dict[int, int] = {}
        self.files: list[tuple[int, str, str]] = []
        self.complete = True  # False: some processes could not be looked into
        self.cut: list[int] = []  # processes of which not all descriptors were read


def queued(place: Place, processes: Iterable[Process]) -> dict[int, deque[tuple[Process, int]]]:
    """Processes by the user whose time they take, each with the number of its first descriptor."""
    queues: dict[int, deque[tuple[Process, int]]] = {}
    for process in processes:
        if process.kthread or process.state == "Z":
            continue
        if process.uid is None:
            try:
                process.uid = read_uid(f"{place.proc}/{process.pid}")
            except OSError:
                continue  # it ended
        group = group_of(-1 if process.uid is None else process.uid)
        queues.setdefault(group, deque()).append((process, 0))
    return queues


def look(
    place: Place,
    processes: Iterable[Process],
    wanted: Callable[[str], bool] | None = None,
    inodes: Collection[int] = (),
    seconds: float = LOOK_S,
) -> Holdings:
    """Read the links of all descriptors; ``wanted`` picks the files that are listed.

    Files with one of ``inodes`` are listed too, under whatever path. A socket that several
    processes hold belongs to the lowest pid that is not 1: a supervisor hands sockets down, and
    workers are younger than the server that opened them.

    A pass ends after ``seconds``: whoever opens very many descriptors makes his own incomplete.
    """
    held = Holdings()

    def visit(item: tuple[Process, int]) -> tuple[Process, int] | None:
        process, start = item
        try:
            more = _descriptors(place, process.pid, start, held, wanted, inodes)
        except PermissionError:
            held.complete = False
            return None
        except OSError:
            return None
        start += NEXT if start else FIRST
        if more and start >= MAX_FDS:
            held.cut.append(process.pid)
            return None
        return (process, start) if more else None

    left = in_turn(queued(place, processes), visit, place.mono, seconds)
    held.cut += [process.pid for process, _ in left]
    return held


def _descriptors(
    place: Place,
    pid: int,
    start: int,
    held: Holdings,
    wanted: Callable[[str], bool] | None,
    inodes: Collection[int],
) -> bool:
    """Read some descriptors of a process from the ``start``-th on; True when there are more."""
    base = f"{place.proc}/{pid}/fd"
    size = NEXT if start else FIRST
    with os.scandir(base) as entries:
        names = [entry.name for entry in islice(entries, start, start + size)]
    base += "/"
    readlink = os.readlink
    sockets = held.sockets
    for name in names:
        try:
            target = readlink(base + name)
        except OSError:
            continue
        if target.startswith("socket:["):
            inode = int(target[8:-1])
            other = sockets.get(inode)
            if other is None or other == 1 or 1 < pid < other:
                sockets[inode] = pid
        elif (
            wanted is not None
            and target.startswith("/")
            and (wanted(target) or (inodes and _inode(place, pid, name) in inodes))
        ):
            held.files.append((pid, name, target))
    return len(names) == size


def _inode(place: Place, pid: int, name: str) -> int:
    """Inode of an open file, 0 where the kernel does not say (before 5.14).

    To ask the file itself would be to wait for ever on a network share whose server is gone.
    """
    try:
        text = slurp(f"{place.proc}/{pid}/fdinfo/{name}", 512)
    except OSError:
        return 0
    at = text.find(b"\nino:")
    number = text[at + 5 :].split(b"\n", 1)[0].strip() if at >= 0 else b""
    return int(number) if number.isdigit() else 0
