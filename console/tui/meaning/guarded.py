"""Guarded actions in words: rows and pages of what was asked of hosts. Pure functions."""

from collections.abc import Iterator, Sequence

import msgspec

from console.model.guard import TWO_BEFORE, About, ActiveView, Custody, Pair, RequestView
from console.model.view import FleetSnapshot
from console.model.words import span, utc
from console.tui.meaning.guards import HURRY_S, ends, left
from console.tui.style.look import Cell, Look

LABEL = 18
SKEW_S = 5.0
"""Clocks that differ by less are not told of."""
GROUPS = ("wants you", "waiting", "applied", "standing", "closed")
"""Order of rows: what this person can do something about first."""


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
    when: float = 0.0  # when it was asked for, done or ended, by this machine's clock
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
    return sorted(found, key=_rank)


def _rank(row: Asked) -> tuple[int, float]:
    """What runs out first stands first; of what has ended, the newest."""
    closed = row.group == "closed"
    return GROUPS.index(row.group), -row.when if closed else row.until or 9e12


_ENDS = (("denied", "denied"), ("withdrawn", "withdrawn"), ("cancelled", "withdrawn"),
         ("ran out", "ran out"), ("expired", "ran out"), ("nobody", "ran out"))  # fmt: skip


def ended(active: ActiveView) -> str:
    """The state of one that has ended; of one that never began, why, in a word or two."""
    if active.state != "CLOSED":
        return active.state
    return next((word for begin, word in _ENDS if begin in active.why), active.state)


def _waiting(request: RequestView) -> Asked:
    wants = request.may_approve or request.may_start
    return Asked(
        group=GROUPS[0] if wants else GROUPS[1], host=request.host, id=request.id,
        action=request.action, state=request.state, what=in_line(request.parameters),
        by=request.requester, with_=", ".join(request.approved_by),
        until=request.expires_at - request.skew_s, words=request.words,
        when=request.asked_at - request.skew_s if request.asked_at else 0.0, request=request,
    )  # fmt: skip


def _active(active: ActiveView, *, closed: bool = False) -> Asked:
    group = "closed" if closed else "standing" if active.state == "STANDING" else "applied"
    return Asked(
        group=group, host=active.host, id=active.id, action=active.action,
        state=ended(active) if closed else active.state, what=in_line(active.parameters),
        by=active.requester, with_=", ".join(active.approvers),
        until=0.0 if closed else ends(active), words=active.words,
        when=at - active.skew_s if (at := active.ended or active.since) else 0.0, active=active,
    )  # fmt: skip


def hurry(until: float, now: float) -> str:
    """Style of a countdown."""
    return "bad" if until and until - now < HURRY_S else ""


def same_console(row: RequestView | ActiveView) -> str:
    """A mark where both people sat at one console, which the guard noticed by itself."""
    return "same console" if row.same_console else ""


def fact(label: str, value: object, style: str = "") -> Cell:
    """One labelled value; what is not known is a dash."""
    text = str(value)
    return [(f"  {label:{LABEL - 1}} ", "dim"), (text or "-", style if text else "dim")]


def whole_id(id: str) -> Iterator[Cell]:
    """All of an id in two lines, which fit the narrowest screen."""
    half = (len(id) + 1) // 2
    yield fact("id", id[:half])
    yield fact("", id[half:])


def head(words: str, look: Look) -> Cell:
    """Head of a group of lines."""
    return [(f" {words} ", "bold"), (look.rule * 20, "dim")]


def undone(about: About) -> Cell:
    """What undoes it, loud where nothing does."""
    if about.inverse:
        return fact("undone by", about.inverse)
    if about.direction == "destroy":
        return fact("undone by", "NOTHING: there is no way back", "bad")
    return fact("undone by", "no action of its own")


def request_page(
    request: RequestView, look: Look, now: float, more: Sequence[Cell] = ()
) -> Iterator[Cell]:
    """What somebody is asked to sign: parameters first, the reason last, ``more`` before that."""
    yield head(f"{request.action} on {request.host}", look)
    if not request.verified:
        words = request.why_not_verified or "its signature was not verified here"
        yield [
            (f"  {look.mark('bad')} NOT VERIFIED, so nobody can approve it here: {words}", "bad")
        ]
    for label, value in request.parameters:
        yield fact(label, value, "bold")
    yield fact("hosts", ", ".join(request.hosts) or request.host, "bold")
    yield fact("does", request.about.words)
    if request.about.high_risk:
        yield fact("risk", "HIGH: the host's name is typed before a signature", "warn")
    yield []
    yield head(f"effect on {request.host}, worked out here", look)
    yield from effect_lines(request.effect)
    yield undone(request.about)
    yield fact("if nobody confirms", dead_man(request.about.dead_man))
    yield from claims(request.host, request.host_says, look)
    yield []
    yield from _people(request, look, now)
    yield from more
    yield []
    yield head("reason", look)
    yield [(f"  {request.reason}", "")]


def _people(request: RequestView, look: Look, now: float) -> Iterator[Cell]:
    yield head("people and time", look)
    until = request.expires_at - request.skew_s
    yield fact("state", request.state)
    if request.state in ("PENDING", "APPROVED"):
        yield fact("runs out in", left(until, now), hurry(until, now))
    yield fact("requested by", request.requester)
    if request.asked_at:
        date = utc(request.asked_at, "%Y-%m-%d %H:%M:%S")
        yield fact("asked", f"{span(max(0.0, now - request.asked_at))} ago, {date} UTC as signed")
    if abs(request.skew_s) >= SKEW_S:
        words = f"{request.skew_s:+.0f} s from this machine's; times are the host's"
        yield fact("host's clock", words, "warn")
    yield fact("from", f"{request.workstation} (by their own word)" if request.workstation else "")
    yield fact("approved by", ", ".join(request.approved_by), "ok")
    if request.denied_by:
        yield fact("denied by", ", ".join(request.denied_by), "bad")
    yield fact("may approve", ", ".join(request.may_be_approved_by))
    yield fact("needed", f"{request.people_needed} people")
    if request.mode != TWO_BEFORE:
        yield fact("mode", request.mode.replace("_", " "), "warn")
    if request.same_console:
        yield fact("note", same_console(request), "warn")
    if request.why_not and request.verified:
        yield fact("not by you", request.why_not, "warn")
    yield fact("six words", request.words, "accent")
    yield from whole_id(request.id)


def beside(request: RequestView, look: Look) -> Iterator[Cell]:
    """The same request on another of its hosts: only what may differ there."""
    yield []
    yield head(f"effect on {request.host}, worked out here", look)
    if not request.verified:
        yield [(f"  {look.mark('bad')} NOT VERIFIED: {request.why_not_verified}", "bad")]
    elif request.why_not:
        yield fact("left out", request.why_not, "warn")
    yield from effect_lines(request.effect)
    yield from claims(request.host, request.host_says, look)


def not_seen_lines(hosts: Sequence[str], look: Look) -> Iterator[Cell]:
    """Targets on which an approval counts though nothing of the request is seen there."""
    if not hosts:
        return
    yield []
    yield head("NOT SEEN HERE", look)
    yield [(f"  {look.mark('bad')} an approval counts on these hosts as well:", "bad")]
    for host in hosts:
        yield [(f"  {host}", "bad")]


def claims(host: str, said: Sequence[Pair], look: Look) -> Iterator[Cell]:
    """What a host says of itself, marked as such: who is cut off, what cannot be closed."""
    if not said:
        return
    yield []
    yield head(f"{host} says, and nobody checks it", look)
    for label, value in said:
        yield fact(label.replace("_", " "), value, "warn")


def dead_man(kind: str) -> str:
    """What happens where nobody confirms."""
    return {
        "kernel": "the kernel of the host undoes it by itself",
        "timer": "the guard undoes it by itself",
    }.get(kind, "it stays")


def effect_lines(lines: Sequence[str]) -> Iterator[Cell]:
    """What this console has worked out, a line each."""
    for line in lines:
        yield [(f"  {line}", "")]
    if not lines:
        yield [("  nothing that could be worked out", "warn")]


def active_page(
    active: ActiveView, look: Look, now: float, confirmed: float = 0.0
) -> Iterator[Cell]:
    """What was done, and until when it holds; ``confirmed``: when this console reached the host
    again, 0 where it does not know."""
    yield head(f"{active.action} on {active.host}", look)
    for label, value in active.parameters:
        yield fact(label, value, "bold")
    yield []
    yield fact("state", active.state, "" if active.holds else "bad")
    if not active.holds:
        yield [(f"  {look.mark('bad')} what was done no longer holds on the host", "bad")]
    if active.progress_total:
        done = min(active.progress_done, active.progress_total)
        percent = 100 * done / active.progress_total
        yield fact("progress", f"{look.bar(percent, 20)} {percent:.0f}% {active.progress}")
    elif active.progress:
        yield fact("progress", active.progress)
    if active.deadline:
        until = active.deadline - active.skew_s
        yield fact("undone in", f"{left(until, now)} {unless(active)}", hurry(until, now))
    if active.ttl_until:
        yield fact("ends in", left(active.ttl_until - active.skew_s, now))
    if active.needs == ("ratify",) and active.mode != TWO_BEFORE:
        yield fact("the way in", "reached again over a new connection", "ok")
    if confirmed:
        yield fact("confirmed", f"{moment(confirmed)}, by this console", "ok")
    if active.since:
        begun = active.since - active.skew_s
        yield fact("since", f"{moment(begun)}, {span(max(0.0, now - begun))} ago")
    if active.ended:
        at = active.ended - active.skew_s
        yield fact("ended", f"{moment(at)}, {span(max(0.0, now - at))} ago")
    if active.asked_at:
        yield fact("asked", f"{moment(active.asked_at)}, as signed")
    yield fact("requested by", active.requester)
    yield fact("approved by", ", ".join(active.approvers))
    if active.mode and active.mode != "two_before":
        yield fact("mode", active.mode.replace("_", " "), "warn")
    if active.same_console:
        yield fact("note", same_console(active), "warn")
    if active.why:
        yield fact("how it ended", active.why)
    for label, value in active.result:
        yield fact(label.replace("_", " "), value)
    yield fact("six words", active.words, "accent")
    yield from whole_id(active.id)
    if active.reason:
        yield []
        yield head("reason", look)
        yield [(f"  {active.reason}", "")]


def collected(active: ActiveView) -> bool:
    """Whether there is evidence to fetch."""
    return active.action == "collect-evidence" and active.state == "DONE"


def custody_lines(custody: Custody | None, look: Look) -> list[Cell]:
    """What was taken away at this console: file, size, digest, who verified it."""
    if custody is None:
        return []
    return [
        [],
        head("fetched here", look),
        fact("file", custody.file, "bold"),
        fact("size", f"{custody.size:,} bytes"),
        fact("sha256", custody.sha256[:32]),
        fact("", custody.sha256[32:]),
        fact("signed by", f"the host's audit key {custody.signed_by}; every part verified", "ok"),
        fact("taken by", f"{custody.by}, {moment(custody.at)}"),
    ]


def moment(at: float) -> str:
    """A moment by the clock, UTC."""
    return f"{utc(at, '%Y-%m-%d %H:%M:%S')} UTC"


def unless(active: ActiveView) -> str:
    """What keeps it from being undone at its deadline."""
    if active.needs == ("ratify",):
        return "unless a second person ratifies"
    if "ratify" in active.needs:
        return "unless it is confirmed and a second person ratifies"
    return "unless it is confirmed"
