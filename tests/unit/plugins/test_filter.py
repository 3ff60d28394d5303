"""The filter of system calls by itself, in a real process that has no Landlock to help it, and
what happens where the kernel has none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from console.engine.plugins import landlock, process, seccomp
from console.engine.plugins.manifest import read
from console.engine.plugins.protocol import Start
from tests.support.plugins import doing, write

ROOT = Path(__file__).resolve().parents[3]
HEAD = """\
import ctypes, errno, fcntl, os, signal, sys
sys.path.insert(0, {root!r})
from console.engine.plugins import landlock, seccomp
libc = ctypes.CDLL(None, use_errno=True)
read_end, write_end = os.pipe()
def call(*what):
    if libc.syscall(*what) < 0:
        raise OSError(ctypes.get_errno(), "")
"""
NO_LANDLOCK = """
from console.hostside.sensor.confine import load, refuse, step
load(step(0x20, 0) + step(0x35, 444, 0, 2) + step(0x35, 447, 1, 0) + refuse(errno.ENOSYS)
     + step(6, 0x7FFF0000))
assert landlock.version() == 0
"""


def python(code: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HEAD.format(root=str(ROOT)) + code, *argv],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "code",
    [
        "os.open(path, os.O_WRONLY)",
        "os.open(path, os.O_RDWR)",
        "os.open(path, os.O_RDONLY | os.O_CREAT)",
        "os.open(path, os.O_RDONLY | os.O_TRUNC)",
        "os.open(os.path.dirname(path), os.O_RDWR | os.O_TMPFILE)",
        "libc.open.argtypes = [ctypes.c_char_p, ctypes.c_int]\n"
        "if libc.open(path.encode(), 3) < 0: raise OSError(ctypes.get_errno(), '')",
        "fcntl.fcntl(read_end, fcntl.F_SETOWN, os.getppid())",
        "fcntl.fcntl(read_end, 15, bytes(8))",  # F_SETOWN_EX
        "fcntl.fcntl(read_end, 10, signal.SIGKILL)",  # F_SETSIG
        "fcntl.fcntl(read_end, 1024, 0)",  # F_SETLEASE
        "fcntl.ioctl(read_end, 0x8901, os.getppid().to_bytes(4, 'little'))",  # FIOSETOWN
        "fcntl.ioctl(read_end, 0x8902, os.getppid().to_bytes(4, 'little'))",  # SIOCSPGRP
        "fcntl.ioctl(read_end, 0x5452, b'1111')",  # FIOASYNC
        "fcntl.ioctl(0, 0x5412, b'x')",  # TIOCSTI
        "os.setuid(os.getuid())",
        "os.setgid(os.getgid())",
        "os.setresuid(-1, -1, -1)",
        "os.setgroups([])",
        "os.setsid()",
        "os.nice(1)",
        "os.memfd_create('x')",
        "os.chdir('/')",
    ],
)
def test_what_landlock_does_not_hold(tmp_path: Path, code: str) -> None:
    path = tmp_path / "kept"
    path.write_text("as it was", encoding="utf-8")
    body = "path = sys.argv[1]\nseccomp.confine(network=False)\ntry:\n    {}\n"
    body = body.format(code.replace("\n", "\n    "))
    done = python(body + "except OSError as error:\n    print(error.errno)\n", str(path))
    assert done.stdout.strip() in {"1", "13", "30"}, (done.stdout, done.stderr)
    assert path.read_text(encoding="utf-8") == "as it was"


# Numbers of x86-64: shmget, shmat, shmctl, semget, semop, msgget, msgsnd, msgctl, mq_open,
# mq_unlink, inotify_init, inotify_add_watch, syslog, sendmsg, sendmmsg, setfsuid, capset, tkill,
# timer_create, sendfile, splice, vmsplice, ftruncate, seccomp, personality, iopl, modify_ldt
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="its numbers are of another machine")
def test_calls_that_are_not_named_are_refused_whatever_they_do() -> None:
    numbers = (
        29, 30, 31, 64, 65, 68, 69, 71, 240, 241, 253, 254, 103, 46, 307, 122, 126, 200, 222, 40,
        275, 278, 77, 317, 135, 172, 154,
    )  # fmt: skip
    body = f"""
seccomp.confine(network=True)
for number in {numbers} + (425, 434, 435, 437, 444, 452, 480, 1000):
    try:
        call(number, 0, 0, 0, 0, 0, 0)
    except OSError as error:
        print(error.errno, end=" ")
"""
    done = python(body)
    assert done.stdout.split() == ["1"] * len(numbers) + ["38"] * 8, done.stderr


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_call_is_named_once(machine: str) -> None:
    at = seccomp._MACHINES.index(machine)
    numbers = [pair[at] for pair in seccomp._ALLOWED.values() if pair[at] >= 0]
    assert len(numbers) == len(set(numbers))
    assert max(numbers) < 440
    assert len(seccomp.program(machine, 7, network=True)) // 8 < 4096
    with pytest.raises(KeyError):
        seccomp.program("riscv64", 7, network=True)


def test_a_kernel_without_landlock_runs_no_plugin(tmp_path: Path) -> None:
    """The real verb under a filter that hides Landlock, as an old kernel or a container does."""
    write(tmp_path / "watchfloor" / "plugins", doing("x = 1"), name="mine")
    body = NO_LANDLOCK + (
        "os.environ['XDG_DATA_HOME'] = sys.argv[1]\nos.environ['HOME'] = sys.argv[1]\n"
        "from console.cli.main import run\nsys.exit(run(['plugins', 'check', 'mine']))"
    )
    done = python(body, str(tmp_path))
    assert done.returncode == 1, done
    assert "no Landlock" in done.stderr
    assert "Linux 5.13" in done.stderr
    assert not done.stdout


@pytest.mark.skipif(not landlock.version(), reason="no plugin runs without Landlock")
@pytest.mark.parametrize("gone", [False, True])
def test_one_whose_console_ended_meanwhile_does_not_start(gone: bool) -> None:
    """Whoever takes it over then, which need not be process 1, and the console may be that one."""
    files = {"main.py": b"class P:\n    def __init__(self, setup): pass\n"}
    start = Start(
        package="plugin_a", entry="main:P", kinds=(), files=files, settings={}, connect=()
    )
    console = os.getpid() + gone
    child = str(ROOT / "console" / "engine" / "plugins" / "child.py")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", child, process._BESIDE, str(console)],
        check=False,
        input=msgspec.json.encode(start) + b"\n",
        capture_output=True,
        timeout=60,
    )
    assert (b"the console is gone" in done.stdout) is gone, done
    assert done.returncode == gone


def test_the_session_says_that_it_is_refused_and_the_process_refuses_by_itself(
    tmp_path: Path,
) -> None:
    folder = write(tmp_path, doing("x = 1"))
    body = (
        NO_LANDLOCK
        + """
import asyncio
from pathlib import Path
from console.clock import SystemClock
from console.config.document import Plugin
from console.engine.plugins import process
from console.engine.plugins.manifest import read
from console.engine.plugins.supervise import Around, Supervised
from console.errors import PluginError
folder = Path(sys.argv[1])
events = []
around = Around(SystemClock(), dict, events.append, lambda: None, [folder.parent])
plugin = Supervised("trial", Plugin(enabled=True, sha256=sys.argv[2]), ["a"], around)
asyncio.run(plugin.run())
print([event.kind for event in events], plugin.panels("a")[0].stopped)

async def deceived():
    process.held = lambda: 7
    one = process.PluginProcess(read(folder), {}, ())
    try:
        await one.start()
    except PluginError as error:
        print("child:", error.message)
    finally:
        await one.kill()

asyncio.run(deceived())
"""
    )
    done = python(body, str(folder), read(folder).sha256)
    assert "['plugin.refused'] not loaded: this kernel has no Landlock" in done.stdout, done
    assert "child: OSError: [Errno 0] this kernel has no Landlock" in done.stdout, done
