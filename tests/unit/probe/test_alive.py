"""A real probe, sent as one stream to an isolated interpreter and spoken with as a console does."""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from console import __version__
from console.hostside.probe import VERSION
from console.hostside.probe.lanes import FOCUSED_S
from console.hostside.probe.main import own_sha256
from console.hostside.probe.sources import read_tree
from console.model.host import Host
from console.ssh.payload import LOADER, command, payload
from tests.support.probe import Talk, running

ROOT = Path(__file__).resolve().parents[3]
SECRET = "Zq7vN3xK9pLw2RtY5mBc"
PYTHON = os.path.realpath(sys.executable)
BULLSEYE = Path(os.environ.get("WATCHFLOOR_BULLSEYE", "/nowhere"))


def test_the_first_frame_says_who_speaks_and_how_the_host_is() -> None:
    with Talk() as talk:
        first = talk.frame()
        assert first is not None
        assert first.k == 1
        assert first.hello is not None
        assert first.f is not None
        assert first.denied is not None
        hello = first.hello
        assert (hello.pid, hello.tier, hello.uid) == (talk.child.pid, 0, os.geteuid())
        assert (hello.sha256, hello.probe) == (payload().sha256, __version__)
        assert hello.hostname == socket.gethostname()
        assert (hello.fast_s, hello.slow_s, hello.focused) == (2.0, 10.0, False)
        assert first.f.mem_total_kib == psutil.virtual_memory().total // 1024
        assert first.f.procs == pytest.approx(len(psutil.pids()), abs=15)
        assert first.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert first.wall == pytest.approx(time.time(), abs=60)


def test_facts_come_in_their_lanes_without_errors() -> None:
    with Talk() as talk:
        summary = talk.until(lambda frame: frame.ps).ps
        assert summary is not None
        assert summary.total == pytest.approx(len(psutil.pids()), abs=25)
        second = talk.until(lambda frame: frame.f and frame.f.dt > 1).f
        assert second is not None
        assert second.cpu_pct is not None
        assert second.rx_bps is not None
        talk.until(lambda _: talk.sections.keys() >= {"os", "kernel", "gpus", "driver"})
        assert talk.tables.keys() >= {"listen", "flows", "sessions", "gpuprocs"}
        assert "procs" not in talk.tables
        assert [event for event in talk.events if event.kind == "probe.error"] == []


def test_focus_gives_the_whole_process_table_and_a_faster_pulse() -> None:
    with Talk() as talk:
        talk.frame()
        talk.say("focus on")
        talk.until(lambda frame: "procs" in frame.t)
        pids = set(psutil.pids())
        assert len(pids ^ set(talk.tables["procs"])) < 40
        row = talk.tables["procs"][os.getpid()]
        me = psutil.Process()
        assert (row[1], row[2], row[5]) == (os.getppid(), os.geteuid(), me.name())
        faster = talk.until(lambda frame: frame.f and 0.5 < frame.f.dt < 1.5 and frame.seq > 4)
        assert faster.ps is None
        with subprocess.Popen([PYTHON, "-c", "input()"], stdin=subprocess.PIPE) as born:
            talk.until(lambda _: born.pid in talk.tables["procs"])
        talk.until(lambda _: born.pid not in talk.tables["procs"])
        talk.say("focus off")
        off = talk.until(lambda frame: "procs" in frame.t and frame.t["procs"].off)
        assert "procs" not in talk.tables
        assert off.ps is not None or talk.until(lambda frame: frame.ps).ps is not None


def test_new_processes_and_listeners_are_events() -> None:
    with Talk() as talk:
        talk.until(lambda frame: frame.ps)
        code = (
            "import socket,sys\n"
            "s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],flush=True)\n"
            "sys.stdin.read()"
        )
        argv = [PYTHON, "-c", code, "--api-key", SECRET]
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            key = f"tcp/127.0.0.1:{port}"
            born = talk.event("process.new", str(server.pid))
            opened = talk.event("listener.new", key)
            assert opened.facts["pid"] == server.pid
            assert talk.tables["listen"][key][5:7] == [
                server.pid,
                psutil.Process(server.pid).name(),
            ]
            talk.say("focus on")
            talk.until(lambda _: server.pid in talk.tables.get("procs", {}))
        closed = talk.event("listener.gone", key)
        assert closed.at >= opened.at
        assert born.facts["ppid"] == os.getpid()
        assert "--api-key [redacted]" in born.facts["cmdline"]
        assert SECRET.encode() not in talk.raw


def test_resync_begins_again_and_the_numbers_go_on() -> None:
    with Talk() as talk:
        talk.until(lambda frame: "sessions" in frame.t)
        before = set(talk.tables)
        for _ in range(3):
            talk.say("resync")
        again = talk.until(lambda frame: frame.k)
        assert again.seq > 1
        assert again.hello is not None
        talk.until(lambda _: set(talk.tables) >= before)


def test_a_wrong_verb_is_answered_and_has_no_effect() -> None:
    with Talk() as talk:
        talk.frame()
        for line in ("exec id", "focus maybe", "guard-doc ../x", "resync --merge", "y" * 3000):
            talk.say(line)
        talk.until(lambda _: len([e for e in talk.events if e.kind == "probe.bad-verb"]) >= 5)
        assert talk.child.poll() is None
        for _ in range(50):
            talk.say("nonsense")
        talk.until(lambda frame: frame.f)
        talk.until(lambda frame: frame.f)
        assert len([e for e in talk.events if e.kind == "probe.bad-verb"]) == 10


def test_a_document_that_is_not_there_is_said_so() -> None:
    with Talk() as talk:
        talk.frame()
        talk.say("guard-doc " + "0" * 64)
        answer = talk.until(lambda frame: frame.doc).doc
        assert answer is not None
        assert (answer.sha256, answer.b64) == ("0" * 64, "")
        assert answer.error


def test_the_end_of_input_ends_the_probe_and_its_children() -> None:
    with Talk() as talk:
        talk.until(lambda frame: frame.ps)
        time_left = time.monotonic() + 5
        children = psutil.Process(talk.child.pid).children(recursive=True)
        talk.hang_up()
        while talk.frame() is not None:
            pass
        assert talk.child.wait(max(0.1, time_left - time.monotonic())) == 0
        assert not [child for child in children if child.is_running()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_orderly_end(number: signal.Signals) -> None:
    with Talk() as talk:
        talk.frame()
        talk.child.send_signal(number)
        assert talk.child.wait(5) == 0


def test_a_console_that_goes_away_ends_the_probe() -> None:
    with Talk() as talk:
        talk.frame()
        assert talk.child.stdout is not None
        talk.child.stdout.close()
        assert talk.child.wait(10) == 0


def test_one_socket_serves_for_both_directions() -> None:
    with Talk(over_socket=True) as talk:
        talk.frame()
        talk.say("focus on")
        talk.until(lambda frame: "procs" in frame.t)
        talk.say("guard-doc " + "1" * 64)
        assert talk.until(lambda frame: frame.doc).doc is not None


def test_a_console_that_does_not_read_gets_the_newest_without_a_gap() -> None:
    """While nothing is read the probe goes on, skips snapshots, and holds no queue of frames."""
    with Talk() as talk:
        talk.frame()
        probe = psutil.Process(talk.child.pid)
        assert talk.child.stdout is not None
        # So small that not even the first table fits: everything after it must wait.
        pipe = talk.child.stdout.fileno()
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        talk.say("focus on")
        assert select.select([pipe], [], [], 10)[0]
        began = time.time()
        with running([PYTHON, "-c", "import time; time.sleep(600)"]) as born:
            until = time.monotonic() + 5 * FOCUSED_S  # what is tested is a pause of so long
            while (left := until - time.monotonic()) > 0:
                assert talk.child.poll() is None
                select.select([], [], [], left)
            ended = time.time()
            assert probe.memory_info().rss < 32 << 20
            talk.until(lambda frame: frame.f and frame.wall > ended)
            # The probe went on while nobody read: it saw the process when it was born.
            assert began - 0.01 < talk.event("process.new", str(born.pid)).at < ended
        waited = [frame for frame in talk.frames if began <= frame.wall <= ended and frame.f]
        assert len(waited) <= 2


def test_the_loader_is_short_constant_and_takes_no_byte_too_many() -> None:
    assert payload().loader == LOADER
    remote = command(Host(name="a", address="10.0.0.1"))
    assert len(remote) <= 200
    assert re.fullmatch(r"exec python3 -I -S -u -c '[^']+'", remote)
    odd = command(Host(name="a", address="10.0.0.1", python="/opt/my python/bin/python3"))
    assert odd.startswith("exec '/opt/my python/bin/python3' -I -S")
    for tier in (1, 2):
        assert command(Host(name="a", address="10.0.0.1", tier=tier)) == "watchfloor-probe"


def test_the_command_runs_in_a_plain_shell_and_verbs_may_follow_at_once() -> None:
    shell = shutil.which("dash") or shutil.which("sh")
    assert shell is not None
    line = command(Host(name="a", address="10.0.0.1", python=PYTHON))
    sent = payload().source
    stream = b"%d\n" % len(sent) + sent + b"nonsense one\nfocus on\nnonsense two\n"
    done = subprocess.run([shell, "-c", line], input=stream, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"probe.bad-verb") == 2


def test_the_same_files_are_the_same_stream_and_digest() -> None:
    one = payload()
    payload.cache_clear()
    two = payload()
    assert one == two
    assert len(one.sha256) == 64
    assert one.sha256 != own_sha256()  # the NVML binding lies beside the package only when sent
    assert __version__ == VERSION


def test_the_probe_is_python_38_and_imports_nothing_else() -> None:
    vermin = Path(sys.executable).parent / "vermin"
    folder = ROOT / "console/hostside/probe"
    argv = [str(vermin), "-t=3.8-", "--no-tips", "-q", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout
    allowed = {*sys.stdlib_module_names, "pynvml", "__future__", "_sha2", "_sha256"}
    for name, text in read_tree(str(folder)).items():
        for found in re.findall(r"^\s*(?:import|from) ([a-zA-Z_]\w*)", text.decode(), re.M):
            assert found in allowed, f"{name}: {found}"


@pytest.mark.skipif(not BULLSEYE.is_dir(), reason="WATCHFLOOR_BULLSEYE names no Debian 11 root")
def test_the_stream_runs_on_python_39() -> None:
    with Talk(["chroot", str(BULLSEYE), "/usr/bin/python3.9"], python=True) as talk:
        first = talk.frame()
        assert first is not None
        assert first.hello is not None
        assert first.hello.python.startswith("3.9.")
        talk.say("focus on")
        talk.until(lambda frame: "sessions" in frame.t)


def test_another_user_is_told_what_is_missing_and_which_right_gives_it() -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, to become another user")
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with socket.create_server(("127.0.0.1", 0)) as server, Talk(argv) as talk:
        first = talk.frame()
        assert first is not None
        assert first.hello is not None
        assert (first.hello.uid, int(first.hello.caps, 16)) == (65534, 0)
        key = f"tcp/127.0.0.1:{server.getsockname()[1]}"
        talk.until(lambda frame: "listen" in frame.t)
        row = talk.tables["listen"][key]
        assert row[4:] == [os.geteuid(), None, None, None]
        assert talk.denied["listeners.owner"] == "CAP_SYS_PTRACE (tier 2)"
        talk.say("focus on")
        talk.until(lambda frame: "procs" in frame.t)
        mine = talk.tables["procs"][os.getpid()]
        assert mine[13] is None  # its program may not be read: not the same as having none
        assert mine[6] != ""
        talk.until(lambda _: "procs.exe" in talk.denied)
        assert talk.denied["procs.exe"] == "CAP_SYS_PTRACE (tier 2)"
