"""Deadlines, ratification, break-glass, and the two-people modes of the machine."""

import pytest

from console.hostside.guard import call
from console.hostside.guard.audit import log as audit
from console.hostside.guard.caller import Caller
from tests.support.guardhost import Host, Killed
from tests.support.guardkit import policy_doc, roster_doc

REASON = "Model weights are leaving by the second uplink, nobody else answers the phone"
RULE = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 300}


def test_what_nobody_confirms_is_reverted(host: Host) -> None:
    """It comes back by itself, and a late confirm is told so. Threats: 67."""
    answer = host.applied()
    assert host.armed == [61]
    host.clock.go(61)
    late = host.confirm(answer)
    assert (late["rule"], host.done()) == ("already-reverted", [])
    assert "already reverted" in late["words"]
    assert host.state["closed"][-1]["state"] == "REVERTED"
    assert host.events(answer["id"])[-2:] == ["revert", "undone"]


def test_a_timer_that_was_killed_is_made_up_for(host: Host) -> None:
    """The next call of anybody reverts what is overdue. Threats: 64."""
    host.applied()
    host.clock.go(61)
    assert host.call("status")["state"]["active"] == []
    assert host.done() == []


def test_the_token_comes_over_a_new_connection(host: Host) -> None:
    here = Caller("wfops", "10.9.1.5", 40_001, "SHA256:a")
    rid = host.submit()["id"]
    answer = host.call("decide", here, **host.decision(rid))
    token = answer["confirm"]["token"]
    assert host.call("confirm", here, id=rid, token=token)["rule"] == "same-connection"
    nowhere = Caller()
    assert host.call("confirm", nowhere, id=rid, token=token)["rule"] == "same-connection"
    assert host.call("confirm", id=rid, token="00" * 24)["rule"] == "token"
    assert host.call("confirm", id=rid, token=token)["state"] == "STANDING"
    assert host.call("confirm", id=rid, token=token)["state"] == "STANDING"
    assert host.events(rid).count("confirm") == 1


def test_a_site_with_another_way_in_keeps_what_is_unconfirmed(host: Host) -> None:
    """An attacker who blocks the management path does not undo it. Threats: 69."""
    host.install("policy", policy_doc(unconfirmed="keep"))
    rid = host.submit()["id"]
    assert host.decide(rid)["state"] == "STANDING"
    host.clock.go(10_000)
    host.tick()
    assert host.done()


def test_one_person_begins_and_the_other_ratifies(host: Host) -> None:
    answer = host.submit(mode="one_then_ratify")
    assert answer["state"] == "APPLIED"
    assert host.done()
    assert [each["state"] for each in host.published("request")] == ["APPLIED"]
    assert host.confirm(answer)["state"] == "APPLIED"
    host.clock.go(200)
    ratified = host.decide(answer["id"], "bob")
    assert ratified["state"] == "STANDING", ratified
    assert host.published("request") == []
    host.clock.go(10_000)
    host.tick()
    assert host.done()


def test_one_person_alone_does_nothing_that_lasts(host: Host) -> None:
    """A stolen token with its PIN is one person: it reverts by itself. Threats: 33."""
    answer = host.submit("alice", mode="one_then_ratify")
    assert host.confirm(answer)["ok"]
    assert host.decide(answer["id"], "alice")["rule"] == "same-person"
    host.clock.go(301)
    host.tick()
    assert host.done() == []
    assert host.state["closed"][-1]["why"] == "no second person approved it in time"
    rid = host.submit("alice")["id"]
    assert host.decide(rid, "alice")["rule"] == "same-person"
    assert host.done() == []


def test_ratified_before_it_was_confirmed(host: Host) -> None:
    answer = host.submit(mode="one_then_ratify")
    assert host.decide(answer["id"])["state"] == "APPLIED"
    assert host.state["active"][0]["needs"] == ["confirm"]
    host.clock.go(61)
    host.tick()
    assert host.done() == []


def test_a_second_person_who_says_no_ends_it_at_once(host: Host) -> None:
    answer = host.submit(mode="one_then_ratify")
    assert host.decide(answer["id"], verdict="deny")["state"] == "REVERTED"
    assert host.done() == []
    assert host.state["closed"][-1]["why"] == "denied by bob"


def test_the_mode_is_the_policys_to_allow(host: Host) -> None:
    host.install("policy", policy_doc())
    assert host.submit(mode="one_then_ratify")["rule"] == "mode"
    assert host.done() == []


def test_more_people_than_two(host: Host) -> None:
    host.install("policy", policy_doc(actions={"isolate": {**RULE, "people": 3}}))
    rid = host.submit("alice")["id"]
    assert host.decide(rid, "bob")["state"] == "PENDING"
    assert host.done() == []
    assert host.decide(rid, "bob")["rule"] == "decided"
    assert host.decide(rid, "carol")["state"] == "APPLIED"


def test_an_approval_that_has_expired_no_longer_counts(host: Host) -> None:
    host.install("policy", policy_doc(actions={"isolate": {**RULE, "people": 3}}))
    rid = host.submit("alice", expires=host.clock.time + 3000)["id"]
    assert host.decide(rid, "bob")["state"] == "PENDING"
    host.clock.go(700)
    assert host.decide(rid, "carol")["state"] == "PENDING"
    assert host.done() == []


def test_break_glass_is_rare_loud_and_short(host: Host) -> None:
    """Containment, a reason, half an hour, once a day, and only after a review. Threats: 99."""
    assert host.submit(mode="break_glass", reason="quick")["rule"] == "breakglass-reason"
    assert host.submit("dave", mode="break_glass", reason=REASON)["rule"] == "role"
    answer = host.submit("alice", mode="break_glass", reason=REASON)
    assert answer["state"] == "APPLIED", answer
    rid = answer["id"]
    assert "breakglass" in host.events(rid)
    assert [each["person"] for each in host.state["breakglass"]] == ["alice"]
    assert host.confirm(answer)["state"] == "APPLIED"
    host.clock.go(1801)
    host.tick()
    assert host.done() == []
    host.clock.go(86_400)
    again = host.submit("alice", mode="break_glass", reason=REASON)
    assert again["rule"] == "breakglass-unreviewed"
    doc = {"by": "alice", "comment": "I was right", "request_sha256": rid}
    text, signature = host.signed("review", "alice", doc)
    assert host.call("review", review=text, signature=signature)["rule"] == "same-person"
    text, signature = host.signed("review", "dave", {**doc, "by": "dave"})
    assert host.call("review", review=text, signature=signature)["rule"] == "role"
    text, signature = host.signed("review", "bob", {**doc, "by": "bob"})
    assert host.call("review", review=text, signature=signature)["ok"]
    assert host.state["breakglass"] == []
    assert host.submit("alice", mode="break_glass", reason=REASON)["state"] == "APPLIED"
    host.clock.go(1801)
    rid = host.state["active"][0]["id"]
    text, signature = host.signed("review", "bob", {**doc, "by": "bob", "request_sha256": rid})
    assert host.call("review", review=text, signature=signature)["ok"]
    again = host.submit("alice", mode="break_glass", reason=REASON)
    assert again["rule"] == "breakglass-again"
    release = host.call("challenge", action="restore-firewall", params={})
    assert "break_glass" not in release.get("modes", [])


def test_break_glass_asks_for_a_pin(host: Host) -> None:
    doc = roster_doc()
    host.install("roster", doc)
    host.install("policy", policy_doc(require_uv=False))
    made = host.request(mode="break_glass", reason=REASON)
    from console.hostside.guard.trust.documents import NAMESPACES
    from tests.support.guardkit import key_of

    touched = key_of("alice").sign(made["request"].encode(), NAMESPACES["request"], flags=1)
    answer = host.call("submit", **{**made, "signature": touched})
    assert answer["rule"] == "user-verification"


def test_a_reboot_ends_what_waits_and_what_is_unconfirmed(host: Host) -> None:
    """What was confirmed is put back; what was not is gone; what waits is void. Threats: 58, 65."""
    stands = host.standing()
    host.simulate(once=[])
    params = {"source": "192.0.2.8", "confirm_s": 60, "expires_s": 3600}
    waits = host.submit("carol", action="block-source", params=params)["id"]
    unconfirmed = host.decide(host.submit("bob", action="block-source", params={
        "source": "192.0.2.7", "confirm_s": 60, "expires_s": 3600})["id"], "carol")  # fmt: skip
    assert unconfirmed["state"] == "APPLIED", unconfirmed
    host.clock.reboot()
    host.simulate(done={})  # the kernel has forgotten all tables
    host.tick()
    assert host.done() == ["nft"]
    assert [each["id"] for each in host.state["active"]] == [stands]
    assert host.state["active"][0]["holds"] is True
    assert host.decide(waits)["rule"] == "no-request"
    assert host.confirm(unconfirmed)["rule"] == "already-reverted"
    assert host.events(stands)[-2:] == ["isolation_lost", "reapplied"]


def test_a_request_of_before_the_reboot_cannot_be_handed_in(host: Host) -> None:
    """A snapshot with an unused nonce in it is another boot. Threats: 58, 59."""
    made = host.request()
    host.clock.reboot()
    assert host.call("submit", **made)["rule"] == "boot"


def test_a_firewall_restart_is_made_good(host: Host) -> None:
    """The table is put back by the same approval, and both is on record. Threats: 66."""
    rid = host.standing()
    host.simulate(done={})
    host.tick()
    assert host.done() == ["nft"]
    assert host.events(rid)[-2:] == ["isolation_lost", "reapplied"]
    host.simulate(done={}, fail=["nft"])
    host.tick()
    host.tick()
    assert host.state["isolation"] == "lost"
    assert host.state["active"][0]["holds"] is False
    assert host.events(rid)[-2:] == ["isolation_lost", "not_reapplied"]
    host.simulate(done={}, fail=[])
    host.tick()
    assert host.state["isolation"] == "standing"


def test_what_has_a_time_ends_by_it(host: Host) -> None:
    params = {"source": "192.0.2.7", "confirm_s": 60, "expires_s": 600}
    rid = host.standing(action="block-source", params=params)
    host.clock.go(500)
    host.tick()
    assert host.done()
    host.clock.reboot(2)
    host.armed.clear()
    assert call.locked(host.guard(), call.boot)["ok"]
    assert host.armed == [99]
    assert host.done()
    host.clock.go(99)
    host.tick()
    assert host.done() == []
    assert host.state["closed"][-1]["why"] == "its time is over"
    assert host.state["closed"][-1]["id"] == rid


def test_a_step_that_fails_leaves_nothing(host: Host) -> None:
    host.simulate(fail=["flows"])
    rid = host.submit()["id"]
    answer = host.decide(rid)
    assert answer["rule"] == "failed"
    assert "simulated step flows fails" in answer["words"]
    assert host.done() == []
    assert host.state["closed"][-1]["state"] == "FAILED"
    assert host.events(rid)[-2:] == ["error", "undone"]


def test_what_cannot_be_undone_is_tried_again(host: Host) -> None:
    answer = host.applied()
    host.simulate(fail_undo=["nft"])
    host.clock.go(61)
    host.tick()
    assert host.state["active"][0]["state"] == "REVERTING"
    for _ in range(3):
        host.tick()  # of others, who start no watcher more
    assert host.events(answer["id"]).count("undo_failed") == 1
    assert host.armed == [61, 30]  # a watcher comes again, whoever calls or does not
    for seconds in (30, 60, 120):
        host.clock.go(seconds)
        host.tick()
    assert host.armed == [61, 30, 60, 120, 240]
    assert len(set(host.watchers)) == 5
    host.simulate(fail_undo=[])
    host.tick()
    assert host.done() == []
    assert host.state["closed"][-1]["state"] == "REVERTED"


def test_a_full_disk_refuses_all_but_the_first_containment(host: Host) -> None:
    """Nothing is done unrecorded, but what one begins to contain, flagged. Threats: 84."""
    rid = host.submit()["id"]
    made = host.request("carol", mode="one_then_ratify")

    def full(self: audit.Log, *given: object) -> None:
        raise audit._unwritten("No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit.Log, "append", full)
        assert host.decide(rid)["rule"] == "audit-write"
        assert host.done() == []
        assert host.call("submit", **made)["state"] == "APPLIED"
        assert host.done()
        assert host.state["active"][0]["unrecorded"] is True
    assert host.audit()[-1]["ev"] == "submit"
    host.clock.go(301)
    host.tick()
    assert host.done() == []
    late = [each for each in host.audit() if each.get("late")]
    assert [each["ev"] for each in late] == ["submit", "exec_start"]
    assert late[0]["request"] == made["request"]
    mine = [ev for ev in host.events(late[0]["rid"]) if ev != "refused"]
    assert mine == ["submit", "exec_start", "exec_end", "revert", "undone"]


def test_a_request_that_came_when_the_disk_was_full_is_told_though_the_guard_was_killed(
    host: Host,
) -> None:
    made = host.request("carol", mode="one_then_ratify")

    def full(self: audit.Log, *given: object) -> None:
        raise audit._unwritten("No space left on device")

    def end(mark: str) -> None:
        if mark == "is PENDING":
            raise Killed(mark)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit.Log, "append", full)
        host.mark = end
        with pytest.raises(Killed):
            host.call("submit", **made)
    host.mark = lambda point: None
    host.tick()
    (told,) = [each for each in host.audit() if each["ev"] == "submit"]
    assert told["late"] is True
    rid = told["rid"]
    assert host.decide(rid)["state"] == "APPLIED"
    assert host.events(rid)[:3] == ["submit", "decide", "exec_start"]
