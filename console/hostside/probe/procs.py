"""Parsers of ``/proc/PID``, and one process as the probe remembers it."""

from __future__ import annotations

import os

from .cgroups import cgroup_path, container_of, unit_of
from .place import slurp, words
from .redact import argv_digest, command_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KTHREAD = 0x0020_0000
HZ = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGESIZE") // 1024
MAX_CMDLINE = 65_536


class Process:
    """What changes about a process, and what is read once and then from time to time."""

    __slots__ = (
        "about",
        "at",
        "busy",
        "kthread",
        "name",
        "pct",
        "pid",
        "ppid",
        "raw",
        "row",
        "rss_kib",
        "start",
        "stat",
        "state",
        "threads",
        "ticks",
        "uid",
    )

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ppid = 0
        self.name = ""
        self.raw = b""  # the name as the kernel has it
        self.stat = b""  # the line that was parsed last: that of an idle process stays the same
        self.state = "?"
        self.ticks = 0
        self.start = 0  # ticks after boot
        self.rss_kib = 0
        self.threads = 0
        self.kthread = False
        self.pct = 0.0
        self.at = 0.0  # when its processor time was last compared; 0: never
        self.busy = 0.0  # when it was last seen to have used some
        self.uid: int | None = None
        self.about: About | None = None
        self.row: list[Any] | None = None  # as last sent


class About:
    """What rarely changes about a process; ``None``: may not be read."""

    __slots__ = (
        "caps",
        "cgroup",
        "cmdline",
        "container",
        "deleted",
        "digest",
        "exe",
        "label",
        "no_new_privs",
        "seccomp",
        "tracer",
        "unit",
        "userns",
    )

    def __init__(self) -> None:
        self.cmdline = ""
        self.digest = ""
        self.cgroup = ""
        self.container = ""
        self.unit = ""
        self.exe: str | None = None
        self.deleted = False
        self.caps = ""
        self.seccomp: int | None = None
        self.no_new_privs: bool | None = None
        self.tracer = 0
        self.label = ""
        self.userns: bool | None = None


def parse_pid_stat(text: bytes, into: Process) -> bool:
    """Fill ``into`` from ``/proc/PID/stat``; False when the text is not that of a process.

    The name may hold spaces and parentheses: it ends at the last closing one.
    """
    left = text.find(b"(")
    right = text.rfind(b")")
    if left < 0 or right < left:
        return False
    fields = text[right + 2 :].split(None, 22)
    try:
        flags = int(fields[6])
        into.ppid = int(fields[1])
        into.ticks = int(fields[11]) + int(fields[12])
        into.threads = int(fields[17])
        into.start = int(fields[19])
        into.rss_kib = max(0, int(fields[21])) * PAGE_KIB
    except (IndexError, ValueError):
        return False
    into.state = chr(fields[0][0])
    into.kthread = bool(flags & KTHREAD)
    raw = text[left + 1 : right]
    if raw != into.raw:
        into.raw = raw
        into.name = words(raw, 64)
    return True


def parse_status(text: bytes) -> dict[str, str]:
    """``/proc/PID/status`` by field name."""
    found: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name, value.strip())
    return found


def status_uid(status: dict[str, str]) -> int | None:
    """The effective user id."""
    ids = status.get("Uid", "").split()
    return int(ids[1]) if len(ids) >= 2 and ids[1].isdigit() else None


def _int(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def read_uid(base: str) -> int | None:
    """Effective user id of the process at ``base`` (``/proc/PID``)."""
    return status_uid(parse_status(slurp(base + "/status", 8192)))


def read_about(base: str, salt: str, init_userns: str | None) -> tuple[About, int | None]:
    """Read what rarely changes. Raises OSError when the process is gone."""
    about = About()
    status = parse_status(slurp(base + "/status", 8192))
    about.caps = words(status.get("CapEff", ""), 32)
    about.seccomp = _int(status.get("Seccomp"))
    privs = _int(status.get("NoNewPrivs"))
    about.no_new_privs = None if privs is None else bool(privs)
    about.tracer = _int(status.get("TracerPid")) or 0
    raw = slurp(base + "/cmdline", MAX_CMDLINE)
    about.cmdline = command_line(raw) if raw else ""
    about.digest = argv_digest(raw, salt)
    about.exe, about.deleted = read_exe(base)
    try:
        about.cgroup = cgroup_path(slurp(base + "/cgroup", 16_384))
        about.container = container_of(about.cgroup)
        about.unit = unit_of(about.cgroup)
    except OSError:
        pass
    try:
        about.label = words(slurp(base + "/attr/current", 1024).rstrip(b"\0\n"), 128)
    except OSError:
        pass  # the kernel answers EINVAL where no security module names processes
    try:
        if init_userns is not None:
            about.userns = os.readlink(base + "/ns/user") != init_userns
    except OSError:
        pass
    return about, status_uid(status)


def read_exe(base: str) -> tuple[str | None, bool]:
    """Path of the program and whether it was deleted; None when it may not be read."""
    try:
        path = os.readlink(base + "/exe")
    except PermissionError:
        return None, False
    except OSError:
        return "", False  # a kernel thread, or gone
    deleted = path.endswith(" (deleted)")
    return words(path[: -len(" (deleted)")] if deleted else path), deleted
