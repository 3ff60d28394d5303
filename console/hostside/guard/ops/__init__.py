"""What can be said to the guard: one module for each verb, imported when it is used."""

from __future__ import annotations

from importlib import import_module

from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard

VERBS = (
    "challenge", "submit", "decide", "cancel", "start", "review", "confirm", "status", "audit",
    "fetch", "chain",
)  # fmt: skip
READERS = frozenset(("status", "audit", "chain"))


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """Answer one envelope. Raises Refused."""
    verb = envelope.get("op")
    if type(verb) is not str or verb not in VERBS:
        raise Refused("op", "the envelope names no verb of this guard", "see docs/guard.md")
    found: dict[str, Any] = import_module("." + verb, __package__).run(g, envelope)
    return found
