"""``submit``: a request, signed by the person who asks."""

from __future__ import annotations

from hashlib import sha256

from ..actions import action
from ..refused import Refused
from ..state import checks, effects, machine, things
from ..state.spool import SPOOL
from .decide import carried_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from ..state.spool import Entry

MAX_REQUEST = 128 << 10
MAX_SIGNATURE = 4096
MAX_BINDING = 8192


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """Take it in; where one signature may begin it, begin it."""
    text = checks.text(envelope, "request", MAX_REQUEST)
    signature = checks.text(envelope, "signature", MAX_SIGNATURE)
    bind_text = checks.text(envelope, "binding", MAX_BINDING)
    doc, by = checks.request(g, text, signature)
    checks.times(g, doc)
    bind, made = checks.binding(g, doc, bind_text)
    checks.once(g, made)
    now = g.clock.now()
    bound = checks.bound(doc["params"], bind["facts"], doc["action"], g)
    g.nonces.check(bind["nonce"], now, bound)
    limits(g, doc)
    if doc["mode"] == "break_glass":
        from ..state import breakglass

        breakglass.check(g, by.person, doc["reason"])
    if doc["mode"] != "two_before":
        from ..state import solo

        solo.check(g, by.person, doc["action"], things.of(made["steps"]))
    payload = _payload(g, doc, envelope)
    entry = _entry(g, envelope, doc, made)
    if payload:
        entry["payload"] = payload
    facts = {"request": text, "signature": signature, "binding": bind_text, "by": by.person,
             "key_id": by.key_id, "uv": by.uv, "counter": by.counter,
             "caller": entry["caller"]}  # fmt: skip
    _record(g, entry, facts)
    g.nonces.use(bind["nonce"], now)
    g.world.mark("nonce used")
    if doc["mode"] == "break_glass":
        g.record("breakglass", entry["id"], {"by": by.person, "reason": doc["reason"]})
        breakglass.use(g, entry)
        g.world.mark("glass broken")
    if doc["mode"] != "two_before":
        solo.use(g, entry)
        g.world.mark("begun alone")
    g.store.save(SPOOL, entry)
    g.world.mark("is PENDING")
    if doc["mode"] == "two_before":
        return {"id": entry["id"], "state": "PENDING"}
    try:
        answer = carried_out(g, entry, made, [by.person])
    except Refused:
        if entry["state"] != "REVERTING" and not any("before" in each for each in entry["steps"]):
            solo.forget(g, entry["id"])  # nothing of it was begun
        raise
    if doc["mode"] == "break_glass":
        breakglass.alarm(g, entry)
    return answer


def _entry(
    g: Guard, envelope: dict[str, Any], doc: dict[str, Any], made: dict[str, Any]
) -> dict[str, Any]:
    """What is kept of a request: the texts as they came, and what was read from them."""
    act = action(doc["action"])
    return {
        "v": 1,
        "id": sha256(envelope["request"].encode()).hexdigest(),
        "request": envelope["request"],
        "signature": envelope["signature"],
        "binding": envelope["binding"],
        "decisions": [],
        "received": g.clock.now(),
        "state": "PENDING",
        "preview": effects.preview(g, act, doc["params"], made),
        "same_console": False,
        "caller": g.caller.facts(),
        "action": doc["action"],
        "params": doc["params"],
        "things": things.of(made["steps"]),
        "mode": doc["mode"],
        "requester": doc["requester"],
        "expires": doc["expires"],
        "boot": g.clock.boot_id,
        "trust": g.trust,
        "keep": g.policy.doc["unconfirmed"] == "keep",
        "ratify_s": g.policy.rule(act).ratify_s,
    }


def _record(g: Guard, entry: Entry, facts: dict[str, Any]) -> None:
    try:
        g.record("submit", entry["id"], facts)
    except Refused:
        if not machine.unrecorded(g, entry):
            raise
        g.note(entry, "submit", **facts, late=True)


def limits(g: Guard, doc: dict[str, Any]) -> None:
    """Raise Refused where too many requests wait already, or it has too many targets."""
    policy = g.policy.doc
    if len(doc["targets"]) > policy["max_targets"]:
        raise Refused(
            "targets", f"a request has at most {policy['max_targets']} targets here", "split it"
        )
    waiting = g.store.all(SPOOL)
    if len(g.store.ids(SPOOL)) >= min(10, policy["pending_host"]):
        raise Refused("pending-host", "as many requests as may wait on this host", "decide some")
    own = sum(1 for each in waiting if each["requester"] == doc["requester"])
    if own >= min(10, policy["pending_person"]):
        raise Refused(
            "pending-person",
            f"{doc['requester']} has {own} requests waiting on this host",
            "withdraw one, or have them decided",
        )


def _payload(g: Guard, doc: dict[str, Any], envelope: dict[str, Any]) -> str:
    if "payload" not in envelope:
        if doc["action"].startswith("install-"):
            raise Refused("payload", f"{doc['action']} comes with what is to be installed")
        return ""
    from ..state import payload

    rid = sha256(envelope["request"].encode()).hexdigest()
    return payload.take(g, doc, rid, envelope["payload"])
