"""The guard's one way to say no."""

from __future__ import annotations


class Refused(Exception):
    """A rule forbids it. Nothing was changed.

    ``rule`` is a short fixed name (``same-person``, ``nonce-used``) for audit and tests; ``words``
    say what, where and why to an operator, without foreign text that was not checked; ``hint`` is
    the next step.
    """

    def __init__(self, rule: str, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.rule = rule
        self.words = words
        self.hint = hint
