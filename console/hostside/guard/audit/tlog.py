"""A Merkle tree over log records, as RFC 6962 section 2.1 defines it: pure functions.

Hashes are 32 bytes. A tree of ``size`` records is kept as its right edge: the roots of the whole
subtrees that ``size`` is made of, the largest first, at most 64 of them.
"""

from __future__ import annotations

from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

EMPTY = sha256(b"").digest()


def leaf(record: bytes) -> bytes:
    """The hash of one record (a line without its newline)."""
    return sha256(b"\0" + record).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return sha256(b"\1" + left + right).digest()


def push(edge: list[bytes], size: int, hashed: bytes) -> None:
    """Add the leaf hash of record number ``size`` to the right edge of the ``size`` before it."""
    while size & 1:
        hashed = node(edge.pop(), hashed)
        size >>= 1
    edge.append(hashed)


def root(edge: Sequence[bytes]) -> bytes:
    """The root of the tree with this right edge."""
    if not edge:
        return EMPTY
    hashed = edge[-1]
    for left in reversed(edge[:-1]):
        hashed = node(left, hashed)
    return hashed


def whole(leaves: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes."""
    edge: list[bytes] = []
    for size, hashed in enumerate(leaves):
        push(edge, size, hashed)
    return root(edge)


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf ``index``, from the leaf upwards. ``index`` must be in the tree."""
    path: list[bytes] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(whole(leaves[middle:high]))
            high = middle
        else:
            path.append(whole(leaves[low:middle]))
            low = middle
    return path[::-1]


def included(hashed: bytes, index: int, size: int, path: Sequence[bytes], wanted: bytes) -> bool:
    """Whether the path shows leaf ``index`` in the tree of ``size`` (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last = index, size - 1
    for other in path:
        if last == 0:
            return False
        if number & 1 or number == last:
            hashed = node(other, hashed)
            while not number & 1 and number:
                number >>= 1
                last >>= 1
        else:
            hashed = node(hashed, other)
        number >>= 1
        last >>= 1
    return last == 0 and hashed == wanted


def consistency(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The proof that the first ``old`` leaves (at least one) are a prefix of all these."""
    proof: list[bytes] = []
    low, high, complete = 0, len(leaves), True
    while old != high - low:
        middle = _split(high - low)
        if old <= middle:
            proof.append(whole(leaves[low + middle : high]))
            high = low + middle
        else:
            proof.append(whole(leaves[low : low + middle]))
            low, old, complete = low + middle, old - middle, False
    if not complete:
        proof.append(whole(leaves[low:high]))
    return proof[::-1]


def consistent(
    old: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows the tree of ``old`` as a prefix (RFC 9162 section 2.1.4.2)."""
    if old == size:
        return not proof and old_root == new_root
    if not 0 < old < size or not proof:
        return False
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    number, last = old - 1, size - 1
    while number & 1:
        number >>= 1
        last >>= 1
    first = second = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            first, second = node(other, first), node(other, second)
            while not number & 1 and number:
                number >>= 1
                last >>= 1
        else:
            second = node(second, other)
        number >>= 1
        last >>= 1
    return last == 0 and first == old_root and second == new_root


def _split(count: int) -> int:
    """The largest power of two below ``count`` (at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)
