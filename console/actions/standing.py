"""The guard of one host as this console sees it: raw documents judged, in one immutable view."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from console.actions import plan
from console.actions.around import Trusted
from console.actions.envelope import MANY, Active, State, state
from console.actions.pending import Judged, Patience, Seen, judge, request_view
from console.errors import ActionError
from console.hostside.guard.trust.words import words
from console.model.guard import ActiveView, GuardDocs, GuardView, Pair, RequestView
from console.model.host import HostState
from console.model.view import HostView
from console.text import clean

MAX_ACTIVE = 64


class Eyes(msgspec.Struct, frozen=True, kw_only=True):
    """With what this console looks at hosts' guards."""

    trusted: Trusted | None  # None: this console has no roster of its own
    trusted_trouble: str
    builds: Mapping[str, str]
    person: str
    names: Callable[[str], str]


def guard_view(
    docs: GuardDocs, host: HostView, now: float, refusal: str, eyes: Eyes
) -> tuple[GuardView, tuple[Judged, ...]]:
    """The view, and the requests that it shows; ``now`` is this machine's clock. Never raises.

    Verifying signatures takes milliseconds each: call it beside the event loop.
    """
    told, trouble = _state(docs)
    skew = host.clock_skew_s or 0.0
    view = GuardView(trouble=clean(trouble or docs.trouble, 300))
    if told is not None:
        view = _of_state(told, host, skew, eyes)
        if trouble or docs.trouble:
            view = msgspec.structs.replace(view, trouble=clean(trouble or docs.trouble, 300))
    view = msgspec.structs.replace(view, checkpoint=_checkpoint(docs), missing=docs.missing)
    trusted = eyes.trusted
    if trusted is None:
        return view, ()
    seen = Seen(
        host=host.name,
        guard_id=host.spec.guard_id,
        host_key=host.link.host_key if host.link else "",
        # The guard's own word where there is one: in a container of systemd the sensor's sandbox
        # sees the boot of the machine below.
        boot_id=(told.boot_id if told else "") or docs.boot_id,
        now=int(now + skew),
        skew_s=skew,
        live=host.state is HostState.LIVE,
        person=eyes.person,
        refusal=refusal,
        builds=eyes.builds,
        names=eyes.names,
    )
    judged, views, wrong = _requests(docs, seen, trusted)
    if wrong:
        view = msgspec.structs.replace(view, trouble=view.trouble or wrong)
    return msgspec.structs.replace(view, requests=views), judged


def _requests(
    docs: GuardDocs, seen: Seen, trusted: Trusted
) -> tuple[tuple[Judged, ...], tuple[RequestView, ...], str]:
    found: list[Judged] = []
    wrong = ""
    patience = Patience()
    for kind, _, data in docs.docs:
        if kind != "request":
            continue
        try:
            made = judge(data, seen, trusted, patience)
        except ActionError as error:
            wrong = clean(str(error), 300)
            continue
        if made.id not in {item.id for item in found}:
            found.append(made)
    found.sort(key=lambda item: (item.request["expires"], item.id))
    return tuple(found), tuple(request_view(made, seen, trusted) for made in found), wrong


def _state(docs: GuardDocs) -> tuple[State | None, str]:
    for kind, _, data in docs.docs:
        if kind == "state":
            try:
                return state(data), ""
            except ActionError as error:
                return None, str(error)
    return None, "" if docs.missing else "its guard shows no state"


def _of_state(told: State, host: HostView, skew: float, eyes: Eyes) -> GuardView:
    trouble = ""
    if host.spec.guard_id and told.host_id != host.spec.guard_id:
        trouble = "another guard than the pinned one speaks: a copied or replaced machine"
    elif told.warnings:
        trouble = told.warnings[0]
    return GuardView(
        host_id=clean(told.host_id, 64),
        effector=clean(told.effector, 20),
        guard=clean(told.guard, 64),
        guard_known=eyes.builds.get(told.guard, ""),
        roster=clean(told.roster, 64),
        policy=clean(told.policy, 64),
        serials=told.serials,
        roster_ok=_same(told.roster, "roster", eyes),
        policy_ok=_same(told.policy, "policy", eyes),
        active=tuple(_active(item, host.name, skew) for item in told.active[:MAX_ACTIVE]),
        closed=tuple(_active(item, host.name, skew) for item in told.closed[-MAX_ACTIVE:]),
        isolation=_isolation(told.isolation, told.active),
        unreviewed=tuple(
            (clean(plan.text(item.get("person", "")), 40), clean(plan.text(item.get("id", "")), 64))
            for item in told.breakglass[:MAX_ACTIVE]
        ),
        trouble=clean(trouble, 300),
    )


def _same(theirs: str, which: str, eyes: Eyes) -> str:
    if eyes.trusted is None:
        return clean(eyes.trusted_trouble or "this console has none to compare with", 200)
    ours = eyes.trusted.roster_sha256 if which == "roster" else eyes.trusted.policy_sha256
    if theirs == ours:
        return "same"
    return f"differs from this console's signed {which}" if theirs else f"it tells no {which}"


_ISOLATION = {
    "lost": "LOST: the rules that isolated it are gone",
    "applied": "isolated, not confirmed yet",
    "standing": "isolated",
    "executing": "being isolated",
    "reverting": "being opened again",
}


def _isolation(said: str, active: tuple[Active, ...]) -> str:
    applied = [item for item in active if item.action == "isolate" and item.state == "APPLIED"]
    if said == "applied" and applied and all(item.needs == ("ratify",) for item in applied):
        return "isolated and reached again; undone unless a second person ratifies"
    return _ISOLATION.get(said, clean(said, 60))


def _active(item: Active, host: str, skew: float) -> ActiveView:
    progress = item.progress
    return ActiveView(
        id=clean(item.id, 64),
        host=host,
        action=clean(item.action, 40),
        words=_words(item.id),
        about=plan.about(item.action),
        parameters=_as_done(item),
        state=clean(item.state, 20),
        mode=clean(item.mode, 20),
        requester=clean(item.requester, 40),
        approvers=tuple(clean(name, 40) for name in item.approvers[:16]),
        needs=tuple(clean(name, 20) for name in item.needs[:8]),
        since=item.since,
        deadline=item.deadline,
        ttl_until=item.ttl_until,
        skew_s=skew,
        progress_done=_count(progress.get("done")),
        progress_total=_count(progress.get("total")),
        progress=clean(plan.text(progress.get("words") or ""), 200),
        result=_pairs(item.result),
        holds=item.holds,
        lost=item.lost,
        same_console=item.same_console,
        why=clean(item.trouble or item.why, 300),
        ended=item.ended,
    )


def _as_done(item: Active) -> tuple[Pair, ...]:
    """Parameters of something that is over its confirmation: what was a condition reads as met."""
    pairs = plan.shown(item.action, dict(item.params))
    if item.state == "EXECUTING" or "confirm" in item.needs:
        return pairs
    met = item.state in ("STANDING", "APPLIED", "RELEASED", "DONE")
    out = []
    for label, value in pairs:
        if not label.startswith("reverts unless confirmed"):
            out.append((label, value))
        elif met:
            out.append(("the way in", f"was confirmed over a new connection, within {value}"))
        else:
            out.append(("time to confirm", f"was {value}"))
    return tuple(out)


def _words(rid: str) -> str:
    try:
        return " ".join(words(rid))
    except ValueError:
        return ""


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < MANY else 0


def _pairs(result: Mapping[str, Any]) -> tuple[Pair, ...]:
    out = []
    for name, value in list(result.items())[:32]:
        text = value if isinstance(value, str) else plan.text(value)
        out.append((clean(str(name), 60), clean(text, 400)))
    return tuple(out)


def _checkpoint(docs: GuardDocs) -> int:
    """How many records the host's newest checkpoint counts: its second line (C2SP)."""
    for kind, _, data in docs.docs:
        if kind == "checkpoint":
            try:
                body = json.loads(data)["body"]
                size = str(body).split("\n")[1]
            except (ValueError, KeyError, IndexError, TypeError, RecursionError):
                return 0
            return int(size) if size.isascii() and size.isdigit() and len(size) < 16 else 0
    return 0
