"""What may not be read, and the right that would unlock it."""

from __future__ import annotations

import errno
import os

CAP_SYS_PTRACE = 19
PTRACE = "CAP_SYS_PTRACE (tier 2)"
BEYOND = "the capabilities of those processes: CAP_SYS_PTRACE is held and not enough"
JOURNAL = "group systemd-journal or adm"
SILENT = "a journalctl --follow that tells what journalctl -n1 does; compare them on the host"
SYSLOG = "CAP_SYSLOG, or group systemd-journal"
SPOOL = "group wfmon: enrol the host again, with the guard"
SANDBOX = "a kernel with seccomp filters: the sensor can make files by /proc/PID/root"


def makes_nothing() -> bool:
    """True when the filter of the sensor holds: it refuses to open to make, even what is there."""
    try:
        os.close(os.open("/dev/null", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        return error.errno == errno.EROFS
    return False


class Denied:
    """A map of denials that knows whether it changed since it was last taken.

    ``caps`` are the capabilities of this process, hexadecimal. ``ptrace`` is the right that is
    missing where another process may not be looked into.
    """

    def __init__(self, caps: str = "") -> None:
        try:
            held = int(caps or "0", 16) >> CAP_SYS_PTRACE & 1
        except ValueError:
            held = 0
        self.ptrace = BEYOND if held else PTRACE
        self._known: dict[str, str] = {}
        self.changed = True

    def set(self, key: str, right: str | None) -> None:
        """``right`` None means that ``key`` can be read (again)."""
        if right is None:
            if self._known.pop(key, None) is not None:
                self.changed = True
        elif self._known.get(key) != right:
            self._known[key] = right
            self.changed = True

    def replace(self, prefix: str, rights: dict[str, str]) -> None:
        """Make the keys that begin with ``prefix`` exactly ``rights``."""
        for key in [
            key for key in list(self._known) if key.startswith(prefix) and key not in rights
        ]:
            self.set(key, None)
        for key, right in rights.items():
            self.set(key, right)

    def whole(self) -> dict[str, str]:
        """A copy of the map, ordered by key."""
        return dict(sorted(self._known.items()))
