"""SSH signatures over documents of a log, judged as the guard judges them but with the fast
library, and each only once: a log may hold thousands."""

import functools

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import sshsig

_ORDER = 2**252 + 27742317777372353535851937790883648493


class BadSignature(Exception):
    """It is no signature of that kind, or it does not hold. The text says why."""


class Signed(msgspec.Struct, frozen=True):
    """Who signed: the key as an SSH blob; ``verified``: the token asked for a PIN or a finger."""

    key: bytes
    verified: bool

    @property
    def fingerprint(self) -> str:
        """``SHA256:…``, as ssh-keygen prints it."""
        return sshsig.fingerprint(self.key)


@functools.lru_cache(maxsize=8192)
def check(armor: str, namespace: str, message: bytes) -> Signed:
    """The key whose signature ``armor`` is, over ``message``. Raises BadSignature."""
    try:
        parsed = sshsig.parse(armor)
    except Refused as refused:
        raise BadSignature(refused.words) from None
    if parsed.namespace != namespace:
        raise BadSignature(f"the signature was not made for {namespace}")
    fido = parsed.kind != sshsig.ED25519
    if fido and not parsed.application.startswith("ssh:"):
        raise BadSignature("the FIDO key is for another application than ssh:")
    if fido and not parsed.flags & sshsig.PRESENT:
        raise BadSignature("the key was not touched when it signed")
    try:
        _genuine(parsed, sshsig.signed_bytes(parsed, message))
    except (InvalidSignature, ValueError):
        raise BadSignature("the signature is not genuine") from None
    return Signed(parsed.blob, fido and bool(parsed.flags & sshsig.VERIFIED))


def _genuine(parsed: sshsig.Parsed, signed: bytes) -> None:
    if parsed.kind == sshsig.SK_ECDSA:
        size = int.from_bytes(parsed.signature[:4], "big")
        r = int.from_bytes(parsed.signature[4 : 4 + size], "big")
        s = int.from_bytes(parsed.signature[8 + size :], "big")
        point = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), parsed.public)
        point.verify(encode_dss_signature(r, s), signed, ECDSA(hashes.SHA256()))
        return
    if int.from_bytes(parsed.signature[32:], "little") >= _ORDER:
        raise InvalidSignature
    Ed25519PublicKey.from_public_bytes(parsed.public).verify(parsed.signature, signed)
