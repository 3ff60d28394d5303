"""A request over many hosts: previewed, drafted as bytes, signed once."""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from console.actions import plan
from console.actions.around import Around
from console.actions.challenge import challenge
from console.actions.forms import typed
from console.errors import ActionError
from console.hostside.guard.actions import action as action_of
from console.hostside.guard.refused import Refused
from console.hostside.guard.say import UNKNOWN
from console.hostside.guard.trust import canonical, documents
from console.hostside.guard.trust.words import words
from console.model.guard import BREAK_GLASS, Draft, Preview, TargetPreview
from console.model.view import HostView
from console.trust import verify
from console.trust.sign import fingerprint

APART_S = 60
"""Seconds that the clocks of two targets may differ: one request has one time for all."""
AT_ONCE = 16


async def preview(
    around: Around, views: Sequence[HostView], action: str, params: Mapping[str, Any]
) -> Preview:
    """Challenge every host and work out what would happen. Raises ActionError.

    Where a process is to be ended whose program nobody has named, the host is asked for it first,
    and what it answers is named: the sensor cannot see the programs of other accounts.
    """
    if action != "kill-process" or params.get("exe"):
        return await _preview(around, views, action, params)
    made = await _preview(around, views, action, {**params, "exe": UNKNOWN})
    exe = _program(made)
    return await _preview(around, views, action, {**params, "exe": exe}) if exe else made


def _program(made: Preview) -> str:
    """The program of a process by its host's word; empty where not exactly one host has it."""
    found = [json.loads(target.binding)["facts"].get("exe") for target in made.usable]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else ""


async def _preview(
    around: Around, views: Sequence[HostView], action: str, params: Mapping[str, Any]
) -> Preview:
    policy = around.trusted.policy
    try:
        act = action_of(action)
        values = typed(action, params, policy.doc)
        act.check(values)
        rule = policy.rule(act)
        text = canonical.write(values).decode()
    except Refused as refused:
        raise ActionError(refused.words, hint=refused.hint, rule=refused.rule) from None
    names = [view.name for view in views]
    if not names or len(set(names)) != len(names):
        raise ActionError("no host, or one host twice, is named", rule="targets")
    if len(names) > policy.doc["max_targets"]:
        raise ActionError(
            f"{len(names)} hosts, and the policy allows {policy.doc['max_targets']} in one request",
            hint="Ask for fewer at a time.",
            rule="max-targets",
        )
    places = asyncio.Semaphore(AT_ONCE)

    async def one(view: HostView) -> TargetPreview:
        async with places:
            return await challenge(around, view, action, values)

    targets = _same_time([*await asyncio.gather(*map(one, views))])
    begin = min((target.now for target in targets if not target.trouble), default=0)
    return Preview(
        action=action,
        about=plan.about(action),
        params=text,
        shown=plan.shown(action, values),
        targets=tuple(targets),
        requester=around.person,
        workstation=around.workstation,
        modes=rule.modes,
        not_before=begin,
        expires=begin + policy.doc["request_ttl_s"] if begin else 0,
    )


def _same_time(targets: list[TargetPreview]) -> list[TargetPreview]:
    """Leave out hosts whose clock is far from that of the others: the middle one counts."""
    clocks = sorted(target.now for target in targets if not target.trouble)
    if not clocks:
        return targets
    middle = clocks[len(clocks) // 2]
    return [
        target
        if target.trouble or abs(target.now - middle) <= APART_S
        else msgspec.structs.replace(
            target,
            trouble=f"its clock is {target.now - middle:+d} s from that of the other hosts",
            hint="Ask for this host alone, or set its clock right.",
        )
        for target in targets
    ]


def draft(around: Around, made: Preview, reason: str, mode: str) -> Draft:
    """The bytes of the request; the same for the same arguments. Raises ActionError."""
    if mode not in made.modes:
        raise ActionError(
            f"the policy does not allow {mode} for {made.action}",
            hint=f"It allows {', '.join(made.modes)}.",
            rule="mode",
        )
    usable = made.usable
    if not usable:
        raise ActionError(
            "no host can be a target",
            hint=made.targets[0].trouble if made.targets else "",
            rule="targets",
        )
    reason = reason.strip()
    if not reason:
        raise ActionError("a reason is needed: the second person reads it", rule="reason")
    if mode == BREAK_GLASS and len(reason) < 40:
        raise ActionError("a break-glass needs a reason of 40 characters or more", rule="reason")
    targets = [
        {"bind": canonical.sha256(target.binding.encode()), "host_id": target.host_id}
        for target in usable
    ]
    request = {
        "kind": "request",
        "v": 1,
        "action": made.action,
        "context": {"workstation": made.workstation},
        "expires": made.expires,
        "mode": mode,
        "not_before": made.not_before,
        "params": json.loads(made.params),
        "reason": reason,
        "requester": made.requester,
        "requester_key": fingerprint(around.signing.blob),
        "targets": sorted(targets, key=lambda target: target["host_id"]),
    }
    try:
        data = canonical.write(request)
        documents.request(data)
    except Refused as refused:
        raise ActionError(
            f"the request cannot be written: {refused.words}", hint=refused.hint, rule=refused.rule
        ) from None
    rid = canonical.sha256(data)
    return Draft(
        id=rid, words=" ".join(words(rid)), data=data, hosts=tuple(item.host for item in usable)
    )


def may_request(around: Around, action: str, mode: str, now: int) -> bool:
    """Whether the operator may ask for it in that mode; returns whether user verification is
    needed. Raises ActionError before anybody is asked for a touch."""
    trusted = around.trusted
    ability = "break" if mode == BREAK_GLASS else "request"
    if not trusted.roster.may(around.person, ability, action):
        raise ActionError(
            f"{around.person} may not {ability} {action}",
            hint="The roster says who may: watchfloor roster show.",
            rule="role",
        )
    try:
        uv = trusted.policy.rule(action_of(action)).require_uv or mode == BREAK_GLASS
    except Refused as refused:
        raise ActionError(refused.words, hint=refused.hint, rule=refused.rule) from None
    verify.fits(
        around.signing.blob, trusted.roster, trusted.policy, person=around.person, uv=uv, now=now
    )
    return uv


def host_now(around: Around, skew_s: float) -> int:
    """A host's clock, by ours and what is known of the difference."""
    return math.floor(around.clock.wall() + skew_s)
