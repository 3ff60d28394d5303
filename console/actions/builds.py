"""The builds of the guard that this console knows: what it signs for, and what each does."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache

from console.hostside import bundle

RELEASED: dict[str, str] = {}
"""sha256 of earlier releases whose plans this console still makes, to ``real``: at most three, so
that `install-guard` reaches hosts that have one of them. There is none before this one."""


@cache
def known(simulated_base: str = "") -> dict[str, str]:
    """sha256 of a guard's file to its effector.

    A simulated guard is known only to a console that was made for it: ``simulated_base`` is where
    that guard keeps its files, as the demo makes it.
    """
    if simulated_base:
        data = bundle.guard("simulated", simulated_base)
        return {hashlib.sha256(data).hexdigest(): "simulated"}
    return {**RELEASED, hashlib.sha256(bundle.guard()).hexdigest(): "real"}


class Builds(Mapping[str, str]):
    """``known()``, worked out when it is first asked for: packing a guard takes 50 ms."""

    def __getitem__(self, digest: str) -> str:
        return known()[digest]

    def __iter__(self) -> Iterator[str]:
        return iter(known())

    def __len__(self) -> int:
        return len(known())
