"""What changed between two looks at a host's guard, as events of the console's own."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from console.actions.pending import Judged
from console.model.event import Event
from console.model.guard import ActiveView, GuardView, RequestView

ENDS = {
    "REVERTED": "guard.reverted",
    "FAILED": "guard.failed",
    "RELEASED": "guard.released",
    "DONE": "guard.done",
    "CLOSED": "guard.closed",
}
MAX_TOLD = 4096


class Memory(msgspec.Struct):
    """What was told already, over the whole fleet and for the life of a console."""

    wanted: dict[str, None] = {}  # requests that somebody was called for
    doubted: dict[tuple[str, str], None] = {}  # host and request that does not hold
    counters: dict[str, tuple[int, int]] = {}  # greatest FIDO counter of each key, and when


def events(
    memory: Memory,
    host: str,
    before: GuardView | None,
    after: GuardView,
    judged: Iterable[Judged],
    person: str,
    now: float,
) -> Iterator[Event]:
    """Events of this change; at the first look only what a person must still do something about.

    ``now`` is this machine's clock. A request calls for approval once, wherever it is seen first.
    """

    def event(kind: str, key: str, **facts: Any) -> Event:
        return Event(kind=kind, host=host, at=now, key=key, facts=facts)

    for request in after.requests:
        if request.verified:
            if _wanted(request, person) and _once(memory.wanted, request.id):
                yield event("guard.approval-wanted", request.id, **_asked(request))
        elif _once(memory.doubted, (host, request.id)):
            yield event(
                "guard.doubted", request.id, action=request.action, why=request.why_not_verified
            )
    if after.host_id:  # else its state has not come yet
        known = before if before is not None and before.host_id else None
        yield from _of_states(known, after, event)
        yield from _of_trust(known, after, event)
    for item in judged:
        yield from _counters(memory, item, before is None, event)


def _once(told: dict[Any, None], key: Any) -> bool:
    if key in told:
        return False
    if len(told) >= MAX_TOLD:
        del told[next(iter(told))]
    told[key] = None
    return True


def _wanted(request: RequestView, person: str) -> bool:
    """Whether this console's person is called: a requester is not, nor whoever has decided."""
    waits = request.state == "PENDING" or request.state == "APPLIED"
    decided = person in request.approved_by or person in request.denied_by
    return waits and not decided and person in request.may_be_approved_by


def _asked(request: RequestView) -> dict[str, Any]:
    return {
        "action": request.action,
        "requester": request.requester,
        "hosts": ", ".join(request.hosts[:8]),
        "words": request.words,
        "expires": request.expires_at,
        "mode": request.mode,
    }


def _of_states(before: GuardView | None, after: GuardView, event: Any) -> Iterator[Event]:
    known = {item.id: item for item in before.active} if before else {}
    over = {item.id for item in before.closed} if before else set()
    for item in after.active:
        old = known.get(item.id)
        if item.state == "APPLIED" and (old is None or old.state != "APPLIED"):
            yield event("guard.applied", item.id, **_facts(item), deadline=item.deadline)
        elif item.state == "STANDING" and before and (old is None or old.state != "STANDING"):
            yield event("guard.standing", item.id, **_facts(item))
        # The guard puts back what it finds gone in one go, so that both may be news at once.
        again = old is not None and item.lost > old.lost
        if again or (not item.holds and (old is None or old.holds)):
            kind = "guard.isolation-lost" if item.action == "isolate" else "guard.lost"
            yield event(kind, item.id, **_facts(item))
        if item.holds and old is not None and (again or not old.holds):
            yield event("guard.put-back", item.id, **_facts(item))
    if before is None:
        return
    for item in after.closed:
        if item.id not in over and item.state in ENDS:
            kind = ENDS[item.state]
            if item.state == "CLOSED" and item.why.startswith("denied"):
                kind = "guard.refused"
            yield event(kind, item.id, **_facts(item), why=item.why)


def _facts(item: ActiveView) -> dict[str, Any]:
    people = ", ".join([item.requester, *item.approvers])
    return {"action": item.action, "people": people, "words": item.words}


def _of_trust(before: GuardView | None, after: GuardView, event: Any) -> Iterator[Event]:
    for which in ("roster", "policy"):
        said = getattr(after, f"{which}_ok")
        was = getattr(before, f"{which}_ok") if before else ""
        if said.startswith("differs") and said != was:
            yield event("guard.trust-differs", which, which=which, said=said)
    if after.guard and not after.guard_known and (before is None or before.guard != after.guard):
        yield event("guard.unknown-build", after.guard, sha256=after.guard)
    seen = {rid for _, rid in before.unreviewed} if before else set()
    for person, rid in after.unreviewed:
        if rid not in seen:
            yield event("guard.break-glass", rid, person=person)


def _counters(memory: Memory, item: Judged, first: bool, event: Any) -> Iterator[Event]:
    """A hardware key that counts backwards may have a twin; many count nothing and stay at 0.

    Each signature counts once. Those that are there at the first look at a host came in no known
    order, and neither did one of a request older than what was seen last: they alarm nobody.
    """
    at = int(item.request["not_before"])
    for fingerprint, counter in item.counters:
        if not counter or not _once(memory.doubted, (item.id, f"{fingerprint} {counter}")):
            continue
        most, then = memory.counters.get(fingerprint, (0, 0))
        if counter > most:
            memory.counters[fingerprint] = (counter, max(at, then))
        elif not first and counter < most and at >= then:
            facts = {"fingerprint": fingerprint, "counter": counter, "before": most}
            yield event("guard.counter-back", fingerprint, **facts)
