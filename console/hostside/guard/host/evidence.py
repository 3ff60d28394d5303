"""What is collected as evidence, the most volatile first, each part within bounds.

Texts are raw, secrets in arguments among them: a pack is root's alone, and leaves the host only
through the guard.
"""

from __future__ import annotations

import os
import time

from ..world import World
from . import procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO

    Source = Callable[[int, World], Iterator[bytes]]

# The order in which they are collected, whatever the order in which they were asked for.
PARTS = ("processes", "sockets", "files", "network", "modules", "logins", "gpu", "kernel",
         "journal", "guard")  # fmt: skip
PART_BYTES = 32 << 20
PART_S = 60.0
CHUNK = 1 << 16
MAX_FDS = 4096  # of one process


def collect(name: str, since_s: int, target: IO[bytes], world: World) -> str:
    """Write one part to ``target``; why it was cut short, or empty. ``since_s`` is how far back
    the parts that have a past go."""
    deadline = time.monotonic() + PART_S
    left = PART_BYTES
    for data in _whole(_SOURCES[name](since_s, world)):
        if len(data) > left:
            target.write(data[:left])
            return f"cut at {PART_BYTES >> 20} MiB"
        target.write(data)
        left -= len(data)
        if time.monotonic() > deadline:
            return f"cut after {int(PART_S)} s"
    return ""


def _whole(source: Iterator[bytes]) -> Iterator[bytes]:
    """One part that cannot be read never costs the others."""
    try:
        yield from source
    except (OSError, ValueError) as error:
        yield f"\nnot all of it: {type(error).__name__} {error}\n".encode("utf-8", "replace")


def _programs(*commands: Sequence[str]) -> Iterator[bytes]:
    """What programs say, one after the other; one that is not there is named as such."""
    for argv in commands:
        yield ("## " + " ".join(argv) + "\n").encode()
        yield from _said(argv)


def _said(argv: Sequence[str]) -> Iterator[bytes]:
    """Output in pieces, so that nothing large is ever held in memory."""
    import subprocess

    from ..world import ENV

    try:
        child = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=ENV, cwd="/",
        )  # fmt: skip
    except OSError as error:
        yield f"not collected: {argv[0]}: {error.strerror}\n".encode()
        return
    with child:
        try:
            if child.stdout is not None:
                yield from _until(child.stdout.fileno(), time.monotonic() + PART_S)
        finally:
            child.kill()


def _until(handle: int, deadline: float) -> Iterator[bytes]:
    import select

    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([handle], [], [], left)[0]:
            yield b"\nnot all of it: it took too long\n"
            return
        data = os.read(handle, CHUNK)
        if not data:
            return
        yield data


def _file(path: str, world: World, cap: int = PART_BYTES) -> Iterator[bytes]:
    """A file as it is; devices and links are not followed."""
    import stat

    yield f"## {path}\n".encode()
    try:
        handle = os.open(world.path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        yield f"not collected: {error.strerror}\n".encode()
        return
    with os.fdopen(handle, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            yield b"not collected: it is no plain file\n"
            return
        while cap > 0:
            data = file.read(min(CHUNK, cap))
            if not data:
                break
            cap -= len(data)
            yield data
    yield b"\n"


def _tail(path: str, world: World, cap: int) -> Iterator[bytes]:
    yield f"## the last {cap} bytes at most of {path}\n".encode()
    try:
        with open(world.path(path), "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - cap))
            yield file.read(cap)
    except OSError as error:
        yield f"not collected: {error.strerror}\n".encode()


def _line(**fields: object) -> bytes:
    import json

    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode() + b"\n"


def _processes(since_s: int, world: World) -> Iterator[bytes]:
    """One JSON line a process; ``started`` in clock ticks since boot."""
    for item in procs.processes(world):
        folder = item.folder
        yield _line(
            pid=item.pid, ppid=item.ppid, uids=list(item.uids), started=item.started,
            state=item.state, command=item.command, exe=item.exe, cgroup=item.cgroup,
            argv=_raw(f"{folder}/cmdline").split("\0")[:-1], cwd=_link(f"{folder}/cwd"),
            root=_link(f"{folder}/root"), namespaces=[
                _link(f"{folder}/ns/{kind}") for kind in ("mnt", "net", "pid", "user")
            ],
        )  # fmt: skip


def _files(since_s: int, world: World) -> Iterator[bytes]:
    """Open files and executable mappings of files, one JSON line each process."""
    for pid in procs.pids(world):
        folder = world.path(f"/proc/{pid}")
        folder = procs.living(folder) or folder
        try:
            numbers = sorted(os.listdir(f"{folder}/fd"), key=int)
        except OSError:
            continue
        files = [[int(number), _link(f"{folder}/fd/{number}")] for number in numbers[:MAX_FDS]]
        mapped = {
            line.split(None, 5)[5]
            for line in _raw(f"{folder}/maps").splitlines()
            if len(line.split(None, 5)) == 6 and "x" in line.split(None, 2)[1]
        }
        yield _line(pid=pid, files=files, all=len(numbers) <= MAX_FDS, mapped=sorted(mapped))


def _raw(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20).decode("utf-8", "backslashreplace")
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.fsencode(os.readlink(path)).decode("utf-8", "backslashreplace")
    except OSError:
        return ""


def _sockets(since_s: int, world: World) -> Iterator[bytes]:
    yield from _programs(["ss", "-H", "-a", "-n", "-p", "-e", "-i", "-O"])
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "unix"):
        yield from _file(f"/proc/net/{name}", world)


def _network(since_s: int, world: World) -> Iterator[bytes]:
    yield from _programs(
        ["ip", "-d", "address"], ["ip", "route", "show", "table", "all"],
        ["ip", "-6", "route", "show", "table", "all"], ["ip", "rule"], ["ip", "neighbour"],
        ["nft", "-a", "list", "ruleset"],
    )  # fmt: skip


def _modules(since_s: int, world: World) -> Iterator[bytes]:
    for path in ("/proc/modules", "/proc/sys/kernel/tainted", "/proc/mounts", "/proc/cmdline"):
        yield from _file(path, world)


def _logins(since_s: int, world: World) -> Iterator[bytes]:
    since = f"-{since_s} seconds"
    yield from _programs(
        ["loginctl", "list-sessions", "--no-pager"], ["who", "-a"],
        ["last", "-F", "-w", "-n", "2000", "-s", since],
        ["lastb", "-F", "-w", "-n", "2000", "-s", since],
    )  # fmt: skip


def _gpu(since_s: int, world: World) -> Iterator[bytes]:
    if not world.has("nvidia-smi"):
        yield b"nvidia-smi is not on this host\n"
        return
    yield from _programs(["nvidia-smi", "-q"], ["nvidia-smi", "pmon", "-c", "1"])


def _kernel(since_s: int, world: World) -> Iterator[bytes]:
    yield from _programs(["uname", "-a"], ["dmesg", "--time-format", "iso"])


def _journal(since_s: int, world: World) -> Iterator[bytes]:
    yield from _programs(
        ["journalctl", "--no-pager", "-q", "-r", "-o", "json", f"--since=-{since_s}s"]
    )


def _guard(since_s: int, world: World) -> Iterator[bytes]:
    """Our own state, but never a secret or a private key."""
    for name in ("roster", "policy", "identity"):
        yield from _file(f"/etc/watchfloor/{name}.json", world)
    state = "/var/lib/watchfloor/guard"
    for folder in ("spool", "journal", "standing"):
        try:
            entries = sorted(os.listdir(world.path(f"{state}/{folder}")))
        except OSError:
            continue
        for entry in entries[:200]:
            yield from _file(f"{state}/{folder}/{entry}", world, 256 << 10)
    yield from _tail(f"{state}/audit/log.jsonl", world, 8 << 20)


_SOURCES: dict[str, Source] = {
    "processes": _processes,
    "sockets": _sockets,
    "files": _files,
    "network": _network,
    "modules": _modules,
    "logins": _logins,
    "gpu": _gpu,
    "kernel": _kernel,
    "journal": _journal,
    "guard": _guard,
}
