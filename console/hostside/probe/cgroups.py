"""Which systemd unit or container a process belongs to, from ``/proc/PID/cgroup``."""

from __future__ import annotations

import re

from .place import words

_container = re.compile(
    r"(?:^|[/:-])(?:docker-|libpod-|crio-|cri-containerd-|containerd-)?"
    r"([0-9a-f]{64})(?:\.scope)?(?:/|$)"
)
_nspawn = re.compile(r"/(?:machine\.slice/)?(systemd-nspawn@[^/]+\.service|machine-[^/]+\.scope)")
_unit = re.compile(r"/([^/]+\.(?:service|scope|socket|mount|swap))(?=/|$)")

SHORT = 12


def cgroup_path(text: bytes) -> str:
    """The path that names the process best: that of version 2, else systemd's, else the longest."""
    best = ""
    for line in text.decode("utf-8", "replace").splitlines():
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon or not path.startswith("/"):
            continue
        if (number == "0" and not controllers and path != "/") or controllers == "name=systemd":
            return words(path)
        if len(path) > len(best):
            best = path
    return words(best)


def container_of(path: str) -> str:
    """Short id of the container (12 digits), or the name of an nspawn machine, or empty."""
    found = _container.findall(path)
    if found:
        return str(found[-1])[:SHORT]  # the innermost one: containers may be nested
    machine = _nspawn.search(path)
    if not machine:
        return ""
    name = machine.group(1)
    name = name[len("systemd-nspawn@") :] if name.startswith("systemd-nspawn@") else name
    return name.rsplit(".", 1)[0]


def unit_of(path: str) -> str:
    """The innermost systemd unit in ``path``, or empty."""
    found = _unit.findall(path)
    return found[-1] if found else ""
