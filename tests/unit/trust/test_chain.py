"""The console's own chain of rosters and policies: what may follow what, what is not trusted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from console.errors import ConfigError, UsageError
from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.documents import NAMESPACES
from console.trust import roster as docs
from console.trust.chain import Chain
from tests.support.guardkit import key_of, person_entry, policy_doc, roster_doc


def signed(data: bytes, *people: str, kind: str = "roster") -> list[str]:
    return [key_of(person).sign(data, NAMESPACES[kind]) for person in people]


def following(kind: str, old: bytes, **changes: Any) -> bytes:
    doc = {**json.loads(old), **changes}
    doc.update(serial=json.loads(old)["serial"] + 1, prev=canonical.sha256(old))
    return canonical.write(doc)


@pytest.fixture
def first() -> bytes:
    return canonical.write(roster_doc())


@pytest.fixture
def chain(tmp_path: Path, first: bytes) -> Chain:
    found = Chain(tmp_path / "trust")
    found.begin("roster", first)
    found.begin("policy", canonical.write(policy_doc()))
    return found


def with_erin(old: bytes) -> bytes:
    people = {**json.loads(old)["people"], "erin": person_entry(key_of("erin"))}
    return following("roster", old, people=people)


def test_a_roster_follows_by_two_people_and_every_new_key(chain: Chain, first: bytes) -> None:
    new = with_erin(first)
    assert chain.adopt("roster", new, signed(new, "alice", "bob", "erin")) == ["alice", "bob"]
    trusted = chain.load()
    assert (trusted.roster.serial, trusted.roster_sha256) == (2, canonical.sha256(new))
    assert trusted.policy.serial == 1
    assert chain.adopt("roster", new, []) == [], "the same again is nothing new"
    assert chain.current("roster").name == "roster-2.json"


@pytest.mark.parametrize(
    ("signers", "said"),
    [
        (("alice", "erin"), "1 people have signed it"),
        (("alice", "alice", "erin"), "1 people have signed it"),
        (("alice", "bob"), "a new key of erin has not signed"),
        (("alice", "dave", "erin"), "dave may not approve install-roster"),
        (("alice", "stranger", "erin"), "is not in this host's roster"),
    ],
)
def test_too_few_or_wrong_signatures_change_nothing(
    chain: Chain, first: bytes, signers: tuple[str, ...], said: str
) -> None:
    new = with_erin(first)
    with pytest.raises(ConfigError, match=said):
        chain.adopt("roster", new, signed(new, *signers))
    assert chain.load().roster_sha256 == canonical.sha256(first)
    assert sorted(os.listdir(chain.folder)) == [
        "policy-1.json", "policy-1.sigs", "roster-1.json", "roster-1.sigs",
    ]  # fmt: skip


def test_a_policy_follows_by_the_roster_of_its_time(chain: Chain, first: bytes) -> None:
    old = chain.links("policy")[0].data
    new = following("policy", old, max_targets=4)
    assert chain.adopt("policy", new, signed(new, "bob", "carol", kind="policy")) == [
        "bob",
        "carol",
    ]
    # Bob leaves later: what he signed before counts on.
    people = {name: entry for name, entry in json.loads(first)["people"].items() if name != "bob"}
    later = following("roster", first, people=people)
    chain.adopt("roster", later, signed(later, "alice", "carol"))
    sigs = chain.folder / "roster-2.sigs"
    about = json.loads(sigs.read_bytes())
    sigs.write_text(json.dumps({**about, "adopted": about["adopted"] + 10}))
    assert chain.load().policy.doc["max_targets"] == 4


def test_a_skipped_serial_or_another_past_is_refused(chain: Chain, first: bytes) -> None:
    second = with_erin(first)
    third = following("roster", second, quorum=3)
    with pytest.raises(ConfigError, match="must follow on"):
        chain.adopt("roster", third, signed(third, "alice", "bob"))
    forked = canonical.write({**json.loads(second), "prev": "0" * 64})
    with pytest.raises(ConfigError, match="must follow on"):
        chain.adopt("roster", forked, signed(forked, "alice", "bob", "erin"))


def test_files_that_others_may_write_are_not_trusted(chain: Chain) -> None:
    file = chain.current("roster")
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="is not trusted"):
        chain.load()
    file.chmod(0o600)
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")
    with pytest.raises(ConfigError):
        chain.load()


def test_a_chain_that_was_changed_is_told(chain: Chain, first: bytes) -> None:
    """An editor of the console's own files cannot weaken what is in force. Threats: 81."""
    new = with_erin(first)
    chain.adopt("roster", new, signed(new, "alice", "bob", "erin"))
    file = chain.current("roster")
    file.write_bytes(new.replace(b'"quorum":2', b'"quorum":3'))
    with pytest.raises(ConfigError, match="not genuine"):
        chain.load()
    file.write_bytes(new)
    file.with_suffix(".sigs").write_text('{"signatures": "x", "adopted": 1}')
    with pytest.raises(ConfigError, match="no signatures"):
        chain.load()
    (chain.folder / "roster-2.json").rename(chain.folder / "roster-3.json")
    with pytest.raises(ConfigError, match="is missing between others"):
        chain.load()


def test_without_a_chain_the_way_to_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no roster of its own") as caught:
        Chain(tmp_path / "none").load()
    assert "roster init" in caught.value.hint


def test_a_chain_begins_once(chain: Chain, first: bytes) -> None:
    with pytest.raises(ConfigError, match="has a roster already"):
        chain.begin("roster", first)


# ---- made by people


def test_a_first_roster_of_two_key_files_is_made_and_its_weakness_told() -> None:
    from console.demo.fido import FileKey

    files = {
        name: [docs.key_entry(FileKey().public_line, "k", "not-proven")] for name in ("a", "b")
    }
    found = docs.parsed("roster", docs.written("roster", docs.first_roster(files), 1, ""))
    assert len(list(docs.weak(found))) == 2
    keys = {name: [docs.key_entry(key_of(name).public_line, "k", "proven")] for name in ("a", "b")}
    strong = docs.parsed("roster", docs.written("roster", docs.first_roster(keys), 1, ""))
    assert list(docs.weak(strong)) == []


def test_a_roster_that_nobody_could_change_is_not_made(first: bytes) -> None:
    doc = json.loads(first)
    doc["people"] = {"alice": doc["people"]["alice"]}
    with pytest.raises(UsageError, match="1 people may approve install-roster, and 2"):
        docs.written("roster", doc, 1, "")


def test_what_changes_is_said_in_words(first: bytes) -> None:
    new = json.loads(with_erin(first))
    new["people"]["bob"]["keys"][0]["revoked"] = 1_790_000_000
    new["quorum"] = 3
    told = list(docs.changes(json.loads(first), new))
    assert any(line.startswith("+ erin (Somebody): responder") for line in told)
    assert any(key_of("erin").fingerprint in line for line in told)
    assert len(told) == 4
    bob = next(line for line in told if "people.bob.keys" in line)
    assert key_of("bob").fingerprint in bob
    assert "revoked 2026-09-21" in bob
    assert "~ quorum: 2 becomes 3" in told


def test_a_document_in_words_shows_no_foreign_escape(first: bytes) -> None:
    found = docs.parsed("roster", first)
    shown = "\n".join(docs.lines(found))
    assert key_of("alice").fingerprint in shown
    assert "hardware key, proven" in shown
    assert len(docs.spoken(found.sha256).split()) == 6
    assert docs.spoken(found.sha256) in shown
    policy = "\n".join(docs.lines(docs.parsed("policy", canonical.write(policy_doc()))))
    assert "isolate: 2 people" in policy


@pytest.mark.parametrize("text", [b"[]", b"{", b"[" * 100_000, b" " * (300 << 10)])
def test_what_is_no_edited_document_is_told(text: bytes) -> None:
    with pytest.raises(UsageError):
        docs.edited(text)
