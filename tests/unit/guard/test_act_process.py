"""Ending one process: that very one, and none that carries the host."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hostside.guard import say
from console.hostside.guard.actions import action
from console.hostside.guard.host import evidence, procs, sessions
from console.hostside.guard.model import holders
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import process, step
from console.hostside.guard.trust import canonical
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
     ("/usr/sbin/sshd (deleted)", "0\t0\t0\t0", "/user.slice", 0),
     ("/usr/lib/openssh/sshd-session", "0\t0\t0\t0", "/", 0),
     ("/usr/lib/systemd/systemd-journald", "0\t0\t0\t0", "/", 0),
     ("/usr/lib/systemd/systemd-resolved", "990\t990\t990\t990",
      "/system.slice/systemd-resolved.service", 0),
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


ALONE = """
import ctypes, os, sys, threading, time
def go():
    if len(sys.argv) > 1:
        file = open(sys.argv[1], "rb")
        import mmap
        held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    print("alone", flush=True)
    while True:
        time.sleep(60)
threading.Thread(target=go).start()
ctypes.CDLL(None).syscall(ctypes.c_long(EXIT), ctypes.c_long(0))  # of this thread alone
"""


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process whose first thread has ended: the kernel calls it a zombie, and it runs."""
    (tmp_path / "held").write_bytes(b"weights")
    code = ALONE.replace("EXIT", {"x86_64": "60"}.get(platform.machine(), "93"))
    argv = [sys.executable, "-I", "-c", code, str(tmp_path / "held")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "alone\n"
        while "\nState:\tZ" not in Path(f"/proc/{started.pid}/status").read_text():
            pass
        yield started
        started.kill()


def test_a_process_whose_first_thread_has_ended_is_ended(alone: subprocess.Popen[str]) -> None:
    """It is dead when all its threads are."""
    args = args_of(alone.pid)
    assert args["exe"] == os.path.realpath(sys.executable)
    assert step("process").holds(args, {}, WORLD) is False
    assert step("process").do(args, {}, WORLD)["ended"] in ("SIGTERM", "SIGKILL")
    assert alone.wait() < 0
    found = procs.find(alone.pid, WORLD)
    assert found is None or found.dead


def test_what_a_process_without_its_first_thread_holds_is_seen(
    alone: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Open files, mappings, and the evidence of both. Threats: 89."""
    path = str(tmp_path / "held")
    status = os.stat(path)
    held = holders.holders({(status.st_dev, status.st_ino)}, path, WORLD)
    assert {one.how for one in held if one.pid == alone.pid} == {"open", "mapped"}
    files = [line for line in evidence._files(60, WORLD) if path.encode() in line]
    assert any(b'"pid":%d}' % alone.pid in line for line in files)


def test_a_thread_that_shares_no_files_hides_none(tmp_path: Path) -> None:
    """A file that one thread alone has open, after unshare. Threats: 89."""
    path = tmp_path / "held"
    path.write_bytes(b"weights")
    code = (
        "import ctypes, sys, threading, time\n"
        "def go():\n"
        "    ctypes.CDLL(None).unshare(0x400)\n"  # CLONE_FILES
        "    file = open(sys.argv[1], 'rb')\n"
        "    print('held', flush=True)\n"
        "    time.sleep(900)\n"
        "threading.Thread(target=go).start()\n"
    )
    argv = [sys.executable, "-I", "-c", code, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "held\n"
        status = path.stat()
        held = holders.holders({(status.st_dev, status.st_ino)}, str(path), WORLD)
        assert {one.how for one in held if one.pid == started.pid} == {"open"}
        started.kill()


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"\xff", "\\xff"), (b"a    b", "a   \\x20b"), ("\u202ex".encode(), "\\u202ex"),
     ("e\u0301".encode(), "e\\u0301"), (b"a\\b", "a\\x5cb"), (b"x ", "x\\x20")],
)  # fmt: skip
def test_a_program_of_any_name_can_be_named_and_ended(
    tmp_path: Path, name: bytes, shown: str
) -> None:
    """In a form that a document holds."""
    program = os.fsencode(tmp_path) + b"/" + name
    shutil.copy(b"/bin/sleep", program)
    with subprocess.Popen([program, b"900"]) as started:
        seen = procs.find(started.pid, WORLD)
        assert seen is not None
        exe = say.path(seen.exe)
        assert exe == f"{tmp_path}/{shown}"
        params = {"pid": started.pid, "start_time": seen.started, "exe": exe}
        canonical.write(params)
        act = action("kill-process")
        act.check(params)
        assert act.facts(params, WORLD) == {}
        plan = act.render(params, {}, {})
        assert step("process").do(plan["steps"][0]["args"], {}, WORLD) == {"ended": "SIGTERM"}


def test_a_process_that_runs_another_program_by_then_is_ended_and_that_is_said(
    child: subprocess.Popen[bytes],
) -> None:
    """Number and start decide: a program that runs another one again and again gets no shield."""
    args = args_of(child.pid)
    asked = {**args, "exe": "/usr/bin/other"}
    act = action("kill-process")
    facts = act.facts(asked, WORLD)
    assert facts == {"exe": args["exe"]}
    plan = act.render(asked, facts, {})
    item = plan["steps"][0]["args"]
    step("process").check(item)
    assert item == {**args, "named": "/usr/bin/other"}
    assert any("NAMES ANOTHER PROGRAM" in line for line in step("process").words(item))
    told = act.preview(asked, plan, WORLD)
    assert told["effect"][0].endswith("AND THE REQUEST NAMES /usr/bin/other")
    done = step("process").do({**item, "exe": "/usr/bin/seen"}, {}, WORLD)
    assert done["ended"] == "SIGTERM"
    assert done["ran"] == f"{args['exe']} by then, and no longer /usr/bin/seen"
    child.wait()
    with pytest.raises(Refused):
        act.render(asked, {"exe": 7}, {})


@pytest.mark.parametrize(
    ("exe", "uid", "cgroup"),
    [("/usr/sbin/sshd", 4711, "/user.slice/user-4711.slice"), ("/usr/bin/sudo", 4711, "/"),
     ("/usr/bin/dbus-daemon", 997, "/system.slice/vllm.service"),
     ("/usr/lib/systemd/systemd-resolved", 997, "/system.slice/ssh.service"),
     ("/usr/lib/systemd/systemd", 1000, "/user.slice/user-1000.slice/user@1000.service")],
)  # fmt: skip
def test_a_program_shields_no_user_who_can_load_his_own_code_into_it(
    tmp_path: Path, exe: str, uid: int, cgroup: str
) -> None:
    world = fake(tmp_path, 4711, exe, f"{uid}\t" * 4, cgroup)
    found = procs.find(4711, world)
    assert found is not None
    assert procs.why_never(found, world) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's processes need root")
def test_processes_of_the_users_that_are_given_to_an_account_are_its_own(tmp_path: Path) -> None:
    """A container of its own runs under these, and outlived its block."""
    for folder in ("proc", "sys"):
        (tmp_path / folder).symlink_to(f"/{folder}")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("mallory:x:54711:54711::/home/m:/bin/sh\n")
    (tmp_path / "etc/subuid").write_text(
        "mallory:654321000:10\nother:654321500:10\nmallory:0:70000\nmallory:x:1\n"
    )
    world = World(Place(str(tmp_path)))
    assert sessions.subordinate(54711, world) == [(654321000, 654321010)]
    argv = ["setpriv", "--reuid", "654321007", "--clear-groups", "sleep", "900"]
    with subprocess.Popen(argv) as started:
        while procs.find(started.pid, world).uids[0] == 0:  # type: ignore[union-attr]
            pass
        assert [one.pid for one in sessions.running(54711, world).ended] == [started.pid]
        assert sessions.end("nobody-here", 54711, world, 5.0) == []
        assert started.wait() == -signal.SIGKILL


def test_another_start_is_refused_with_the_one_that_is_there(
    child: subprocess.Popen[bytes],
) -> None:
    args = args_of(child.pid)
    with pytest.raises(Refused) as refused:
        action("kill-process").facts({**args, "start_time": args["start_time"] - 100}, WORLD)
    assert refused.value.rule == "no-process"
    assert f"began {args['start_time']} ticks after boot" in refused.value.hint
    assert "victim" in refused.value.hint
