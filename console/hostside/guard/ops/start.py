"""``start``: the requester starts what another person has approved."""

from __future__ import annotations

from ..refused import Refused
from ..state import checks
from ..state.spool import SPOOL, gone
from ..trust import documents
from .decide import carried_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """Check every signature once more, and carry it out."""
    text = checks.text(envelope, "start", 8192)
    signature = checks.text(envelope, "signature", 4096)
    doc = documents.start(text.encode())
    folder, entry = g.store.find(doc["request_sha256"])
    if folder != SPOOL:
        raise gone()
    rule = checks.rule_of(g, entry["action"])
    by = checks.signature_of(g, text, signature, "start", rule.require_uv, doc["by"])
    if by.person != entry["requester"]:
        raise Refused("role", f"{entry['requester']} asked for it, and only they start it")
    if entry["state"] != "APPROVED":
        raise Refused("not-approved", "nobody else has approved it yet", "have it approved")
    checks.approval_times(g, doc)
    _, made = checks.whole(g, entry)
    people = checks.approvals(g, entry)
    if len(people) + 1 < max(2, rule.people):
        raise Refused("approval", "the approval is no longer valid", "ask for it anew")
    if entry.get("payload"):
        from ..state import payload

        payload.check(g, entry)
    facts = {"start": text, "signature": signature, "by": by.person, "caller": g.caller.facts()}
    g.record("start", entry["id"], facts)
    return carried_out(g, entry, made, sorted([entry["requester"], *people]))
