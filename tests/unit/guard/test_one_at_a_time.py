"""One request at a time stands on a thing, and one person does not hold it for ever."""

from pathlib import Path
from typing import Any

import pytest

from console.hostside.guard.state import things
from tests.support.guardhost import Host
from tests.support.guardkit import policy_doc, roster_doc

RULE = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 300}
GATEWAY = {
    "kind": "nginx", "keys_file": "/etc/nginx/wf/keys.conf", "unit": "nginx.service",
    "limits_file": "/etc/nginx/wf/limits.conf",
}  # fmt: skip
ALONE = {"mode": "one_then_ratify"}
STOP = {"action": "stop-service", "params": {"service": "vllm.service"}}
QUARANTINE = {"action": "quarantine-model", "params": {"model": "llama", "version": "7"}}
HEALTH = {"service": "vllm.service", "kind": "link", "url": "http://127.0.0.1:1/h", "expect": 200,
          "timeout_s": 5}  # fmt: skip
SERVED = {"device": 1, "digest": "ab" * 32, "inode": 2, "root": "/srv/models", "served": True}
REASON = "Model weights are leaving by the second uplink, nobody else answers the phone"


def limit(rate: int) -> dict[str, Any]:
    """A request to slow a client down."""
    return {"action": "limit-api-key", "params": {"key": "a", "per_minute": rate}}


def source(prefix: str) -> dict[str, Any]:
    """A request to block a source."""
    params = {"source": prefix, "confirm_s": 60, "expires_s": 600}
    return {"action": "block-source", "params": params}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host where containment may begin on one signature, with a gateway and a model."""
    monkeypatch.setattr("console.hostside.guard.steps.EFFECTOR", "simulated")
    names = ("isolate", "limit-api-key", "block-api-key", "stop-service", "quarantine-model",
             "block-source")  # fmt: skip
    actions = dict.fromkeys(names, RULE)
    host = Host(
        tmp_path, policy=policy_doc(actions=actions, gateway=GATEWAY, health={"llama": HEALTH})
    )
    host.simulate(facts={"quarantine-model": SERVED})
    return host


def states(host: Host) -> list[tuple[str, str]]:
    """Action and state of what is active."""
    return [(each["action"], each["state"]) for each in host.state["active"]]


def review(host: Host, rid: str, by: str) -> dict[str, Any]:
    """Somebody looks at it."""
    doc = {"by": by, "comment": "seen", "request_sha256": rid}
    text, signature = host.signed("review", by, doc)
    return host.call("review", review=text, signature=signature)


@pytest.mark.parametrize("mode", ["one_then_ratify", "break_glass"])
def test_one_person_ends_nothing_that_two_asked_for(site: Host, mode: str) -> None:
    """Another rate for the same client is the same thing. Threats: 33."""
    roster = roster_doc()
    roster["roles"]["responder"]["break"] = ["*"]
    site.install("roster", roster)
    rid = site.submit("bob", **limit(1))["id"]
    assert site.decide(rid, "carol")["state"] == "STANDING"
    answer = site.submit("alice", **limit(100_000), mode=mode, reason=REASON)
    assert answer["rule"] == "stands-already"
    assert rid[:12] in answer["words"]
    assert "bob" in answer["words"]
    site.clock.go(2000)
    site.tick()
    assert [each["id"] for each in site.state["active"]] == [rid]
    released = site.submit("alice", action="release", params={"id": rid})
    assert site.decide(released["id"], "bob")["state"] == "DONE"
    assert site.done() == []


@pytest.mark.parametrize(
    ("first", "second"),
    [(limit(1), limit(2)), (STOP, QUARANTINE), (QUARANTINE, STOP), (STOP, STOP)],
)
def test_what_one_began_alone_outlasts_nobody(
    site: Host, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """A second undoing would put back the first work, for ever. Threats: 33."""
    rid = site.submit("alice", **first, **ALONE)["id"]
    for by in ("alice", "carol"):
        answer = site.submit(by, **second, **ALONE)
        assert answer["rule"] == "stands-already", answer
        assert rid[:12] in answer["words"]
    waits = site.submit("bob", **second)
    assert waits["rule"] == "stands-already"
    site.clock.go(301)
    site.tick()
    assert (site.done(), states(site)) == ([], [])


def test_two_that_waited_for_the_same_do_not_both_begin(site: Host) -> None:
    one, two = site.submit("alice", **STOP)["id"], site.submit("carol", **QUARANTINE)["id"]
    assert site.decide(one, "bob")["state"] == "STANDING"
    assert site.decide(two, "bob")["rule"] == "stands-already"


def test_a_block_and_a_limit_of_one_client_are_two_things(site: Host) -> None:
    rid = site.submit("bob", **limit(1))["id"]
    assert site.decide(rid, "carol")["state"] == "STANDING"
    block = {"action": "block-api-key", "params": {"key": "a"}}
    assert site.submit("alice", **block, **ALONE)["state"] == "APPLIED"
    site.clock.go(301)
    site.tick()
    assert states(site) == [("limit-api-key", "STANDING")]


def test_what_opens_follows_on_what_stands_and_not_on_what_waits(site: Host) -> None:
    start = {"action": "start-service", "params": {"service": "vllm.service"}}
    alone = site.submit("alice", **STOP, **ALONE)["id"]
    assert site.submit("bob", **start)["rule"] == "stands-already"
    assert site.decide(alone, "bob")["state"] == "STANDING"
    rid = site.submit("bob", **start)["id"]
    assert site.decide(rid, "carol")["state"] == "DONE"


def test_nobody_holds_for_ever_by_asking_again(site: Host) -> None:
    """Once a day, unless somebody else has looked at it. Threats: 33, 99."""
    rid = site.submit("alice", **STOP, **ALONE)["id"]
    site.clock.go(301)
    site.tick()
    for other in (STOP, QUARANTINE):
        answer = site.submit("alice", **other, **ALONE)
        assert answer["rule"] == "solo-again"
        assert rid in answer["words"]
    assert site.done() == []
    assert review(site, rid, "alice")["rule"] == "same-person"
    assert review(site, rid, "dave")["rule"] == "role"
    assert review(site, rid, "bob")["ok"]
    again = site.submit("alice", **STOP, **ALONE)
    assert again["state"] == "APPLIED"
    site.clock.go(301)
    assert site.submit("alice", **STOP, **ALONE)["rule"] == "solo-again"
    assert site.submit("alice", mode="one_then_ratify")["state"] == "APPLIED"  # another thing
    assert site.submit("alice", **STOP)["state"] == "PENDING"
    site.clock.go(86_400 - 301)
    assert site.submit("alice", **STOP, **ALONE)["state"] == "APPLIED"


def test_what_was_ratified_may_be_begun_again(site: Host) -> None:
    rid = site.submit("alice", **STOP, **ALONE)["id"]
    assert site.decide(rid, "bob")["state"] == "STANDING"
    released = site.submit("bob", action="release", params={"id": rid})
    assert site.decide(released["id"], "carol")["state"] == "DONE"
    assert site.submit("alice", **STOP, **ALONE)["state"] == "APPLIED"


@pytest.mark.parametrize("first", ["one_then_ratify", "two_before"])
def test_a_no_of_somebody_else_is_not_passed_by(site: Host, first: str) -> None:
    """Not alone, and not for a day, whoever reviews it. Threats: 33."""
    rid = site.submit("alice", **STOP, mode=first)["id"]
    assert site.decide(rid, "bob", verdict="deny")["ok"]
    review(site, rid, "bob")
    assert site.submit("alice", **STOP, **ALONE)["rule"] == "solo-denied"
    assert site.submit("carol", **STOP, **ALONE)["state"] == "APPLIED"
    site.clock.go(301)
    site.tick()
    waits = site.submit("alice", **STOP)["id"]
    assert site.decide(waits, "carol")["state"] == "STANDING"


def test_another_length_of_a_prefix_is_no_other_source(site: Host) -> None:
    first = site.submit("alice", **source("203.0.113.7"), **ALONE)
    assert first["state"] == "APPLIED", first
    site.clock.go(301)
    for prefix in ("203.0.113.7", "203.0.113.0/24", "203.0.113.6/31"):
        assert site.submit("alice", **source(prefix), **ALONE)["rule"] == "solo-again", prefix
    assert site.submit("alice", **source("198.51.100.7"), **ALONE)["state"] == "APPLIED"


def test_a_damaged_memory_lets_nobody_begin_alone(site: Host) -> None:
    site.submit("alice", **STOP, **ALONE)
    path = Path(site.place.state, "solo.json")
    path.write_text("{")
    path.chmod(0o600)
    assert site.submit("carol", mode="one_then_ratify")["rule"] == "file-unsafe"
    rid = site.submit("carol")["id"]
    assert site.decide(rid)["state"] == "APPLIED"


def test_things_of_paths() -> None:
    """A folder is also what is in it, and no folder of a longer name."""
    folder, inside, beside = [["path", "/a/b"]], [["path", "/a/b/c"]], [["path", "/a/bc"]]
    assert things.same(folder, inside)
    assert things.same(inside, folder)
    assert not things.same(folder, beside)
