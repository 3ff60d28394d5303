"""The event lane's sources where there is no journal: auth.log (or secure) and ``/dev/kmsg``."""

from __future__ import annotations

import os
import stat

from .denied import SYSLOG, Denied
from .entries import IDENTIFIERS, Entry, syslog_line
from .messages import kernel
from .place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Gap = Callable[[str], None]

READ = 262_144


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
                cursor = f"f={self._inode};o={self._offset}"
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
