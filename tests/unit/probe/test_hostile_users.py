"""A local user who wants to blind the probe: the stream goes on, and what was hidden is shown."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hostside.probe import openers
from console.hostside.probe.place import Place
from tests.support.probe import Talk

PYTHON = os.path.realpath(sys.executable)
NOBODY = 65_534
SECRET = "Zq7vN3xK9pLw2RtY5mBc"

NAMED = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, sys.argv[1].encode("utf-8", "surrogateescape"), 0, 0, 0)
print("ready", flush=True)
sys.stdin.read()
"""
# Many are born and gone between two looks, and some hundred stay for a while.
FORKS = """
import os, sys
for _ in range(1500):
    if os.fork() == 0:
        os._exit(0)
    os.wait()
stay, go = os.pipe()
kept = []
for _ in range(700):
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(stay, 1)
        os._exit(0)
    kept.append(pid)
print("ready", flush=True)
sys.stdin.read()
os.close(go)
for pid in kept:
    os.waitpid(pid, 0)
"""
SOCKETS = """
import resource, socket, sys
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = []
for number in range(min(3000, most - 50)):
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM if number % 2 else socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    if number % 2:
        one.listen(1)
    held.append(one)
print("ready", flush=True)
sys.stdin.read()
"""
# The page with the arguments is one that nobody fills: who reads it may be made to wait.
UNREADABLE = """
import ctypes, fcntl, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
start = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[45])
fault = libc.syscall(323, 0o2004000)
if fault >= 0:
    fcntl.ioctl(fault, 0xC018AA3F, bytearray(struct.pack("=QQQ", 0xAA, 0, 0)))
    where = libc.mmap(start & ~4095, 4096, 3, 0x32, -1, 0)
    fcntl.ioctl(fault, 0xC020AA00, bytearray(struct.pack("=QQQQ", where, 4096, 1, 0)))
print("ready" if fault >= 0 else "no userfaultfd", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def hostile(code: str, *argv: str, root: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A process of a user without rights that says when it is ready, and is ended in any case."""
    before: list[str] = []
    if os.geteuid() == 0 and not root:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("needs setpriv, to become another user")
        before = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    python = "/usr/bin/python3"  # one that any user may run
    if not os.access(python, os.X_OK):
        pytest.skip("needs /usr/bin/python3, to run as another user")
    whole = [*before, python, "-I", "-c", code, *argv]
    child = subprocess.Popen(
        whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        try:
            if b"ready" not in (said := child.stdout.readline()):
                pytest.skip(f"this machine does not let it: {said!r}")
            yield child
        finally:
            child.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def goes_on(talk: Talk, ticks: int = 3) -> None:
    """The next frames come, each of about its period, and no reader failed."""
    for _ in range(ticks):
        frame = talk.until(lambda frame: frame.f)
        assert frame.f is not None
        assert frame.f.dt < 10.0
    assert [event for event in talk.events if event.kind == "probe.error"] == []


@pytest.mark.parametrize(
    "name", ["a\nb) R 1 (", "\x1b]0;x\x07\x1b[2J", "\udcff\udc80", "-e [x](y)"]
)
def test_a_process_may_be_called_anything(name: str) -> None:
    with Talk() as talk, hostile(NAMED, name) as child:
        talk.frame()
        talk.say("focus on")
        talk.until(lambda _: child.pid in talk.tables.get("procs", {}))
        row = talk.tables["procs"][child.pid]
        assert (row[0], row[1]) == (child.pid, os.getpid())
        assert "\x1b" not in row[5]
        assert "\n" not in row[5]
        assert row[13].startswith("/usr/bin/python3")  # its program is not hidden by a name
        assert b"\x1b" not in talk.raw
        goes_on(talk)


def test_long_and_costly_arguments_hide_nothing_and_cost_little() -> None:
    costly = ["a." * 50_000 + "://", "-eyJ" * 25_000, "--token", SECRET * 5_000] * 2
    with Talk() as talk:
        talk.frame()
        talk.say("focus on")
        with contextlib.ExitStack() as stack:
            ours = [stack.enter_context(hostile(NAMED, "x", *costly)) for _ in range(10)]
            talk.until(lambda _: {one.pid for one in ours} <= talk.tables.get("procs", {}).keys())
            assert SECRET.encode() not in talk.raw
            assert all(len(talk.tables["procs"][one.pid][6]) <= 512 for one in ours)
            goes_on(talk)


def test_a_storm_of_processes_does_not_stop_the_stream() -> None:
    with Talk() as talk:
        talk.frame()
        talk.say("focus on")
        talk.until(lambda frame: "procs" in frame.t)
        with hostile(FORKS) as parent:
            born: list[list[Any]] = []

            def seen(_: object) -> bool:
                born[:] = [r for r in talk.tables["procs"].values() if r[1] == parent.pid]
                return len(born) == 700

            talk.until(seen, 60)
            assert {row[2] for row in born} <= {NOBODY, os.geteuid()}
            goes_on(talk)


def test_thousands_of_sockets_do_not_stop_the_stream() -> None:
    with Talk() as talk:
        talk.until(lambda frame: "listen" in frame.t)
        before = len(talk.tables["listen"])
        with hostile(SOCKETS) as holder:
            talk.until(
                lambda _: sum(r[5] == holder.pid for r in talk.tables["listen"].values()) > 300, 60
            )
            goes_on(talk)
        talk.until(lambda _: len(talk.tables["listen"]) <= before + 20, 60)


def test_a_stopped_process_is_read_like_any_other() -> None:
    with Talk() as talk, hostile(NAMED, "x", "mark-of-the-stopped") as child:
        os.kill(child.pid, signal.SIGSTOP)
        talk.frame()
        talk.say("focus on")
        talk.until(lambda _: child.pid in talk.tables.get("procs", {}))
        row = talk.tables["procs"][child.pid]
        assert row[7] in "Tt"
        assert "mark-of-the-stopped" in row[6]
        goes_on(talk)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for userfaultfd of another's reads")
def test_arguments_on_a_page_that_is_never_filled_do_not_hold_the_probe() -> None:
    with Talk() as talk, hostile(UNREADABLE, root=True) as child:
        talk.frame()
        talk.say("focus on")
        talk.until(lambda _: child.pid in talk.tables.get("procs", {}))
        goes_on(talk)


def test_a_watched_folder_that_is_filled_is_walked_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openers, "MAX_FILES", 50)
    for number in range(40):
        (tmp_path / f"d{number}/e/f").mkdir(parents=True)
    for number in range(100):
        (tmp_path / f"w{number}").write_bytes(b"")
    os.symlink("/etc", tmp_path / "link")
    weights = openers.Weights(Place(), [str(tmp_path)])
    weights.walk()
    assert len(weights.by_inode) <= 50
    weights = openers.Weights(Place(), [str(tmp_path / "d0"), str(tmp_path / "w1")])
    weights.walk()
    assert set(weights.by_inode.values()) == {str(tmp_path / "w1")}
