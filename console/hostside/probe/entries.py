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
    at = int(stamp) / 1e6 if stamp.isdigit() and len(stamp) < 19 else None
    message = _text(fields.get("MESSAGE"))[:MAX_MESSAGE]
    found: messages.Found | None = None
    name = _text(fields.get("SYSLOG_IDENTIFIER"))
    comm = _text(fields.get("_COMM"))
    if _text(fields.get("_TRANSPORT")) == "kernel":
        found = messages.kernel(message)
    elif comm in messages.SSHD and _text(fields.get("_UID")) == "0":
        found = messages.sshd(message)
    elif comm == "sudo" and message.find(" : ") > 0:
        found = messages.sudo(message)
    if found is None and (name in identifiers or comm in identifiers):
        priority = _text(fields.get("PRIORITY"))
        found = messages.line(
            name or comm,
            _text(fields.get("_SYSTEMD_UNIT")),
            int(priority) if priority in "01234567" and len(priority) == 1 else None,
            message,
        )
    return Entry(found, at, cursor)


def syslog_line(raw: bytes, identifiers: Collection[str]) -> messages.Found | None:
    """One line of auth.log or secure. Who wrote it is the sender's word only."""
    parts = _syslog.match(raw[:MAX_MESSAGE].decode("utf-8", "replace"))
    if not parts:
        return None
    program, message = parts.group("program"), parts.group("message")
    if program in messages.SSHD:
        return messages.sshd(message)
    if program == "sudo":
        return messages.sudo(message)
    if program == "kernel":
        return messages.kernel(message)
    if program in identifiers:
        return messages.line(program, "", None, message)
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
