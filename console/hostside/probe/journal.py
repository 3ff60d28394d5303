"""The event lane's first source: the systemd journal, by a ``journalctl`` child.

When nobody reads the probe, nothing is read here either: the journal itself keeps what comes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time

from .denied import JOURNAL, Denied
from .entries import IDENTIFIERS, Entry, journal_entry
from .messages import KERNEL_MARKS, SSHD
from .place import Place, first_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Gap = Callable[[str], None]

READ = 262_144
MAX_ENTRY = 1 << 20
RESTART_S = 10.0
LATE_S = 5.0  # an entry that old has passed through every buffer between journald and us
_machine = re.compile(r"[0-9a-f]{32}\Z")
_FIELDS = "MESSAGE,SYSLOG_IDENTIFIER,PRIORITY,_UID,_COMM,_EXE,_SYSTEMD_UNIT,_TRANSPORT"


def journal_files(place: Place) -> tuple[bool, bool]:
    """Whether the system has a journal, and whether it may be read."""
    there = False
    for base in ("/var/log/journal", "/run/log/journal"):
        folder = place.path(base)
        try:
            machines = os.listdir(folder)
        except PermissionError:
            there = True
            continue
        except OSError:
            continue
        for machine in machines:
            path = folder + "/" + machine + "/system.journal"
            if os.access(path, os.R_OK):
                return True, True
            there = there or os.path.exists(path) or not os.access(folder + "/" + machine, os.X_OK)
    return there, False


def find_program(name: str) -> str | None:
    """Absolute path of a program in the folders of the system."""
    for folder in ("/usr/bin", "/bin", "/usr/local/bin"):
        path = folder + "/" + name
        if os.access(path, os.X_OK):
            return path
    return None


class Journal:
    """Follows the journal. ``gap`` is called with the reason when entries may be missing."""

    def __init__(self, place: Place, identifiers: tuple[str, ...], gap: Gap) -> None:
        self._place = place
        self._gap = gap
        self._identifiers = frozenset(IDENTIFIERS + identifiers)
        self._program = find_program("journalctl")
        self._pid = 0
        self._fd = -1
        self._part = b""
        self._cursor = ""
        self._expect = ""  # the entry that must come first: the one we stopped after
        self._again = 0.0
        self._since = 0.0
        self._heard = False  # the child that runs now has said something

    def fileno(self) -> int:
        """Readable when entries wait; -1 when there is no child."""
        return self._fd

    @property
    def pid(self) -> int:
        """Process id of the child, 0 when there is none."""
        return self._pid

    @property
    def heard(self) -> bool:
        """True when the child that runs now has told anything."""
        return self._heard

    def arguments(self, cursor: str, since: float) -> list[str]:
        """How the child is called that follows after ``cursor``, or from ``since`` (epoch)."""
        start = "--cursor=" + cursor if cursor else f"--since=@{int(since):d}"
        return [*self._call(), "--follow", start, "--no-tail", *self._matches()]

    def newest_arguments(self) -> list[str]:
        """How the newest entry since the start of the child that follows is asked for, once."""
        return [*self._call(), "--lines=1", f"--since=@{int(self._since):d}", *self._matches()]

    def _call(self) -> list[str]:
        """What every call has in common.

        ``--follow`` alone shows only the boot whose id the kernel tells. In the sandbox of the
        sensor on a container that is not the id its journald writes, and nothing would ever come.
        ``--merge`` keeps journalctl from asking for a boot; the match of the machine keeps out
        what others sent here, which it would let in.
        """
        argv = ["journalctl", "--merge", "--output=json", "--no-pager", "--quiet", "--all"]
        return [*argv, "--output-fields=" + _FIELDS]

    def _matches(self) -> list[str]:
        """Kernel, sshd and sudo by trusted fields, others by name; of this machine alone."""
        try:
            machine = first_line(self._place.path("/etc/machine-id")).strip()
        except OSError:
            machine = ""
        here = ["_MACHINE_ID=" + machine] if _machine.match(machine) else []
        argv = ["_TRANSPORT=kernel", *here]
        for name in (*SSHD, "sudo"):
            argv += ["+", "_COMM=" + name, *here]
        for name in sorted(self._identifiers):
            argv += ["+", "SYSLOG_IDENTIFIER=" + name, *here]
        return argv

    def silent(self, newest: bytes) -> bool:
        """True when ``newest``, the answer to ``newest_arguments``, should have come and did not.

        The clock of the entry is the host's, as ours is.
        """
        if self._heard or self._fd < 0:
            return False
        try:
            at = int(json.loads(newest)["__REALTIME_TIMESTAMP"]) / 1e6
        except (ValueError, KeyError, TypeError):
            return False
        return self._since + 1.0 < at < self._place.wall() - LATE_S

    def start(self, cursor: str = "", since: float | None = None) -> None:
        """Begin after ``cursor``, or with what was written after ``since`` (epoch, else now)."""
        self.stop()
        self._since = self._place.wall() if since is None else since
        if self._program is None:
            return
        readable, writable = os.pipe()
        empty = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
        try:
            self._pid = os.posix_spawn(
                self._program,
                self.arguments(cursor, self._since),
                empty,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, writable, 1),
                    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
                ],
                setsigdef=[signal.SIGPIPE],
            )
        except OSError:
            os.close(readable)
            self._again = self._place.mono() + RESTART_S
            return
        finally:
            os.close(writable)
        os.set_blocking(readable, False)
        self._fd = readable
        self._part = b""
        self._expect = cursor
        self._cursor = cursor
        self._heard = False

    def restart_if_due(self) -> None:
        """Start again a child that ended, after a pause."""
        if self._fd < 0 and self._again and self._place.mono() >= self._again:
            self._again = 0.0
            self.start(self._cursor, self._since if self._cursor == "" else None)

    def read(self) -> list[Entry]:
        """Entries that wait now, in order; only those that stand for an event."""
        try:
            data = os.read(self._fd, READ)
        except (BlockingIOError, InterruptedError):
            return []
        if not data:
            self._ended()
            return []
        self._heard = True
        lines = (self._part + data).split(b"\n")
        self._part = lines.pop()
        if len(self._part) > MAX_ENTRY:
            self._part = b""  # its end will not be JSON and is skipped like any other such line
        entries = []
        for raw in lines:
            entry = self._entry(raw)
            if entry is not None:
                entries.append(entry)
        return entries

    def _entry(self, raw: bytes) -> Entry | None:
        if not self._expect and not _worth(raw):
            return None
        entry = journal_entry(raw, self._identifiers)
        if entry is None:
            return None
        self._cursor = entry.cursor
        if self._expect:
            expected, self._expect = self._expect, ""
            if same_entry(entry.cursor, expected):
                return None
            self._gap("cursor gone")
        return entry if entry.found is not None else None

    def _ended(self) -> None:
        if self._expect:  # refused at once: the cursor is not one of this journal
            self._gap("cursor gone")
            self._cursor = ""
            self._since = self._place.wall()
        self.stop()
        self._again = self._place.mono() + RESTART_S

    def stop(self) -> None:
        """End the child and reap it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._pid:
            reap(self._pid)
            self._pid = 0


def same_entry(one: str, other: str) -> bool:
    """True when two cursors name one entry: same file sequence and number."""
    return one.split(";")[:2] == other.split(";")[:2]


def _worth(raw: bytes) -> bool:
    """False for a line of the kernel that says nothing of interest: most of them.

    The text cannot be imitated by a message, where quotes are escaped.
    """
    return b'"_TRANSPORT":"kernel"' not in raw or any(mark in raw for mark in KERNEL_MARKS)


def reap(pid: int) -> None:
    """Ask a child to end, insist after half a second, and collect it."""
    for number, seconds in ((signal.SIGTERM, 0.5), (signal.SIGKILL, 2.0)):
        try:
            os.kill(pid, number)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    return
                time.sleep(0.005)
        except (ChildProcessError, ProcessLookupError):
            return


def may_read_journal(place: Place, denied: Denied) -> bool:
    """True when the journal is there and may be read; otherwise ``denied`` says what is missing."""
    there, readable = journal_files(place)
    denied.set("log.journal", JOURNAL if there and not readable else None)
    return readable
