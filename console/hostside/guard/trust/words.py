"""Six words that stand for a digest, for two people who compare what they see by voice.

A word is consonant, vowel, consonant, vowel, consonant: 12 bits, 72 in all. The letters of each
place are few and far apart in sound; none of the words has to be spelled.
"""

from __future__ import annotations

_FIRST = "bfglmrtz"
_VOWEL = "aeio"
_MIDDLE = "bdlmnrvz"
_LAST = "klms"
COUNT = 6


def word(number: int) -> str:
    """The word of a number from 0 to 4095; another number gives another word."""
    return (
        _FIRST[number >> 9 & 7]
        + _VOWEL[number >> 7 & 3]
        + _MIDDLE[number >> 4 & 7]
        + _VOWEL[number >> 2 & 3]
        + _LAST[number & 3]
    )


def words(digest: str) -> list[str]:
    """The six words of a digest in hex: its first 72 bits."""
    first = int(digest[: COUNT * 3], 16)
    return [word(first >> 12 * (COUNT - 1 - place) & 0xFFF) for place in range(COUNT)]
