"""Documents by the namespace of their signature: what a person may be asked to sign."""

from typing import Any

from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import documents

SIGNED_BY_PEOPLE = (
    "request", "approval", "cancel", "start", "review", "fetch", "roster", "policy", "manifest",
    "evaluation",
)  # fmt: skip
"""A checkpoint and an evidence pack are signed by hosts alone."""


def kind_for(namespace: str) -> str:
    """The kind of document that is signed in a namespace. Raises Refused."""
    for kind in SIGNED_BY_PEOPLE:
        if documents.NAMESPACES[kind] == namespace:
            return kind
    raise Refused("namespace", "no person signs documents of that namespace")


def parse_for(data: bytes, namespace: str) -> dict[str, Any]:
    """The document in ``data``, read by the rules that hosts use. Raises Refused."""
    kind = kind_for(namespace)
    read = getattr(documents, kind)
    found: dict[str, Any] = read(data)
    return found
