"""``confirm``: the host is still reachable, shown by a token over a new connection."""

from __future__ import annotations

import hmac
from hashlib import sha256

from ..caller import same_connection
from ..refused import Refused
from ..state import checks, machine
from ..state.spool import JOURNAL, SPOOL, is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from ..state.spool import Entry


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """Take the dead-man away."""
    rid = checks.text(envelope, "id", 64)
    token = checks.text(envelope, "token", 128)
    if not is_id(rid):
        raise Refused("no-request", "the id of a request has 64 hexadecimal digits")
    folder, entry = _find(g, rid)
    known = entry.get("token", "")
    if not known or not hmac.compare_digest(sha256(token.encode()).hexdigest(), known):
        raise Refused("token", "the token is not that of this request")
    if entry["state"] == "EXECUTING":
        raise Refused("not-yet", "it is still being carried out", "confirm when it is applied")
    if entry["state"] == "REVERTING":
        raise _late(entry)
    if folder == SPOOL:
        raise Refused("not-yet", "it was not carried out yet")
    if same_connection(g.caller.facts(), entry["executor"]):
        raise Refused(
            "same-connection",
            "the token came over the connection that carried it out, which proves nothing",
            "open a new connection to the host",
        )
    if folder == JOURNAL and "confirm" in entry["needs"]:
        machine.met(g, entry, "confirm", "confirm", caller=g.caller.facts())
    return {"id": rid, "state": entry["state"]}


def _find(g: Guard, rid: str) -> tuple[str, Entry]:
    try:
        return g.store.find(rid)
    except Refused:
        for each in g.store.closed():
            if each.get("id") == rid:
                raise _late(each) from None
        raise


def _late(entry: Entry) -> Refused:
    if entry["state"] in ("REVERTED", "REVERTING"):
        return Refused(
            "already-reverted",
            f"it was already reverted: {entry.get('why', '')}",
            "look at the host, and ask for it anew",
        )
    return Refused("no-request", f"it has ended: {entry['state']}", "")
