"""Logged-in users, from logind's files, else from utmp."""

from __future__ import annotations

import os
import struct

from .place import Place, slurp, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_SESSIONS = 4096
_USER_PROCESS = 7
# struct utmp of glibc: type, pid, line, id, user, host, exit status, session, time, address
_FORM_32 = struct.Struct("=hxxi32s4s32s256shhiii16s20s")
_FORM_64 = struct.Struct("=hxxi32s4s32s256shhqqq16s20s4x")


def parse_utmp(data: bytes, wide: bool = False) -> list[list[Any]]:
    """Session rows of an utmp file; ``wide`` for machines with 64 bit times in it (arm64)."""
    form = _FORM_64 if wide else _FORM_32
    rows = []
    for at in range(0, min(len(data), form.size * MAX_SESSIONS) - form.size + 1, form.size):
        kind, pid, line, _, user, host, _, _, _, seconds, micros = form.unpack_from(data, at)[:11]
        if kind != _USER_PROCESS:
            continue
        since = float(seconds) + micros / 1e6 if 0 <= seconds < 1 << 40 else 0.0
        tty, who, source = (words(text.split(b"\0", 1)[0], 256) for text in (line, user, host))
        rows.append([f"{tty}/{pid}", who, tty, source, round(max(0.0, since), 1)])
    return rows


def parse_logind(name: str, text: bytes) -> list[Any] | None:
    """Session row of a file in ``/run/systemd/sessions``; None for other kinds of session."""
    values = {}
    for line in text.decode("utf-8", "replace").splitlines():
        field, equals, value = line.partition("=")
        if equals:
            values[field] = value
    if values.get("CLASS", "user") != "user" or values.get("STATE") == "closing":
        return None
    user = values.get("USER") or values.get("UID", "")
    if not user:
        return None
    micros = values.get("REALTIME", "")
    since = int(micros) / 1e6 if micros.isdigit() and len(micros) < 20 else 0.0
    tty = words(values.get("TTY", "") or values.get("DISPLAY", ""), 64)
    source = words(values.get("REMOTE_HOST", ""), 256)
    return [words(name, 64), words(user, 64), tty, source, round(since, 1)]


class Sessions:
    """Table ``sessions``, sampled each slow tick."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._wide = os.uname().machine in ("aarch64", "riscv64", "loongarch64")
        self._names: dict[str, str] = {}

    def sample(self) -> dict[int | str, list[Any]]:
        """Rows by key."""
        rows = self._logind()
        if rows is None:
            rows = self._utmp()
        return {row[0]: row for row in rows}

    def _logind(self) -> list[list[Any]] | None:
        folder = self._place.path("/run/systemd/sessions")
        try:
            names = [name for name in os.listdir(folder) if not name.endswith(".ref")]
        except OSError:
            return None
        rows = []
        for name in names[:MAX_SESSIONS]:
            try:
                row = parse_logind(name, slurp(folder + "/" + name))
            except OSError:
                continue
            if row is not None:
                rows.append(row)
        # An empty folder does not say that nobody is there: without logind's help utmp may know.
        return rows or None

    def _utmp(self) -> list[list[Any]]:
        for path in ("/run/utmp", "/var/run/utmp"):
            try:
                data = slurp_all(self._place.path(path), 4 << 20)
            except OSError:
                continue
            rows = parse_utmp(data, self._wide)
            return [row for row in rows if self._alive(row[0])]
        return []

    def _alive(self, key: str) -> bool:
        """A session that ended badly leaves its record behind."""
        return os.path.exists("{}/{}".format(self._place.proc, key.rpartition("/")[2]))
