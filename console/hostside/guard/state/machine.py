"""How a request goes from state to state once enough people have signed.

Every change of state is one write of the entry, which holds the audit records that belong to it:
killed before it, nothing has changed; killed after it, the next call goes on from there.
"""

from __future__ import annotations

from ..actions import action
from ..refused import Refused
from ..steps import step
from ..trust import floors
from . import journal, things
from .spool import JOURNAL, SPOOL, STANDING, gone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .spool import Entry

BREAK_GLASS_S = 1800
RETRY_S, RETRY_MAX_S = 30, 960  # an undoing is tried again after this long, then twice as long
ENDED = frozenset(("DONE", "FAILED", "REVERTED", "RELEASED", "CLOSED"))


def plan(g: Guard, name: str, params: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """The plan as this host makes it from parameters, facts and its policy. Raises Refused."""
    act = action(name)
    act.check(params)
    try:
        made = act.render(params, facts, g.policy.doc)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refused("facts", f"the facts do not fit {name}", "ask for a challenge") from None
    whole = {"action": name, "params": params, "v": 1}
    whole.update({key: made[key] for key in ("steps", "confirm_s", "ttl_s")})
    journal.check(whole)
    return whole


def take(g: Guard, entry: Entry, made: dict[str, Any], people: list[str]) -> None:
    """Make the entry the one that is carried out. Raises Refused where another call was first or
    the audit log cannot be written; then nothing has changed."""
    entry["plan"] = made
    entry["steps"] = [{"kind": each["kind"], "args": each["args"]} for each in made["steps"]]
    entry["since"] = g.clock.now()
    entry["boot"] = g.clock.boot_id
    entry["people"] = people
    entry["executor"] = g.caller.facts()
    waiting, entry["state"] = entry["state"], "EXECUTING"
    g.store.save(SPOOL, entry)
    g.world.mark("intent")
    g.tell(entry)  # records are in the order of what happened
    try:
        if entry.get("tell"):
            raise Refused("audit-write", "what came before it is not in the audit log yet")
        g.record("exec_start", entry["id"], {"plan": made, "people": people, "mode": entry["mode"]})
    except Refused:
        if not unrecorded(g, entry):
            entry["state"] = waiting
            g.store.save(SPOOL, entry)
            raise
        g.note(entry, "exec_start", plan=made, people=people, mode=entry["mode"], late=True)
        g.store.save(SPOOL, entry)
    if not g.store.move(SPOOL, JOURNAL, entry["id"]):
        raise gone()
    g.changed = True
    g.world.mark("taken")


def unrecorded(g: Guard, entry: Entry) -> bool:
    """Whether it goes on without a record. A full disk does not stop what one person may begin to
    contain an attack: it is flagged, told later, and room that was kept for this is given up so
    that it can still be undone."""
    if entry["mode"] != "one_then_ratify" or action(entry["action"]).direction != "contain":
        return False
    g.store.spare()
    entry["unrecorded"] = True
    return True


def needs(g: Guard, entry: Entry) -> dict[str, Any]:
    """What must still come, with the deadline of each, from now."""
    found: dict[str, Any] = {}
    confirm_s = entry["plan"]["confirm_s"]
    if confirm_s and not entry.get("keep"):
        found["confirm"] = g.clock.deadline(confirm_s)
    if len(entry["people"]) > 1:
        return found
    if entry["mode"] == "one_then_ratify":
        found["ratify"] = g.clock.deadline(entry["ratify_s"])
    elif entry["mode"] == "break_glass":
        found["ratify"] = g.clock.deadline(BREAK_GLASS_S)
    return found


def begin(g: Guard, entry: Entry) -> None:
    """Carry a taken entry out to its next state, here or, where it is long, beside."""
    entry["needs"] = needs(g, entry)
    entry["ttl"] = ttl(g, entry)
    act = action(entry["action"])
    g.store.save(JOURNAL, entry)
    if act.long and g.detach(g, entry, lambda: finish(g, entry, True)):
        return
    arm(g, entry)
    finish(g, entry, act.long)


def ttl(g: Guard, entry: Entry) -> dict[str, Any]:
    """When it ends by itself: by its plan or by the policy, whichever is sooner."""
    rule = g.policy.rule(action(entry["action"]))
    return g.clock.deadline(min((s for s in (entry["plan"]["ttl_s"], rule.ttl_s) if s), default=0))


def arm(g: Guard, entry: Entry) -> None:
    """Have somebody look at every deadline of the entry, should nobody call until then."""
    for need, deadline in [*entry["needs"].items(), ("ttl", entry.get("ttl"))]:
        if deadline:
            watch(g, entry, need, deadline)


def watch(g: Guard, entry: Entry, need: str, deadline: dict[str, Any]) -> None:
    """Have one watcher for one deadline, whose name is that of no other."""
    seconds = g.clock.left(deadline) + 1
    g.arm(seconds, f"{entry['id'][:16]}-{need}-{int(deadline['at'])}")


def _retry(g: Guard, entry: Entry) -> bool:
    """Set when somebody comes again for what could not be undone, each time later than the last;
    False where one is on the way, whoever else calls meanwhile."""
    known = entry.get("retry")
    if known and not g.clock.over(known, at_reboot=True):
        return False
    entry["wait_s"] = min(RETRY_MAX_S, 2 * entry.get("wait_s", RETRY_S // 2))
    entry["retry"] = g.clock.deadline(entry["wait_s"] - 1)
    return True


def finish(g: Guard, entry: Entry, anew: bool) -> None:
    """Run the steps and settle what follows; ``anew``: deadlines count from the end of a long
    piece of work."""
    before = {each["id"] for each in g.store.all(STANDING) if journal.holds(g, each)}
    why = journal.run(g, JOURNAL, entry)
    g.resume()
    if why:
        fail(g, entry, "error", why)
        return
    if anew:
        entry["needs"] = needs(g, entry)
        entry["ttl"] = ttl(g, entry)
        arm(g, entry)
    entry["after"] = ended_by(g, entry, before)
    _go(g, entry, "exec_end")


def ended_by(g: Guard, entry: Entry, before: set[str]) -> list[str]:
    """Ids of standing requests that this one ends: those that it releases, and those whose thing
    it has set another way. What one person began ends nothing that two have asked for."""
    found = [item["args"]["id"] for item in entry["steps"] if item["kind"] == "undo"]
    if "ratify" in entry["needs"]:
        return found
    mine = things.of(entry["steps"])
    for other in g.store.all(STANDING):
        if other["id"] in found:
            continue
        if _nothing_left(entry, other):
            found.append(other["id"])
        elif other["id"] not in before:
            continue
        elif things.same(mine, things.of(other["steps"])) and not journal.holds(g, other):
            found.append(other["id"])
    return found


def _nothing_left(entry: Entry, other: Entry) -> bool:
    return any(
        step(item["kind"]).ends(item["args"], old)
        for item in entry["steps"]
        for old in other["steps"]
    )


def _go(g: Guard, entry: Entry, ev: str, **facts: Any) -> None:
    """To the state that follows from what is still needed."""
    if entry["needs"]:
        entry["state"] = "APPLIED"
    elif floors.stands(action(entry["action"])) or entry.get("ttl"):
        entry["state"] = "STANDING"
    else:
        entry["state"] = "DONE"
    if ev == "exec_end":
        facts["result"] = entry.get("result", {})
        if entry["after"]:
            facts["ends"] = entry["after"]
    g.note(entry, ev, state=entry["state"], **facts)
    g.store.save(JOURNAL, entry)
    g.world.mark(f"is {entry['state']}")
    settle(g, entry)


def settle(g: Guard, entry: Entry, again: bool = False) -> None:
    """All that follows from the state that an entry in the journal has; twice is as once."""
    g.changed = True
    g.tell(entry, again)
    for rid in entry.get("after", ()):
        _end_other(g, rid, entry["id"])
    state = entry["state"]
    if any(item["kind"] == "trust" for item in entry["steps"]):
        g.forget()
    if state == "STANDING":
        trouble = journal.hold(g, entry, 0)
        if trouble:
            entry["trouble"] = trouble
        g.store.save(STANDING, entry)
        g.world.mark("stands")
        g.store.remove(JOURNAL, entry["id"])
    elif state in ENDED:
        close(g, JOURNAL, entry)
    else:
        g.store.save(JOURNAL, entry)


def _end_other(g: Guard, rid: str, by: str) -> None:
    try:
        other = g.store.load(STANDING, rid)
    except Refused:
        return  # ended before
    other["state"], other["why"] = "RELEASED", f"by request {by[:12]}"
    g.store.save(STANDING, other)
    close(g, STANDING, other)


def close(g: Guard, folder: str, entry: Entry) -> None:
    """Keep how it ended."""
    from .publish import public

    g.changed = True
    g.store.close(folder, entry, dict(public(g, entry), ended=g.clock.now()))
    if entry.get("payload"):
        g.files.remove(f"{g.place.state}/payload/{entry['id']}")


def fail(g: Guard, entry: Entry, ev: str, why: str) -> None:
    """Undo an execution that did not reach its end."""
    _back(g, JOURNAL, entry, "FAILED", ev, why)


def revert(g: Guard, folder: str, entry: Entry, why: str) -> None:
    """Undo what is applied or stands."""
    _back(g, folder, entry, "REVERTED", "revert", why)


def _back(g: Guard, folder: str, entry: Entry, state: str, ev: str, why: str) -> None:
    if entry["state"] != "REVERTING":
        entry["state"], entry["to"], entry["why"] = "REVERTING", state, why
        g.note(entry, ev, why=why)
        g.store.keep(folder, entry)
        g.world.mark("reverting")
    undo_again(g, folder, entry)


def undo_again(g: Guard, folder: str, entry: Entry) -> None:
    """Undo what an entry that is being reverted still has done. It waits for no disk."""
    trouble = journal.undo(g, folder, entry)
    g.changed = True
    if trouble:
        if entry.get("trouble") != trouble:
            g.note(entry, "undo_failed", why=trouble)
        entry["trouble"] = trouble
        g.tell(entry)
        due = _retry(g, entry)
        if g.store.keep(folder, entry) and due:
            watch(g, entry, "retry", entry["retry"])
        return  # the next call tries again
    entry["state"] = entry["to"]
    g.note(entry, "undone", state=entry["state"])
    g.store.keep(folder, entry)
    g.world.mark(f"is {entry['state']}")
    g.tell(entry)
    try:
        close(g, folder, entry)
    except OSError:
        g.store.spare()  # the next call closes it
        entry["state"], entry["trouble"] = "REVERTING", "undone, and the disk does not take it down"
        g.store.unsaved[entry["id"]] = entry


def shut(g: Guard, entry: Entry, ev: str, why: str, **facts: Any) -> None:
    """Close a request that was not carried out."""
    entry["state"], entry["why"] = "CLOSED", why
    g.note(entry, ev, why=why, **facts)
    g.store.save(SPOOL, entry)
    g.world.mark("is CLOSED")
    g.tell(entry)
    close(g, SPOOL, entry)


def met(g: Guard, entry: Entry, need: str, ev: str, **facts: Any) -> None:
    """Something that an applied entry waited for has come. Raises Refused where it then cannot be
    kept; it stays as it was and reverts in time."""
    left = {key: value for key, value in entry["needs"].items() if key != need}
    if need == "confirm" or not left:
        seconds = min((g.clock.left(each) for each in left.values()), default=0)
        trouble = journal.hold(g, entry, seconds)
        if trouble:
            raise Refused("hold", f"it could not be kept: {trouble}", "it reverts by itself")
    g.world.mark("held")
    entry["needs"] = left
    _go(g, entry, ev, **facts)
