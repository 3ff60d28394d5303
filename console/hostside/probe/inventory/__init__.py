"""The inventory lane: what a host is made of, told in small steps.

``steps(context)`` is a generator of ``("section", name, facts)``, ``("table", name, rows)``,
``("denied", key, right or None)`` and ``("step",)``. None of its steps takes long: what is long is
cut, and programs are started and looked at again later. One source that fails is told as such and
the others go on.
"""

from __future__ import annotations

from . import accounts, containers, digests, hardware, models, mounts, nics, packages, pydists
from . import system as system_facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..inventory_lane import Context

    Step = tuple[Any, ...]

SOURCES: tuple[tuple[str, Callable[[Context], Iterator[Step]]], ...] = (
    ("os", system_facts.os_facts),
    ("kernel", system_facts.kernel_facts),
    ("hardware", hardware.steps),
    ("nics", nics.steps),
    ("mounts", mounts.steps),
    ("accounts", accounts.steps),
    ("digests", digests.steps),
    ("containers", containers.steps),
    ("models", models.steps),
    ("packages", packages.steps),
    ("pydists", pydists.steps),
)


def steps(context: Context) -> Iterator[Step]:
    """All sources but those that are stuck, one after the other; raises the first failure at the
    very end."""
    failed: Exception | None = None
    for name, source in SOURCES:
        if name in context.stuck:
            continue
        context.source = name
        try:
            yield from source(context)
        except Exception as error:  # one source must not hide the others
            failed = failed or error
    if failed is not None:
        raise failed
