"""Attestation of hardware keys: who vouches for what, and everything that is not proven."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from console.demo.fido import FidoKey, FileKey, string
from console.trust import cbor
from console.trust.attestation import Verdict, judge

CHALLENGE = b"c" * 32
AAGUID = bytes(range(16))
NOW = datetime(2026, 9, 1, tzinfo=UTC)
PRESENT, VERIFIED, ATTESTED = 1, 4, 64
OID = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey,
    ca: bool, aaguid: bytes | None = None, days: int = 400,
) -> x509.Certificate:  # fmt: skip
    builder = (
        x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer))
        .public_key(key.public_key()).serial_number(7)
        .not_valid_before(NOW - timedelta(days=9)).not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )  # fmt: skip
    if aaguid is not None:
        value = x509.UnrecognizedExtension(OID, b"\x04\x10" + aaguid)
        builder = builder.add_extension(value, critical=False)
    return builder.sign(by, hashes.SHA256())


MAKER = ec.generate_private_key(ec.SECP256R1())
DEVICE = ec.generate_private_key(ec.SECP256R1())
ROOT = certificate("Maker", MAKER, "Maker", MAKER, ca=True)
LEAF = certificate("Device", DEVICE, "Maker", MAKER, ca=False, aaguid=AAGUID)
KEY = FidoKey(b"k" * 32)


def cose(key: FileKey) -> bytes:
    return b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20" + key.public


def attestation(**changes: Any) -> bytes:
    """What ssh-keygen writes for KEY, with parts replaced."""
    given = {
        "application": b"ssh:", "flags": PRESENT | VERIFIED | ATTESTED, "aaguid": AAGUID,
        "key": cose(KEY), "leaf": LEAF.public_bytes(Encoding.DER), "challenge": CHALLENGE,
        "signer": DEVICE, "magic": b"ssh-sk-attest-v01", "tail": b"\0" * 8, **changes,
    }  # fmt: skip
    data = hashlib.sha256(given["application"]).digest() + bytes([given["flags"]]) + b"\0\0\0\5"
    data += given["aaguid"] + b"\x00\x04cred" + given["key"]
    signed = data + hashlib.sha256(given["challenge"]).digest()
    signature = given["signer"].sign(signed, ec.ECDSA(hashes.SHA256()))
    wrapped = b"\x58" + bytes([len(data)]) + data
    fields = (given["magic"], given["leaf"], signature, given.get("authdata", wrapped))
    return b"".join(map(string, fields)) + bytes(given["tail"])


def verdict(data: bytes, **changes: Any) -> Verdict:
    given = {"key": KEY.blob, "challenge": CHALLENGE, "makers": [ROOT], "now": NOW, **changes}
    return judge(given["key"], data, given["challenge"], given["makers"], given["now"])


def test_a_key_for_which_its_maker_vouches_is_proven() -> None:
    found = verdict(attestation())
    assert (found.proven, found.hardware, found.verified) == (True, "proven", True)
    assert "CN=Maker" in found.why
    assert not verdict(attestation(flags=PRESENT | ATTESTED)).verified


OTHER = ec.generate_private_key(ec.SECP256R1())
NOT_PROVEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another key": ({"key": cose(FidoKey(b"x" * 32))}, {}, "for another key"),
    "a file key": ({}, {"key": FileKey(b"k" * 32).blob}, "not in hardware"),
    "another application": ({"application": b"https://site"}, {}, "another application"),
    "another challenge": ({}, {"challenge": b"d" * 32}, "another challenge"),
    "a short challenge": ({"challenge": b"x"}, {"challenge": b"x"}, "shorter than"),
    "not touched": ({"flags": ATTESTED}, {}, "nobody touched"),
    "no key in it": ({"flags": PRESENT}, {}, "holds no key"),
    "signed by somebody": ({"signer": OTHER}, {}, "not genuine"),
    "no certificate": ({"leaf": b""}, {}, "no certificate"),
    "a broken certificate": ({"leaf": b"x"}, {}, "cannot be read"),
    "no maker": ({}, {"makers": []}, "none of the makers"),
    "another model": ({"aaguid": b"\1" * 16}, {}, "another model"),
    "out of date": ({}, {"now": NOW + timedelta(days=500)}, "out of date"),
    "an older form": ({"magic": b"ssh-sk-attest-v00"}, {}, "ssh-sk-attest-v01"),
    "cut": ({"tail": b""}, {}, "behind its end"),
    "junk behind": ({"tail": b"\0" * 9}, {}, "behind its end"),
    "no byte string": ({"authdata": b"\x01"}, {}, "no byte string"),
    "broken data": ({"authdata": b"\x58\xff\x00"}, {}, "damaged"),
    "its own authority": (
        {"leaf": certificate("D", DEVICE, "D", DEVICE, ca=True).public_bytes(Encoding.DER)},
        {}, "one of an authority",
    ),
    "issued by a copy of the name": (
        {"leaf": certificate("D", DEVICE, "Maker", OTHER, ca=False).public_bytes(Encoding.DER)},
        {}, "none of the makers",
    ),
    "issued by what is no authority": (
        {}, {"makers": [certificate("Maker", MAKER, "Maker", MAKER, ca=False)]},
        "none of the makers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_PROVEN)
def test_everything_else_is_not_proven(name: str) -> None:
    made, given, said = NOT_PROVEN[name]
    found = verdict(attestation(**made), **given)
    assert (found.proven, found.hardware) == (False, "not-proven")
    assert said in found.why


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_flipped_byte_proves_nothing_else(at: int, value: int) -> None:
    data = bytearray(attestation())
    before = data[at % len(data)]
    data[at % len(data)] = value
    assert verdict(bytes(data)).proven <= (value == before or at % len(data) >= len(data) - 8)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_read_or_refused(data: bytes) -> None:
    assert not verdict(data).proven
    try:
        cbor.first(data)
    except cbor.CborError:
        pass
