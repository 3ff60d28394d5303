"""Requests as a host shows them, judged by this console before anybody may approve them.

A request is taken only from the connection of the host that it names, is verified with this
console's own roster and the host key that SSH verified there, and its plan is reckoned again. What
then still rests on the host's word alone is labelled as that.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from console.actions import plan
from console.actions.around import Trusted, rules_for
from console.actions.envelope import Envelope, envelope
from console.errors import ActionError
from console.hostside.guard.actions import action as action_of
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, documents
from console.hostside.guard.trust.policy import Rule
from console.hostside.guard.trust.words import words
from console.model.guard import BREAK_GLASS, ONE_THEN_RATIFY, RequestView
from console.model.words import span
from console.text import clean
from console.trust.verify import verify

MAX_SKEW_S = 120.0
"""Clocks that are further apart hide how old a request is."""
MAX_FALSE = 8
"""Signatures of one host that do not hold, verified at one look; each costs a process."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What this console itself knows of the host that shows the request."""

    host: str
    guard_id: str  # as pinned
    host_key: str  # as SSH verified it on the connection that the request came over
    boot_id: str  # as the host says it now
    now: int  # the host's clock
    skew_s: float
    live: bool
    person: str
    refusal: str  # why nothing may be signed at this console; empty: it may
    builds: Mapping[str, str]
    names: Callable[[str], str]  # host id -> name in the inventory, or the id

    @property
    def times(self) -> tuple[int, int]:
        """Now by the host's clock, and by this machine's: a key must hold by both."""
        return self.now, int(self.now - self.skew_s)


class Patience:
    """How many false signatures of one host are looked into at one look."""

    def __init__(self) -> None:
        self.left = MAX_FALSE


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A request and what was found true of it, whoever looks."""

    id: str
    envelope: Envelope
    request: dict[str, Any]
    binding: dict[str, Any]
    effect: tuple[str, ...] = ()
    wrong: str = ""  # why it is not verified
    approved_by: tuple[str, ...] = ()
    denied_by: tuple[str, ...] = ()
    people: int = 2
    counters: tuple[tuple[str, int], ...] = ()  # key's fingerprint and FIDO counter
    confirm_s: int = 0


def judge(data: bytes, seen: Seen, trusted: Trusted, patience: Patience | None = None) -> Judged:
    """Read and verify one envelope. Raises ActionError where it cannot even be shown."""
    told = envelope(data)
    try:
        request = documents.request(told.request.encode())
        binding = documents.binding(told.binding.encode())
    except (Refused, UnicodeEncodeError) as error:
        why = error.words if isinstance(error, Refused) else "it is no Unicode text"
        raise ActionError(
            f"a request of that host cannot be read: {why}", rule="envelope"
        ) from None
    made = Judged(
        id=canonical.sha256(told.request.encode()),
        envelope=told,
        request=request,
        binding=binding,
    )
    try:
        return _verified(made, seen, trusted, patience or Patience())
    except Refused as refused:
        return msgspec.structs.replace(made, wrong=clean(refused.words, 300))


def _no(words: str) -> Refused:
    return Refused("console", words)


def _verified(made: Judged, seen: Seen, trusted: Trusted, patience: Patience) -> Judged:
    """All that this console can check. Raises Refused where something does not hold."""
    request, binding = made.request, made.binding
    _right_host(made, seen)
    if binding["guard"] not in seen.builds:
        raise _no("it is for a build of the guard that this console does not know")
    rules = rules_for(trusted, request["action"], binding["policy"])
    if rules is None:
        raise _no("it is for another roster or policy than this console's")
    trusted = rules
    act = action_of(request["action"])
    rule: Rule = trusted.policy.rule(act)
    if request["mode"] not in rule.modes:
        raise _no("its mode is not allowed by the policy")
    by = _signer(
        made.envelope.request,
        made.envelope.signature,
        "request",
        trusted,
        rule.require_uv or request["mode"] == BREAK_GLASS,
        seen.times,
        patience,
    )
    if by.person != request["requester"] or by.fingerprint != request["requester_key"]:
        raise _no("it was signed by somebody else than it names")
    ability = "break" if request["mode"] == BREAK_GLASS else "request"
    if not trusted.roster.may(by.person, ability, request["action"]):
        raise _no(f"{by.person} may not {ability} {request['action']}")
    ours = plan.plan(request["action"], request["params"], binding["facts"], trusted.policy.doc)
    if plan.digest(ours) != binding["plan"]:
        raise _no("the plan that was signed is not the one that these parameters lead to")
    approved, denied, counters = _decisions(made, rule, trusted, seen.times, patience)
    return msgspec.structs.replace(
        made,
        effect=plan.effect(ours, trusted.policy.doc),
        approved_by=approved,
        denied_by=denied,
        people=rule.people,
        counters=((by.fingerprint, by.counter), *counters),
        confirm_s=int(ours["confirm_s"]),
    )


def _right_host(made: Judged, seen: Seen) -> None:
    """It names the host that shows it, this boot of it, and the key that SSH verified there."""
    binding = made.binding
    if not seen.guard_id:
        raise _no("no guard is pinned for this host: set its guard_id")
    if binding["host_id"] != seen.guard_id:
        raise _no("it is about another host than the one that shows it")
    bind = canonical.sha256(made.envelope.binding.encode())
    if {"bind": bind, "host_id": seen.guard_id} not in made.request["targets"]:
        raise _no("its binding is not the one that was signed")
    if not seen.host_key or binding["host_key"] != seen.host_key:
        raise _no("it was made for another host key than SSH verifies there")
    if seen.boot_id and binding["boot_id"] != seen.boot_id:
        raise _no("it was made before the host was started anew")


@functools.lru_cache(maxsize=2048)
def _cached(
    text: str, signature: str, kind: str, roster: Any, policy: Any, uv: bool, now: int, ticket: Any
) -> Any:
    """Who signed, or why it is refused: both are remembered."""
    if ticket.patience.left <= 0:
        raise _Impatient
    try:
        return verify(text.encode(), signature, kind, roster, policy, uv=uv, now=now)
    except (Refused, UnicodeEncodeError) as error:
        ticket.patience.left -= 1
        words = error.words if isinstance(error, Refused) else "it is no Unicode text"
        return Refused("signature", words)


class _Impatient(Exception):
    """Too many false signatures at this look: nothing is remembered of this one."""


class _Ticket:
    """Whose patience a verification costs; all of them are alike where results are remembered."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ticket)

    def __hash__(self) -> int:
        return 0


def _signer(
    text: str, signature: str, kind: str, trusted: Trusted, uv: bool, times: tuple[int, int],
    patience: Patience,
) -> Any:  # fmt: skip
    """Who signed. A verification costs milliseconds and a process: the same one is remembered for
    a minute, as a key may run out. Raises Refused."""
    by: Any = None
    for now in dict.fromkeys(at // 60 * 60 for at in times):
        try:
            by = _cached(
                text, signature, kind, trusted.roster, trusted.policy, uv, now, _Ticket(patience)
            )
        except _Impatient:
            raise _no(
                "this host shows many false signatures; it is looked into bit by bit"
            ) from None
        if isinstance(by, Refused):
            raise Refused(by.rule, by.words)
    return by


def _decisions(
    made: Judged, rule: Rule, trusted: Trusted, times: tuple[int, int], patience: Patience
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, int], ...]]:
    """Who has approved and denied, by signatures that hold; others are not counted."""
    approved: list[str] = []
    denied: list[str] = []
    counters: list[tuple[str, int]] = []
    action, requester = made.request["action"], made.request["requester"]
    for item in made.envelope.decisions:
        try:
            told = documents.approval(item.decision.encode())
            by = _signer(
                item.decision, item.signature, "approval", trusted, rule.require_uv, times, patience
            )
        except (Refused, UnicodeEncodeError):
            continue
        good = told["request_sha256"] == made.id and told["by"] == by.person != requester
        if good and trusted.roster.may(by.person, "approve", action):
            (approved if told["verdict"] == "approve" else denied).append(by.person)
            counters.append((by.fingerprint, by.counter))
    return tuple(dict.fromkeys(approved)), tuple(dict.fromkeys(denied)), tuple(counters)


def request_view(made: Judged, seen: Seen, trusted: Trusted) -> RequestView:
    """The same for a face, with whether the operator of this console may approve it now."""
    request, told = made.request, made.envelope
    trusted = rules_for(trusted, request["action"], made.binding["policy"]) or trusted
    mine = request["requester"] == seen.person
    why = _why_not(made, seen, trusted)
    state = clean(told.state, 20)
    return RequestView(
        id=made.id,
        words=" ".join(words(made.id)),
        host=seen.host,
        hosts=tuple(seen.names(target["host_id"]) for target in request["targets"]),
        action=request["action"],
        about=plan.about(request["action"]),
        mode=request["mode"],
        parameters=plan.shown(request["action"], request["params"]),
        effect=made.effect,
        host_says=plan.host_says(told.preview),
        requester=request["requester"],
        approved_by=made.approved_by,
        denied_by=made.denied_by,
        may_be_approved_by=tuple(
            trusted.roster.approvers(request["action"], without=request["requester"])
        ),
        people_needed=made.people,
        state=state,
        asked_at=float(request["not_before"]),
        confirm_s=made.confirm_s,
        received_at=told.received,
        expires_at=float(request["expires"]),
        skew_s=seen.skew_s,
        workstation=clean(request["context"]["workstation"], 128),
        same_console=told.same_console,
        verified=not made.wrong,
        why_not_verified=made.wrong,
        mine=mine,
        may_approve=not why,
        may_start=mine and state == "APPROVED" and not made.wrong and not seen.refusal,
        why_not=why,
        reason=request["reason"],
    )


def _why_not(made: Judged, seen: Seen, trusted: Trusted) -> str:
    """Why the operator of this console may not approve it here and now."""
    request = made.request
    waits = made.envelope.state == "PENDING" or (
        made.envelope.state == "APPLIED" and request["mode"] in (ONE_THEN_RATIFY, BREAK_GLASS)
    )
    if made.wrong:
        return made.wrong
    if seen.refusal:
        return seen.refusal
    if not seen.live:
        return "the host is not LIVE, so this may no longer be what it has"
    if abs(seen.skew_s) > MAX_SKEW_S:
        apart = f"{span(abs(seen.skew_s))} {'ahead of' if seen.skew_s > 0 else 'behind'}"
        return f"the host's clock is {apart} this machine's: what is old may look new; set it right"
    if not waits:
        return f"it is {clean(made.envelope.state, 20)}"
    if request["requester"] == seen.person:
        return "you have made it: another person decides"
    if seen.person in made.approved_by:
        return "you have approved it already"
    if not trusted.roster.may(seen.person, "approve", request["action"]):
        return f"{seen.person} may not approve {request['action']}"
    if made.envelope.state == "PENDING" and seen.now >= request["expires"]:
        return "it has expired"
    return ""
