"""``review``: somebody else has looked at what one person did alone, and says so."""

from __future__ import annotations

from ..refused import Refused
from ..state import breakglass, checks, solo
from ..trust import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """Keep the review."""
    text = checks.text(envelope, "review", 8192)
    signature = checks.text(envelope, "signature", 4096)
    doc = documents.review(text.encode())
    by = checks.signature_of(g, text, signature, "review", True, doc["by"])
    rid = doc["request_sha256"]
    broke, (owner, name) = breakglass.owner(g, rid), solo.owner(g, rid)
    if not (broke or owner):
        raise Refused(
            "no-breakglass",
            "no break-glass with this request is kept here, and nothing of the last 24 hours that "
            "was begun alone and not approved",
        )
    if by.person in (broke, owner):
        raise Refused("same-person", "nobody reviews what they began alone")
    if by.person not in _reviewers(g):
        raise Refused("role", f"{by.person} approves nothing here, and reviews nothing")
    again = bool(owner) and g.roster.may(by.person, "approve", name)
    if not (broke or again):
        checks.may(g, by.person, "approve", name)
    g.record("review", rid, {"review": text, "signature": signature, "by": by.person})
    if broke:
        breakglass.review(g, rid, by.person)
    if again:
        solo.review(g, rid, by.person)
    return {"id": rid}


def _reviewers(g: Guard) -> set[str]:
    """Whoever may approve anything."""
    roles = g.roster.doc["roles"]
    return {
        person
        for person, entry in g.roster.doc["people"].items()
        if any(roles[role]["approve"] for role in entry["roles"])
    }
