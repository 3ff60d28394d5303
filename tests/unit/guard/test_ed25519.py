"""The strict verifier: RFC 8032's vectors, OpenSSL's opinion, and forms that others let pass."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.trust import ed25519

# RFC 8032 section 7.1, tests 1, 2, 3 and SHA(abc): public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        "454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]

# The canonical encodings of the eight points of small order, and forms that are not canonical
# (Chalkias, Garillot, Nikolaenko: "Taming the many EdDSAs", 2020).
SMALL = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
NOT_CANONICAL = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def pair(seed: bytes) -> tuple[Ed25519PrivateKey, bytes]:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_vectors_of_the_standard(public: str, message: str, signature: str) -> None:
    key, said, signed = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert ed25519.verify(key, signed, said)
    assert not ed25519.verify(key, signed, said + b"x")
    assert not ed25519.weak(key)
    assert ed25519.in_group(key)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.data())
def test_what_openssl_signs_is_accepted_and_any_changed_bit_is_not(
    seed: bytes, message: bytes, draw: st.DataObject
) -> None:
    key, public = pair(seed)
    signature = key.sign(message)
    assert ed25519.verify(public, signature, message)
    bit = draw.draw(st.integers(0, 511))
    number = int.from_bytes(signature, "little") ^ 1 << bit
    assert not ed25519.verify(public, number.to_bytes(64, "little"), message)


def test_the_other_form_of_a_signature_is_refused() -> None:
    """S plus the order of the group: OpenSSH 9.2 accepts it. Threats: 23."""
    key, public = pair(b"\x07" * 32)
    signature = key.sign(b"message")
    number = int.from_bytes(signature[32:], "little")
    for times in range(1, 16):
        other = number + times * ed25519.ORDER
        if other < 2**256:
            assert not ed25519.verify(
                public, signature[:32] + other.to_bytes(32, "little"), b"message"
            )


@pytest.mark.parametrize("public", SMALL + NOT_CANONICAL)
def test_points_for_which_anybody_can_sign_are_weak(public: str) -> None:
    """Small order, or not in canonical form. Threats: 24."""
    point = bytes.fromhex(public)
    assert ed25519.weak(point)
    assert not ed25519.in_group(point)
    # R = B·S for S = 1: with the neutral point as key this "signature" holds for every message.
    base = (4 * pow(5, -1, ed25519.P) % ed25519.P).to_bytes(32, "little")
    assert not ed25519.verify(point, base + (1).to_bytes(32, "little"), b"anything")


@pytest.mark.parametrize("public", NOT_CANONICAL)
def test_another_form_of_a_point_is_no_point(public: str) -> None:
    assert ed25519._decode(bytes.fromhex(public)) is None


def test_a_signature_by_the_neutral_point_would_hold_in_the_equation() -> None:
    """The check of the order of the point is what refuses it, not the equation. Threats: 24."""
    base = (4 * pow(5, -1, ed25519.P) % ed25519.P).to_bytes(32, "little")
    total = ed25519._combine([(1, ed25519._BASE), (12345, (0, 1))])
    assert ed25519._encode(total) == base


@pytest.mark.parametrize("first", SMALL + NOT_CANONICAL)
def test_a_first_half_of_small_order_is_refused(first: str) -> None:
    """With R neutral and S = k·a the cofactored equation holds. Threats: 23."""
    seed = b"\x09" * 32
    _, public = pair(seed)
    head = bytearray(hashlib.sha512(seed).digest()[:32])
    head[0] &= 248
    head[31] = head[31] & 127 | 64
    secret = int.from_bytes(head, "little")
    point = bytes.fromhex(first)
    hashed = hashlib.sha512(point + public + b"m").digest()
    number = int.from_bytes(hashed, "little") * secret % ed25519.ORDER
    assert not ed25519.verify(public, point + number.to_bytes(32, "little"), b"m")


def test_a_point_outside_the_group_of_prime_order_is_told_apart() -> None:
    _, public = pair(b"\x03" * 32)
    x, y = ed25519._decode(public) or (0, 0)
    order_eight = ed25519._decode(bytes.fromhex(SMALL[4])) or (0, 0)
    mixed = ed25519._encode(ed25519._combine([(1, (x, y)), (1, order_eight)]))
    assert not ed25519.weak(mixed)
    assert not ed25519.in_group(mixed)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_lengths_are_exact(length: int) -> None:
    key, public = pair(b"\x05" * 32)
    signature = key.sign(b"m")
    assert not ed25519.verify(b"\x05" * length, signature, b"m")
    assert not ed25519.verify(public, signature + b"\x00", b"m")
    assert not ed25519.verify(public, signature[:-1], b"m")
    assert ed25519.weak(b"\x05" * length)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_any_bytes_are_refused_quietly(public: bytes, signature: bytes) -> None:
    assert ed25519.verify(public, signature, b"m") is False
