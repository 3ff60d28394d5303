"""Processes as the guard sees them: by number, start time and executable."""

from __future__ import annotations

import os

from ..trust import floors
from ..world import World
from . import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL_THREAD = 0x00200000  # PF_KTHREAD
ENDED = "ZX"
CAP = 1 << 16
LEAST_UID = 1000
SYSTEM = ("/usr/", "/sbin/", "/bin/", "/lib/")


class Process:
    """One process. ``started`` counts clock ticks since boot; ``exe`` is empty where there is
    none (kernel threads, zombies); ``uids`` are the real, effective, saved and file system ones;
    ``cgroup`` is the path in systemd's hierarchy; ``folder`` is where the kernel tells of it, that
    of another thread where the first one has ended."""

    __slots__ = (
        "cgroup", "command", "exe", "flags", "folder", "pid", "ppid", "started", "state", "uids",
    )  # fmt: skip

    def __init__(self, pid: int, world: World) -> None:
        """Read it. Raises OSError where it is gone."""
        folder = world.path(f"/proc/{pid}")
        fields = _stat(_read(f"{folder}/stat"))[1]
        if fields[0] in ENDED:
            # A first thread may end by itself (pthread_exit) while the others go on: then nothing
            # but its number and start is left of it, and the rest is theirs.
            folder = living(folder) or folder
        self.folder = folder
        self.pid = pid
        self.command, now = _stat(_read(f"{folder}/stat"))
        self.state = now[0]
        self.ppid = int(fields[1])
        self.flags = int(fields[6])
        self.started = int(fields[19])
        self.uids = _uids(_read(f"{folder}/status"))
        self.cgroup = _cgroup(_read(f"{folder}/cgroup"))
        try:
            self.exe = os.readlink(f"{folder}/exe")
        except OSError:
            self.exe = ""

    @property
    def dead(self) -> bool:
        """It has ended, with all its threads, and waits for its parent to notice."""
        return self.state in ENDED

    @property
    def kernel(self) -> bool:
        """It is a thread of the kernel."""
        return bool(self.flags & KERNEL_THREAD)


def living(folder: str) -> str:
    """The folder of a thread that runs in the process of ``folder``; empty: none does."""
    try:
        threads = sorted(os.listdir(f"{folder}/task"), key=int)
    except (OSError, ValueError):
        return ""
    for thread in threads:
        try:
            state = _stat(_read(f"{folder}/task/{thread}/stat"))[1][0]
        except (OSError, IndexError):
            continue
        if state not in ENDED:
            return f"{folder}/task/{thread}"
    return ""


def _stat(text: str) -> tuple[str, list[str]]:
    """The command and the fields behind it, the state first."""
    left, _, rest = text.rpartition(")")
    return left.partition("(")[2], rest.split()


def _read(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(CAP).decode("utf-8", "surrogateescape")


def _uids(status: str) -> tuple[int, ...]:
    for line in status.splitlines():
        if line.startswith("Uid:"):
            return tuple(int(part) for part in line.split()[1:5])
    return ()


def _cgroup(text: str) -> str:
    found = ""
    for line in text.splitlines():
        _, kind, path = line.split(":", 2)
        if kind == "name=systemd":
            return path
        if kind == "":
            found = path
    return found


def pids(world: World) -> list[int]:
    """All process numbers, ascending."""
    return sorted(int(name) for name in os.listdir(world.path("/proc")) if name.isdigit())


def processes(world: World) -> Iterator[Process]:
    """Every process that is there; what ends meanwhile is left out."""
    for pid in pids(world):
        try:
            yield Process(pid, world)
        except (OSError, ValueError, IndexError):
            continue


def find(pid: int, world: World) -> Process | None:
    """That process, or None where it is gone."""
    try:
        return Process(pid, world)
    except (OSError, ValueError, IndexError):
        return None


def ancestors(world: World) -> set[int]:
    """This process and those that started it."""
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        process = find(pid, world)
        pid = process.ppid if process is not None else 0
    return found


def why_never(process: Process, world: World) -> str:
    """Why the guard never ends this process; empty where it may."""
    exe = process.exe
    if exe.endswith(" (deleted)"):
        exe = exe[: -len(" (deleted)")]
    if process.pid <= 1:
        return "it is the first process"
    if process.kernel or (process.ppid == 2 and not exe):
        return "it is a thread of the kernel"
    if process.pid in ancestors(world):
        return "it is the guard itself or carries its connection"
    if _ours(process, world):
        return "it is a part of Watchfloor"
    # Whoever runs a program can have it run his own code (LD_PRELOAD): it shields what root runs
    # of it alone, and in units that nobody else can join what the system's own users run.
    if not root(process):
        system = _unit(process.cgroup).startswith(names.CORE_UNITS)
        core = system and min(process.uids) < LEAST_UID and exe.startswith(names.CORE)
        return "it belongs to the core of the system" if core else ""
    # Only where a system keeps its programs: the name alone would shield an intruder's program.
    if exe.startswith(SYSTEM) and exe.rpartition("/")[2] in names.SSHD:
        return "it is an SSH server"
    if floors.protected_program(exe):
        return "its program is one that is never ended"
    return "it belongs to the core of the system" if exe.startswith(names.CORE) else ""


def root(process: Process) -> bool:
    """Whether its real and effective user are root."""
    return not any(process.uids[:2])


def _unit(cgroup: str) -> str:
    """The unit of the system's own that runs it; empty: none does."""
    parts = cgroup.split("/")
    return parts[2] if parts[:2] == ["", "system.slice"] and len(parts) > 2 else ""


def _ours(process: Process, world: World) -> bool:
    if process.cgroup.startswith("/system.slice/watchfloor"):
        return True
    if set(process.uids) & our_uids(world):
        return True
    if not root(process):
        return False  # anybody may write anything into the arguments of a process
    try:
        argv = _read(world.path(f"/proc/{process.pid}/cmdline")).split("\0")
    except OSError:
        return False
    return any(part.startswith(names.OURS) for part in argv[:4])


def our_uids(world: World) -> set[int]:
    """User ids of the accounts of Watchfloor on this host."""
    found = set()
    for row in accounts(world):
        if row[0] in names.OUR_ACCOUNTS:
            found.add(int(row[2]))
    return found


def accounts(world: World) -> list[list[str]]:
    """Rows of ``/etc/passwd``, seven fields each."""
    try:
        text = _read_all(world.path("/etc/passwd"))
    except OSError:
        return []
    rows = [line.split(":") for line in text.splitlines()]
    return [row for row in rows if len(row) == 7 and row[2].isdigit()]


def _read_all(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(4 << 20).decode("utf-8", "surrogateescape")
