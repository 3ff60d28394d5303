"""Entries of the journal and lines of an auth.log, as events."""

from __future__ import annotations

import json
import re

from . import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

IDENTIFIERS = (
    "su",
    "useradd",
    "userdel",
    "usermod",
    "groupadd",
    "groupdel",
    "gpasswd",
    "passwd",
    "chpasswd",
    "nvidia-persistenced",
    "nv-fabricmanager",
    "nvidia-fabricmanager",
    "watchfloor-guard",
    "watchfloor-sensor",
)
"""Programs whose lines are always sent as ``log.line``."""

RESERVED = frozenset((*IDENTIFIERS, *messages.SSHD, "sudo"))
"""Names that only root, a system service or the program itself may speak under."""
_SETUID = frozenset(("sudo", "su", "passwd", "gpasswd"))
_PROGRAMS = ("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/")

MAX_MESSAGE = 8192
_syslog = re.compile(
    r"(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) \S+ "
    r"(?P<program>[^\s:\[]{1,64})(?:\[(?P<pid>\d+)\])?: (?P<message>.*)\Z",
    re.DOTALL,
)


class Entry:
    """An event out of a log: what it is, when it was, and the cursor after it."""

    __slots__ = ("at", "cursor", "found")

    def __init__(self, found: messages.Found | None, at: float | None, cursor: str) -> None:
        self.found = found
        self.at = at
        self.cursor = cursor


def journal_entry(raw: bytes, identifiers: Collection[str]) -> Entry | None:
    """One line of ``journalctl -o json``; None when it is not one. ``found`` may be None.

    What a message is comes from the fields that the journal itself sets (``_COMM``, ``_UID``,
    ``_TRANSPORT``): the identifier is the sender's own word, and anybody may call itself sshd.
    """
    try:
        fields = json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    cursor = fields.get("__CURSOR")
    if not isinstance(cursor, str) or len(cursor) > 300:
        return None
    stamp = _text(fields.get("__REALTIME_TIMESTAMP"))
    at = int(stamp) / 1e6 if stamp.isascii() and stamp.isdigit() and len(stamp) < 19 else None
    message = _text(fields.get("MESSAGE"))[:MAX_MESSAGE]
    if _text(fields.get("_TRANSPORT")) == "kernel":
        found = messages.kernel(message)
    else:
        found = _spoken(fields, message, _text(fields.get("_COMM")))
    if found is None:
        found = _line(fields, message, identifiers)
    return Entry(found, at, cursor)


def _spoken(fields: dict[str, Any], message: str, comm: str) -> messages.Found | None:
    """A login or a use of sudo, from the program itself."""
    if comm in messages.SSHD and _text(fields.get("_UID")) == "0":
        return messages.sshd(message)
    if comm == "sudo" and message.find(" : ") > 0 and _trusted(comm, fields):
        found = messages.sudo(message)
        if found is not None:
            found.facts["uid"] = _uid(fields)
        return found
    return None


def _line(
    fields: dict[str, Any], message: str, identifiers: Collection[str]
) -> messages.Found | None:
    """``log.line`` of a wanted name that its sender has a right to."""
    for name in (_text(fields.get("SYSLOG_IDENTIFIER")), _text(fields.get("_COMM"))):
        if name in identifiers and (name not in RESERVED or _trusted(name, fields)):
            priority = _text(fields.get("PRIORITY"))
            return messages.line(
                name,
                _text(fields.get("_SYSTEMD_UNIT")),
                int(priority) if priority in "01234567" and len(priority) == 1 else None,
                message,
                _uid(fields),
            )
    return None


def _trusted(name: str, fields: dict[str, Any]) -> bool:
    """Whether the fields that the journal sets let a sender speak as ``name``.

    Root may, and a system service of that name. A program with the setuid bit still has the user
    id of its caller, so for one the file counts. A user can imitate the path of that file in a
    mount namespace of its own; the uid in the facts then still tells who it was.
    """
    if _text(fields.get("_UID")) == "0":
        # The set user id does not change who named the process: another program is not sudo.
        exe = _text(fields.get("_EXE"))
        return name != "sudo" or not exe or _program(exe) == "sudo"
    if _text(fields.get("_SYSTEMD_UNIT")).partition("@")[0].partition(".service")[0] == name:
        return True
    exe = _text(fields.get("_EXE"))
    return name in _SETUID and exe.startswith(_PROGRAMS) and _program(exe) == name


def _program(exe: str) -> str:
    """Name of a program's file; ``sudo.ws`` and its like are sudo under an alternative's name."""
    name = exe.rpartition("/")[2]
    return "sudo" if name in ("sudo.ws", "sudo-rs") else name


def _uid(fields: dict[str, Any]) -> int | None:
    text = _text(fields.get("_UID"))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 11 else None


def syslog_line(raw: bytes, identifiers: Collection[str]) -> messages.Found | None:
    """One line of auth.log or secure. Who wrote it is the sender's word only.

    The kernel does not speak there: its messages come from ``/dev/kmsg``.
    """
    parts = _syslog.match(raw[:MAX_MESSAGE].decode("utf-8", "replace"))
    if not parts:
        return None
    program, message = parts.group("program"), parts.group("message")
    if program in messages.SSHD:
        return messages.sshd(message)
    if program == "sudo":
        return messages.sudo(message)
    if program in identifiers:
        return messages.line(program, "", None, message, None)
    return None


def _text(value: Any) -> str:
    """A field: text, or a list of byte values where it was not UTF-8, or of several values."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        if all(isinstance(item, int) and 0 <= item < 256 for item in value):
            return bytes(value[:MAX_MESSAGE]).decode("utf-8", "replace")
        return _text(value[-1])
    return ""
