"""Hosts brought up to a newer roster, and one signature that waits for the second."""

from __future__ import annotations

import base64
import json
from typing import Any

from console.actions import decide, request
from console.actions.pending import judge, request_view
from console.actions.send import Parcel, send
from console.hostside.guard.trust import canonical
from console.model.guard import ONE_THEN_RATIFY, TWO_BEFORE, Preview
from console.trust.kept import Kept
from tests.support.actionhosts import ISOLATE, Fleet, no_answer
from tests.support.guardkit import key_of, roster, roster_doc


def newer(fleet: Fleet) -> tuple[Kept, dict[str, Any]]:
    """The chain of a console that has taken roster 2, and that roster as a payload."""
    old = fleet.kept.roster
    data = canonical.write(roster_doc(serial=2, prev=old.sha256, quorum=2))
    new = roster(serial=2, prev=old.sha256, quorum=2)
    assert new.data == data
    policy = fleet.kept.policy
    chain = Kept(new, policy, {old.sha256: old, new.sha256: new}, {policy.sha256: policy})
    signatures = [key_of(name).sign(data, "roster-v1@watchfloor") for name in ("alice", "bob")]
    return chain, {"data": base64.b64encode(data).decode(), "signatures": signatures}


async def asked(fleet: Fleet, made: Preview, mode: str, chain: Kept, payload: object = None) -> Any:
    around = fleet.around("alice", trusted=chain)
    draft = request.draft(around, made, "as decided in the meeting", mode)
    signature = await decide.sign_bytes(
        around, draft.data, "request", uv=True, now=made.not_before, ask=no_answer
    )
    (target,) = made.usable
    fields: dict[str, Any] = {"request": draft.data.decode(), "signature": signature,
                              "binding": target.binding}  # fmt: skip
    if payload is not None:
        fields["payload"] = payload
    parcel = Parcel(
        host=fleet.view("gpu01").spec, op="submit", id=draft.id, document=draft.data,
        signature=signature, fields=fields,
    )  # fmt: skip
    return await send(around, parcel, lambda host, token: None)


async def decided(fleet: Fleet, chain: Kept) -> Any:
    seen = fleet.seen("gpu01")
    view = request_view(judge(fleet.envelope("gpu01"), seen, chain), seen, chain)
    assert view.verified, view.why_not_verified
    around = fleet.around("bob", trusted=chain)
    target = decide.Target(spec=fleet.view("gpu01").spec, view=view, now=seen.now)
    document = decide.approval(around, [target], True, "")
    data, signature = await decide.signed(around, document, uv=True, now=seen.now, ask=no_answer)
    (parcel,) = decide.parcels(data, signature, "approval", view.id, [target.spec])
    return await send(around, parcel, lambda host, token: None)


async def test_a_host_takes_a_newer_roster_by_the_rules_of_the_one_it_has(fleet: Fleet) -> None:
    """Anything else is refused until it has it. Threats: 17."""
    chain, payload = newer(fleet)
    around = fleet.around("alice", trusted=chain)
    views = [fleet.view("gpu01")]
    other = await request.preview(around, views, "isolate", ISOLATE)
    assert "not this console's" in other.targets[0].trouble
    made = await request.preview(around, views, "install-roster", {"sha256": chain.roster.sha256})
    assert made.targets[0].trouble == ""
    outcome = await asked(fleet, made, TWO_BEFORE, chain, payload)
    assert outcome.ok, outcome
    done = await decided(fleet, chain)
    assert (done.ok, done.state) == (True, "DONE"), done
    assert fleet.hosts["gpu01"].guard().roster.serial == 2
    now = await request.preview(around, views, "isolate", ISOLATE)
    assert now.targets[0].trouble == ""


async def test_one_signature_acts_and_the_second_keeps_it(fleet: Fleet) -> None:
    """Threats: 33."""
    made = await request.preview(fleet.around(), [fleet.view("gpu01")], "isolate", ISOLATE)
    outcome = await asked(fleet, made, ONE_THEN_RATIFY, fleet.kept)
    assert (outcome.state, outcome.confirm_until > 0) == ("APPLIED", True)
    assert json.loads(fleet.envelope("gpu01"))["state"] == "APPLIED"
    done = await decided(fleet, fleet.kept)
    assert done.ok, done
