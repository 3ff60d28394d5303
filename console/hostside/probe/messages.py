"""Log messages of sshd, sudo and the kernel, as events.

User names in messages are whatever the other side typed: they may imitate the rest of the line.
So the source is taken from the right end where nothing foreign follows it; where something does,
and the line holds more than one source, none is claimed and only the message speaks.
"""

from __future__ import annotations

import re

from .place import words
from .redact import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple

    class Found(NamedTuple):
        """An event that a message stands for."""

        kind: str
        key: str
        facts: dict[str, Any]
else:
    from collections import namedtuple

    Found = namedtuple("Found", "kind key facts")

SSHD = ("sshd", "sshd-session", "sshd-auth")

_FROM = r" from (?P<source>[0-9A-Za-z.:%_\-]+) port (?P<port>\d{1,5})"
_BY = r" (?P<source>[0-9A-Za-z.:%_\-]+) port (?P<port>\d{1,5})"
_several = re.compile(r" [0-9A-Za-z.:%_\-]+ port \d{1,5}")
_accepted = re.compile(
    r"Accepted (?P<method>\S+) for (?P<user>\S+)" + _FROM + r"(?: ssh2)?(?:: .*)?\Z"
)
_failed = re.compile(
    r"(?:error: )?Failed (?P<method>\S+) for (?:invalid user |illegal user )?(?P<user>.*)"
    + _FROM
    + r"(?: ssh2)?(?P<rest>: .*)?\Z"
)
_invalid = re.compile(r"(?:Invalid|Illegal) user (?P<user>.*)" + _FROM + r"\Z")
_closed = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from) authenticating user (?P<user>.*)"
    + _BY
    + r"(?: \[preauth\])?\Z"
)
_exceeded = re.compile(
    r"(?:error: )?maximum authentication attempts exceeded for (?:invalid user )?(?P<user>.*)"
    + _FROM
    + r" ssh2(?: \[preauth\])?\Z"
)
_refused = re.compile(
    r"(?:User (?P<user>.*) from (?P<source>\S+) not allowed because .*"
    r"|ROOT LOGIN REFUSED FROM (?P<root>\S+)(?: port (?P<port>\d{1,5}))?.*"
    r"|Authentication refused: .*)\Z"
)
_scan = re.compile(
    r"(?:error: )?(?:banner exchange: Connection|ssh_dispatch_run_fatal: Connection|"
    r"Timeout before authentication for connection|"
    r"Bad protocol version identification .*)" + _FROM + r".*\Z"
)
_sudo = re.compile(
    r"\s*(?P<user>\S+) : (?:(?P<note>[^;=]*) ; )?TTY=(?P<tty>[^;]*) ; PWD=.*? ; "
    r"USER=(?P<target>[^;]*) ;.*? COMMAND=(?P<command>.*)\Z",
    re.DOTALL,
)
_xid = re.compile(
    r"NVRM: Xid \((?:PCI:)?(?P<pci>[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2})?"
    r"(?:\.[0-9a-fA-F])?)\): (?P<xid>\d{1,4})(?:, (?P<rest>.*))?\Z",
    re.DOTALL,
)
_pid = re.compile(r"pid='?(?P<pid>\d{1,10})'?")
_kernel_worth = re.compile(
    r"NVRM: |nvidia-nvswitch|Out of memory: Killed|oom-kill:|Hardware Error|EDAC .*(?:CE|UE) |"
    r"I/O error|EXT4-fs error|XFS .*(?:error|shutdown)|Kernel panic|BUG: |segfault at|"
    r"hung_task|blocked for more than|soft lockup|AER: .*[Ee]rror|"
    r"module verification failed|Lockdown: |apparmor=\"DENIED\""
)
KERNEL_MARKS = (
    b"NVRM", b"nvswitch", b"Out of memory", b"oom-kill", b"Hardware Error", b"EDAC", b"I/O error",
    b"fs error", b"XFS", b"panic", b"BUG: ", b"segfault", b"hung_task", b"blocked for more",
    b"lockup", b"AER: ", b"module verification", b"Lockdown", b"DENIED",
)  # fmt: skip
"""A line of the kernel without one of these is not parsed at all."""


def sshd(message: str) -> Found | None:
    """``auth.accepted`` or ``auth.failed``, or None for a message that is neither."""
    found = _accepted.match(message)
    if found:
        return _auth("auth.accepted", found.group("user"), found.group("method"), message, found)
    found = _failed.match(message)
    if found:
        rest = found.group("rest") or ""
        doubtful = bool(rest) and len(_several.findall(message)) > 1
        method, user = found.group("method"), found.group("user")
        return _auth("auth.failed", user, method, message, None if doubtful else found)
    for form, method in (
        (_invalid, "invalid-user"),
        (_closed, "closed"),
        (_exceeded, "exceeded"),
        (_scan, "scan"),
    ):
        found = form.match(message)
        if found:
            user = found.group("user") if form is not _scan else ""
            return _auth("auth.failed", user, method, message, found)
    found = _refused.match(message)
    if found:
        user = found.group("user") or ("root" if found.group("root") else "")
        event = _auth("auth.failed", user, "refused", message, None)
        event.facts["source"] = words(found.group("source") or found.group("root") or "", 64)
        event.facts["port"] = int(found.group("port") or 0)
        return event
    return None


def _auth(kind: str, user: str, method: str, message: str, source: re.Match[str] | None) -> Found:
    facts = {
        "user": words(user, 128),
        "source": words(source.group("source"), 64) if source else "",
        "port": min(int(source.group("port")), 65_535) if source else 0,
        "method": words(method, 64),
        "message": words(redact(message)),
    }
    return Found(kind, words(user, 128), facts)


def sudo(message: str) -> Found | None:
    """``auth.sudo``; a refused attempt has its reason in the message."""
    found = _sudo.match(message)
    if not found:
        return None
    user = words(found.group("user"), 128)
    facts = {
        "user": user,
        "command": words(redact(found.group("command"))),
        "target": words(found.group("target"), 128),
        "message": words(redact(found.group("note") or "")),
    }
    return Found("auth.sudo", user, facts)


def kernel(message: str) -> Found | None:
    """``kernel.xid``, ``log.line`` for other lines worth a look, or None.

    Names that users choose stand in other messages, so the driver's begin with its mark.
    """
    found = _xid.match(message)
    if found:
        pid = _pid.search(found.group("rest") or "")
        xid = int(found.group("xid"))
        facts = {
            "xid": xid,
            "pci": found.group("pci").lower(),
            "pid": int(pid.group("pid")) if pid else None,
            "message": words(redact(found.group("rest") or "")),
        }
        return Found("kernel.xid", "{}/{}".format(facts["pci"], xid), facts)
    if _kernel_worth.search(message):
        return line("kernel", "", 4, message, None)
    return None


def line(identifier: str, unit: str, priority: int | None, message: str, uid: int | None) -> Found:
    """``log.line``; ``uid`` is who wrote it, None for the kernel and where nobody vouches."""
    identifier = words(identifier, 64)
    facts = {
        "identifier": identifier,
        "unit": words(unit, 128),
        "priority": priority,
        "message": words(redact(message)),
        "uid": uid,
    }
    return Found("log.line", identifier, facts)
