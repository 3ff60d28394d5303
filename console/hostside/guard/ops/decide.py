"""``decide``: another person's verdict; the last one needed carries the request out."""

from __future__ import annotations

from ..actions import action
from ..refused import Refused
from ..state import checks, machine
from ..state.spool import JOURNAL, SPOOL, gone
from ..trust import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from ..state.spool import Entry
    from ..trust.signed import Signed


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """Take the verdict."""
    text = checks.text(envelope, "decision", 8192)
    signature = checks.text(envelope, "signature", 4096)
    doc = documents.approval(text.encode())
    folder, entry = g.store.find(doc["request_sha256"])
    uv = checks.rule_of(g, entry["action"]).require_uv
    if doc["verdict"] == "approve":  # the request's is looked at anew, meanwhile
        checks.ahead(g, entry["request"], entry["signature"])
    by = checks.signature_of(g, text, signature, "approval", uv, doc["by"])
    checks.person_asks(g, by.person, entry)
    checks.may(g, by.person, "approve", entry["action"])
    checks.approval_times(g, doc)
    ratifies = folder == JOURNAL and "ratify" in entry.get("needs", {})
    if not (ratifies and entry["state"] == "APPLIED") and folder != SPOOL:
        raise gone()
    same = checks.mark_console(g, entry)
    facts = {"decision": text, "signature": signature, "by": by.person, "key_id": by.key_id,
             "uv": by.uv, "counter": by.counter, "verdict": doc["verdict"],
             "same_console": same, "caller": g.caller.facts()}  # fmt: skip
    if doc["verdict"] == "deny":
        return _deny(g, folder, entry, facts)
    _, made = checks.whole(g, entry, timed=not ratifies)
    if entry.get("payload"):
        from ..state import payload

        payload.check(g, entry)
    return _approve(g, entry, made, by, facts, ratifies)


def _deny(g: Guard, folder: str, entry: Entry, facts: dict[str, Any]) -> dict[str, Any]:
    try:
        g.record("decide", entry["id"], facts)
    except Refused:
        if folder == SPOOL:
            raise
        g.note(entry, "decide", **facts, late=True)  # an undoing does not wait for a disk
    if action(entry["action"]).direction == "contain":
        from ..state import solo

        solo.deny(g, entry, facts["by"])
    why = f"denied by {facts['by']}"
    if folder == SPOOL:
        machine.shut(g, entry, "denied", why)
    else:
        machine.revert(g, folder, entry, why)
    return {"id": entry["id"], "state": entry["state"]}


def _approve(
    g: Guard, entry: Entry, made: dict[str, Any], by: Signed, facts: dict[str, Any], ratifies: bool
) -> dict[str, Any]:
    kept = {key: facts[key] for key in ("decision", "signature", "by", "verdict", "same_console")}
    entry["decisions"].append(kept)
    people = checks.approvals(g, entry)
    if by.person not in people:
        raise Refused("approval", "the approval does not count")  # cannot be, and must not pass
    enough = len(people) + 1 >= max(2, checks.rule_of(g, entry["action"]).people)
    g.record("decide", entry["id"], facts)
    if ratifies:
        if enough:
            entry["people"] = sorted([entry["requester"], *people])
            machine.met(g, entry, "ratify", "ratified", people=entry["people"])
            from ..state import solo

            solo.forget(g, entry["id"])
        else:
            g.store.save(JOURNAL, entry)
        return {"id": entry["id"], "state": entry["state"]}
    if not enough or action(entry["action"]).starter == "requester":
        entry["state"] = "APPROVED" if enough else "PENDING"
        g.store.save(SPOOL, entry)
        return {"id": entry["id"], "state": entry["state"]}
    return carried_out(g, entry, made, sorted([entry["requester"], *people]))


def carried_out(g: Guard, entry: Entry, made: dict[str, Any], people: list[str]) -> dict[str, Any]:
    """Carry it out and say how to confirm it. The token is said here and nowhere else."""
    from hashlib import sha256
    from os import urandom

    token = urandom(24).hex()
    entry["token"] = sha256(token.encode()).hexdigest()
    machine.take(g, entry, made, people)
    machine.begin(g, entry)
    if entry["state"] == "FAILED":
        raise Refused(
            "failed", f"it was begun and undone again: {entry['why']}", "see the host, and ask anew"
        )
    if entry["state"] == "REVERTING":
        raise Refused(
            "failed",
            f"it failed ({entry['why']}) and is not yet all undone: {entry['trouble']}",
            "the guard tries again; look at the host as root",
        )
    answer: dict[str, Any] = {"id": entry["id"], "state": entry["state"]}
    if made["confirm_s"]:
        until = entry["needs"].get("confirm", {}).get("at", 0)
        answer["confirm"] = {"token": token, "until": until}
    return answer
