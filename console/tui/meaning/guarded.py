"""Guarded actions in words: rows and pages of what was asked of hosts. Pure functions."""

from collections.abc import Iterator, Sequence

import msgspec

from console.model.guard import ActiveView, Pair, RequestView
from console.model.view import FleetSnapshot
from console.model.words import span
from console.tui.style.look import Cell, Look

LABEL = 18
GROUPS = ("wants you", "waiting", "applied", "standing", "closed")
"""Order of rows: what this person can do something about first."""
HURRY_S = 60.0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One row: a request or what became of it, on one host."""

    group: str
    host: str
    id: str
    action: str
    state: str
    what: str  # parameters in one line
    by: str
    with_: str  # who approved
    until: float  # by this machine's clock; 0: no end
    words: str
    request: RequestView | None = None
    active: ActiveView | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What the row is known by."""
        return self.host, self.id


def in_line(parameters: Sequence[Pair]) -> str:
    """Parameters in one line."""
    return ", ".join(f"{label} {value}" for label, value in parameters)


def rows(snapshot: FleetSnapshot, host: str = "") -> list[Asked]:
    """Everything that waits, acts, stands or has ended; of one host where it is named."""
    found: list[Asked] = []
    for view in snapshot.hosts:
        if view.guard is None or (host and view.name != host):
            continue
        asked = {request.id for request in view.guard.requests}
        found += map(_waiting, view.guard.requests)
        found += [_active(each) for each in view.guard.active if each.id not in asked]
        found += [_active(each, closed=True) for each in view.guard.closed]
    return sorted(found, key=lambda row: (GROUPS.index(row.group), row.until or 9e12))


def _waiting(request: RequestView) -> Asked:
    wants = request.may_approve or request.may_start
    return Asked(
        group=GROUPS[0] if wants else GROUPS[1], host=request.host, id=request.id,
        action=request.action, state=request.state, what=in_line(request.parameters),
        by=request.requester, with_=", ".join(request.approved_by),
        until=request.expires_at - request.skew_s, words=request.words, request=request,
    )  # fmt: skip


def _active(active: ActiveView, *, closed: bool = False) -> Asked:
    group = "closed" if closed else "standing" if active.state == "STANDING" else "applied"
    ends = [at for at in (active.deadline, active.ttl_until) if at]
    return Asked(
        group=group, host=active.host, id=active.id, action=active.action, state=active.state,
        what=in_line(active.parameters), by=active.requester, with_=", ".join(active.approvers),
        until=min(ends) - active.skew_s if ends and not closed else 0.0, words=active.words,
        active=active,
    )  # fmt: skip


def left(until: float, now: float) -> str:
    """How long until then."""
    if not until:
        return ""
    return span(until - now) if until > now else "over"


def hurry(until: float, now: float) -> str:
    """Style of a countdown."""
    return "bad" if until and until - now < HURRY_S else ""


def same_console(row: RequestView | ActiveView) -> str:
    """A mark where both people sat at one console, which the guard noticed by itself."""
    return "same console" if row.same_console else ""


def _fact(label: str, value: object, style: str = "") -> Cell:
    text = str(value)
    return [(f"  {label:{LABEL - 1}} ", "dim"), (text or "-", style if text else "dim")]


def _head(words: str, look: Look) -> Cell:
    return [(f" {words} ", "bold"), (look.rule * 40, "dim")]


def request_page(request: RequestView, look: Look, now: float) -> Iterator[Cell]:
    """What somebody is asked to sign: parameters first, the reason last."""
    yield _head(f"{request.action} on {request.host}", look)
    if not request.verified:
        words = request.why_not_verified or "its signature was not verified here"
        yield [(f"  {look.mark('bad')} not verified: {words}", "bad")]
    for label, value in request.parameters:
        yield _fact(label, value, "bold")
    yield _fact("does", request.about.words)
    yield _fact("hosts", ", ".join(request.hosts) or request.host)
    yield []
    yield _head("effect, worked out here", look)
    yield from _list(request.effect)
    yield _fact("undone by", request.about.inverse or "NOTHING: there is no way back")
    yield _fact("if nobody confirms", _dead_man(request.about.dead_man))
    if request.host_says:
        yield []
        yield _head("the host says, and nobody checks it", look)
        for label, value in request.host_says:
            yield _fact(label.replace("_", " "), value, "warn")
    yield []
    yield _head("people and time", look)
    until = request.expires_at - request.skew_s
    yield _fact("state", request.state)
    yield _fact("ends in", left(until, now), hurry(until, now))
    yield _fact("requested by", request.requester)
    yield _fact("from", f"{request.workstation} (by their own word)" if request.workstation else "")
    yield _fact("approved by", ", ".join(request.approved_by), "ok")
    yield _fact("denied by", ", ".join(request.denied_by), "bad")
    yield _fact("may approve", ", ".join(request.may_be_approved_by))
    yield _fact("needed", f"{request.people_needed} people")
    if request.mode != "two_before":
        yield _fact("mode", request.mode.replace("_", " "), "warn")
    if request.same_console:
        yield _fact("note", same_console(request), "warn")
    if request.why_not:
        yield _fact("not by you", request.why_not, "warn")
    yield _fact("six words", request.words, "accent")
    yield _fact("id", request.id)
    yield []
    yield _head("reason", look)
    yield [(f"  {request.reason}", "")]


def _dead_man(kind: str) -> str:
    return {
        "kernel": "the kernel of the host undoes it by itself",
        "timer": "the guard undoes it by itself",
    }.get(kind, "it stays")


def _list(lines: Sequence[str]) -> Iterator[Cell]:
    for line in lines:
        yield [(f"  {line}", "")]
    if not lines:
        yield [("  nothing that could be worked out", "warn")]


def active_page(active: ActiveView, look: Look, now: float) -> Iterator[Cell]:
    """What was done, and until when it holds."""
    yield _head(f"{active.action} on {active.host}", look)
    for label, value in active.parameters:
        yield _fact(label, value, "bold")
    yield []
    yield _fact("state", active.state, "" if active.holds else "bad")
    if not active.holds:
        yield [(f"  {look.mark('bad')} what was done no longer holds on the host", "bad")]
    if active.progress_total:
        percent = 100 * active.progress_done / active.progress_total
        yield _fact("progress", f"{look.bar(percent, 20)} {percent:.0f}% {active.progress}")
    elif active.progress:
        yield _fact("progress", active.progress)
    if active.deadline:
        until = active.deadline - active.skew_s
        yield _fact("undone in", f"{left(until, now)} unless it is confirmed", hurry(until, now))
    if active.ttl_until:
        yield _fact("ends in", left(active.ttl_until - active.skew_s, now))
    yield _fact("since", span(max(0.0, now - active.since + active.skew_s)))
    yield _fact("requested by", active.requester)
    yield _fact("approved by", ", ".join(active.approvers))
    if active.mode and active.mode != "two_before":
        yield _fact("mode", active.mode.replace("_", " "), "warn")
    if active.same_console:
        yield _fact("note", same_console(active), "warn")
    if active.why:
        yield _fact("how it ended", active.why)
    for label, value in active.result:
        yield _fact(label.replace("_", " "), value)
    yield _fact("six words", active.words, "accent")
    yield _fact("id", active.id)
