"""The guard of a host in few words: for the fleet, for its overview, and for every view at once."""

from collections.abc import Collection, Iterator, Sequence

from console.model.guard import BREAK_GLASS, ActiveView, GuardView, RequestView
from console.model.view import FleetSnapshot, HostView
from console.model.words import BAD, WARN, span
from console.tui.style.look import Look, Piece

Fact = tuple[str, str, str]
"""Label, value and style of a value."""
HURRY_S = 60.0
NAMED = 3
"""So many hosts a notice names; the rest are counted."""
OPEN = ("PENDING", "APPROVED", "APPLIED")
"""States in which a request may still want somebody."""


def left(until: float, now: float) -> str:
    """How long until then."""
    if not until:
        return ""
    return span(until - now) if until > now else "over"


def ends(active: ActiveView) -> float:
    """When it ends by itself, by this machine's clock; 0: it does not."""
    found = [at for at in (active.deadline, active.ttl_until) if at]
    return min(found) - active.skew_s if found else 0.0


def is_lost(guard: GuardView) -> bool:
    """Whether what isolated the host is gone, though nobody released it."""
    told = any(each.action == "isolate" and not each.holds for each in guard.active)
    return told or guard.isolation.startswith("LOST")


def broken_glass(guard: GuardView) -> list[tuple[str, str]]:
    """Who has acted alone, and what: it is in force, or nobody else has looked at it."""
    of = {each.id: each for each in (*guard.active, *guard.closed)}
    found = {rid: (person, of[rid].action if rid in of else "") for person, rid in guard.unreviewed}
    for each in guard.active:
        if each.mode == BREAK_GLASS:
            found.setdefault(each.id, (each.requester, each.action))
    return list(found.values())


def short(view: HostView, now: float) -> Piece:
    """How its guard stands, for one cell."""
    guard = view.guard
    if view.workstation:
        return "-", "dim"
    if guard is None:
        return ("unseen", "warn") if view.spec.guard_id else ("no guard", "dim")
    applied = [each for each in guard.active if each.state == "APPLIED"]
    waits = sum(each.state in OPEN for each in guard.requests)
    standing = sum(each.state == "STANDING" for each in guard.active)
    if is_lost(guard) or any(not each.holds for each in guard.active):
        return "lost", "bad"
    if broken_glass(guard):
        return "alone", "bad"
    if guard.trouble or guard_doubt(guard):
        return "doubtful", "bad"
    if applied:
        until = min((at for at in map(ends, applied) if at), default=0.0)
        return f"{left(until, now)} left" if until else "applied", "warn"
    if guard.isolation:
        return "ISOLATED", "warn"
    if waits:
        return f"{waits} wait", "accent"
    return (f"{standing} stand", "") if standing else ("ready", "dim")


def guard_doubt(guard: GuardView) -> str:
    """Why what this guard says is not taken as it is; empty: it is."""
    if guard.guard and not guard.guard_known:
        return "its build is not known here: nothing is signed for it"
    for which, said in (("roster", guard.roster_ok), ("policy", guard.policy_ok)):
        if said.startswith(("differs", "it tells no")):
            return f"its {which} {said}"
    return ""


def trouble(guard: GuardView | None) -> tuple[int, str, str] | None:
    """The worst about a guard as ``facts.trouble`` ranks it; None where all is well."""
    if guard is None:
        return None
    if is_lost(guard):
        return 15, BAD, "ISOLATION LOST"
    if who := broken_glass(guard):
        return 14, BAD, f"break-glass of {who[0][0]}"
    if any(not each.holds for each in guard.active):
        return 14, BAD, "an action is undone"
    if guard_doubt(guard):
        return 8, BAD, "guard in doubt"
    if guard.isolation:
        return 5, WARN, "isolated"
    return None


def guard_facts(view: HostView, now: float) -> Iterator[Fact]:
    """What the overview of a host says of its guard."""
    guard = view.guard
    if guard is None:
        if view.spec.guard_id:
            yield "guard", "pinned, but it has shown nothing yet", "warn"
        return
    if guard.trouble:
        yield "trouble", guard.trouble, "bad"
    yield "guard id", guard.host_id, ""
    known = guard.guard_known or "NOT KNOWN here: nothing is signed for it"
    style = "" if guard.guard_known == "real" else "warn" if guard.guard_known else "bad"
    yield "build", f"{guard.guard[:16]} {known}".strip(), style
    roster, policy = guard.serials
    for which, serial, said in (
        ("roster", roster, guard.roster_ok), ("policy", policy, guard.policy_ok)
    ):  # fmt: skip
        same = said == "same"
        words = "the same as this console's" if same else said or "not told"
        yield which, f"serial {serial}, {words}", "" if same else "warn"
    yield from _standing(guard, now)
    yield "audit log", f"{guard.checkpoint} records at its newest checkpoint", ""
    if guard.missing:
        yield "on the way", f"{guard.missing} documents that it names", "warn"


def _standing(guard: GuardView, now: float) -> Iterator[Fact]:
    if guard.isolation:
        lost = is_lost(guard)
        yield "isolation", guard.isolation, "bad" if lost else "warn"
    for person, action in broken_glass(guard):
        yield "break-glass", f"{action or 'an action'} of {person} alone", "bad"
    for request in guard.requests:
        until = request.expires_at - request.skew_s
        who = "" if request.verified else ", NOT VERIFIED"
        words = f"{request.action} of {request.requester}, {left(until, now)} left{who}"
        yield "waits", words, "accent" if request.verified else "bad"
    for active in guard.active:
        until = ends(active)
        rest = f", {left(until, now)} left" if until else ""
        gone = "" if active.holds else ", NO LONGER SO"
        people = ", ".join(filter(None, (active.requester, *active.approvers)))
        words = f"{active.action} of {people}{rest}{gone}"
        yield active.state.lower() or "active", words, "" if active.holds else "bad"
    if not guard.requests and not guard.active:
        yield "waits, stands", "nothing", "dim"


# -- what every view says


def wanting(snapshot: FleetSnapshot, called: Collection[str]) -> list[RequestView]:
    """Requests that want the person at this console, the soonest to run out first.

    One request on several hosts is named once. ``called`` are ids for which the engine has called.
    """
    found: dict[str, RequestView] = {}
    for view in snapshot.hosts:
        for each in view.guard.requests if view.guard is not None else ():
            mine = each.may_approve or each.may_start
            if mine or (each.id in called and each.state in OPEN):
                found.setdefault(each.id, each)
    return sorted(found.values(), key=lambda each: each.expires_at - each.skew_s)


def notices(
    snapshot: FleetSnapshot, called: Collection[str], now: float, look: Look, key: str
) -> list[Piece]:
    """Lines that stand on every view until somebody has seen to them; the worst first.

    ``key`` opens the requests; empty where nobody sits who could press one.
    """
    lost, glass = [], []
    for view in snapshot.hosts:
        if view.guard is None:
            continue
        if is_lost(view.guard):
            lost.append(view.name)
        if who := broken_glass(view.guard):
            glass.append(f"{who[0][0]} on {view.name}")
    lines: list[Piece] = []
    mark = look.mark("bad")
    if lost:
        lines.append((f" {mark} ISOLATION LOST on {_some(lost)}: open again, not released ", "bad"))
    if glass:
        lines.append((f" {mark} BREAK-GLASS by {_some(glass)}: one person acted alone ", "bad"))
    wants = [
        each for each in wanting(snapshot, called)
        if each.state == "APPLIED" or each.expires_at - each.skew_s > now
    ]  # fmt: skip
    if wants:
        lines.append(_wanted(wants, now, key))
    return lines


def _wanted(wants: Sequence[RequestView], now: float, key: str) -> Piece:
    first = wants[0]
    until = first.expires_at - first.skew_s
    hosts = _some(first.hosts or (first.host,))
    verb = "is yours to start" if first.may_start else "wants you"
    if not key:
        verb = "waits for another person"
    words = f"{first.action} {hosts} {verb}"
    if first.state != "APPLIED":
        words += f", {left(until, now)} left"
    if more := len(wants) - 1:
        words += f"; {more} more wait{'s' if more == 1 else ''}"
    style = "warn" if until - now < HURRY_S else "accent"
    return f" {key + ': ' if key else ''}{words} ", style


def _some(names: Sequence[str]) -> str:
    words = ", ".join(names[:NAMED])
    return f"{words} and {len(names) - NAMED} more" if len(names) > NAMED else words
