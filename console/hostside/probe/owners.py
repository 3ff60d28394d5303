"""Who holds which socket and which file: one pass over ``/proc/*/fd`` answers both."""

from __future__ import annotations

import os

from .place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .procs import Process

MAX_FDS = 400_000


class Holdings:
    """Result of a pass: pid by socket inode, and open files ``(pid, descriptor, path)``."""

    __slots__ = ("complete", "files", "sockets")

    def __init__(self) -> None:
        self.sockets: dict[int, int] = {}
        self.files: list[tuple[int, str, str]] = []
        self.complete = True  # False: some processes could not be looked into


def look(
    place: Place,
    processes: Iterable[Process],
    wanted: Callable[[str], bool] | None = None,
) -> Holdings:
    """Read the links of all descriptors; ``wanted`` picks the files that are listed.

    A socket that several processes hold belongs to the lowest pid that is not 1: a supervisor
    hands sockets down, and workers are younger than the server that opened them.
    """
    held = Holdings()
    count = 0
    readlink = os.readlink
    sockets = held.sockets
    for process in processes:
        if process.kthread or process.state == "Z":
            continue
        pid = process.pid
        base = f"{place.proc}/{pid}/fd"
        try:
            names = os.listdir(base)
        except PermissionError:
            held.complete = False
            continue
        except OSError:
            continue
        count += len(names)
        if count > MAX_FDS:
            held.complete = False
            break
        base += "/"
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
            elif wanted is not None and target.startswith("/") and wanted(target):
                held.files.append((pid, name, target))
    return held
