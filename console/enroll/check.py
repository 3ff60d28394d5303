"""What a person hands in for an enrolment, checked before a word of it gets into a script."""

import ipaddress
import re
from base64 import b64decode
from pathlib import Path

import msgspec

from console.errors import UsageError
from console.text import clean

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")
_KEY = re.compile(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]{1,60}) ([A-Za-z0-9+/]{20,}={0,2})(?: (.*))?\Z")
_PATTERN = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9.*?-]{0,252}\Z")


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A checked order for a script."""

    host: str
    tier: int
    keys: tuple[str, ...]  # "type base64", without a comment
    sources: tuple[str, ...]  # addresses, networks or name patterns for from="..."


def name(host: str) -> str:
    """``host`` where it is a name. Raises UsageError."""
    if not _NAME.match(host):
        raise UsageError(f"{clean(host, 80)!r} is not a host name")
    return host


def enrolment(host: str, tier: int, key_files: list[Path], sources: list[str]) -> Enrolment:
    """Check everything. Raises UsageError that names what is wrong."""
    name(host)
    if not key_files:
        raise UsageError("a public key is missing", hint="Name it with --key FILE.pub.")
    keys = tuple(line for file in key_files for line in public_keys(file))
    return Enrolment(host=host, tier=tier, keys=keys, sources=tuple(map(source, sources)))


def public_keys(file: Path) -> list[str]:
    """The public keys in ``file`` without their comments."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise UsageError(f"cannot be read: {reason}", where=str(file)) from None
    if "PRIVATE KEY" in text:
        raise UsageError("is a private key", where=str(file), hint="Name the public one: FILE.pub.")
    keys = []
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _KEY.match(line)
        if line.startswith("#"):
            continue
        if not found or not _same_type(found[1], found[2]):
            raise UsageError("is not an OpenSSH public key", where=str(file))
        keys.append(f"{found[1]} {found[2]}")
    if not keys:
        raise UsageError("has no public key in it", where=str(file))
    return keys


def _same_type(kind: str, body: str) -> bool:
    """True when the type within the key is the type before it (RFC 4253, section 6.6)."""
    try:
        raw = b64decode(body, validate=True)
    except ValueError:
        return False
    length = int.from_bytes(raw[:4], "big")
    return raw[4 : 4 + length] == kind.encode()


def source(text: str) -> str:
    """An address, a network or a pattern of names as sshd(8) takes it in ``from=``."""
    if "%" in text:  # a zone, in which the library takes any character
        raise UsageError(
            f"{clean(text, 80)!r} has a zone, which sshd does not know in from=",
            hint="Write the address without it.",
        )
    try:
        if "/" in text:
            return str(ipaddress.ip_network(text))
        return str(ipaddress.ip_address(text))
    except ValueError:
        plain = "/" not in text and _PATTERN.match(text)
        if plain and _misspelt(text):
            raise UsageError(
                f"{clean(text, 80)!r} looks like an IP address and is none",
                hint="A network is written 10.0.0.0/24, a pattern 10.0.0.*",
            ) from None
        if plain:
            return text
    raise UsageError(f"{clean(text, 80)!r} is not an address, network or name to log in from")


def _misspelt(text: str) -> bool:
    """True for what was meant as an IPv4 address: sshd would take it as a name and match nobody."""
    labels = text.split(".")
    numbers = [label for label in labels if label.isdecimal()]
    if len(labels) == 4 and all(label.isdecimal() or label in ("*", "?") for label in labels):
        too_big = any(len(number) > 3 or int(number) > 255 for number in numbers)
        return too_big or len(numbers) == 4
    if "*" in text or "?" in text:
        return len(labels) == 4 and all(label.isdecimal() or len(label) == 1 for label in labels)
    return labels[-1].isdecimal() or (
        len(labels) == 4
        and labels[0].isdecimal()
        and (len(numbers) == 3 or all(label.isdecimal() or len(label) == 1 for label in labels))
    )
