"""Documents about a request of somebody: approval, withdrawal, start, review."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from console.actions.around import Around
from console.actions.send import Parcel
from console.errors import ActionError
from console.hostside.guard.actions import action as action_of
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, documents
from console.model.guard import Ask, RequestView
from console.model.host import Host
from console.trust import verify

_OPS = {"approval": "decide", "cancel": "cancel", "start": "start", "review": "review"}
_FIELD = {"approval": "decision", "cancel": "cancel", "start": "start", "review": "review"}


def unseen(views: Sequence[RequestView]) -> tuple[str, ...]:
    """Targets of the request that none of these views shows, verified.

    A signature under a request counts on every one of its targets, wherever it was looked at. Where
    it was carried out or has ended already, it counts no more.
    """
    good = [view for view in views if view.verified]
    shown = {view.host for view in good} | {name for view in good for name in view.settled}
    return tuple(dict.fromkeys(name for view in good for name in view.hosts if name not in shown))


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One host where the request waits, as it is seen there."""

    spec: Host
    view: RequestView
    now: int  # the host's clock


def approval(
    around: Around, targets: Sequence[Target], approve: bool, comment: str,
    not_seen: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """The verdict over all these hosts. Raises ActionError where one of them must not be decided.

    Whatever a face has shown, what is not verified here and now is not signed. ``not_seen`` are
    the targets that are not seen here, beyond those which the person has accepted as that.
    """
    if approve and not_seen:
        raise ActionError(
            f"is not signed: it would also count on {', '.join(not_seen)}, which is not seen here",
            where=targets[0].view.id[:12],
            hint="Wait until each shows it, or accept that: --also-unseen, or the second line.",
            rule="unseen",
        )
    for target in targets:
        view = target.view
        if view.why_not_verified or not view.verified:
            raise _refused(view, view.why_not_verified or "it is not verified")
        if not view.may_approve:
            raise _refused(view, view.why_not or "it may not be approved here")
    now = min(target.now for target in targets)
    ends = now + int(around.trusted.policy.doc["approval_ttl_s"])
    ratified = any(target.view.state != "PENDING" for target in targets)
    expires = ends if ratified else min(ends, int(targets[0].view.expires_at))
    return {
        **_about("approval", around, targets[0].view.id),
        "comment": comment.strip(),
        "expires": expires,
        "verdict": "approve" if approve else "deny",
    }


def until(around: Around, views: Sequence[RequestView]) -> int:
    """Until when an approval made now may hold on all these hosts, by their clocks."""
    now = min(int(around.clock.wall() + view.skew_s) for view in views)
    ends = now + int(around.trusted.policy.doc["approval_ttl_s"])
    return min(ends, *(int(view.expires_at) for view in views if view.state == "PENDING"), ends)


def cancel(around: Around, request: str, comment: str) -> dict[str, Any]:
    """A withdrawal."""
    return {**_about("cancel", around, request), "comment": comment.strip()}


def start(around: Around, targets: Sequence[Target]) -> dict[str, Any]:
    """The start of what was approved. Raises ActionError."""
    for target in targets:
        if not target.view.may_start:
            raise _refused(target.view, "it is not yours to start, or not approved yet")
    now = min(target.now for target in targets)
    ends = now + int(around.trusted.policy.doc["approval_ttl_s"])
    return {**_about("start", around, targets[0].view.id), "expires": ends}


def review(around: Around, request: str, comment: str) -> dict[str, Any]:
    """That a break-glass of somebody else was looked at."""
    if not comment.strip():
        raise ActionError("a review needs a comment: what was looked at", rule="comment")
    return {**_about("review", around, request), "comment": comment.strip()}


def _about(kind: str, around: Around, request: str) -> dict[str, Any]:
    return {"kind": kind, "v": 1, "by": around.person, "request_sha256": request}


def fetch(around: Around, request: str, now: int) -> dict[str, Any]:
    """That one takes the evidence of a request away; ``now`` is the host's clock."""
    ends = now + int(around.trusted.policy.doc["approval_ttl_s"])
    return {**_about("fetch", around, request), "expires": ends}


def _refused(view: RequestView, why: str) -> ActionError:
    return ActionError(f"is not signed: {why}", where=f"{view.id[:12]} on {view.host}", rule="view")


def user_verification(around: Around, action: str, kind: str) -> bool:
    """Whether the signature must prove a PIN or finger. A withdrawal undoes nothing."""
    if kind in ("cancel", "review"):
        return kind == "review"
    try:
        return around.trusted.policy.rule(action_of(action)).require_uv
    except Refused as refused:
        raise ActionError(refused.words, hint=refused.hint, rule=refused.rule) from None


async def signed(
    around: Around, document: Mapping[str, Any], *, uv: bool, now: int, ask: Ask
) -> tuple[bytes, str]:
    """The canonical bytes and a signature that was checked. Raises ActionError."""
    kind = str(document["kind"])
    try:
        data = canonical.write(dict(document))
        getattr(documents, kind)(data)
    except Refused as refused:
        raise ActionError(
            f"the {kind} cannot be written: {refused.words}", hint=refused.hint, rule=refused.rule
        ) from None
    return data, await sign_bytes(around, data, kind, uv=uv, now=now, ask=ask)


async def sign_bytes(
    around: Around, data: bytes, kind: str, *, uv: bool, now: int, ask: Ask
) -> str:
    """A signature over exactly these bytes, by the operator's key, checked with its flags."""
    trusted = around.trusted
    blob = around.signing.blob
    verify.fits(blob, trusted.roster, trusted.policy, person=around.person, uv=uv, now=now)
    signature = await around.signing.sign(documents.NAMESPACES[kind], data, ask)
    verify.own(
        data, signature, kind, trusted.roster, trusted.policy,
        person=around.person, blob=blob, uv=uv, now=now,
    )  # fmt: skip
    return signature


def signed_elsewhere(around: Around, data: bytes, signature: str, kind: str) -> dict[str, Any]:
    """A decision that was signed elsewhere, with its signature verified. Raises ActionError."""
    trusted = around.trusted
    now = int(around.clock.wall())
    try:
        document: dict[str, Any] = getattr(documents, kind)(data)
        by = verify.verify(data, signature, kind, trusted.roster, trusted.policy, uv=False, now=now)
        if by.person != document["by"]:
            raise Refused("other-person", f"{by.person} has signed it, and it says another name")
    except Refused as refused:
        raise ActionError(
            f"the decision is not sent: {refused.words}", hint=refused.hint, rule=refused.rule
        ) from None
    return document


def parcels(
    document: bytes, signature: str, kind: str, request: str, hosts: Sequence[Host]
) -> list[Parcel]:
    """The same signed document for each of these hosts."""
    fields = {_FIELD[kind]: document.decode(), "signature": signature}
    return [
        Parcel(
            host=host, op=_OPS[kind], id=request, document=document, signature=signature,
            fields=fields,
        )
        for host in hosts
    ]  # fmt: skip
