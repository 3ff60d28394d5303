"""Who listens: by process and by socket, so that it is seen when a daemon has taken over anew."""

from __future__ import annotations

import re

from ..world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PID = re.compile(r"pid=([0-9]+)")
_INODE = re.compile(r"\bino:([0-9]+)")


def listeners(world: World) -> dict[int, set[int]]:
    """Inodes of listening sockets (TCP and local), by the processes that have them open."""
    done = world.run(["ss", "-H", "-l", "-n", "-t", "-x", "-p", "-e"], timeout=10)
    found: dict[int, set[int]] = {}
    for line in done.out.decode("utf-8", "replace").splitlines():
        inode = _INODE.search(line)
        number = int(inode.group(1)) if inode is not None else 0
        for pid in _PID.findall(line):
            found.setdefault(int(pid), set()).add(number)
    return found


def of(pids: Iterable[int], world: World) -> set[int]:
    """Those of these processes that listen on anything."""
    known = listeners(world)
    return {pid for pid in pids if pid in known}
