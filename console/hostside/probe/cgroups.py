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

_delegated = re.compile(r"/user@(\d{1,10})\.service(?=/|$)")
_login = re.compile(r"^/user\.slice(?=/|$)")
_podman = re.compile(r"/libpod-([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_user_slice = re.compile(r"^/user\.slice/user-(\d{1,10})\.slice(?=/|$)")

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
    """Short id of the container (12 digits), or the name of an nspawn machine, or empty.

    Below a user's own manager every name is that user's word. Only the form of podman without
    root is taken there, and says so: ``user-1000:`` and the id.
    """
    own = _login.match(path) or _delegated.search(path)
    outer = _container_of(path[: own.start()] if own else path)
    if outer or not own:
        return outer
    uid = _owner(path)
    inner = _podman.findall(path) if uid else None
    return f"user-{uid}:{inner[-1][:SHORT]}" if inner else ""


def _container_of(path: str) -> str:
    found = _container.findall(path)
    if found:
        return str(found[-1])[:SHORT]  # the innermost one: containers may be nested
    machine = _nspawn.search(path)
    if not machine:
        return ""
    name = machine.group(1)
    name = name[len("systemd-nspawn@") :] if name.startswith("systemd-nspawn@") else name
    return name.rsplit(".", 1)[0]


def _owner(path: str) -> str:
    """Number of the user below whose slice or manager ``path`` is, or empty."""
    found = _delegated.search(path) or _user_slice.match(path)
    return found.group(1) if found else ""


def unit_of(path: str) -> str:
    """The innermost unit in ``path`` that the system's own manager made, or empty.

    What is below ``user@1000.service`` was named by that user and is not looked at.
    """
    manager = _delegated.search(path)
    if manager:
        return manager.group(0)[1:]
    found = _unit.findall(path)
    if not found:
        return ""
    return str(found[0] if _login.match(path) else found[-1])
