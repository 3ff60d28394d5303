"""SSHSIG signatures and public keys, read strictly (OpenSSH's PROTOCOL.sshsig and PROTOCOL.u2f).

OpenSSH passes over junk behind the footer and takes the first signature; here there is one form of
every signature, the one that OpenSSH itself writes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple, NoReturn

    class Parsed(NamedTuple):
        """A signature. ``public`` is the Ed25519 point or the P-256 point, ``signature`` 64 bytes,
        or for ECDSA its two numbers as they are; the FIDO fields are 0 and empty for file keys.
        ``blob`` is the public key, ``outer`` the whole of what was armored."""

        namespace: str
        hash_name: str
        blob: bytes
        kind: str
        signature: bytes
        flags: int
        counter: int
        application: str
        public: bytes
        outer: bytes
else:
    from collections import namedtuple

    class Parsed(
        namedtuple(
            "Parsed",
            "namespace hash_name blob kind signature flags counter application public outer",
        )
    ):
        """A signature. ``public`` is the Ed25519 point or the P-256 point, ``signature`` 64 bytes,
        or for ECDSA its two numbers as they are; the FIDO fields are 0 and empty for file keys.
        ``blob`` is the public key, ``outer`` the whole of what was armored."""

        __slots__ = ()


LIMIT = 4096
PRESENT, VERIFIED = 0x01, 0x04  # FIDO flags: touched, and by whom the PIN or finger belongs to
ED25519 = "ssh-ed25519"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
KINDS = (SK_ED25519, ED25519, SK_ECDSA)
FIDO = (SK_ED25519, SK_ECDSA)

_MAGIC = b"SSHSIG"
_HEAD = "-----BEGIN SSH SIGNATURE-----\n"
_TAIL = "-----END SSH SIGNATURE-----"
_WIDTH = 70
_LINE = re.compile(r"([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]+={0,2})\Z")


def _no(words: str) -> NoReturn:
    raise Refused("signature", words, "sign again with ssh-keygen -Y sign")


class _Reader:
    """Length-prefixed fields out of bytes; every shortfall is a refusal."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            _no("the signature or key is cut short")
        self.at += count
        return part

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def name(self) -> str:
        raw = self.string()
        if len(raw) > 128 or not all(0x20 < byte < 0x7F for byte in raw):
            _no("the signature or key has a name that is not plain ASCII")
        return raw.decode("ascii")

    def end(self) -> None:
        if self.at != len(self.data):
            _no("the signature or key has bytes behind its end")


def _unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        _no("the signature or key is not base64")
    if base64.b64encode(data).decode() != text:
        _no("the signature or key is not in canonical base64")
    return data


def armor(blob: bytes) -> str:
    """The text that OpenSSH writes for a signature blob."""
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + _WIDTH] + "\n" for at in range(0, len(text), _WIDTH)]
    return _HEAD + "".join(lines) + _TAIL + "\n"


def unarmor(armored: str) -> bytes:
    """The blob of an armored signature; the last line end may be missing. Raises Refused."""
    if len(armored) > LIMIT:
        _no(f"the signature is longer than {LIMIT} characters")
    text = armored[:-1] if armored.endswith("\n") else armored
    if not text.startswith(_HEAD) or not text.endswith("\n" + _TAIL):
        _no("the signature is not one whole SSH SIGNATURE block and nothing else")
    blob = _unbase64(text[len(_HEAD) : -len(_TAIL) - 1].replace("\n", ""))
    if armor(blob) != text + "\n":
        _no("the signature's lines are not as OpenSSH writes them")
    return blob


def key(blob: bytes) -> tuple[str, bytes, str]:
    """Kind, public point and FIDO application of a public key. Raises Refused.

    Certificates, webauthn kinds, RSA and all that is not in ``KINDS`` are refused.
    """
    reader = _Reader(blob)
    kind = reader.name()
    application = ""
    if kind in (ED25519, SK_ED25519):
        public = reader.string()
        if len(public) != 32:
            _no("the key's point has a wrong length")
    elif kind == SK_ECDSA:
        if reader.string() != b"nistp256":
            _no("the key is of another curve than it says")
        public = reader.string()
        if len(public) != 65 or public[0] != 4:
            _no("the key's point is not an uncompressed P-256 point")
    else:
        raise Refused(
            "key-type",
            "the key is of a kind that is not accepted (certificates and webauthn never are)",
            "use a key made by ssh-keygen -t ed25519-sk",
        )
    if kind != ED25519:
        application = reader.name()
    reader.end()
    return kind, public, application


def key_line(line: str) -> bytes:
    """The blob of ``kind base64``, without options and comment. Raises Refused."""
    found = _LINE.match(line) if len(line) <= LIMIT else None
    if found is None:
        _no("a public key is not of the form: kind base64")
    blob = _unbase64(found.group(2))
    if key(blob)[0] != found.group(1):
        _no("a public key is of another kind than its line says")
    return blob


def line(blob: bytes) -> str:
    """``kind base64`` of a public key."""
    return key(blob)[0] + " " + base64.b64encode(blob).decode()


def fingerprint(blob: bytes) -> str:
    """``SHA256:…`` of a public key, as OpenSSH shows it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def _mpint(reader: _Reader) -> None:
    """A positive number of at most 256 bits without needless leading zeros."""
    raw = reader.string()
    if not 0 < len(raw) <= 33 or raw[0] & 0x80 or (raw[0] == 0 and not (raw[1:2] > b"\x7f")):
        _no("the signature has a number that is not in its shortest form")


def _inner(data: bytes, kind: str) -> tuple[bytes, int, int]:
    """Signature, flags and counter out of the innermost field."""
    reader = _Reader(data)
    if reader.name() != kind:
        _no("the signature is of another kind than its key")
    signature = reader.string()
    if kind == SK_ECDSA:
        numbers = _Reader(signature)
        _mpint(numbers)
        _mpint(numbers)
        numbers.end()
    elif len(signature) != 64:
        _no("the signature has a wrong length")
    flags = counter = 0
    if kind != ED25519:
        flags = reader.take(1)[0]
        counter = reader.number()
    reader.end()
    return signature, flags, counter


def parse(armored: str) -> Parsed:
    """Take an armored signature apart. Raises Refused, and nothing else, on any text."""
    outer = unarmor(armored)
    reader = _Reader(outer)
    if reader.take(6) != _MAGIC or reader.number() != 1:
        _no("the signature is not SSHSIG version 1")
    blob = reader.string()
    namespace = reader.name()
    if reader.string():
        _no("the signature has a reserved field that is not empty")
    hash_name = reader.name()
    inner = reader.string()
    reader.end()
    if hash_name not in ("sha256", "sha512"):
        raise Refused(
            "hash", "the signature's hash is neither sha256 nor sha512", "use ssh-keygen -Y sign"
        )
    kind, public, application = key(blob)
    signature, flags, counter = _inner(inner, kind)
    return Parsed(
        namespace, hash_name, blob, kind, signature, flags, counter, application, public, outer
    )


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def signed_bytes(parsed: Parsed, message: bytes) -> bytes:
    """The bytes that the key itself signed when it signed ``message``."""
    digest = hashlib.new(parsed.hash_name, message).digest()
    inner = _MAGIC + b"".join(
        map(_string, (parsed.namespace.encode(), b"", parsed.hash_name.encode(), digest))
    )
    if parsed.kind == ED25519:
        return inner
    return (
        hashlib.sha256(parsed.application.encode()).digest()
        + bytes((parsed.flags,))
        + parsed.counter.to_bytes(4, "big")
        + hashlib.sha256(inner).digest()
    )
