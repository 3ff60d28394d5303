"""The event lane with a real journald in a mount namespace of its own, and with plain files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.hostside.probe.denied import Denied
from console.hostside.probe.happen import Events
from console.hostside.probe.journal import Journal, journal_files, same_entry
from console.hostside.probe.logfiles import AuthLog
from console.hostside.probe.logs import Logs
from console.hostside.probe.place import Place
from tests.support.probe import Talk

ROOT = Path(__file__).resolve().parents[3]
JOURNALD = "/usr/lib/systemd/systemd-journald"
HOUSE = f"""
mount -t tmpfs house /run || exit 1
mkdir -p /run/systemd/journal /run/log/journal /run/systemd/journald.conf.d
printf '[Journal]\\nAudit=no\\nReadKMsg=no\\n' >/run/systemd/journald.conf.d/t.conf
exec {JOURNALD}
"""
WRITER = r"""
import socket, sys
open("/proc/self/comm", "w").write(sys.argv[1])
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.connect("/run/systemd/journal/socket")
    for line in sys.argv[2:]:
        s.send(b"MESSAGE=" + line.encode() + b"\nSYSLOG_IDENTIFIER=sshd\nPRIORITY=6\n")
"""
ACCEPTED = "Accepted publickey for {} from 192.0.2.7 port 4242 ssh2: ED25519 SHA256:5S"


class House:
    """A running journald that only those see who enter its namespace."""

    def __init__(self, pid: int) -> None:
        self.enter = ["nsenter", "--mount", f"--target={pid}"]

    def write(self, comm: str, *lines: str) -> None:
        """Log as a program of that name."""
        python = os.path.realpath(sys.executable)
        subprocess.run([*self.enter, python, "-c", WRITER, comm, *lines], check=True, timeout=30)

    def ready(self) -> bool:
        done = subprocess.run([*self.enter, "test", "-S", "/run/systemd/journal/socket"], timeout=9)
        return done.returncode == 0


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    tools = ("unshare", "nsenter", "journalctl", "sh")
    if os.geteuid() != 0 or not all(map(shutil.which, tools)) or not Path(JOURNALD).exists():
        pytest.skip("needs root, util-linux and systemd, to run a journald of its own")
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOUSE]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as child:
        made = House(child.pid)
        deadline = time.monotonic() + 20
        while not made.ready() and child.poll() is None and time.monotonic() < deadline:
            pass
        if child.poll() is not None:
            pytest.skip("this machine lets no journald run in a mount namespace")
        yield made
        child.terminate()


def test_logins_are_events_and_nobody_else_can_write_them(house: House) -> None:
    with Talk(house.enter) as talk:
        talk.frame()
        house.write("logger", ACCEPTED.format("mallory"))
        house.write("sshd-session", ACCEPTED.format("alice"))
        event = talk.event("auth.accepted")
        assert (event.key, event.facts["source"]) == ("alice", "192.0.2.7")
        assert event.cursor.startswith("s=")
        assert event.at == pytest.approx(time.time(), abs=30)
        assert "log.journal" not in talk.denied
        assert "log.gap" not in [event.kind for event in talk.events]


def test_a_user_who_calls_a_process_sudo_is_not_sudo(house: House) -> None:
    python = "/usr/bin/python3"  # one that any user may run
    if not os.access(python, os.X_OK):
        pytest.skip("needs /usr/bin/python3, to run as another user")
    said = "alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/rm -rf /models"
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with Talk(house.enter) as talk:
        talk.frame()
        argv = [*house.enter, *user, python, "-I", "-c", WRITER, "sudo", said]
        subprocess.run(argv, check=True, timeout=30)
        house.write("sshd-session", ACCEPTED.format("after"))
        talk.event("auth.accepted", "after")
        assert "auth.sudo" not in [event.kind for event in talk.events]


def test_nothing_is_lost_or_told_twice_over_a_lost_connection(house: House) -> None:
    with Talk(house.enter) as talk:
        talk.frame()
        house.write("sshd", ACCEPTED.format("first"))
        cursor = talk.event("auth.accepted", "first").cursor
    house.write("sshd", ACCEPTED.format("second"), "nothing to see", ACCEPTED.format("third"))
    with Talk(house.enter) as talk:
        talk.say("resync " + cursor)
        talk.event("auth.accepted", "third")
        house.write("sshd", ACCEPTED.format("fourth"))
        talk.event("auth.accepted", "fourth")
        users = [event.key for event in talk.events if event.kind == "auth.accepted"]
        assert users == ["second", "third", "fourth"]
        assert "log.gap" not in [event.kind for event in talk.events]


def test_a_cursor_of_another_journal_is_a_gap_and_not_silence(house: House) -> None:
    with Talk(house.enter) as talk:
        talk.say("resync s=0123456789abcdef0123456789abcdef;i=1;b=2c;m=1;t=2;x=3")
        assert talk.event("log.gap").facts["reason"] == "cursor gone"


def test_who_may_not_read_the_journal_is_told_so(house: House) -> None:
    argv = [*house.enter, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with Talk(argv) as talk:
        talk.until(lambda _: "log.journal" in talk.denied)
        assert talk.denied["log.journal"] == "group systemd-journal or adm"


BLIND = """
import sys, time
sys.path.insert(0, sys.argv[1])
from console.hostside.probe import journal, logs
from console.hostside.probe.denied import Denied
from console.hostside.probe.happen import Events
from console.hostside.probe.place import Place
logs.DOUBT_S = logs.WAIT_S = journal.LATE_S = 0.0
place, denied = Place(), Denied()
watched = logs.Logs(place, Events(place), denied, ())
watched._from = time.time() - 3600
if sys.argv[2] == "blind":
    watched._journal._program = sys.argv[3]
until = time.monotonic() + 20
while time.monotonic() < until and not denied.whole() and not watched._journal.heard:
    watched.tick()
    for fd in watched.filenos():
        watched.ready(fd)
    time.sleep(0.01)
print(watched._journal.heard, denied.whole().get("log.journal", ""))
watched.stop()
"""


@pytest.mark.parametrize(
    ("which", "told"), [("blind", "False a journalctl --follow that"), ("sound", "True \n")]
)
def test_a_child_that_does_not_tell_what_the_journal_has_is_denied(
    house: House, tmp_path: Path, which: str, told: str
) -> None:
    house.write("sshd", ACCEPTED.format("seen"))
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    argv = [os.path.realpath(sys.executable), "-c", BLIND, str(ROOT), which, str(silent)]
    done = subprocess.run(
        [*house.enter, *argv], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith(told)


def test_every_match_is_of_this_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    place = Place(root=str(tmp_path))
    argv = Journal(place, ("gw",), lambda reason: None).arguments("", 5.0)
    matches = " ".join(argv[argv.index("_TRANSPORT=kernel") :]).split(" + ")
    assert len(matches) > 3
    assert all(match.endswith(" _MACHINE_ID=0123456789abcdef0123456789abcdef") for match in matches)


def test_the_child_is_given_no_word_of_the_console() -> None:
    argv = Journal(Place(), ("gw",), lambda reason: None).arguments("s=1;i=2", 0.0)
    assert argv[0] == "journalctl"
    assert "--cursor=s=1;i=2" in argv
    assert "SYSLOG_IDENTIFIER=gw" in argv
    assert same_entry("s=1;i=2;b=3", "s=1;i=2;b=4")
    assert not same_entry("s=1;i=2;b=3", "s=1;i=3;b=3")


LINE = "Nov 23 20:20:36 gpu01 sshd[812]: " + ACCEPTED + "\n"


class Files:
    """A host without a journal, as a folder."""

    def __init__(self, root: Path) -> None:
        self.log = root / "var/log/auth.log"
        self.log.parent.mkdir(parents=True)
        self.log.write_text(LINE.format("old"))
        self.place = Place(proc=str(root), root=str(root))
        self.events = Events(self.place)
        self.denied = Denied()
        self.gaps: list[str] = []

    def follow(self, cursor: str = "") -> AuthLog:
        source = AuthLog(self.place, (), self.gaps.append)
        assert source.start(self.denied, cursor)
        return source


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def users(source: AuthLog) -> list[str]:
    return [entry.found.key for entry in source.read() if entry.found is not None]


def test_a_log_file_is_followed_from_its_end_over_rotation(files: Files) -> None:
    source = files.follow()
    assert users(source) == []
    with files.log.open("a") as log:
        log.write(LINE.format("one") + "Nov 23 20:20:37 x cron[1]: y\n" + LINE.format("two")[:-9])
        log.flush()
        assert users(source) == ["one"]
        log.write(LINE.format("two")[-9:])
    assert users(source) == ["two"]
    files.log.rename(files.log.with_suffix(".1"))
    assert users(source) == []
    files.log.write_text(LINE.format("three"))
    assert users(source) == ["three"]
    files.log.write_text("")
    assert users(source) == []
    with files.log.open("a") as log:
        log.write(LINE.format("four"))
    assert users(source) == ["four"]
    assert files.gaps == []


def test_a_log_file_is_resumed_after_a_cursor(files: Files) -> None:
    source = files.follow()
    with files.log.open("a") as log:
        log.write(LINE.format("one"))
    cursor = source.read()[0].cursor
    with files.log.open("a") as log:
        log.write(LINE.format("two"))
    assert users(files.follow(cursor)) == ["two"]
    assert files.gaps == []
    assert users(files.follow("f=1;o=2")) == []
    assert files.gaps == ["cursor gone"]


def test_logs_pick_the_file_where_there_is_no_journal_and_wait_when_nobody_reads(
    files: Files,
) -> None:
    now = [100.0]
    files.place.mono = lambda: now[0]
    events = Events(files.place, limit=4)
    logs = Logs(files.place, events, files.denied, ())
    assert journal_files(files.place) == (False, False)
    logs.tick()
    now[0] += 1.0
    logs.tick()
    with files.log.open("a") as log:
        log.write(LINE.format("one") + LINE.format("two"))
    logs.tick()
    assert events.full
    with files.log.open("a") as log:
        log.write(LINE.format("three"))
    logs.tick()
    assert [event["key"] for event in events.take(10)] == ["one", "two"]
    logs.tick()
    assert [event["key"] for event in events.take(10)] == ["three"]
    assert events.dropped == 0
    logs.stop()
