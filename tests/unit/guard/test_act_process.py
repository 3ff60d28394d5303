"""Ending one process: that very one, and none that carries the host."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hostside.guard.host import procs
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import process, step
from console.hostside.guard.world import World

WORLD = World(Place())


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program of its own name, so that nothing else can be meant."""
    shutil.copy("/bin/sleep", tmp_path / "victim")
    with subprocess.Popen([str(tmp_path / "victim"), "900"]) as started:
        yield started
        started.kill()


def args_of(pid: int) -> dict[str, Any]:
    found = procs.find(pid, WORLD)
    assert found is not None
    return {"pid": pid, "start_time": found.started, "exe": found.exe}


@pytest.mark.parametrize("known", [True, False], ids=["by name", "by number"])
def test_a_process_is_ended(
    child: subprocess.Popen[bytes], known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Python's own calls, and with those of the kernel where Python 3.8 has none."""
    if not known:
        monkeypatch.delattr(os, "pidfd_open")
        monkeypatch.delattr(signal, "pidfd_send_signal")
    args = args_of(child.pid)
    each = step("process")
    assert each.look(args, WORLD) == {"there": True}
    assert each.do(args, {}, WORLD) == {"ended": "SIGTERM"}
    assert child.wait() == -signal.SIGTERM
    assert each.do(args, {}, WORLD) == {"ended": "it had ended before"}
    assert each.holds(args, {}, WORLD)


def test_a_number_that_another_process_has_by_now_is_not_ended(
    child: subprocess.Popen[bytes],
) -> None:
    args = args_of(child.pid)
    earlier = {**args, "start_time": args["start_time"] - 1}
    assert step("process").do(earlier, {}, WORLD) == {"ended": "it had ended before"}
    assert child.poll() is None


def test_a_process_that_runs_another_program_is_not_ended(child: subprocess.Popen[bytes]) -> None:
    args = {**args_of(child.pid), "exe": "/usr/bin/other"}
    with pytest.raises(Refused) as refused:
        process.same(args, WORLD)
    assert refused.value.rule == "other-program"
    assert child.poll() is None


def test_the_guard_and_what_carries_it_are_never_ended() -> None:
    for pid in (os.getpid(), os.getppid()):
        with pytest.raises(Refused) as refused:
            process.same(args_of(pid), WORLD)
        assert refused.value.rule == "floor"
        assert "guard itself" in refused.value.words


def fake(tmp_path: Path, pid: int, exe: str, uids: str, cgroup: str, flags: int = 0) -> World:
    """A process table of one process: it takes real ones to end one, and none to refuse."""
    folder = tmp_path / f"proc/{pid}"
    folder.mkdir(parents=True)
    stat = f"{pid} (a) b) c) S 1 1 1 0 -1 {flags} " + "0 " * 12 + "77 " + "0 " * 20
    (folder / "stat").write_text(stat)
    (folder / "status").write_text(f"Name:\ta\nUid:\t{uids}\n")
    (folder / "cgroup").write_text(f"0::{cgroup}\n")
    (folder / "cmdline").write_text("x\0")
    if exe:
        (folder / "exe").symlink_to(exe)
    return World(Place(str(tmp_path)))


@pytest.mark.parametrize(
    ("exe", "uids", "cgroup", "flags"),
    [("/usr/sbin/sshd", "0\t0\t0\t0", "/system.slice/ssh.service", 0),
     ("/usr/sbin/sshd (deleted)", "1000\t1000\t1000\t1000", "/user.slice", 0),
     ("/usr/lib/openssh/sshd-session", "0\t0\t0\t0", "/", 0),
     ("/usr/lib/systemd/systemd-journald", "0\t0\t0\t0", "/", 0),
     ("/usr/lib/systemd/systemd-resolved", "990\t990\t990\t990", "/", 0),
     ("/usr/bin/dbus-daemon", "100\t100\t100\t100", "/system.slice/dbus.service", 0),
     ("/usr/bin/python3.11", "997\t997\t997\t997", "/system.slice/watchfloor-sensor.service", 0),
     ("", "0\t0\t0\t0", "/", procs.KERNEL_THREAD)],
)  # fmt: skip
def test_what_carries_the_host_is_never_ended(
    tmp_path: Path, exe: str, uids: str, cgroup: str, flags: int
) -> None:
    world = fake(tmp_path, 4711, exe, uids, cgroup, flags)
    found = procs.find(4711, world)
    assert found is not None
    assert found.started == 77
    assert procs.why_never(found, world)


@pytest.mark.parametrize("exe", ["/tmp/sshd", "/home/mallory/systemd", "/usr/bin/python3.11"])
def test_a_name_alone_shields_nobody(tmp_path: Path, exe: str) -> None:
    """Nor do arguments, which anybody may write."""
    world = fake(tmp_path, 4711, exe, "1000\t1000\t1000\t1000", "/user.slice/x/watchfloor-x")
    (tmp_path / "proc/4711/cmdline").write_text("/usr/libexec/watchfloor/guard\0")
    found = procs.find(4711, world)
    assert found is not None
    assert procs.why_never(found, world) == ""


@pytest.mark.parametrize("pid", [0, 1, -1, 2**22 + 1, True])
def test_no_such_number_is_taken(pid: int) -> None:
    with pytest.raises(Refused):
        step("process").check({"pid": pid, "start_time": 1, "exe": "/x"})
