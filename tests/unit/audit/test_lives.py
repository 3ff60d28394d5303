"""Every step of a request needs its people: what the log of a host that cheats looks like."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from console.audit.lives import Lives
from console.audit.records import walk
from console.hostside.guard.trust import canonical
from tests.support.auditlog import Host
from tests.support.guardkit import key_of, policy_doc


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.enrol()
    return made


def judged(host: Host, boot: str = "") -> Lives:
    lives = Lives()
    for record in walk(host.lines).records:
        lives.take(record)
    lives.end(boot or host.boot)
    return lives


def wrong(host: Host, boot: str = "") -> str:
    return "\n".join(words for _, words in judged(host, boot).wrong)


def test_an_isolation_and_its_release_are_fine(host: Host) -> None:
    rid = host.isolate()
    host.release(rid, 1)
    lives = judged(host)
    assert lives.wrong == []
    assert lives.lives[rid].state == "RELEASED"
    assert lives.holding() == set()


def test_what_was_done_without_a_second_person_is_wrong(host: Host) -> None:
    rid = host.submit()
    host.begin(rid)
    assert "begun on 1 good signature(s), and 2 different people are needed" in wrong(host)


def test_what_was_done_without_anybody_is_wrong(host: Host) -> None:
    host.begin("c" * 64)
    said = wrong(host)
    assert "begun on 0 good" in said
    assert "never submitted" in said


def test_one_person_twice_is_one_person(host: Host) -> None:
    rid = host.submit()
    host.decide(rid, by="alice")
    host.begin(rid)
    assert "that is one person" in wrong(host)


def test_a_decision_in_another_name_is_no_decision(host: Host) -> None:
    rid = host.submit()
    host.decide(rid, by="bob", signer="alice")
    host.begin(rid)
    said = wrong(host)
    assert "names bob, but alice signed it" in said
    assert "begun on 1 good" in said


def test_a_denial_counts_for_nothing(host: Host) -> None:
    rid = host.submit()
    host.decide(rid, verdict="deny")
    host.begin(rid)
    assert "begun on 1 good" in wrong(host)


def test_a_decision_about_another_request_counts_for_nothing(host: Host) -> None:
    rid, other = host.submit(), host.submit(number=1)
    text, signature = host.decision(other)
    host.log.append("decide", rid, {"decision": text, "signature": signature})
    host.begin(rid)
    assert "about another request" in wrong(host)


def test_a_decision_after_its_time_counts_for_nothing(host: Host) -> None:
    rid = host.submit()
    text, signature = host.decision(rid)
    host.now += 700
    host.log.append("decide", rid, {"decision": text, "signature": signature})
    host.begin(rid)
    assert "100 s after it had expired" in wrong(host)


def test_a_role_is_needed(host: Host) -> None:
    rid = host.submit()
    host.decide(rid, by="dave")
    host.begin(rid)
    assert "dave may not approve isolate" in wrong(host)


def test_a_stranger_is_nobody(host: Host) -> None:
    rid = host.submit()
    host.decide(rid, by="bob", signer="mallory")
    host.begin(rid)
    assert "is not in this host's roster" in wrong(host)


def test_another_plan_than_the_signed_one_is_found(host: Host) -> None:
    rid = host.submit()
    host.decide(rid)
    host.begin(rid, "secure-delete")
    assert "not the plan that was signed" in wrong(host)


def test_a_changed_request_is_found(host: Host) -> None:
    text, signature, binding = host.request()
    rid = hashlib.sha256(text.encode()).hexdigest()
    changed = text.replace("INC-4711", "INC-4712")
    facts = {"request": changed, "signature": signature, "binding": binding}
    host.log.append("submit", rid, facts)
    assert "not the one that its id names" in wrong(host)
    own = hashlib.sha256(changed.encode()).hexdigest()
    host.log.append("submit", own, facts)
    assert "is not genuine" in wrong(host)


def test_a_binding_of_another_host_is_found(host: Host) -> None:
    text, signature, binding = host.request()
    rid = hashlib.sha256(text.encode()).hexdigest()
    other = binding.replace("h-11", "h-12")
    host.log.append("submit", rid, {"request": text, "signature": signature, "binding": other})
    assert "not the one that was signed" in wrong(host)


def test_a_token_without_pin_is_not_enough_where_it_is_asked_for(host: Host) -> None:
    text, _, binding = host.request()
    signature = key_of("alice").sign(text.encode(), "request-v1@watchfloor", flags=1)
    rid = hashlib.sha256(text.encode()).hexdigest()
    host.log.append("submit", rid, {"request": text, "signature": signature, "binding": binding})
    assert "without a PIN or fingerprint" in wrong(host)


def test_one_signature_where_policy_does_not_allow_it(host: Host) -> None:
    rid = host.submit(mode="one_then_ratify")
    host.begin(rid)
    assert "does not let isolate begin by one_then_ratify" in wrong(host)


def test_one_signature_that_nobody_ratified_must_not_stay(tmp_path: Path) -> None:
    host = Host(tmp_path)
    line = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 300}
    host.policy = canonical.write(policy_doc(actions={"isolate": line}))
    host.enrol()
    rid = host.submit(mode="one_then_ratify")
    host.begin(rid)
    lives = judged(host)
    assert lives.wrong == []
    assert "holds on one signature for now" in " ".join(words for _, words in lives.notes)
    host.log.append("ratified", rid, {"state": "STANDING"})
    assert "it stays on 1 good signature(s), 2 are needed" in wrong(host)


def test_an_isolation_that_was_simply_undone_is_found(host: Host) -> None:
    rid = host.isolate()
    host.log.append("revert", rid, {"why": "its time is over"})
    host.log.append("undone", rid, {"state": "REVERTED"})
    assert "a release by two people is not in the log" in wrong(host)


def test_an_isolation_with_an_end_may_end(host: Host) -> None:
    rid = host.submit(ttl_s=600)
    host.decide(rid)
    host.begin(rid, ttl_s=600, state="STANDING")
    host.now += 600
    host.log.append("revert", rid, {"why": "its time is over"})
    host.log.append("undone", rid, {"state": "REVERTED"})
    assert wrong(host) == ""


def test_a_start_without_an_end_is_told(host: Host) -> None:
    rid = host.submit()
    host.decide(rid)
    host.log.append("exec_start", rid, {"plan": host.plan(), "people": []})
    assert "under way or was cut short" in " ".join(words for _, words in judged(host).notes)
    assert "neither its end nor its undoing is told" in wrong(host, boot="another")


def test_a_record_that_was_written_twice_by_a_killed_guard_is_fine(host: Host) -> None:
    text, signature, binding = host.request()
    rid = hashlib.sha256(text.encode()).hexdigest()
    facts = {"request": text, "signature": signature, "binding": binding}
    host.log.append("submit", rid, facts)
    host.log.append("submit", rid, facts)
    decision, by = host.decision(rid)
    for _ in range(2):
        host.log.append("decide", rid, {"decision": decision, "signature": by})
    host.begin(rid)
    assert wrong(host) == ""


def test_a_repair_that_found_records_gone_is_wrong(host: Host) -> None:
    host.log.append("repaired", "", {"lost": 3})
    assert "found its log shorter" in wrong(host)


def test_the_documents_are_kept_whole(host: Host) -> None:
    """Requests, decisions and signatures can be verified from the log alone, years later."""
    host.isolate()
    texts = [json.loads(line) for line in host.lines]
    asked = next(record for record in texts if record["ev"] == "submit")
    assert {"request", "signature", "binding"} <= set(asked)
