"""Requests as hosts show them: what this console finds true before anybody may approve."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from console.actions import decide
from console.actions.pending import Judged, judge, request_view
from console.actions.standing import guard_view
from console.errors import ActionError
from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.words import words as words_of
from console.model.guard import GuardDocs, RequestView
from tests.support.actionhosts import Fleet, changed, no_answer, other_trusted, recanonical
from tests.support.guardkit import key_of


def judged(fleet: Fleet, data: bytes, name: str = "gpu01", **changes: Any) -> Judged:
    return judge(data, fleet.seen(name, **changes), fleet.kept)


def shown(fleet: Fleet, data: bytes, name: str = "gpu01", **changes: Any) -> RequestView:
    seen = fleet.seen(name, **changes)
    return request_view(judge(data, seen, fleet.kept), seen, fleet.kept)


def test_a_request_that_holds_may_be_approved_by_another_person(fleet: Fleet) -> None:
    """Parameters and effect come from here, the preview is labelled as the host's. Threats: 49."""
    fleet.hosts["gpu01"].submit("alice")
    view = shown(fleet, fleet.envelope("gpu01"))
    assert view.verified
    assert view.may_approve
    assert (view.requester, view.state, view.hosts) == ("alice", "PENDING", ("gpu01",))
    assert view.may_be_approved_by == ("bob", "carol")
    assert view.effect
    assert view.host_says
    assert all(label in ("effect", "is cut off", "cannot be closed", "remains")
               for label, _ in view.host_says)  # fmt: skip
    assert len(view.words.split()) == 6


def test_the_requester_and_whoever_has_no_role_may_not_approve(fleet: Fleet) -> None:
    """Threats: 7, 8."""
    fleet.hosts["gpu01"].submit("alice")
    data = fleet.envelope("gpu01")
    own = shown(fleet, data, person="alice")
    assert own.mine
    assert not own.may_approve
    assert "another person" in own.why_not
    assert "may not approve" in shown(fleet, data, person="dave").why_not


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"host_key": "SHA256:" + "B" * 43}, "another host key"),
        ({"guard_id": "e" * 32}, "another host than the one that shows it"),
        ({"guard_id": ""}, "no guard is pinned"),
        ({"boot_id": "99999999-2222-3333-4444-555555555555"}, "started anew"),
        ({"builds": {"cd" * 32: "real"}}, "does not know"),
    ],
)
def test_a_request_that_does_not_fit_the_host_is_not_verified(
    fleet: Fleet, changes: dict[str, Any], said: str
) -> None:
    """Host key, pinned id, boot and build of the guard. Threats: 47, 53, 58."""
    fleet.hosts["gpu01"].submit("alice")
    view = shown(fleet, fleet.envelope("gpu01"), **changes)
    assert not view.verified
    assert not view.may_approve
    assert said in view.why_not_verified
    assert view.effect == ()


def test_a_request_about_another_host_is_not_taken_from_this_one(fleet: Fleet) -> None:
    """Threats: 50."""
    fleet.hosts["gpu02"].submit("alice")
    view = shown(fleet, fleet.envelope("gpu02"), "gpu01")
    assert "another host than the one that shows it" in view.why_not_verified


def test_a_request_that_the_requester_did_not_sign_is_not_verified(fleet: Fleet) -> None:
    """A host shows other parameters under a real signature, or one by a stranger. Threats: 47."""
    fleet.hosts["gpu01"].submit("alice")
    data = fleet.envelope("gpu01")
    request = json.loads(data)["request"]
    other = recanonical(request, reason="harmless")
    assert "not genuine" in shown(fleet, changed(data, request=other)).why_not_verified
    forged = key_of("mallory").sign(request.encode(), "request-v1@watchfloor")
    view = shown(fleet, changed(data, signature=forged))
    assert "not in this host's roster" in view.why_not_verified
    named = key_of("bob").sign(request.encode(), "request-v1@watchfloor")
    assert "somebody else" in shown(fleet, changed(data, signature=named)).why_not_verified


def test_the_console_s_own_roster_judges_and_not_the_host_s(fleet: Fleet) -> None:
    """Threats: 47, 81."""
    fleet.hosts["gpu01"].submit("alice")
    seen = fleet.seen("gpu01")
    found = judge(fleet.envelope("gpu01"), seen, other_trusted(quorum=3))
    assert "another roster or policy" in found.wrong


def test_a_binding_that_was_not_signed_is_not_verified(fleet: Fleet) -> None:
    """Threats: 36, 48."""
    fleet.hosts["gpu01"].submit("alice")
    data = fleet.envelope("gpu01")
    binding = json.loads(data)["binding"]
    other = changed(data, binding=recanonical(binding, plan="0" * 64))
    assert "not the one that was signed" in shown(fleet, other).why_not_verified


def test_a_plan_that_these_parameters_do_not_lead_to_is_not_verified(fleet: Fleet) -> None:
    """Signed by a real person, but over another plan. Threats: 48, 53."""
    host = fleet.hosts["gpu01"]
    given = host.request("alice")
    from console.hostside.guard.trust import canonical

    binding = recanonical(given["binding"], plan="1" * 64)
    doc = json.loads(given["request"])
    doc["targets"][0]["bind"] = canonical.sha256(binding.encode())
    text = canonical.write(doc)
    envelope = {
        "request": text.decode(),
        "signature": key_of("alice").sign(text, "request-v1@watchfloor"),
        "binding": binding,
        "decisions": [],
        "received": 0,
        "state": "PENDING",
        "preview": {},
        "same_console": False,
    }
    view = shown(fleet, json.dumps(envelope).encode())
    assert "the plan that was signed is not the one" in view.why_not_verified


def test_hostile_text_in_a_preview_is_cleaned_and_bounded(fleet: Fleet) -> None:
    """Threats: 45, 48."""
    fleet.hosts["gpu01"].submit("alice")
    hostile = {"effect": ["\x1b]52;c;x\x07[red]0 connections\u202e"] * 500, "other": ["x"]}
    view = shown(fleet, changed(fleet.envelope("gpu01"), preview=hostile))
    assert view.verified
    assert len(view.host_says) <= 65
    assert not any("\x1b" in line or "\u202e" in line for _, line in view.host_says)
    assert "[red]" in view.host_says[0][1]  # literal: nothing here is markup


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"\xff\xfe", b'{"request":1}', b"[" * 5000,
     b'{"request":"{}","signature":"","binding":"{}"}'],
)  # fmt: skip
def test_what_is_no_envelope_is_an_error_and_never_a_crash(fleet: Fleet, data: bytes) -> None:
    """Threats: 38, 40."""
    with pytest.raises(ActionError):
        judged(fleet, data)
    docs = GuardDocs(boot_id="b", docs=(("request", "0" * 64, data), ("state", "1" * 64, data)))
    view, found = guard_view(docs, fleet.view("gpu01"), 0.0, "", fleet.eyes())
    assert found == ()
    assert view.trouble


def test_decisions_count_only_by_their_own_signatures(fleet: Fleet) -> None:
    """A denial that the host shows as an approval breaks its signature. Threats: 10, 37."""
    host = fleet.hosts["gpu01"]
    rid = host.submit("alice")["id"]
    data = fleet.envelope("gpu01")
    deny = host.decision(rid, "bob", verdict="deny")
    flipped = {**deny, "decision": recanonical(deny["decision"], verdict="approve")}
    for decision, wanted in (
        (deny, ((), ("bob",))),
        (flipped, ((), ())),
        (host.decision(rid, "bob"), (("bob",), ())),
        (host.decision(rid, "alice"), ((), ())),
        (host.decision("0" * 64, "bob"), ((), ())),
        (host.decision(rid, "dave"), ((), ())),
    ):
        found = judged(fleet, changed(data, decisions=[decision]))
        assert (found.approved_by, found.denied_by) == wanted


def test_an_old_view_is_not_approved(fleet: Fleet) -> None:
    """A host that is not LIVE, a request that has expired, or one that is gone. Threats: 52, 54."""
    host = fleet.hosts["gpu01"]
    host.submit("alice")
    data = fleet.envelope("gpu01")
    assert "not LIVE" in shown(fleet, data, live=False).why_not
    late = shown(fleet, data, now=host.clock.now() + 3601)
    assert "expired" in late.why_not
    assert shown(fleet, data, refusal="this console is read-only").why_not.endswith("read-only")


def target(fleet: Fleet, **changes: Any) -> decide.Target:
    at = fleet.hosts["gpu01"]
    view = shown(fleet, fleet.envelope("gpu01"), **changes)
    return decide.Target(spec=fleet.view("gpu01").spec, view=view, now=at.clock.now())


async def test_an_approval_is_made_of_what_is_verified_now_and_the_host_has_the_last_word(
    fleet: Fleet,
) -> None:
    """The request is cancelled while the approver reads. Threats: 1, 52."""
    host = fleet.hosts["gpu01"]
    rid = host.submit("alice")["id"]
    around = fleet.around("bob")
    seen = target(fleet)
    document = decide.approval(around, [seen], True, "seen")
    assert document["expires"] <= seen.now + 900
    data, signature = await decide.signed(around, document, uv=True, now=seen.now, ask=no_answer)
    text, by = host.signed("cancel", "alice", {"by": "alice", "comment": "", "request_sha256": rid})
    assert host.call("cancel", cancel=text, signature=by)["ok"]
    (parcel,) = decide.parcels(data, signature, "approval", rid, [seen.spec])
    from console.actions.send import send

    outcome = await send(around, parcel, lambda host, token: None)
    assert (outcome.ok, outcome.rule) == (False, "no-request")


def test_what_may_not_be_approved_is_not_signed_whatever_a_face_does(fleet: Fleet) -> None:
    """Threats: 47, 91."""
    fleet.hosts["gpu01"].submit("alice")
    around = fleet.around("bob")
    doubted = target(fleet, host_key="SHA256:" + "B" * 43)
    with pytest.raises(ActionError, match="another host key"):
        decide.approval(around, [doubted], True, "")
    own = target(fleet, person="alice")
    with pytest.raises(ActionError, match="another person"):
        decide.approval(fleet.around("alice"), [own], True, "")
    forced = msgspec.structs.replace(doubted.view, may_approve=True)
    with pytest.raises(ActionError):
        decide.approval(around, [msgspec.structs.replace(doubted, view=forced)], True, "")


def test_what_a_lying_console_had_signed_is_seen_by_the_second_person(fleet: Fleet) -> None:
    """Alice's console showed one length and had another signed: bob sees the bytes that were
    signed, and the six words that she reads aloud are those of what she was shown. Threats: 90."""
    host = fleet.hosts["gpu01"]
    meant = host.request("alice", params={"confirm_s": 60, "mgmt": ["10.9.1.0/24"]})
    read_aloud = " ".join(words_of(canonical.sha256(meant["request"].encode())))
    host.submit("alice", params={"confirm_s": 600, "mgmt": ["10.9.1.0/24"]})
    view = shown(fleet, fleet.envelope("gpu01"))
    assert view.verified, "it is her signature, on other bytes than she saw"
    assert any("600 s" in value or "600 s" in label for label, value in view.parameters)
    assert view.words == " ".join(words_of(view.id)) != read_aloud
