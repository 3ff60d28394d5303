"""Who is at the other end, by what sshd and sudo say of the connection. It identifies nobody."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MAX_AUTH = 16 << 10


class Caller:
    """``user`` is the login account, ``address`` and ``port`` the client's end of the connection,
    ``key`` the fingerprint of the login key; empty or 0 where it is not known."""

    __slots__ = ("address", "key", "port", "user")

    def __init__(self, user: str = "", address: str = "", port: int = 0, key: str = "") -> None:
        self.user = user
        self.address = address
        self.port = port
        self.key = key

    def facts(self) -> dict[str, Any]:
        """For records."""
        return {"user": self.user, "address": self.address, "port": self.port, "key": self.key}


def same_console(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two calls seem to come from one console: over one connection, by one login key, or
    from one address where a key is not known."""
    if one["address"] != other["address"]:
        return bool(one["key"]) and one["key"] == other["key"]
    if one["port"] == other["port"]:
        return True
    return not one["key"] or not other["key"] or one["key"] == other["key"]


def same_connection(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both came over one connection, or it is not known that they did not."""
    ends = [(each["address"], each["port"]) for each in (one, other)]
    return ends[0] == ends[1] or not all(port for _, port in ends)


def derive(environ: Mapping[str, str]) -> Caller:
    """The caller by the environment that sudo left of sshd's. Never raises."""
    parts = environ.get("SSH_CONNECTION", "").split(" ")
    address, port = "", 0
    if len(parts) == 4 and parts[1].isascii() and parts[1].isdigit() and len(parts[1]) < 6:
        address, port = _address(parts[0]), int(parts[1])
    user = environ.get("SUDO_USER", "")
    user = user if len(user) <= 32 and user.isascii() and user.isprintable() else ""
    path, uid = environ.get("SSH_USER_AUTH", ""), environ.get("SUDO_UID", "")
    known = uid.isascii() and uid.isdigit() and len(uid) < 11
    key = _login_key(path, int(uid) if known else os.getuid())
    return Caller(user, address, port, key)


def _address(text: str) -> str:
    plain = text.partition("%")[0]
    ok = 2 <= len(plain) <= 45 and not plain.strip("0123456789abcdefABCDEF:.")
    return plain.lower() if ok else ""


def _login_key(path: str, uid: int) -> str:
    """Fingerprint of the key in sshd's file of the authentication (``publickey TYPE BASE64``)."""
    if not path.startswith("/") or "\0" in path:
        return ""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, uid):
            return ""
        text = os.read(handle, MAX_AUTH).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(handle)
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) >= 3 and words[0] == "publickey":
            return fingerprint(words[2])
    return ""


def fingerprint(blob: str) -> str:
    """``SHA256:…`` of a public key's base64, as ssh-keygen writes it; empty for no base64."""
    from base64 import b64decode, b64encode
    from hashlib import sha256

    try:
        data = b64decode(blob.encode("ascii"), validate=True)
    except ValueError:
        return ""
    return "SHA256:" + b64encode(sha256(data).digest()).decode().rstrip("=")
