"""Who has a GPU's device node open: sees what the vendor's own list hides."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_NODE = re.compile(r"^/dev/(?:nvidia(\d+)|dri/((?:card|renderD)\d+)|(kfd))$")


class Open(NamedTuple):
    """One open device node: ``node`` is ``nvidia0``, ``card0``, ``renderD128`` or ``kfd``."""

    pid: int
    fd: str
    node: str


class Scan(NamedTuple):
    """All open nodes that may be seen, and whether some processes may not be looked into."""

    opens: list[Open]
    blind: bool


def node_of(target: str) -> str:
    """Name of the GPU device node behind a link of ``/proc/PID/fd``; empty for anything else."""
    match = _NODE.match(target)
    if not match:
        return ""
    if match.group(1):
        return "nvidia" + match.group(1)
    return match.group(2) or match.group(3)


def scan(proc: str) -> Scan:
    """Look through the descriptors of all processes but this one (about 10 ms for 500)."""
    found: list[Open] = []
    blind = False
    own = os.getpid()
    readlink = os.readlink
    for name in os.listdir(proc):
        if not name.isdigit() or int(name) == own:
            continue
        folder = f"{proc}/{name}/fd/"
        try:
            fds = os.listdir(folder)
        except PermissionError:
            blind = True
            continue
        except OSError:
            continue
        for fd in fds:
            try:
                target = readlink(folder + fd)
            except OSError:
                continue
            if target.startswith("/dev/"):
                node = node_of(target)
                if node:
                    found.append(Open(int(name), fd, node))
    return Scan(found, blind)
