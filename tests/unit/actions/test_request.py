"""Requests made from the challenges of hosts, and what is refused on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from console.actions import decide, request
from console.actions.send import Parcel, send_all
from console.errors import ActionError
from console.hostside.guard.trust import documents
from console.model.guard import BREAK_GLASS, ONE_THEN_RATIFY, TWO_BEFORE, Preview
from console.model.host import Host, HostState
from tests.support.actionhosts import ISOLATE, Fleet, no_answer, other_trusted
from tests.support.guardkit import key_of

REASON = "beaconing, INC-4711"


async def preview(fleet: Fleet, *names: str, **changes: Any) -> Preview:
    views = [fleet.view(name) for name in names or ("gpu01",)]
    return await request.preview(fleet.around(**changes), views, "isolate", ISOLATE)


async def submit(fleet: Fleet, made: Preview, mode: str = TWO_BEFORE) -> list[Any]:
    around = fleet.around()
    draft = request.draft(around, made, REASON, mode)
    uv = request.may_request(around, "isolate", mode, made.not_before)
    signature = await decide.sign_bytes(
        around, draft.data, "request", uv=uv, now=made.not_before, ask=no_answer
    )
    parcels = [
        Parcel(
            host=fleet.view(target.host).spec, op="submit", id=draft.id, document=draft.data,
            signature=signature,
            fields={"request": draft.data.decode(), "signature": signature,
                    "binding": target.binding},
        )
        for target in made.usable
    ]  # fmt: skip
    return await send_all(around, parcels, lambda host, token: None)


async def test_one_request_for_two_hosts_is_bound_to_each_and_taken_by_both(fleet: Fleet) -> None:
    made = await preview(fleet, "gpu01", "gpu02")
    assert [target.trouble for target in made.targets] == ["", ""]
    draft = request.draft(fleet.around(), made, REASON, TWO_BEFORE)
    told = documents.request(draft.data)
    assert len(told["targets"]) == 2
    assert told["targets"][0]["bind"] != told["targets"][1]["bind"]
    assert told["context"] == {"workstation": "desk"}
    assert draft == request.draft(fleet.around(), made, REASON, TWO_BEFORE)  # what is shown is sent
    outcomes = await submit(fleet, made)
    assert [(each.ok, each.state) for each in outcomes] == [(True, "PENDING")] * 2
    assert {each.id for each in outcomes} == {draft.id}


async def test_an_approval_is_worth_nothing_on_another_host(fleet: Fleet) -> None:
    """Threats: 93."""
    made = await preview(fleet, "gpu01")
    await submit(fleet, made)
    name, told = fleet.sent[-1]
    assert (name, told["op"]) == ("gpu01", "submit")
    refused = fleet.hosts["gpu02"].call("submit", **{k: v for k, v in told.items() if k != "op"})
    assert refused["rule"] == "other-host"


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        ({"host_id": "f" * 32}, "another guard answers"),
        ({"host_keys": ["SHA256:" + "A" * 43]}, "not the one that SSH verified"),
        ({"guard": "cd" * 32}, "a build that this console does not know"),
        ({"effector": "real"}, "of another kind than its file"),
        ({"policy": "0" * 128}, "not this console's"),
        ({"now": "soon"}, "no time or no facts"),
        ({"facts": []}, "no time or no facts"),
        ({"nonce": "x y"}, "nonce"),
        ({"boot_id": "later"}, "boot_id"),
    ],
)
async def test_a_challenge_that_does_not_fit_makes_no_target(
    fleet: Fleet, tamper: dict[str, Any], said: str
) -> None:
    fleet.tamper = tamper
    made = await preview(fleet)
    assert said in made.targets[0].trouble
    with pytest.raises(ActionError, match="no host can be a target"):
        request.draft(fleet.around(), made, REASON, TWO_BEFORE)


async def test_a_simulated_guard_is_refused_by_a_console_that_watches_real_hosts(
    fleet: Fleet,
) -> None:
    made = await preview(fleet, builds={"ab" * 31 + "ac": "real"})
    assert "does not know" in made.targets[0].trouble


async def test_another_roster_than_the_signed_one_makes_no_target(fleet: Fleet) -> None:
    """Threats: 81."""
    made = await preview(fleet, trusted=other_trusted(quorum=3))
    assert "not this console's" in made.targets[0].trouble


async def test_a_host_without_a_pinned_guard_or_with_another_host_key_is_not_asked(
    fleet: Fleet,
) -> None:
    """Threats: 4."""
    bare = fleet.view("gpu01", spec=Host(name="gpu01", address="x"))
    new = fleet.view("gpu02", state=HostState.NEW_KEY)
    made = await request.preview(fleet.around(), [bare, new], "isolate", ISOLATE)
    assert "no guard is pinned" in made.targets[0].trouble
    assert "another host key" in made.targets[1].trouble
    assert fleet.sent == []


async def test_times_are_the_host_s_and_the_difference_is_shown(fleet: Fleet) -> None:
    """A console that is ten minutes fast asks by the host's clock. Threats: 55."""
    fleet.clock.ahead = 600.0
    made = await preview(fleet)
    told = json.loads(request.draft(fleet.around(), made, REASON, TWO_BEFORE).data)
    assert told["not_before"] == fleet.hosts["gpu01"].clock.now()
    assert made.targets[0].skew_s == -600.0
    assert [each.ok for each in await submit(fleet, made)] == [True]


async def test_a_host_whose_clock_is_far_from_the_others_is_left_out(fleet: Fleet) -> None:
    """Threats: 55."""
    fleet.hosts["gpu02"].clock.go(-90)
    made = await preview(fleet, "gpu01", "gpu02")
    apart = [target for target in made.targets if "its clock is" in target.trouble]
    assert len(apart) == 1
    assert len(made.usable) == 1


async def test_the_policy_bounds_targets_modes_and_reasons(fleet: Fleet) -> None:
    around = fleet.around()
    many = [fleet.view("gpu01", spec=Host(name=f"h{n}", address="x")) for n in range(17)]
    with pytest.raises(ActionError, match="17 hosts"):
        await request.preview(around, many, "isolate", ISOLATE)
    made = await preview(fleet)
    assert made.modes == (TWO_BEFORE, ONE_THEN_RATIFY, BREAK_GLASS)
    with pytest.raises(ActionError, match="a reason is needed"):
        request.draft(around, made, "  ", TWO_BEFORE)
    with pytest.raises(ActionError, match="40 characters"):
        request.draft(around, made, REASON, BREAK_GLASS)
    with pytest.raises(ActionError, match="cannot be written"):
        request.draft(around, made, "\x1b]52;c;x\x07 hidden", TWO_BEFORE)
    with pytest.raises(ActionError, match="every address"):
        await request.preview(around, [fleet.view("gpu01")], "isolate", {"mgmt": ["0.0.0.0/0"]})


async def test_who_has_no_role_or_no_fitting_key_is_not_asked_for_a_touch(fleet: Fleet) -> None:
    with pytest.raises(ActionError, match="dave may not request release"):
        request.may_request(fleet.around("dave"), "release", TWO_BEFORE, 0)
    with pytest.raises(ActionError, match="is that of bob"):
        request.may_request(
            fleet.around("alice", signing=fleet.around("bob").signing), "isolate", TWO_BEFORE, 0
        )
    stranger = fleet.around("alice", signing=fleet.around("mallory").signing)
    with pytest.raises(ActionError, match="not in this host's roster"):
        request.may_request(stranger, "isolate", TWO_BEFORE, 0)


async def test_a_signature_without_a_pin_is_not_sent(fleet: Fleet) -> None:
    """Threats: 19."""

    class Touched:
        blob = key_of("alice").blob

        async def sign(self, namespace: str, data: bytes, ask: Any) -> str:
            return key_of("alice").sign(data, namespace, flags=1)

    around = fleet.around("alice", signing=Touched())
    made = await preview(fleet)
    draft = request.draft(around, made, REASON, TWO_BEFORE)
    with pytest.raises(ActionError, match="not sent: the signature was made without a PIN"):
        await decide.sign_bytes(
            around, draft.data, "request", uv=True, now=made.not_before, ask=no_answer
        )
