"""Whether a public key was made inside a hardware key: the attestation that ``ssh-keygen -O
write-attestation`` keeps (OpenSSH's PROTOCOL.u2f, ``ssh-sk-attest-v01``; Web Authentication,
section 8.2 "packed" and 8.6 "fido-u2f").

Proven means: a maker whose certificate was given vouches that this very key is in its hardware,
made for the very challenge. Everything else is not proven, which is no defect of the key.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import sshsig
from console.trust.cbor import CborError, decode, first

MAGIC = b"ssh-sk-attest-v01"
MAX_FILE = 64 << 10
MIN_CHALLENGE = 16
_AAGUID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


# All that a damaged certificate raises when its parts are looked at, which is when they are read.
_UNREAD = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip


class Verdict(msgspec.Struct, frozen=True):
    """``why`` says what is missing where it is not proven, else whose hardware it is."""

    proven: bool
    why: str
    verified: bool = False  # the person's PIN or finger was asked for when it was made

    @property
    def hardware(self) -> str:
        """The word for the roster."""
        return "proven" if self.proven else "not-proven"


class _NotProven(Exception):
    pass


def judge(
    key: bytes, attestation: bytes, challenge: bytes, makers: Sequence[x509.Certificate],
    now: datetime | None = None,
) -> Verdict:  # fmt: skip
    """Hold an attestation against a public key blob, the challenge and makers' certificates."""
    try:
        return _judge(key, attestation, challenge, makers, now or datetime.now(UTC))
    except _NotProven as no:
        return Verdict(False, str(no))
    except (CborError, Refused) as no:
        return Verdict(False, f"the attestation or the key is damaged: {no}")
    except _UNREAD:
        return Verdict(False, "its certificate cannot be read")


def makers(data: bytes) -> list[x509.Certificate]:
    """Certificates of makers out of a PEM or DER file. Raises ValueError."""
    if b"-----BEGIN" in data:
        return x509.load_pem_x509_certificates(data)
    return [x509.load_der_x509_certificate(data)]


def _judge(
    key: bytes, attestation: bytes, challenge: bytes, cas: Sequence[x509.Certificate], now: datetime
) -> Verdict:
    kind, public, application = sshsig.key(key)
    if kind not in (sshsig.SK_ED25519, sshsig.SK_ECDSA):
        raise _NotProven("a file key is not in hardware")
    if len(challenge) < MIN_CHALLENGE:
        raise _NotProven(
            f"the challenge is shorter than {MIN_CHALLENGE} bytes: others may reuse it"
        )
    certificate, signature, told = _parts(attestation)
    if not certificate:
        raise _NotProven("the hardware gave no certificate, so nobody vouches for it")
    leaf = x509.load_der_x509_certificate(certificate)
    data = _bytes(told)
    flags, aaguid, credential, point = _authenticator(data, application)
    if point != public:
        raise _NotProven("it is for another key")
    sha256 = hashlib.sha256(challenge).digest()
    _signed(leaf, signature, data, sha256, credential, kind, public)
    maker = _issued(leaf, aaguid, cas, now)
    name = maker.subject.rfc4514_string()
    return Verdict(True, f"made in hardware of {name}", bool(flags & _VERIFIED))


def _parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Certificate, signature and authenticator data of ``ssh-sk-attest-v01``."""
    if len(data) > MAX_FILE:
        raise _NotProven("the attestation is too large")
    fields, at = [], 0
    for _ in range(4):
        size = int.from_bytes(data[at : at + 4], "big")
        if len(data) < at + 4 + size:
            raise _NotProven("the attestation is cut short")
        fields.append(data[at + 4 : at + 4 + size])
        at += 4 + size
        if len(fields) == 1 and fields[0] != MAGIC:
            raise _NotProven(
                "it is not of the form ssh-sk-attest-v01: make the key anew by OpenSSH 8.5 or later"
            )
    # Reserved flags and a reserved string follow; nothing behind them.
    if len(data) < at + 8 or len(data) != at + 8 + int.from_bytes(data[at + 4 : at + 8], "big"):
        raise _NotProven("the attestation has something behind its end")
    return fields[1], fields[2], fields[3]


def _bytes(told: bytes) -> bytes:
    """The authenticator data, which libfido2 hands out as a CBOR byte string."""
    value = decode(told)
    if not isinstance(value, bytes):
        raise _NotProven("its authenticator data is no byte string")
    return value


def _authenticator(data: bytes, application: str) -> tuple[int, bytes, bytes, bytes]:
    """Flags, AAGUID, credential id and public key of authenticator data."""
    if len(data) < 55 or not data[32] & _ATTESTED:
        raise _NotProven("its authenticator data holds no key")
    if data[:32] != hashlib.sha256(application.encode()).digest():
        raise _NotProven("it is for another application than the key")
    if not data[32] & _PRESENT:
        raise _NotProven("nobody touched the hardware when the key was made")
    size = int.from_bytes(data[53:55], "big")
    credential, rest = data[55 : 55 + size], data[55 + size :]
    cose, _ = first(rest)
    if not isinstance(cose, dict):
        raise _NotProven("its key is damaged")
    found = {name: cose.get(name) for name in (1, 3, -1, -2, -3)}
    x, y = found[-2], found[-3]
    if (found[1], found[3], found[-1]) == (1, -8, 6) and isinstance(x, bytes):
        return data[32], data[37:53], credential, x
    if (
        (found[1], found[3], found[-1]) == (2, -7, 1)
        and isinstance(x, bytes)
        and isinstance(y, bytes)
    ):
        return data[32], data[37:53], credential, b"\x04" + x + y
    raise _NotProven("its key is of a kind that SSH does not use")


def _signed(
    leaf: x509.Certificate, signature: bytes, data: bytes, challenge: bytes, credential: bytes,
    kind: str, public: bytes,
) -> None:  # fmt: skip
    messages = [data + challenge]
    if kind == sshsig.SK_ECDSA:  # of hardware that speaks U2F only
        messages.append(b"\0" + data[:32] + challenge + credential + public)
    key = leaf.public_key()
    for message in messages:
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            elif isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            elif isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, message)
            else:
                raise _NotProven("its certificate has a key of a kind that is not accepted")
        except InvalidSignature:
            continue
        return
    raise _NotProven("its signature is not genuine, or was made for another challenge")


def _issued(
    leaf: x509.Certificate, aaguid: bytes, cas: Sequence[x509.Certificate], now: datetime
) -> x509.Certificate:
    """The maker's certificate that issued ``leaf``."""
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise _NotProven("its certificate is out of date")
    if _is_ca(leaf):
        raise _NotProven("its certificate is one of an authority, not of a piece of hardware")
    try:
        told = leaf.extensions.get_extension_for_oid(_AAGUID).value
        if not isinstance(told, x509.UnrecognizedExtension) or told.value[2:] != aaguid:
            raise _NotProven("its certificate is for another model of hardware")
    except x509.ExtensionNotFound:
        pass
    for ca in cas:
        try:
            leaf.verify_directly_issued_by(ca)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        if _is_ca(ca) and ca.not_valid_before_utc <= now <= ca.not_valid_after_utc:
            return ca
    raise _NotProven("none of the makers' certificates given has issued its certificate")


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return found.value.ca
