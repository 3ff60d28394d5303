"""Names of user ids, from ``/etc/passwd``, and from the directory service where one is set up."""

from __future__ import annotations

import os
import pwd

from .place import Place, slurp_all, words

_FORGET_S = 600.0


class Users:
    """Answers from memory; looks at the file again when it changed.

    The directory service is asked only where ``nsswitch.conf`` names one, once for each id: a
    slow one must not be met on every process of every tick.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._mark: object = None
        self._local: dict[int, str] = {}
        self._remote: dict[int, tuple[str, float]] = {}
        self._directory = place.real and self._has_directory()

    def _has_directory(self) -> bool:
        try:
            text = slurp_all(self._place.path("/etc/nsswitch.conf"), 65_536)
        except OSError:
            return False
        for line in text.decode("utf-8", "replace").splitlines():
            if line.startswith("passwd:"):
                return bool(set(line[7:].split()) - {"files", "compat", "systemd"})
        return False

    def refresh(self) -> None:
        """Read the file when it is another than before; called once a slow tick."""
        path = self._place.path("/etc/passwd")
        try:
            about = os.stat(path)
            mark = (about.st_mtime_ns, about.st_ino, about.st_size)
            if mark == self._mark:
                return
            self._local = _parse(slurp_all(path))
            self._mark = mark
        except OSError:
            pass  # keep what was known: a file that is being replaced is back at the next tick

    def name(self, uid: int) -> str:
        """The user's name, or the number as text."""
        if self._mark is None:
            self.refresh()
        known = self._local.get(uid)
        if known is not None:
            return known
        if not self._directory:
            return str(uid)
        answer = self._remote.get(uid)
        now = self._place.mono()
        if answer is None or answer[1] < now:
            try:
                name = words(pwd.getpwuid(uid).pw_name, 64)
            except (KeyError, OSError):
                name = str(uid)
            answer = self._remote[uid] = (name, now + _FORGET_S)
        return answer[0]


def _parse(text: bytes) -> dict[int, str]:
    names: dict[int, str] = {}
    for line in text.split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 4 and fields[2].isdigit():
            names.setdefault(int(fields[2]), words(fields[0], 64))
    return names
