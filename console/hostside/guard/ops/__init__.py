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
    name = verb(envelope)
    found: dict[str, Any] = import_module("." + name, __package__).run(g, envelope)
    return found


def verb(envelope: dict[str, Any]) -> str:
    """What an envelope asks for. Raises Refused."""
    name = envelope.get("op")
    if type(name) is not str or name not in VERBS:
        raise Refused("op", "the envelope names no verb of this guard", "see docs/guard.md")
    return name
