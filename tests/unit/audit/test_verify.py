"""``audit verify``: what it proves, what it finds, and what it says it cannot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.audit.checkpoint import read
from console.audit.records import walk
from console.audit.report import LIMITS, Report
from console.audit.trust import chain_of
from console.audit.verify import Material, Remembered, verify
from console.hostside.guard.audit.log import write
from console.hostside.guard.trust import canonical
from console.store.witness import Seen, Sent
from tests.support.auditlog import BOOT, Host
from tests.support.guardkit import key_of, roster_doc


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.enrol()
    return made


def kept(host: Host, *checkpoints: bytes, **more: object) -> Remembered:
    """What a console remembers that knows the host's key and its roster and policy."""
    known = [hashlib.sha256(data).hexdigest() for data in (host.roster, host.policy)]
    given: dict[str, object] = {
        "key": host.blob, "checkpoints": [read(each) for each in checkpoints], "rosters": known,
    }  # fmt: skip
    return Remembered(**{**given, **more})  # type: ignore[arg-type]


def wrong(report: Report) -> str:
    assert report.code == 1
    return "\n".join(map(str, report.wrong))


def test_a_whole_log_is_proved(host: Host) -> None:
    first = host.checkpoint()
    rid = host.isolate()
    standing = host.isolate(1)
    host.release(rid, 2)
    report = verify(host.material([standing]), kept(host, first))
    assert (report.wrong, report.missing, report.code) == ([], [], 0)
    assert report.signatures == 6
    assert [each.words.split()[0] for each in report.proved] == [
        "chain", "the", "1", "3", "0", "the",
    ]  # fmt: skip


def test_without_anything_remembered_it_says_what_is_missing(host: Host) -> None:
    host.isolate()
    report = verify(Material("gpu01", host.lines), Remembered())
    said = " ".join(map(str, report.missing))
    assert report.code == 3
    for word in ("no checkpoint came", "no checkpoint of this host", "state", "copy of its own"):
        assert word in said


def rewritten(
    lines: list[bytes], at: int, change: Callable[[dict[str, object]], None]
) -> list[bytes]:
    """The log with one record changed and all later ones chained anew, as root could."""
    made: list[bytes] = []
    for number, line in enumerate(lines):
        record = json.loads(line)
        if number == at:
            change(record)
        record["prev"] = hashlib.sha256(made[-1]).hexdigest() if made else ""
        record["seq"] = number
        made.append(write(record))
    return made


TAMPERED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "flip": lambda lines: [*lines[:3], lines[3].replace(b'"t":', b'"t" :'), *lines[4:]],
    "change": lambda lines: [*lines[:3], lines[3].replace(b"decide", b"refuse"), *lines[4:]],
    "delete": lambda lines: [*lines[:3], *lines[4:]],
    "swap": lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
    "truncate": lambda lines: lines[:4],
    "empty": lambda lines: [],
    "rebuild": lambda lines: rewritten(lines, 3, lambda record: record.update(rid="0" * 64)),
    "delete-and-rebuild": lambda lines: rewritten([*lines[:3], *lines[4:]], -1, lambda _: None),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_log_is_found_out(host: Host, how: str) -> None:
    """Flipped, deleted, rebuilt, cut, emptied: seen against remembered checkpoints. Threats: 95."""
    rid = host.isolate()
    seen = host.checkpoint()
    lines = TAMPERED[how](host.lines)
    # With the newest checkpoint, and with none: the remembered one alone is enough.
    for checkpoint in (seen, b""):
        material = host.material([rid], lines=lines, checkpoint=checkpoint)
        said = wrong(verify(material, kept(host, seen)))
        assert "CHANGED" in said or "ROLLED BACK" in said


def test_the_broken_line_is_named(host: Host) -> None:
    host.isolate()
    lines = host.lines
    lines[3] = lines[3].replace(b"decide", b"refuse")
    report = verify(host.material(lines=lines), kept(host))
    assert 4 in [each.record for each in report.wrong if "does not follow" in each.words]


def test_a_host_that_signs_its_rebuilt_log_is_found_out(tmp_path: Path, host: Host) -> None:
    """Root has the key too; the old checkpoint is the proof. Threats: 95."""
    host.isolate()
    seen = host.checkpoint()
    lines = rewritten(host.lines, 3, lambda record: record.update(t=1))
    host.path.write_bytes(b"\n".join(lines) + b"\n")
    for name in ("edge", "index", "checkpoint.json"):
        (host.path.parent / name).unlink(missing_ok=True)
    host.log = host.anew()
    said = wrong(verify(host.material(), kept(host, seen)))
    assert "FORK" in said
    assert "both signed checkpoints are the proof" in said


def test_a_snapshot_put_back_shows_fewer_records(host: Host) -> None:
    """A virtual machine rolled back, checkpoint and all. Threats: 59."""
    before = host.material()
    host.isolate()
    said = wrong(verify(before, kept(host, host.checkpoint())))
    assert "ROLLED BACK: the host showed 7 records to this console, and shows 2 now" in said


def test_a_boot_that_comes_back_is_a_snapshot_too(host: Host) -> None:
    """Records of an earlier boot after those of a later one. Threats: 59."""
    host.boot = "11111111-0000-0000-0000-000000000000"
    host.log.append("boot", "", {})
    host.boot = BOOT
    host.log.append("boot", "", {})
    assert "returns to an earlier boot" in wrong(verify(host.material(), kept(host)))


def test_a_fork_shown_to_two_consoles_is_proved_by_both(tmp_path: Path, host: Host) -> None:
    """Two signed logs of the same length, one shown here and one to a peer. Threats: 97."""
    whole = host.path.read_bytes()
    host.isolate()
    ours = host.checkpoint()
    host.path.write_bytes(whole)
    for name in ("edge", "index", "checkpoint.json"):
        (host.path.parent / name).unlink(missing_ok=True)
    host.log = host.anew()
    host.now += 9
    host.isolate(7)
    theirs = host.checkpoint()
    fine = verify(host.material(), kept(host))
    assert "FORK" not in " ".join(map(str, fine.wrong))
    peers = [("bob.checkpoints", read(ours))]
    said = wrong(verify(host.material(), kept(host, theirs, peers=peers)))
    assert "FORK: the host signed two different logs of 7 records" in said
    assert "bob.checkpoints" in said


def test_a_peer_cannot_accuse_with_another_key(tmp_path: Path, host: Host) -> None:
    (tmp_path / "other").mkdir()
    other = Host(tmp_path / "other")
    other.enrol()
    other.isolate(5)
    rid = host.isolate()
    peers = [("mallory", read(other.checkpoint()))]
    report = verify(host.material([rid]), kept(host, host.checkpoint(), peers=peers))
    assert report.code == 0
    assert any("not signed by this host's key" in each.words for each in report.notes)


def test_another_audit_key_is_not_believed(tmp_path: Path, host: Host) -> None:
    (tmp_path / "other").mkdir()
    other = Host(tmp_path / "other")
    report = verify(host.material(), kept(host, key=other.blob))
    assert "and not by the host's audit key" in wrong(report)


def sent(rid: str, text: str, kind: str = "submit", state: str = "PENDING") -> Sent:
    answer = msgspec.json.encode({"ok": True, "id": rid, "state": state})
    return Sent(kind, rid, 0.0, text.encode(), b"", answer)


def test_a_host_cannot_deny_what_it_accepted(tmp_path: Path, host: Host) -> None:
    """The answer is kept here, and the log lacks the request. Threats: 94."""
    text, _, _ = host.request()
    rid = hashlib.sha256(text.encode()).hexdigest()
    decision, _ = host.decision(rid)
    both = [sent(rid, text), sent(rid, decision, "decide", "APPLIED")]
    said = wrong(verify(host.material(), kept(host, sent=both)))
    assert f"DENIED: the host accepted the request {rid[:11]}" in said
    assert "DENIED: the host accepted the decision about" in said
    assert "answered that it began" in said
    host.isolate()
    fine = verify(host.material([rid]), kept(host, host.checkpoint(), sent=both[:1]))
    assert fine.code == 0


def test_a_host_cannot_hide_what_it_showed(host: Host) -> None:
    """A request seen in its telemetry is in no record afterwards. Threats: 94."""
    text, signature, _ = host.request()
    decision, by = host.decision("0" * 64)
    envelope = {"request": text, "signature": signature,
                "decisions": [{"decision": decision, "signature": by}]}  # fmt: skip
    seen = [Seen("request", 0, 0.0, msgspec.json.encode(envelope))]
    said = wrong(verify(host.material(), kept(host, requests=seen)))
    assert "HIDDEN: the host showed request" in said
    assert "HIDDEN: the host showed a decision" in said


def test_what_was_shown_between_two_checkpoints_narrows_the_window(host: Host) -> None:
    """The unseen tail cannot be proved, and that is said. Threats: 96."""
    before = host.checkpoint()
    size = len(host.lines)
    rid = host.isolate()
    tail = [Seen("record", size + at, 0.0, line) for at, line in enumerate(host.lines[size:])]
    host.path.write_bytes(b"\n".join(host.lines[:size]) + b"\n")
    for name in ("edge", "index", "checkpoint.json"):
        (host.path.parent / name).unlink(missing_ok=True)
    host.log = host.anew()
    # Rolled back exactly to what was seen last: no checkpoint can tell.
    blind = verify(host.material(), kept(host, before))
    assert blind.code == 0
    assert "before any console saw them" in LIMITS[0]
    assert "syslog" in LIMITS[0]
    said = wrong(verify(host.material(), kept(host, before, records=tail)))
    assert "was shown and is gone" in said
    assert rid


def test_what_the_host_says_is_in_force_is_what_its_log_says(host: Host) -> None:
    rid = host.isolate()
    said = wrong(verify(host.material([]), kept(host, host.checkpoint())))
    assert "what undid it was not recorded" in said
    said = wrong(verify(host.material([rid, "f" * 64]), kept(host, host.checkpoint())))
    assert "and its log does not" in said


def test_two_who_agree_are_a_limit_that_is_said() -> None:
    """No log shows that two people did not agree to do harm. Threats: 34."""
    assert any("two people did not agree to do harm" in limit for limit in LIMITS)


def test_a_clock_far_back_is_wrong_and_a_little_is_noted(host: Host) -> None:
    host.now -= 60
    host.submit()
    report = verify(host.material(), kept(host, host.checkpoint()))
    assert any("went back by 60 s" in each.words for each in report.notes)
    host.now -= 600
    host.submit(number=3)
    assert "with a clock 660 s back" in wrong(verify(host.material(), kept(host)))


def test_a_torn_line_that_was_repaired_is_no_fault(host: Host) -> None:
    """The torn end is closed by a record, and both are in chain and tree. Threats: 98."""
    with host.path.open("ab") as file:
        file.write(b'{"boot":"half a rec\xff')
    host.log = host.anew()
    host.log.repair()
    rid = host.isolate()
    report = verify(host.material([rid]), kept(host, host.checkpoint()))
    assert report.code == 0
    assert any("torn end" in each.words for each in report.notes)


def test_a_torn_line_that_nobody_closed_is_named(host: Host) -> None:
    """Junk at the end is no record. Threats: 98."""
    lines = [*host.lines, b'{"boot":"half']
    report = verify(host.material(lines=lines), kept(host))
    assert [each.record for each in report.wrong] == [2]


@given(st.lists(st.binary(max_size=80), max_size=8), st.binary(max_size=200))
def test_no_bytes_of_a_host_raise(lines: list[bytes], checkpoint: bytes) -> None:
    report = verify(Material("gpu01", lines, checkpoint, {"active": [1, {}]}), Remembered())
    assert report.code in (1, 3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
EVENTS = st.sampled_from(
    ["submit", "decide", "cancel", "start", "review", "exec_start", "exec_end", "confirm", "revert",
     "roster", "policy", "repaired", "state", "take", "_take", "__init__", "end"]
)  # fmt: skip
FACTS = st.dictionaries(
    st.sampled_from(["request", "decision", "signature", "binding", "plan", "state", "ends", "torn",
                     "roster", "policy", "signatures", "lost", "cancel"]),
    JSON, max_size=5,
)  # fmt: skip


@given(st.lists(st.tuples(EVENTS, st.sampled_from(["", "a" * 64, "b"]), FACTS), max_size=6))
def test_no_record_of_a_host_raises(rows: list[tuple[str, str, dict[str, object]]]) -> None:
    lines: list[bytes] = []
    for seq, (ev, rid, facts) in enumerate(rows):
        prev = hashlib.sha256(lines[-1]).hexdigest() if lines else ""
        own = {"boot": "b", "ev": ev, "prev": prev, "rid": rid, "seq": seq, "t": seq}
        lines.append(write({**facts, **own}))
    assert walk(lines).broken == []
    assert verify(Material("gpu01", lines), Remembered()).code in (1, 3)


def test_a_million_nested_lists_are_one_broken_line() -> None:
    lines = [b"[" * 1_000_000, b'{"a":' * 100_000, b"9" * 100_000, b'{"seq":1e999}']
    assert len(walk(lines).broken) == 4


def successor(host: Host) -> bytes:
    """The next roster, with a newcomer."""
    people = dict(roster_doc()["people"])
    key = {**people["alice"]["keys"][0], "pub": key_of("erin").public_line}
    people["erin"] = {**people["alice"], "keys": [key]}
    prev = hashlib.sha256(host.roster).hexdigest()
    return canonical.write(roster_doc(serial=2, prev=prev, people=people))


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (["alice", "erin"], "1 people signed the roster, 2 are needed"),
        (["alice", "bob"], "a new key has not signed"),
        (["alice", "dave", "erin"], "dave may not approve install-roster"),
        (["alice", "bob", "erin"], ""),
    ],
    ids="-".join,
)
@pytest.mark.parametrize("where", ["record", "chain"])
def test_a_roster_follows_by_a_quorum_and_every_new_key(
    host: Host, by: list[str], why: str, where: str
) -> None:
    text = successor(host)
    link = {
        "text": text.decode(),
        "signatures": [key_of(person).sign(text, "roster-v1@watchfloor") for person in by],
    }
    if where == "record":
        host.log.append("roster", "", {"roster": link["text"], "signatures": link["signatures"]})
    first, host.roster = host.roster, text
    rid = host.isolate(9)
    chain = chain_of([link]) if where == "chain" else {}
    known = [hashlib.sha256(data).hexdigest() for data in (first, host.policy)]
    report = verify(host.material([rid], chain=chain), kept(host, host.checkpoint(), rosters=known))
    assert (report.code == 0) is (why == ""), report.wrong
    assert why in " ".join(map(str, report.wrong))


def test_a_request_under_a_roster_that_nobody_knows_is_wrong(host: Host) -> None:
    host.roster = successor(host)
    host.isolate()
    said = wrong(verify(host.material(), kept(host)))
    assert "signed under another roster than the one in force" in said
