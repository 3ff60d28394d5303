"""The event lane's sources: the journal by a ``journalctl`` child, else auth.log and /dev/kmsg.

Each source has a descriptor (or must be polled), gives entries in order, and can be told to wait:
then nothing is read, and the journal itself keeps what comes.
"""

from __future__ import annotations

import os
import signal
import stat
import time

from .denied import JOURNAL, SYSLOG, Denied
from .entries import IDENTIFIERS, Entry, journal_entry, syslog_line
from .messages import KERNEL_MARKS, SSHD, kernel
from .place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Gap = Callable[[str], None]

READ = 262_144
MAX_ENTRY = 1 << 20
RESTART_S = 10.0
_FIELDS = "MESSAGE,SYSLOG_IDENTIFIER,PRIORITY,_UID,_COMM,_SYSTEMD_UNIT,_TRANSPORT"


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

    def fileno(self) -> int:
        """Readable when entries wait; -1 when there is no child."""
        return self._fd

    def arguments(self, cursor: str) -> list[str]:
        """How the child is called: kernel, sshd and sudo by trusted fields, others by name."""
        start = ["--cursor=" + cursor, "--no-tail"] if cursor else ["--lines=0"]
        argv = ["journalctl", "--follow", "--output=json", "--no-pager", "--quiet", "--all"]
        argv += ["--output-fields=" + _FIELDS, *start, "_TRANSPORT=kernel"]
        for name in (*SSHD, "sudo"):
            argv += ["+", "_COMM=" + name]
        for name in sorted(self._identifiers):
            argv += ["+", "SYSLOG_IDENTIFIER=" + name]
        return argv

    def start(self, cursor: str = "") -> None:
        """Begin after ``cursor``, or with what comes from now on."""
        self.stop()
        if self._program is None:
            return
        readable, writable = os.pipe()
        empty = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
        try:
            self._pid = os.posix_spawn(
                self._program,
                self.arguments(cursor),
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

    def restart_if_due(self) -> None:
        """Start again a child that ended, after a pause."""
        if self._fd < 0 and self._again and self._place.mono() >= self._again:
            self._again = 0.0
            self.start(self._cursor)

    def read(self) -> list[Entry]:
        """Entries that wait now, in order; only those that stand for an event."""
        try:
            data = os.read(self._fd, READ)
        except (BlockingIOError, InterruptedError):
            return []
        if not data:
            self._ended()
            return []
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


class AuthLog:
    """Follows ``auth.log`` or ``secure`` where there is no journal; polled each fast tick."""

    PATHS = ("/var/log/auth.log", "/var/log/secure")

    def __init__(self, place: Place, identifiers: tuple[str, ...], gap: Gap) -> None:
        self._place = place
        self._gap = gap
        self._identifiers = frozenset(IDENTIFIERS + identifiers)
        self._path = ""
        self._inode = 0
        self._offset = 0

    def start(self, denied: Denied, cursor: str = "") -> bool:
        """True when there is such a file that may be read; goes on after ``cursor``."""
        for path in self.PATHS:
            path = self._place.path(path)
            try:
                about = os.stat(path)
            except OSError:
                continue
            if not os.access(path, os.R_OK):
                denied.set("log.auth", "group adm")
                continue
            denied.set("log.auth", None)
            self._path, self._inode, self._offset = path, about.st_ino, about.st_size
            if cursor:
                self._resume(cursor, about)
            return True
        return False

    def _resume(self, cursor: str, about: os.stat_result) -> None:
        inode, _, offset = cursor[2:].partition(";o=")
        if inode == str(about.st_ino) and offset.isdigit() and int(offset) <= about.st_size:
            self._offset = int(offset)
        else:
            self._gap("cursor gone")

    def read(self) -> list[Entry]:
        """Entries of complete lines that are new; at most 256 KiB of them in one go."""
        if not self._path:
            return []
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return []
        try:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                return []
            if about.st_ino != self._inode or about.st_size < self._offset:
                self._inode, self._offset = about.st_ino, 0  # rotated, or emptied
            data = os.pread(handle, READ, self._offset)
        finally:
            os.close(handle)
        entries = []
        end = data.rfind(b"\n") + 1
        if not end and len(data) == READ:
            end = READ  # a line without an end is no message
        for raw in data[:end].split(b"\n")[:-1]:
            self._offset += len(raw) + 1
            found = syslog_line(raw, self._identifiers)
            if found is not None:
                cursor = "f={};o={}".format(self._inode, self._offset)
                entries.append(Entry(found, None, cursor))
        return entries


class KernelLog:
    """Reads ``/dev/kmsg`` from now on, where the journal does not bring the kernel's messages."""

    def __init__(self, place: Place, gap: Gap) -> None:
        self._place = place
        self._gap = gap
        self._fd = -1

    def fileno(self) -> int:
        """Readable when messages wait; -1 when they may not be read."""
        return self._fd

    def start(self, denied: Denied) -> None:
        """Open the device; a refusal is put into ``denied``."""
        path = self._place.path("/dev/kmsg")
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
            os.read(self._fd, 8192)
        except BlockingIOError:
            pass
        except PermissionError:
            self.stop()
            denied.set("log.kernel", SYSLOG)
        except OSError:
            self.stop()

    def read(self) -> list[Entry]:
        """Entries that wait now, at most 1,000."""
        entries = []
        for _ in range(1000):
            try:
                raw = os.read(self._fd, 8192)
            except (BlockingIOError, InterruptedError):
                break
            except BrokenPipeError:
                self._gap("kernel log overrun")
                continue
            head, _, text = raw.partition(b";")
            facility = head.split(b",", 1)[0]
            if not facility.isdigit() or int(facility) >> 3:
                continue  # written by a program: only the kernel speaks for the kernel
            found = kernel(text.split(b"\n", 1)[0].decode("utf-8", "replace"))
            if found is not None:
                entries.append(Entry(found, None, ""))
        return entries

    def stop(self) -> None:
        """Close the device."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def may_read_journal(place: Place, denied: Denied) -> bool:
    """True when the journal is there and may be read; otherwise ``denied`` says what is missing."""
    there, readable = journal_files(place)
    denied.set("log.journal", JOURNAL if there and not readable else None)
    return readable
