"""``audit``: records of the log and a checkpoint of it."""

from __future__ import annotations

from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard

AT_A_TIME = 512 << 10


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """Records from the number ``from`` on."""
    start = envelope.get("from", 0)
    if type(start) is not int or not 0 <= start < 2**53:
        raise Refused("envelope", "the field from is no number of a record")
    checkpoint = g.log.checkpoint()
    records, size = g.log.read(start, AT_A_TIME)
    return {"records": records, "size": size, "checkpoint": dict(checkpoint)}
