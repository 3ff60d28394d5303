"""Logs that root makes up with the host's own audit key: each is found out, and says where."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.audit.checkpoint import read
from console.audit.life import ALLOWED, OF_HOST
from console.audit.report import Report
from console.audit.trust import chain_of
from console.audit.verify import Remembered, verify
from console.hostside.guard.trust import canonical
from console.store.witness import Sent
from tests.support.auditlog import Host
from tests.support.guardkit import key_of, policy_doc, roster_doc

YEAR = 365 * 86400
GUARD = Path(__file__).parents[3] / "console/hostside/guard"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.enrol()
    return made


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def judged(host: Host, active: tuple[str, ...] = (), **kept: Any) -> Report:
    """By a console that knows key, roster and policy; the state of the host agrees with ``active``,
    so that only the records speak against it."""
    material: dict[str, Any] = {"chain": kept.pop("chain", {})}
    given: dict[str, Any] = {
        "key": host.blob, "checkpoints": [read(host.checkpoint())],
        "rosters": {digest(host.roster), digest(host.policy)},
    }  # fmt: skip
    return verify(host.material([*active], **material), Remembered(**{**given, **kept}))


def wrong(host: Host, *active: str, **kept: Any) -> str:
    report = judged(host, active, **kept)
    assert report.code == 1
    return "\n".join(map(str, report.wrong))


@pytest.mark.parametrize(
    ("ev", "facts"),
    [
        ("undone", {"state": "REVERTED"}), ("expired", {}), ("void", {"why": "x"}), ("denied", {}),
        ("cancelled", {}), ("made_up", {"state": "CLOSED"}), ("crashed", {"why": "x"}),
        ("exec_end", {"state": "DONE"}), ("error", {"why": "x"}), ("submitted", {}),
    ],
)  # fmt: skip
def test_what_stands_ends_by_nothing_that_root_makes_up(
    host: Host, ev: str, facts: dict[str, Any]
) -> None:
    rid = host.isolate()
    host.log.append(ev, rid, facts)
    for active in ((), (rid,)):
        said = wrong(host, *active)
        assert f"record 7: {ev}: " in said
        assert "cannot be while" in said or "no record that a guard writes" in said


def test_a_state_is_only_believed_of_the_events_that_have_one(host: Host) -> None:
    rid = host.isolate()
    host.log.append("isolation_lost", rid, {"state": "RELEASED"})
    assert "is in force, and the host says it is not" in wrong(host)
    assert judged(host, (rid,)).code == 0


def test_another_action_does_not_release(host: Host) -> None:
    rid = host.isolate()
    other = host.submit(by="carol", action="collect-evidence", number=7)
    host.decide(other, by="alice")
    host.begin(other, "collect-evidence", state="DONE", ends=[rid])
    assert "record 10: exec_end: collect-evidence ends isolate" in wrong(host)


def test_a_release_of_another_request_does_not_release(host: Host) -> None:
    rid, other = host.isolate(), host.isolate(1)
    own = host.submit(by="carol", action="release", number=2, ends=other)
    host.decide(own, by="alice")
    host.begin(own, "release", state="DONE", releases=other, ends=[rid])
    assert "what people signed does not release it" in wrong(host, other)


def test_an_isolation_is_not_over_by_saying_so(host: Host) -> None:
    rid = host.submit()
    host.decide(rid)
    host.begin(rid, state="DONE")
    assert "stands until it is released, and is said to be over" in wrong(host)


def test_an_end_comes_not_before_its_time(host: Host) -> None:
    rid = host.submit(ttl_s=600)
    host.decide(rid)
    host.begin(rid, ttl_s=600, state="STANDING")
    host.now += 60
    host.log.append("revert", rid, {"why": "its time is over"})
    host.log.append("undone", rid, {"state": "REVERTED"})
    assert "undone 540 s before its time was over" in wrong(host)


def test_the_same_signatures_are_carried_out_once(host: Host) -> None:
    rid = host.submit(action="collect-evidence")
    host.decide(rid)
    host.begin(rid, "collect-evidence", state="DONE")
    assert judged(host).code == 0
    host.now += YEAR
    host.begin(rid, "collect-evidence", state="DONE")
    assert "record 6: exec_start: cannot be while the request is DONE" in wrong(host)


def test_what_stands_is_not_begun_again(host: Host) -> None:
    rid = host.isolate()
    host.begin(rid)
    assert "record 7: exec_start: cannot be while the request is STANDING" in wrong(host, rid)


@pytest.mark.parametrize(("later", "good"), [(590, 2), (700, 1), (YEAR, 0)])
def test_signatures_that_ran_out_carry_nothing(host: Host, later: int, good: int) -> None:
    rid = host.submit()
    host.decide(rid)
    host.now += later
    host.begin(rid)
    host.log.append("confirm", rid, {"state": "STANDING"})
    report = judged(host, (rid,))
    assert (report.code == 0) is (good == 2), report.wrong
    assert good == 2 or f"begun on {good} good signature(s)" in str(report.wrong[0])


def test_nothing_is_carried_out_after_a_withdrawal_or_a_denial(host: Host) -> None:
    gone = host.submit()
    host.decide(gone)
    text = canonical.write(
        {"kind": "cancel", "v": 1, "by": "alice", "comment": "", "request_sha256": gone}
    )
    signature = key_of("alice").sign(text, "cancel-v1@watchfloor")
    host.log.append("cancel", gone, {"cancel": text.decode(), "signature": signature})
    host.log.append("cancelled", gone, {"why": "withdrawn by alice"})
    assert judged(host).code == 0
    host.begin(gone)
    assert "exec_start: cannot be while the request is CLOSED" in wrong(host)
    denied = host.submit(number=1)
    host.decide(denied, by="carol", verdict="deny")
    host.decide(denied, by="bob")
    host.begin(denied)
    assert "isolate was begun after it was denied or withdrawn" in wrong(host, denied)


def test_records_of_another_host_are_not_this_hosts(host: Host) -> None:
    rid = host.isolate()
    assert judged(host, (rid,), host_id="h-11").code == 0
    said = wrong(host, rid, host_id="h-99")
    assert "bound to another host than the one that shows it" in said
    assert "the host's key signed logs of different hosts" in said


def test_a_request_is_of_one_boot(host: Host) -> None:
    rid = host.submit()
    host.decide(rid)
    host.boot = "aaaaaaaa-9a3d-4a77-8a29-1d8ab2f8d8ce"
    host.begin(rid)
    assert "begun in another boot than it was signed for" in wrong(host, rid)
    host.submit(number=1)
    assert "submit: the request is bound to another boot" in wrong(host, rid)


def without_alice(host: Host) -> tuple[bytes, list[str]]:
    """The next roster, which revokes her key, and who signed it."""
    doc = roster_doc(serial=2, prev=digest(host.roster))
    doc["people"]["alice"]["keys"][0]["revoked"] = host.now - 10
    text = canonical.write(doc)
    return text, [key_of(each).sign(text, "roster-v1@watchfloor") for each in ("bob", "carol")]


@pytest.mark.parametrize("how", ["roster", "root_install_roster"])
def test_an_older_roster_of_ours_does_not_come_back(host: Host, how: str) -> None:
    new, signatures = without_alice(host)
    links = [{"text": host.roster.decode(), "signatures": []},
             {"text": new.decode(), "signatures": signatures}]  # fmt: skip
    host.log.append("roster", "", {"roster": new.decode(), "signatures": signatures})
    known = {digest(host.roster), digest(host.policy), digest(new)}
    assert judged(host, rosters=known, chain=chain_of(links)).code == 0
    back = {"roster": host.roster.decode(), "signatures": []}
    host.log.append(how, "", back if how == "roster" else {"sha256": digest(host.roster)})
    rid = host.isolate()
    said = wrong(host, rid, rosters=known, chain=chain_of(links))
    assert f"record 3: {how}: " in said
    assert "does not follow" in said or "which nobody signed" in said


def test_the_first_install_by_root_is_named_and_not_wrong(tmp_path: Path) -> None:
    host = Host(tmp_path)
    both = [host.roster, host.policy]
    for kind, data in zip(("roster", "policy"), both, strict=True):
        host.log.append(f"root_install_{kind}", "", {"sha256": digest(data), "serial": 1})
    rid = host.isolate()
    chain = chain_of({"text": data.decode(), "signatures": []} for data in both)
    report = judged(host, (rid,), chain=chain)
    assert report.code == 0, report.wrong
    assert sum("root on the host installed" in each.words for each in report.notes) == 2


@pytest.fixture
def solo(tmp_path: Path) -> Host:
    """A host whose policy lets an isolation begin on one signature, for 300 s."""
    made = Host(tmp_path)
    line = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 300}
    made.policy = canonical.write(policy_doc(actions={"isolate": line}))
    made.enrol()
    return made


def test_one_signature_does_not_hold_for_ever(solo: Host) -> None:
    rid = solo.submit(mode="one_then_ratify")
    solo.begin(rid)
    assert judged(solo, (rid,)).code == 0
    solo.now += 200 * 86400
    solo.log.append("clock_jump", "", {"seconds": 5})  # root may say what it likes of its clock
    solo.log.append("refused", "", {"rule": "x", "count": 1})
    assert "holds on one signature, and its time for a second is over" in wrong(solo, rid)


def test_a_silent_host_does_not_stop_the_time(solo: Host) -> None:
    """No record was written since: what was fetched today says that it still holds."""
    rid = solo.submit(mode="one_then_ratify")
    solo.begin(rid)
    kept = Remembered(key=solo.blob, checkpoints=[read(solo.checkpoint())])
    report = verify(solo.material([rid], fetched=solo.now + 200 * 86400), kept)
    assert "its time for a second is over" in str(report.wrong[0])


def test_a_second_signature_comes_in_time(solo: Host) -> None:
    rid = solo.submit(mode="one_then_ratify")
    solo.begin(rid)
    solo.now += 1000
    solo.decide(rid)
    solo.log.append("ratified", rid, {"state": "STANDING"})
    assert "ratified after its time for that was over" in wrong(solo, rid)


def test_a_repeated_text_hides_no_execution(host: Host) -> None:
    text, signature, binding = host.request(action="collect-evidence")
    rid = digest(text.encode())
    facts = {"request": text, "signature": signature, "binding": binding}
    host.log.append("submit", rid, facts)
    host.log.append("exec_start", rid, {"plan": {"what": "ever"}, "people": [], "request": text})
    host.log.append("exec_end", rid, {"state": "DONE", "request": text})
    assert "record 3: exec_start: collect-evidence was begun on 1 good" in wrong(host)


def test_an_exact_repetition_is_no_second_execution(host: Host) -> None:
    rid = host.submit(action="collect-evidence")
    host.decide(rid)
    for _ in range(2):
        plan = {"plan": host.plan("collect-evidence"), "people": []}
        host.log.append("exec_start", rid, plan)
    assert "record 5: exec_start: cannot be while the request is EXECUTING" in wrong(host)


def test_a_full_disk_makes_a_guard_tell_an_end_again_and_again(solo: Host) -> None:
    """It is undone, and the guard cannot keep that it was: nothing is begun by that."""
    rid = solo.submit(mode="one_then_ratify")
    solo.begin(rid)
    for _ in range(3):
        solo.now += 301
        solo.log.append("revert", rid, {"why": "no second person approved it in time"})
        solo.log.append("undone", rid, {"state": "REVERTED"})
    assert judged(solo).code == 0
    solo.log.append("undone", rid, {"state": "FAILED"})
    assert "undone: cannot be while the request is REVERTED" in wrong(solo)


def sent(rid: str, text: str, answer: bytes) -> Sent:
    return Sent("decide", rid, 0.0, text.encode(), b"", answer)


@pytest.mark.parametrize("state", ["EXECUTING", "APPLIED", "DONE"])
def test_what_the_host_answered_that_it_began_is_in_its_log(host: Host, state: str) -> None:
    rid = host.submit(action="secure-delete")
    text = host.decide(rid)
    answer = msgspec.json.encode({"ok": True, "id": rid, "state": state})
    assert "DENIED: the host answered that it began" in wrong(host, sent=[sent(rid, text, answer)])


def test_an_end_that_was_answered_is_not_told_as_a_failure(host: Host) -> None:
    rid = host.submit()
    text = host.decide(rid)
    host.log.append("exec_start", rid, {"plan": host.plan(), "people": []})
    host.log.append("error", rid, {"why": "x"})
    host.log.append("undone", rid, {"state": "FAILED"})
    answer = msgspec.json.encode({"ok": True, "id": rid, "state": "APPLIED"})
    assert "its log tells another end" in wrong(host, sent=[sent(rid, text, answer)])


def test_a_refusal_and_a_silence_are_not_counted_as_agreement(host: Host) -> None:
    text, _ = host.decision("f" * 64)
    for answer, code, said in (
        (b'{"ok":false,"rule":"no-request","words":"x"}', 0, "refused 1 documents"),
        (b"", 3, "no answer came, and the log does not have it"),
    ):
        report = judged(host, sent=[sent("f" * 64, text, answer)])
        assert report.code == code
        assert said in " ".join(map(str, [*report.notes, *report.missing]))
        assert any(each.words.startswith("0 documents that") for each in report.proved)


@pytest.mark.parametrize("field", ["t", "seq"])
def test_a_number_without_end_is_one_broken_line(host: Host, field: str) -> None:
    line = json.loads(host.lines[-1])
    raw = json.dumps(line, sort_keys=True, separators=(",", ":"))
    long = raw.replace(f'"{field}":{line[field]}', f'"{field}":' + "9" * 4299)
    report = verify(host.material(lines=[host.lines[0], long.encode()]), Remembered())
    assert any(each.record == 1 and "is no record" in each.words for each in report.wrong)


def names_of(node: ast.expr) -> set[str]:
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.IfExp):
        return names_of(node.body) | names_of(node.orelse)
    if isinstance(node, ast.JoinedStr):  # root_install_{what}
        begin = "".join(str(p.value) for p in node.values if isinstance(p, ast.Constant))
        return {begin + what for what in ("roster", "policy")}
    return set()


def written_by_the_guard() -> set[str]:
    """Every name of an event that its code gives to what appends a record."""
    at = {"record": 0, "append": 0, "_write": 2, "note": 1, "_go": 2, "_back": 4, "shut": 2,
          "met": 3, "fail": 2}  # fmt: skip
    found: set[str] = set()
    for path in GUARD.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            least = {"append": 3, "_write": 5}.get(name, 2)
            if name in at and len(node.args) > at[name] and len(node.args) >= least:
                found |= names_of(node.args[at[name]])
    return found


def test_every_event_that_the_guard_writes_is_known() -> None:
    written = written_by_the_guard()
    assert {
        "submit",
        "exec_start",
        "exec_end",
        "repaired",
        "refused",
        "undone",
        "fetched",
    } <= written
    assert {"lost", "isolation_lost", "root_install_policy", "expired", "void", "error"} <= written
    assert written <= set(ALLOWED) | set(OF_HOST)
    # And none is let in that nothing writes; a log of before may begin with these three.
    assert set(ALLOWED) | set(OF_HOST) <= written | {"boot", "roster", "policy"}
