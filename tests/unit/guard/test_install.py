"""Roster, policy and guard replaced by two people, with what comes beside the request."""

import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from console.demo.fido import FidoKey
from console.hostside import bundle
from console.hostside.guard.steps.base import StepFailed
from console.hostside.guard.steps.trust import Install
from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.documents import NAMESPACES
from tests.support.guardfile import FileHost
from tests.support.guardhost import Host, Killed
from tests.support.guardkit import key_of, person_entry, policy_doc, roster_doc


def payload(data: bytes, kind: str = "", *keys: FidoKey) -> dict[str, Any]:
    signatures = [key.sign(data, NAMESPACES[kind]) for key in keys]
    return {"data": b64encode(data).decode(), "signatures": signatures}


def next_roster(host: Host, *people: str, **changes: Any) -> bytes:
    """The roster after the one in force, with more people."""
    old = Path(host.place.etc, "roster.json").read_bytes()
    serial = json.loads(old)["serial"] + 1
    doc = roster_doc(serial=serial, prev=canonical.sha256(old), **changes)
    for person in people:
        doc["people"][person] = person_entry(key_of(person))
    return canonical.write(doc)


def ask(host: Host, action: str, data: bytes, given: dict[str, Any]) -> dict[str, Any]:
    params = {"sha256": hashlib.sha256(data).hexdigest()}
    return host.call("submit", None, payload=given, **host.request(action=action, params=params))


def test_a_roster_is_followed_by_the_next(host: Host) -> None:
    data = next_roster(host, "erin")
    signers = (key_of("alice"), key_of("bob"), key_of("erin"))
    waits = host.submit("carol")["id"]
    answer = ask(host, "install-roster", data, payload(data, "roster", *signers))
    assert answer["ok"], answer
    assert host.decide(answer["id"], "carol")["state"] == "DONE"
    assert Path(host.place.etc, "roster.json").read_bytes() == data
    chain = host.call("chain")["roster"]
    assert [json.loads(each["text"])["serial"] for each in chain] == [2, 1]
    assert len(chain[0]["signatures"]) == 3
    assert host.decide(waits)["rule"] == "no-request"
    assert host.submit("erin")["ok"]
    assert list(Path(host.place.state, "payload").iterdir()) == []


def test_a_roster_that_nobody_may_follow_is_refused(host: Host) -> None:
    """One signature, a new key that has not signed, a jump, or other bytes than were named."""
    data = next_roster(host, "erin")
    alone = payload(data, "roster", key_of("alice"), key_of("erin"))
    assert ask(host, "install-roster", data, alone)["rule"] == "roster"
    silent = payload(data, "roster", key_of("alice"), key_of("bob"))
    assert ask(host, "install-roster", data, silent)["rule"] == "roster"
    other = payload(data + b" ", "roster", key_of("alice"))
    assert ask(host, "install-roster", data, other)["rule"] == "payload"
    params = {"sha256": hashlib.sha256(data).hexdigest()}
    without = host.request(action="install-roster", params=params)
    assert host.call("submit", **without)["rule"] == "payload"
    beside = host.call("submit", None, payload=silent, **host.request())
    assert beside["rule"] == "payload"
    wrong: tuple[Any, ...] = ({}, {"data": "!", "signatures": []}, {"data": "", "signatures": [1]})
    for given in (*wrong, []):
        assert ask(host, "install-roster", data, given)["rule"] == "payload"


def test_a_payload_that_was_changed_on_the_host(host: Host) -> None:
    """The digest was signed. Threats: 35."""
    data = next_roster(host)
    rid = ask(host, "install-roster", data, payload(data, "roster", key_of("alice"), key_of("bob")))
    (path,) = Path(host.place.state, "payload").iterdir()
    kept = json.loads(path.read_bytes())
    kept["data"] = b64encode(data.replace(b"alice", b"malic")).decode()
    path.write_text(json.dumps(kept))
    assert host.decide(rid["id"])["rule"] == "spool-corrupted"
    assert json.loads(Path(host.place.etc, "roster.json").read_bytes())["serial"] == 1


def test_the_end_of_one_request_takes_nothing_from_another(host: Host) -> None:
    data = next_roster(host)
    given = payload(data, "roster", key_of("alice"), key_of("bob"))
    one = ask(host, "install-roster", data, given)["id"]
    host.clock.go(1)
    two = ask(host, "install-roster", data, given)["id"]
    assert one != two
    doc = {"by": "alice", "comment": "", "request_sha256": two}
    text, signature = host.signed("cancel", "alice", doc)
    assert host.call("cancel", cancel=text, signature=signature)["state"] == "CLOSED"
    assert host.decide(one)["state"] == "DONE"
    assert list(Path(host.place.state, "payload").iterdir()) == []


def test_a_later_roster_is_not_taken_back(host: Host) -> None:
    """The undoing of an install looks first and writes then."""
    step, world = Install(), host.guard().world
    one = Path(host.place.etc, "roster.json").read_bytes()
    sigs = Path(host.place.etc, "roster.sigs")
    sigs.write_text('{"signatures":["of a later one"]}')
    sigs.chmod(0o644)
    args = {"what": "roster", "sha256": "ab" * 32, "former": "cd" * 32}
    with pytest.raises(StepFailed, match="another one by now"):
        step.undo(args, {"sigs": ""}, world)
    args["sha256"] = hashlib.sha256(one).hexdigest()
    former = Path(host.place.etc, "roster.json.former")
    former.write_bytes(b"changed")
    former.chmod(0o644)
    with pytest.raises(StepFailed, match="was changed meanwhile"):
        step.undo(args, {"sigs": ""}, world)
    assert "of a later one" in sigs.read_text()
    assert Path(host.place.etc, "roster.json").read_bytes() == one


def test_a_policy_is_followed_by_the_next(host: Host) -> None:
    old = Path(host.place.etc, "policy.json").read_bytes()
    data = canonical.write(policy_doc(serial=2, prev=canonical.sha256(old), max_targets=4))
    given = payload(data, "policy", key_of("alice"), key_of("bob"))
    rid = ask(host, "install-policy", data, given)["id"]
    assert host.decide(rid)["state"] == "DONE"
    assert host.state["serials"] == [1, 2]
    weak = policy_doc(serial=3, prev=canonical.sha256(data))
    line = {"mode": "two_before", "people": 1, "require_uv": True, "ttl_s": 0, "ratify_s": 300}
    weak["actions"] = {"release": line}
    data = canonical.write(weak)
    given = payload(data, "policy", key_of("alice"), key_of("bob"))
    assert ask(host, "install-policy", data, given)["rule"] == "floor"


def test_killed_while_a_roster_is_installed(host: Host) -> None:
    """One roster or the other is in force, with its own signatures. Threats: 61."""
    for number in range(1, 60):
        before = Path(host.place.etc, "roster.json").read_bytes()
        data = next_roster(host)
        given = payload(data, "roster", key_of("alice"), key_of("bob"))
        sent = host.decision(ask(host, "install-roster", data, given)["id"])
        left = [number]

        def mark(point: str, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise Killed(point)

        host.mark = mark
        try:
            host.call("decide", **sent)
        except Killed:
            pass
        host.mark = lambda point: None
        assert host.tick()["ok"]
        after = Path(host.place.etc, "roster.json").read_bytes()
        assert after in (before, data), number
        signatures = host.call("chain")["roster"][0]["signatures"]
        assert (signatures == given["signatures"]) == (after == data), number
        for each in host.published("request"):
            host.decide(hashlib.sha256(each["request"].encode()).hexdigest(), verdict="deny")
        if left[0] > 0:
            assert number > 5
            return
    raise AssertionError("the walk has no end")


def test_a_guard_is_replaced_by_one_that_runs(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("console.hostside.guard.steps.EFFECTOR", "simulated")
    host = FileHost(tmp_path)
    former = host.path.read_bytes()
    broken = b"#!/bin/false\n"
    rid = ask(host, "install-guard", broken, payload(broken))["id"]
    answer = host.decide(rid)
    assert (answer["rule"], host.path.read_bytes()) == ("failed", former), answer
    other = bundle.guard("simulated", str(tmp_path)) + b"\0"
    liar = b"#!/bin/sh\necho " + hashlib.sha256(other).hexdigest().encode() + b"\n"
    rid = ask(host, "install-guard", liar, payload(liar))["id"]
    assert host.decide(rid)["rule"] == "failed"
    newer = _built_otherwise(str(tmp_path))
    rid = ask(host, "install-guard", newer, payload(newer))["id"]
    answer = host.decide(rid)
    assert answer["state"] == "DONE", answer
    assert host.path.read_bytes() == newer
    assert host.path.stat().st_mode & 0o777 == 0o755
    assert host.path.with_name("guard.former").read_bytes() == former
    assert host.challenge()["guard"] == hashlib.sha256(newer).hexdigest()
    assert not host.path.with_name("guard.trial").exists()


def _built_otherwise(base: str) -> bytes:
    """A later build: the same modules and one line more."""
    original = bundle.read_tree  # type: ignore[attr-defined]

    def read(folder: str) -> dict[str, bytes]:
        found: dict[str, bytes] = original(folder)
        found["refused.py"] += b"\n# a later build\n"
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "read_tree", read)
        return bundle.guard("simulated", base)
