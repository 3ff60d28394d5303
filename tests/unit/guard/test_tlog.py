"""The Merkle tree against RFC 6962 section 2.1, and proofs of every size against each other."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.audit import tlog

# The leaves and roots of the reference implementation (certificate-transparency, merkletree).
INPUTS = [
    b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def slow(leaves: list[bytes]) -> bytes:
    """The definition, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return tlog.node(slow(leaves[:k]), slow(leaves[k:]))


LEAVES = [tlog.leaf(str(number).encode()) for number in range(70)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference(size: int) -> None:
    assert tlog.whole([tlog.leaf(each) for each in INPUTS[:size]]).hex() == ROOTS[size]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 31, 64, 70])
def test_the_right_edge_gives_the_root_and_stays_small(size: int) -> None:
    edge: list[bytes] = []
    for number in range(size):
        tlog.push(edge, number, LEAVES[number])
        assert len(edge) == bin(number + 1).count("1")
    assert tlog.root(edge) == slow(LEAVES[:size])


@pytest.mark.parametrize("size", range(1, 34))
def test_every_record_is_shown_to_be_included(size: int) -> None:
    leaves = LEAVES[:size]
    root = slow(leaves)
    for index in range(size):
        path = tlog.inclusion(leaves, index)
        assert tlog.included(leaves[index], index, size, path, root)
        assert not tlog.included(LEAVES[69], index, size, path, root)
        assert not tlog.included(leaves[index], index, size, [*path, root], root)
        if path:
            assert not tlog.included(leaves[index], index, size, path[1:], root)
        assert not tlog.included(leaves[index], size, size, path, root)


@pytest.mark.parametrize("size", range(1, 34))
def test_every_prefix_is_shown_to_be_one(size: int) -> None:
    root = slow(LEAVES[:size])
    for old in range(1, size + 1):
        proof = tlog.consistency(LEAVES[:size], old)
        before = slow(LEAVES[:old])
        assert tlog.consistent(old, before, size, root, proof)
        assert not tlog.consistent(old, LEAVES[69], size, root, proof)
        assert not tlog.consistent(old, before, size, LEAVES[69], proof)
        if proof:
            assert not tlog.consistent(old, before, size, root, proof[:-1])
            assert not tlog.consistent(old, before, size, root, [*proof, root])


HASH = st.binary(min_size=32, max_size=32)


@given(st.integers(-2, 70), st.integers(-2, 70), st.lists(HASH, max_size=9))
def test_no_proof_raises_and_none_is_believed_by_chance(
    one: int, two: int, path: list[bytes]
) -> None:
    assert not tlog.included(LEAVES[0], one, two, path, LEAVES[1])
    assert not tlog.consistent(one, LEAVES[0], two, LEAVES[1], path)
