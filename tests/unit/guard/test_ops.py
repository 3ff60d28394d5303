"""From a challenge to a release, and what is refused on the way."""

import json
from pathlib import Path
from typing import Any

import pytest

from console.hostside.guard import call, commands
from console.hostside.guard.caller import Caller
from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.documents import NAMESPACES
from tests.support.guardhost import ISOLATE, Host
from tests.support.guardkit import key_entry, key_of, policy_doc, roster_doc

SOURCE = {"source": "192.0.2.7", "confirm_s": 60, "expires_s": 3600}


def test_two_people_isolate_confirm_and_release(host: Host) -> None:
    submitted = host.submit("alice")
    assert submitted["state"] == "PENDING", submitted
    rid = submitted["id"]
    assert host.done() == []
    assert [each["state"] for each in host.published("request")] == ["PENDING"]
    answer = host.decide(rid, "bob")
    assert answer["state"] == "APPLIED", answer
    assert host.done()
    assert host.confirm(answer)["state"] == "STANDING"
    release = host.submit("carol", action="release", params={"id": rid})
    assert release["ok"], release
    assert host.done()
    ended = host.decide(release["id"], "alice")
    assert ended["state"] == "DONE", ended
    assert host.done() == []
    assert host.state["active"] == []
    assert [each["state"] for each in host.state["closed"]] == ["RELEASED", "DONE"]
    assert host.events(rid) == ["submit", "decide", "exec_start", "exec_end", "confirm"]


def test_release_takes_a_second_person(host: Host) -> None:
    rid = host.standing()
    release = host.submit("alice", action="release", params={"id": rid})
    assert host.decide(release["id"], "alice")["rule"] == "same-person"
    assert host.done()


def test_an_approval_is_worth_nothing_a_second_time(host: Host) -> None:
    """An approval is used up. Threats: 1, 52."""
    rid = host.submit()["id"]
    decision = host.decision(rid)
    assert host.call("decide", **decision)["state"] == "APPLIED"
    again = host.call("decide", **decision)
    assert (again["ok"], again["rule"]) == (False, "decided")
    host.clock.go(61)
    assert host.call("decide", **decision)["rule"] == "no-request"
    assert host.events(rid).count("exec_start") == 1


def test_a_request_is_worth_nothing_a_second_time(host: Host) -> None:
    """The same bytes with the same or a fresh signature are refused. Threats: 2."""
    made = host.request()
    rid = host.call("submit", **made)["id"]
    assert host.call("submit", **made)["rule"] == "nonce-used"
    fresh = key_of("alice").sign(made["request"].encode(), NAMESPACES["request"], counter=9)
    assert host.call("submit", **{**made, "signature": fresh})["rule"] == "nonce-used"
    assert host.decide(rid, verdict="deny")["state"] == "CLOSED"
    assert host.call("submit", **made)["rule"] == "nonce-used"


def test_a_request_is_for_one_host(host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Another host, a clone, and approvals spent elsewhere are refused. Threats: 3, 4, 93."""
    other = Host(tmp_path_factory.mktemp("other"), "h-12")
    made = host.request()
    assert other.call("submit", **made)["rule"] == "other-host"
    rid = host.call("submit", **made)["id"]
    assert other.call("decide", **host.decision(rid))["rule"] == "no-request"
    # A clone of the machine has all keys and the secret, and after its enrolment another host_id.
    clone = Host(tmp_path_factory.mktemp("clone"), "h-11")
    secret = Path(host.place.state, "secret")
    Path(clone.place.state, "secret").write_bytes(secret.read_bytes())
    Path(clone.place.state, "secret").chmod(0o600)
    clone.install("identity", {"kind": "identity", "v": 1, "host_id": "h-13"})
    assert clone.call("submit", **made)["rule"] == "other-host"
    # The binding handed out by one host does not do for another that stands in its targets.
    bind = canonical.sha256(made["binding"].encode())
    targets = [{"bind": bind, "host_id": host_id} for host_id in ("h-11", "h-12")]
    both = host.request(targets=targets)
    sent = {**both, "binding": made["binding"]}
    assert other.call("submit", **sent)["rule"] == "other-host"


def test_facts_are_the_ones_that_the_host_gave(host: Host) -> None:
    made = host.request()
    bind = json.loads(made["binding"])
    bind["facts"]["sshd_port"] = 2222
    from console.hostside.guard.state import machine

    plan = machine.plan(host.guard(), "isolate", ISOLATE, bind["facts"])
    bind["plan"] = canonical.sha256(canonical.write(plan))
    text = canonical.write(bind).decode()
    doc = json.loads(made["request"])
    doc["targets"] = [{"bind": canonical.sha256(text.encode()), "host_id": "h-11"}]
    data = canonical.write(doc).decode()
    sent: dict[str, Any] = {"request": data, "binding": text,
            "signature": key_of("alice").sign(data.encode(), NAMESPACES["request"])}  # fmt: skip
    assert host.call("submit", **sent)["rule"] == "nonce"


def test_the_same_person_is_no_second_one(host: Host) -> None:
    """Neither with the same key nor with another one of theirs. Threats: 7."""
    from tests.support.guardkit import person_entry

    doc = roster_doc()
    doc["people"]["alice"] = person_entry(key_of("alice"), key_of("alice-2"))
    host.install("roster", doc)
    rid = host.submit("alice")["id"]
    assert host.decide(rid, "alice")["rule"] == "same-person"
    made = host.decision(rid, "alice")
    text = made["decision"]
    signature = key_of("alice-2").sign(text.encode(), NAMESPACES["approval"])
    assert host.call("decide", decision=text, signature=signature)["rule"] == "same-person"
    assert host.done() == []


def test_nobody_signs_in_another_name(host: Host) -> None:
    rid = host.submit()["id"]
    assert host.decide(rid, "bob", by="carol")["rule"] == "other-person"
    made = host.request("alice", requester="bob")
    assert host.call("submit", **made)["rule"] == "other-person"


def test_keys_are_checked_when_it_is_carried_out(host: Host) -> None:
    """A key that ends between request and approval does not count any more. Threats: 16."""
    doc = roster_doc()
    end = host.clock.time + 300
    doc["people"]["alice"]["keys"] = [key_entry(key_of("alice"), not_after=end)]
    host.install("roster", doc)
    rid = host.submit()["id"]
    host.clock.go(301)
    answer = host.decide(rid)
    assert (answer["rule"], host.done()) == ("key-date", [])


def test_a_change_of_the_roster_closes_what_waits(host: Host) -> None:
    """So does a revocation, and a policy that was weakened by an editor. Threats: 17, 32, 81."""
    rid = host.submit()["id"]
    doc = roster_doc()
    doc["people"]["alice"]["keys"] = [key_entry(key_of("alice"), revoked=host.clock.time)]
    host.install("roster", doc)
    assert host.decide(rid)["rule"] == "no-request"
    assert host.submit("alice", action="isolate")["rule"] == "key-revoked"
    rid = host.submit("carol")["id"]
    host.install("policy", policy_doc(require_uv=False))
    assert host.decide(rid)["rule"] == "no-request"
    assert host.state["closed"][-1]["why"] == "the roster or the policy was changed"
    assert host.done() == []


def test_floors_stand_above_a_policy_that_was_weakened(host: Host) -> None:
    """No editor of the file has a release by one, or without a PIN. Threats: 81."""
    rid = host.standing()
    line = {"mode": "two_before", "people": 1, "require_uv": False, "ttl_s": 0, "ratify_s": 300}
    host.install("policy", policy_doc(require_uv=False, actions={"release": line}))
    assert host.challenge("release", id=rid)["rule"] == "floor"
    host.install("policy", policy_doc(require_uv=False))
    made = host.request("alice", action="release", params={"id": rid})
    unverified = key_of("alice").sign(made["request"].encode(), NAMESPACES["request"], flags=1)
    answer = host.call("submit", **{**made, "signature": unverified})
    assert answer["rule"] == "user-verification"


def test_an_approval_names_its_request(host: Host) -> None:
    """The digest is in the approval, and the verdict is signed. Threats: 36, 37."""
    one, two = host.submit("alice")["id"], host.submit("carol")["id"]
    decision = host.decision(one)
    sent = {**decision, "decision": decision["decision"].replace(one, two)}
    assert host.call("decide", **sent)["rule"] == "signature"
    denied = host.decision(one, verdict="deny")
    turned = {**denied, "decision": denied["decision"].replace('"deny"', '"approve"')}
    assert host.call("decide", **turned)["rule"] == "signature"
    assert host.done() == []
    assert host.call("decide", **denied)["state"] == "CLOSED"
    assert host.decide(one, "carol")["rule"] == "no-request"


def test_what_was_withdrawn_is_not_approved(host: Host) -> None:
    """The host answers what is so now, whatever the approver's screen shows. Threats: 52."""
    rid = host.submit("alice")["id"]
    doc = {"by": "carol", "comment": "", "request_sha256": rid}
    text, signature = host.signed("cancel", "carol", doc)
    assert host.call("cancel", cancel=text, signature=signature)["rule"] == "role"
    text, signature = host.signed("cancel", "alice", {**doc, "by": "alice"})
    assert host.call("cancel", cancel=text, signature=signature)["state"] == "CLOSED"
    assert host.decide(rid)["rule"] == "no-request"
    assert host.events(rid) == ["submit", "cancel", "cancelled"]


def test_another_guard_or_plan_is_refused(host: Host) -> None:
    """Guard and plan are bound by their digests. Threats: 53."""
    made = host.request()
    host.digest = "cd" * 32
    assert host.call("submit", **made)["rule"] == "guard"
    host.digest = "ab" * 32
    bind = json.loads(made["binding"])
    bind["plan"] = "00" * 32
    text = canonical.write(bind).decode()
    targets = [{"bind": canonical.sha256(text.encode()), "host_id": "h-11"}]
    other = host.request(targets=targets)
    assert host.call("submit", **{**other, "binding": text})["rule"] == "plan"


def test_times_of_a_request(host: Host) -> None:
    """Expired, not yet valid, living too long, or ending before it begins. Threats: 54."""
    now = host.clock.time

    def rule(**changes: Any) -> str:
        return str(host.call("submit", **host.request(**changes)).get("rule"))

    assert rule(not_before=now - 900, expires=now) == "expired"
    assert rule(not_before=now + 60) == "not-yet"
    assert rule(expires=now + 3700) == "ttl"
    assert rule(not_before=now, expires=now) == "document"
    host.install("policy", policy_doc(request_ttl_s=600))
    assert rule(expires=now + 900) == "ttl"
    rid = host.call("submit", **host.request(expires=now + 600))["id"]
    assert host.decide(rid, expires=now + 1200)["rule"] == "ttl"
    assert host.decide(rid, expires=now - 1)["rule"] == "expired"
    host.clock.go(600)
    assert host.decide(rid)["rule"] == "no-request"
    assert host.state["closed"][-1]["why"] == "expired"


def test_the_hosts_own_clock_is_handed_out(host: Host) -> None:
    """Times are by the host's clock, which the challenge tells. Threats: 55."""
    host.clock.time += 100_000
    assert host.challenge()["now"] == host.clock.time


def test_a_connection_that_saw_another_host_key(host: Host) -> None:
    made = host.request()
    bind = json.loads(made["binding"])
    bind["host_key"] = "SHA256:" + "A" * 43
    text = canonical.write(bind).decode()
    targets = [{"bind": canonical.sha256(text.encode()), "host_id": "h-11"}]
    other = host.request(targets=targets)
    assert host.call("submit", **{**other, "binding": text})["rule"] == "host-key"


def test_roles_are_asked_for_each_act(host: Host) -> None:
    made = host.call("challenge", action="release", params={"id": "00" * 32})
    assert made["rule"] == "not-standing"
    rid = host.submit("dave")["id"]
    other = host.submit("alice")["id"]
    assert host.decide(other, "dave")["rule"] == "role"
    assert host.decide(rid, "bob")["ok"]
    made = host.request("dave", action="block-source", params=SOURCE)
    assert host.call("submit", **made)["rule"] == "role"


def test_limits_of_what_may_wait(host: Host) -> None:
    """Three a person and ten a host, whoever holds a login key. Threats: 51, 86."""
    for _ in range(3):
        assert host.submit("alice")["ok"]
    assert host.submit("alice")["rule"] == "pending-person"
    for person in ("bob", "carol", "dave"):
        for _ in range(3 if person != "dave" else 1):
            assert host.submit(person)["ok"]
    assert host.submit("dave")["rule"] == "pending-host"
    before = len(host.audit())
    for _ in range(40):
        assert host.challenge()["ok"]
        assert not host.call("submit", request="x", signature="x", binding="x")["ok"]
    state = Path(host.place.state)
    assert len(list((state / "nonces").iterdir())) == 10
    assert len(list((state / "spool").iterdir())) == 10
    assert len(host.audit()) - before <= 2


def test_the_second_person_at_the_same_terminal_is_marked(host: Host) -> None:
    one = Caller("wfops", "10.9.1.5", 40_000, "SHA256:a")
    two = Caller("wfops", "10.9.1.6", 40_000, "SHA256:b")
    rid = host.call("submit", one, **host.request("alice"))["id"]
    answer = host.call("decide", one, **host.decision(rid))
    assert host.state["active"][0]["same_console"] is True
    assert [each["same_console"] for each in host.audit() if each["ev"] == "decide"] == [True]
    host.clock.go(100)
    assert not host.confirm(answer)["ok"]
    rid = host.call("submit", one, **host.request("alice"))["id"]
    assert host.call("decide", two, **host.decision(rid))["ok"]
    assert host.state["active"][0]["same_console"] is False


def test_what_is_not_known_is_refused(host: Host) -> None:
    assert host.call("open-sesame")["rule"] == "op"
    assert host.call("challenge", action="dance", params={})["rule"] == "action"
    assert host.call("challenge", action=["x"], params={})["rule"] == "envelope"
    assert host.call("submit", request=1)["rule"] == "envelope"
    assert host.call("submit", request="\ud800")["rule"] == "envelope"
    assert host.call("fetch", id="00" * 32)["rule"] == "envelope"
    assert host.call("audit", None, **{"from": -1})["rule"] == "envelope"
    assert host.call("status", id="..")["rule"] == "no-request"


def test_the_log_and_the_chain_are_told(host: Host) -> None:
    rid = host.standing()
    answer = host.call("audit", None, **{"from": 0})
    assert answer["size"] == len(answer["records"]) == len(host.audit())
    assert answer["checkpoint"]["body"].startswith("watchfloor/h-11\n")
    assert host.call("audit", None, **{"from": answer["size"]})["records"] == []
    chain = host.call("chain")
    assert [json.loads(each["text"])["serial"] for each in chain["roster"]] == [1]
    assert host.call("status", id=rid)["entry"]["state"] == "STANDING"


@pytest.mark.parametrize("op", [[], {}, None, 7, "", "sweep"])
def test_a_verb_that_is_none(host: Host, op: Any) -> None:
    """Refused, whatever it is, and no defect."""
    assert call.answer(host.guard(), {"op": op})["rule"] == "op"


def test_a_used_nonce_is_kept_longer_than_the_clock_may_go_back(host: Host) -> None:
    """Threats: 57, 60."""
    made = host.request()
    issued = host.clock.time
    assert host.call("submit", **made)["ok"]
    nonce = json.loads(made["binding"])["nonce"]
    host.clock.go(3600 + 125)
    g = host.guard()
    g.nonces.use(f"{host.clock.time:010x}" + "0" * 48, host.clock.time)  # others are forgotten

    host.clock.go(-125)
    assert host.clock.time - issued == 3600
    assert Path(host.place.state, "nonces", nonce).exists()


def test_a_reset_of_the_clock_lets_no_nonce_of_before_count(host: Host) -> None:
    """Used ones may be forgotten by then. Threats: 60."""
    used, waits = host.request(), host.request("bob")
    assert host.call("submit", **used)["ok"]
    host.clock.go(7200)
    assert host.submit("carol")["ok"]  # forgets the used one
    host.clock.go(-7190)
    assert host.call("submit", **used)["rule"] == "clock-back"
    assert call.locked(host.guard(), commands._clock_reset)["ok"]
    for made in (used, waits):
        assert host.call("submit", **made)["rule"] == "nonce"
    assert host.submit("bob")["ok"]
