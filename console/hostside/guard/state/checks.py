"""What has to be true before anything is done. Everything is checked each time it is used, against
the roster and the policy that are in force now."""

from __future__ import annotations

from ..actions import action
from ..caller import same_console
from ..refused import Refused
from ..trust import canonical, documents, floors
from . import machine, things
from .spool import JOURNAL, STANDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from ..trust.policy import Rule
    from ..trust.signed import Signed
    from .spool import Entry

AHEAD_S = 5  # a request made of the host's own time may be that early


def text(envelope: dict[str, Any], name: str, limit: int) -> str:
    """A text of the envelope, at most ``limit`` bytes. Raises Refused."""
    value = envelope.get(name)
    if type(value) is not str or not value:
        raise Refused("envelope", f"the field {name} is missing or no text")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise Refused("envelope", f"the field {name} is no Unicode text") from None
    if size > limit:
        raise Refused("envelope", f"the field {name} is longer than {limit} bytes")
    return value


def signature_of(
    g: Guard, message: str, signature: str, kind: str, uv: bool, whose: str = ""
) -> Signed:
    """Who signed. Raises Refused, also where it is not ``whose`` name stands in the document."""
    about = (message, signature, kind, uv)
    by = g.verified.get(about)
    if by is None:
        from ..trust import signed

        roster, types, now = g.roster, g.policy.key_types, g.clock.now()
        by = signed.check(message.encode(), signature, kind, roster, uv, now, g.world, types)
        g.verified[about] = by
    if whose and by.person != whose:
        raise Refused(
            "other-person",
            f"the document says {whose}, and {by.person} has signed it",
            "each person signs in their own name",
        )
    return by


def ahead(g: Guard, message: str, signature: str) -> None:
    """Have a signature looked at that ``signature_of`` is going to be asked about."""
    from ..trust import signed

    signed.ahead(message.encode(), signature, g.roster, g.world)


def rule_of(g: Guard, name: str) -> Rule:
    """What the policy asks for an action. Raises Refused."""
    return g.policy.rule(action(name))


def bound(params: dict[str, Any], facts: dict[str, Any], name: str, g: Guard) -> bytes:
    """What a nonce was given out for."""
    return canonical.write(
        {"action": name, "boot": g.clock.boot_id, "facts": facts, "host": g.host_id,
         "params": params}
    )  # fmt: skip


def request(g: Guard, data: str, signature: str) -> tuple[dict[str, Any], Signed]:
    """A request, its signature and the right to make it, without its times. Raises Refused."""
    doc = documents.request(data.encode())
    rule = rule_of(g, doc["action"])
    if doc["mode"] not in rule.modes:
        raise Refused(
            "mode",
            f"{doc['action']} may not be asked for as {doc['mode']} on this host",
            "ask for it as " + " or ".join(rule.modes),
        )
    uv = rule.require_uv or doc["mode"] == "break_glass"
    by = signature_of(g, data, signature, "request", uv, doc["requester"])
    if by.fingerprint != doc["requester_key"]:
        raise Refused("other-key", "it was signed with another key than the request names")
    ability = "break" if doc["mode"] == "break_glass" else "request"
    may(g, by.person, ability, doc["action"])
    return doc, by


def may(g: Guard, person: str, ability: str, name: str) -> None:
    """Raise Refused where no role lets the person do that."""
    if not g.roster.may(person, ability, name):
        words = {"request": "ask for", "approve": "approve", "break": "break the glass for"}
        raise Refused(
            "role", f"{person} may not {words[ability]} {name}", "ask somebody whose role allows it"
        )


def times(g: Guard, doc: dict[str, Any]) -> None:
    """Raise Refused unless the request is of now and lives no longer than it may."""
    now = g.clock.now()
    life = min(floors.REQUEST_TTL, g.policy.doc["request_ttl_s"])
    if now >= doc["expires"]:
        raise Refused("expired", f"the request expired {now - doc['expires']} s ago", "ask anew")
    if now < doc["not_before"] - AHEAD_S:
        raise Refused("not-yet", "the request is not valid yet", "see the host's clock")
    if doc["expires"] - doc["not_before"] > life or doc["expires"] > now + life + AHEAD_S:
        raise Refused("ttl", f"a request lives at most {life} s here", "ask with a shorter time")


def binding(g: Guard, doc: dict[str, Any], data: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The binding of a request to this host as it is now, and the plan made anew here.

    Raises Refused where the request is for another host, boot, guard, policy or plan.
    """
    mine = [target for target in doc["targets"] if target["host_id"] == g.host_id]
    if not mine:
        raise Refused("other-host", "the request is not for this host", "send it where it belongs")
    if canonical.sha256(data.encode()) != mine[0]["bind"]:
        raise Refused("binding", "the binding is not the one that was signed")
    bind = documents.binding(data.encode())
    if bind["host_id"] != g.host_id:
        raise Refused("other-host", "the binding is of another host")
    if bind["boot_id"] != g.clock.boot_id:
        raise Refused("boot", "the host was booted since the request was made", "ask anew")
    if bind["guard"] != g.digest:
        raise Refused("guard", "the request was made for another build of the guard", "ask anew")
    if bind["policy"] != g.trust:
        raise Refused("policy-changed", "roster or policy is not the one it was made for",
                      "ask anew")  # fmt: skip
    if bind["host_key"] not in g.host_keys:
        raise Refused(
            "host-key",
            "the console's connection saw a host key that this host does not have",
            "somebody may stand between; compare the host keys",
        )
    made = machine.plan(g, doc["action"], doc["params"], bind["facts"])
    if canonical.sha256(canonical.write(made)) != bind["plan"]:
        raise Refused("plan", "this host makes another plan of it than the one that was signed",
                      "console and guard differ; ask anew")  # fmt: skip
    act = action(doc["action"])
    act.reachable(doc["params"], g.caller.address)
    return bind, made


def person_asks(g: Guard, by: str, entry: Entry) -> None:
    """Raise Refused where the second is the first: people count, never keys."""
    if by == entry["requester"]:
        raise Refused("same-person", f"{by} asked for it; somebody else has to approve it")
    if any(each["by"] == by for each in entry["decisions"]):
        raise Refused("decided", f"{by} has decided about it already")


def approval_times(g: Guard, doc: dict[str, Any]) -> None:
    """Raise Refused unless an approval (or a start) is of now."""
    now = g.clock.now()
    life = min(floors.APPROVAL_TTL, g.policy.doc["approval_ttl_s"])
    if now >= doc["expires"]:
        raise Refused("expired", "the approval has expired", "sign it anew")
    if doc["expires"] > now + life + AHEAD_S:
        raise Refused("ttl", f"an approval lives at most {life} s here", "sign a shorter one")


def approvals(g: Guard, entry: Entry) -> set[str]:
    """The people whose approval still counts, each verified anew."""
    found = set()
    for each in entry["decisions"]:
        if each["verdict"] != "approve":
            continue
        try:
            doc = documents.approval(each["decision"].encode())
            uv = rule_of(g, entry["action"]).require_uv
            by = signature_of(g, each["decision"], each["signature"], "approval", uv, doc["by"])
            approval_times(g, doc)
            may(g, by.person, "approve", entry["action"])
        except Refused:
            continue
        right = doc["request_sha256"] == entry["id"] and doc["verdict"] == "approve"
        if right and by.person != entry["requester"]:
            found.add(by.person)
    return found


def whole(g: Guard, entry: Entry, timed: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """A kept request checked as if it came now: the document and the plan. Raises Refused."""
    doc, _ = request(g, entry["request"], entry["signature"])
    if timed:
        times(g, doc)
    _, made = binding(g, doc, entry["binding"])
    if timed:
        once(g, made)
    return doc, made


def once(g: Guard, made: dict[str, Any]) -> None:
    """Raise Refused where another request is active on the same thing.

    Each would put back what was there before it, and the second to be undone would put back what
    the first did. What leaves nothing to undo (a service started, an account let in) may follow on
    what stands: two people ask for both, and the one that stands ends by it.
    """
    mine, own = things.of(made["steps"]), {}
    lasts = bool(made["ttl_s"]) or floors.stands(action(made["action"]))
    for item in made["steps"]:
        if item["kind"] == "undo":
            own = g.store.load(STANDING, item["args"]["id"])
            mine += things.of(own["steps"])
    for folder in (JOURNAL, STANDING):
        for other in g.store.all(folder):
            if other["id"] == own.get("id") or not things.same(mine, things.of(other["steps"])):
                continue
            calm = folder == STANDING and other["state"] == "STANDING"
            if calm and not lasts and not (own and other["since"] > own["since"]):
                continue  # what was done later is undone earlier
            raise _stands(other)


def _stands(other: Entry) -> Refused:
    """The refusal beside another request, which it names."""
    hint = "release that one first, or wait for its end"
    if other["state"] == "REVERTING":
        hint = "it is being undone; the guard tries again, and root sees on the host why it cannot"
    elif "ratify" in other.get("needs", {}):
        hint = "another person approves that one first, or denies it, which undoes it at once"
    elif other["state"] != "STANDING":
        hint = "wait for that one: confirm it, or let its time pass"
    return Refused(
        "stands-already",
        f"{other['action']} is {other['state']} on the same thing, by request {other['id'][:12]} "
        f"of {other['requester']}",
        hint,
    )


def mark_console(g: Guard, entry: Entry) -> bool:
    """Whether this call seems to come from the console of the request; kept in the entry."""
    same = same_console(g.caller.facts(), entry["caller"])
    entry["same_console"] = entry["same_console"] or same
    return same
