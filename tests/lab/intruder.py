"""Runs in the place of the sensor, in its sandbox, and tries what the sensor must never be able to.

Prints one JSON object: what was tried to "refused" or what it gave. Standard library only; the one
argument is the pid of a process of root.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import socket
import sys
from collections.abc import Callable
from functools import partial

WORLD = ("/tmp", "/var/tmp", "/run", "/run/lock", "/dev", "/dev/shm", "/dev/mqueue")
OTHER = ("/", "/etc", "/root", "/home", "/usr/lib", "/var/lib", "/run/watchfloor")
NUMBERS = {  # syscalls: x86_64, and the numbers that all newer machines share
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "open_by_handle_at": (304, 265),
    "mount": (165, 40), "unshare": (272, 97), "sethostname": (170, 161),
    "shmget": (29, 194), "setns": (308, 268), "openat2": (437, 437), "io_uring_setup": (425, 425),
}  # fmt: skip
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def syscall(name: str, *arguments: object) -> int:
    """The result; OSError where the kernel refuses."""
    number = NUMBERS[name][0 if platform.machine() == "x86_64" else 1]
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    ctypes.set_errno(0)
    result: int = libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def write(folder: str) -> int:
    """Make a file."""
    return os.open(f"{folder}/intruder", os.O_WRONLY | os.O_CREAT, 0o600)


def memory(name: str, pid: int) -> int:
    """Read or write eight bytes of the heap of another process (back to where they were)."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        heap = next(line for line in maps if "[heap]" in line)
    here = ctypes.create_string_buffer(8)
    local = Vector(ctypes.cast(here, ctypes.c_void_p), 8)
    remote = Vector(int(heap.split("-")[0], 16), 8)
    return syscall(name, pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)


def steal_descriptor(pid: int) -> int:
    """Take an open file of another process."""
    return syscall("pidfd_getfd", syscall("pidfd_open", pid, 0), 1, 0)


def poke(path: str) -> int:
    """Write a value into a file of the kernel."""
    with open(path, "w", encoding="ascii") as file:
        return file.write("1")


def openat2(path: str) -> int:
    """Make a file by the call whose flags no filter can see."""
    how = (ctypes.c_uint64 * 3)(os.O_WRONLY | os.O_CREAT, 0o600, 0)
    return syscall("openat2", -100, path.encode(), ctypes.byref(how), 24)


def ring() -> int:
    """A queue of calls that no filter sees."""
    return syscall("io_uring_setup", 4, ctypes.create_string_buffer(120))


def beyond(pid: int, planted: str) -> dict[str, Callable[[], object]]:
    """What is tried on the file systems of another process, which are not read-only.

    ``planted`` is a file in /tmp of the host that everybody may write.
    """
    tmp = f"/proc/{pid}/root/tmp"
    here = f"{tmp}/intruder"
    return {
        **{
            f"write {folder} of {whose}": partial(write, f"/proc/{whose}/root{folder}")
            for folder in WORLD + OTHER
            for whose in (1, pid)
        },
        "write by its folder": lambda: write(f"/proc/{pid}/cwd/tmp"),
        "make a file without a name": lambda: os.open(tmp, os.O_TMPFILE | os.O_RDWR, 0o600),
        "make a file by openat2": lambda: openat2(here),
        "empty a file": lambda: os.open(planted, os.O_WRONLY | os.O_TRUNC),
        "empty a file for reading": lambda: os.open(planted, os.O_RDONLY | os.O_TRUNC),
        "cut a file": lambda: os.truncate(planted, 0),
        "make a folder": lambda: os.mkdir(here),
        "make a pipe": lambda: os.mkfifo(here),
        "make a socket": lambda: socket.socket(socket.AF_UNIX).bind(here),
        "make a link": lambda: os.symlink("/etc/shadow", here),
        "make another name": lambda: os.link(planted, here),
        "rename": lambda: os.rename(planted, here),
        "remove": lambda: os.unlink(planted),
        "set a time": lambda: os.utime(planted),
        "set an attribute": lambda: os.setxattr(planted, "user.intruder", b"x"),
        "queue calls": ring,
    }


def attempts(pid: int) -> dict[str, Callable[[], object]]:
    """Everything that is tried."""
    unix = socket.socket(socket.AF_UNIX)
    return {
        **{f"write {folder}": partial(write, folder) for folder in WORLD + OTHER},
        **beyond(pid, f"/proc/{pid}/root/tmp/planted"),
        "read memory": lambda: memory("process_vm_readv", pid),
        "write memory": lambda: memory("process_vm_writev", pid),
        "open memory to write": lambda: os.open(f"/proc/{pid}/mem", os.O_RDWR),
        "trace": lambda: syscall("ptrace", 0x4206, pid, 0, 0),
        "steal a descriptor": lambda: steal_descriptor(pid),
        "open by handle": lambda: syscall("open_by_handle_at", -100, None, 0),
        "signal": lambda: os.kill(pid, 0),
        "become root": lambda: os.setuid(0),
        "limit another": lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64)),
        "slow another": lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
        "mount": lambda: syscall("mount", b"none", b"/mnt", b"tmpfs", 0, None),
        "new user namespace": lambda: syscall("unshare", 0x10000000),
        "enter a namespace": lambda: syscall("setns", os.open("/proc/1/ns/uts", os.O_RDONLY), 0),
        "rename the host": lambda: syscall("sethostname", b"x", 1),
        "shared memory": lambda: syscall("shmget", 77, 4096, 0o1600),
        "raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "systemd": lambda: unix.connect("/run/systemd/private"),
        "drop caches": lambda: poke("/proc/sys/vm/drop_caches"),
        "spare from the killer": lambda: poke(f"/proc/{pid}/oom_score_adj"),
    }


def main() -> None:
    """Try everything and say how it went."""
    pid = int(sys.argv[1])
    sys.path.insert(0, "/usr/lib/watchfloor")
    from confine import make_nothing  # type: ignore[import-not-found]

    make_nothing()  # as start.py does before anything else
    told: dict[str, str] = {}
    for name, attempt in attempts(pid).items():
        try:
            told[name] = f"gave {attempt()!r}"
        except OSError as error:
            # To a program under the filter there is no openat2.
            known = {1, 13, 30, 97} | ({38} if name.endswith("openat2") else set())
            told[name] = "refused" if error.errno in known else f"failed: {error.strerror}"
        except ValueError as error:  # resource.prlimit says so
            told[name] = "refused" if "not allowed" in str(error) else f"failed: {error}"
    # What it must be able to, or all of the above would prove nothing.
    with open("/etc/shadow", encoding="ascii") as file:
        told["read shadow"] = "read" if "root:" in file.read() else "empty"
    told["read exe"] = os.readlink(f"/proc/{pid}/exe")
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
