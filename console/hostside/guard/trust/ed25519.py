"""Ed25519 verification (RFC 8032), stricter than OpenSSH before 10.4.

S is below the group's order, both points are in canonical form and of no small order, and the
equation is checked without the cofactor: of a signature there is exactly one form. Nothing secret
is handled here, so time need not be constant.
"""

from __future__ import annotations

import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Tuple

    # Extended coordinates X, Y, Z, T: x is X/Z, y is Y/Z, xy is T/Z.
    Point = Tuple[int, int, int, int]

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = 37095705934669439343138083508754565189542113879843219016388785533085940283555
_D2 = 2 * _D % P
_ROOT = 19681161376707505956807079304988542015446066515923890162744021073123829784752
_BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
_WINDOW = 5
_NEUTRAL = (0, 1, 1, 0)


def _decode(data: bytes) -> tuple[int, int] | None:
    """x and y of a point in canonical form, or None."""
    y = int.from_bytes(data, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    if y >= P:
        return None
    over = (y * y - 1) % P
    under = (_D * y * y + 1) % P
    cube = under * under * under % P
    x = over * cube * pow(over * cube * cube * under % P, (P - 5) // 8, P) % P
    check = under * x * x % P
    if check != over:
        if check != P - over:
            return None
        x = x * _ROOT % P
    if x == 0 and sign:
        return None
    return (P - x if x & 1 != sign else x), y


def _double(point: Point, times: int) -> Point:
    """``point`` doubled ``times`` times; only the last doubling needs T."""
    x, y, z, t = point
    while times:
        times -= 1
        a = x * x % P
        b = y * y % P
        h = a + b
        e = h - (x + y) * (x + y) % P
        g = a - b
        f = 2 * z * z % P + g
        if not times:
            t = e * h % P
        x = e * f % P
        y = g * h % P
        z = f * g % P
    return x, y, z, t


def _add(one: Point, two: Point) -> Point:
    """The sum; ``two`` as `_cached` makes it."""
    x, y, z, t = one
    minus, plus, z2, t2 = two
    a = (y - x) * minus % P
    b = (y + x) * plus % P
    c = t * t2 % P
    d = z * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _cached(point: Point) -> Point:
    x, y, z, t = point
    return (y - x) % P, (y + x) % P, 2 * z % P, _D2 * t % P


def _negated(cached: Point) -> Point:
    minus, plus, z, t = cached
    return plus, minus, z, P - t


def _odd_multiples(x: int, y: int) -> list[Point]:
    """1, 3, 5, … times the point, 2^(_WINDOW-2) of them."""
    point = (x, y, 1, x * y % P)
    twice = _cached(_double(point, 1))
    table = [_cached(point)]
    for _ in range((1 << (_WINDOW - 2)) - 1):
        point = _add(point, twice)
        table.append(_cached(point))
    return table


def _digits(number: int) -> dict[int, int]:
    """Signed odd digits by the power of two that they stand at (windowed non-adjacent form)."""
    found = {}
    at = 0
    while number:
        zeros = (number & -number).bit_length() - 1
        number >>= zeros
        at += zeros
        digit = number & ((1 << _WINDOW) - 1)
        if digit >> (_WINDOW - 1):
            digit -= 1 << _WINDOW
        found[at] = digit
        number -= digit
    return found


def _combine(pairs: list[tuple[int, tuple[int, int]]]) -> Point:
    """The sum of number times point over all pairs."""
    steps: dict[int, list[Point]] = {}
    for number, (x, y) in pairs:
        table = _odd_multiples(x, y)
        for at, digit in _digits(number).items():
            entry = table[abs(digit) >> 1]
            steps.setdefault(at, []).append(entry if digit > 0 else _negated(entry))
    total: Point = _NEUTRAL
    last = 0
    for at in sorted(steps, reverse=True):
        if last:
            total = _double(total, last - at)
        for entry in steps[at]:
            total = _add(total, entry)
        last = at
    return _double(total, last) if last else total


def _encode(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def weak(public: bytes) -> bool:
    """Whether a public key is no point in canonical form, or one of small order, for which anybody
    can sign (RFC 8032 section 5.1.3; multiplied by 8 these are neutral)."""
    point = _decode(public) if len(public) == 32 else None
    if point is None:
        return True
    x, _, _, _ = _double((point[0], point[1], 1, point[0] * point[1] % P), 3)
    return x == 0


def in_group(public: bytes) -> bool:
    """Whether a public key is in the group of prime order, as every honest one is."""
    point = _decode(public) if len(public) == 32 else None
    if point is None or weak(public):
        return False
    x, y, z, _ = _combine([(ORDER, point)])
    return x == 0 and y == z


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` (64 bytes) is the one of ``public`` (32 bytes) over ``message``."""
    if len(public) != 32 or len(signature) != 64:
        return False
    first, number = signature[:32], int.from_bytes(signature[32:], "little")
    if number >= ORDER or weak(public) or weak(first):
        return False
    point = _decode(public)
    if point is None:
        return False
    x, y = point
    digest = hashlib.sha512(first + public + message).digest()
    scalar = int.from_bytes(digest, "little") % ORDER
    # S·B - k·A, in canonical form, is R byte for byte.
    return _encode(_combine([(number, _BASE), (scalar, (P - x if x else 0, y))])) == first
