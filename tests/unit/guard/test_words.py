"""Six words of a digest."""

from __future__ import annotations

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.trust import words


def test_every_number_has_a_word_of_its_own() -> None:
    every = [words.word(number) for number in range(4096)]
    assert len(set(every)) == 4096
    assert all(re.fullmatch("[bfglmrtz][aeio][bdlmnrvz][aeio][klms]", word) for word in every)


def test_words_do_not_change() -> None:
    """Two consoles of different age must read the same words."""
    digest = hashlib.sha256(b"watchfloor").hexdigest()
    assert words.words(digest) == ["rarek", "falam", "balal", "gizom", "zidel", "mabik"]


@given(st.integers(0, 2**256 - 1), st.integers(0, 71))
def test_six_words_are_seventy_two_bits(number: int, bit: int) -> None:
    digest = f"{number:064x}"
    found = words.words(digest)
    assert len(found) == 6
    other = words.words(f"{number ^ 1 << (255 - bit):064x}")
    assert sum(one != two for one, two in zip(found, other, strict=True)) == 1
