"""``cancel``: the requester, or who has approved, takes it back before it is carried out."""

from __future__ import annotations

from ..refused import Refused
from ..state import checks, machine
from ..state.spool import SPOOL, gone
from ..trust import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """Close the request."""
    text = checks.text(envelope, "cancel", 8192)
    signature = checks.text(envelope, "signature", 4096)
    doc = documents.cancel(text.encode())
    folder, entry = g.store.find(doc["request_sha256"])
    # No touch with PIN is asked of somebody who makes nothing happen.
    by = checks.signature_of(g, text, signature, "cancel", False, doc["by"])
    if by.person != entry["requester"] and by.person not in [
        each["by"] for each in entry["decisions"]
    ]:
        raise Refused("role", f"{by.person} neither asked for it nor approved it", "deny it")
    if folder != SPOOL:
        raise gone()
    facts = {"cancel": text, "signature": signature, "by": by.person}
    g.record("cancel", entry["id"], facts)
    machine.shut(g, entry, "cancelled", f"withdrawn by {by.person}")
    return {"id": entry["id"], "state": entry["state"]}
