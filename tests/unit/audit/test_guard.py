"""The log of the guard itself, fetched by its own verb, is proved; what it leaves out is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.audit.exchange import read_log, write_log
from console.audit.fetch import fetch
from console.audit.recall import recall, remember
from console.audit.verify import Material, verify
from console.audit.witness import Watch
from console.hostside.guard import commands
from console.hostside.guard.caller import Caller
from console.hostside.guard.trust import canonical
from console.store.witness import Witness
from tests.support.guardhost import Host, Killed
from tests.support.guardkit import roster_doc


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr("console.hostside.guard.steps.EFFECTOR", "simulated")
    return Host(tmp_path / "host")


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "state")


async def fetched(host: Host) -> Material:
    async def call(envelope: dict[str, Any]) -> dict[str, Any]:
        answer = host.call(**envelope)
        assert answer["ok"] is True
        return msgspec.json.decode(msgspec.json.encode(answer), type=dict[str, Any])

    return await fetch("gpu01", call)


def known(host: Host) -> set[str]:
    trust = host.guard().trust
    return {trust[:64], trust[64:]}


def watched(host: Host, witness: Witness) -> None:
    """What the probe shows goes to the console."""
    public = Path(host.place.public)
    watch = Watch(witness)
    for doc in json.loads((public / "index.json").read_text())["docs"]:
        data = (public / "docs" / doc["sha256"]).read_bytes()
        assert watch.saw("gpu01", doc["kind"], data) == []


def whole_life(host: Host, witness: Witness) -> str:
    """An isolation asked for, approved, confirmed, seen by a console at each step; its id."""
    fields = host.request()
    first = witness.sent("gpu01", "submit", "", fields["request"].encode(), b"")
    answer = host.call("submit", **fields)
    witness.answered(first, msgspec.json.encode({"ok": True, "id": answer["id"]}))
    watched(host, witness)
    decision = host.decision(answer["id"])
    second = witness.sent("gpu01", "decide", answer["id"], decision["decision"].encode(), b"")
    applied = host.call("decide", **decision)
    told = {key: applied[key] for key in ("ok", "id", "state")}
    witness.answered(second, msgspec.json.encode(told))
    watched(host, witness)
    third = witness.sent("gpu01", "confirm", answer["id"], b"", b"")
    witness.answered(third, msgspec.json.encode(host.confirm(applied)))
    host.call("submit", **host.request("mallory", requester="alice"))
    watched(host, witness)
    return str(answer["id"])


def torn(host: Host) -> None:
    """Power is lost in the middle of a record, and root repairs it."""
    log = host.guard().log
    with Path(log.path).open("ab") as file:
        file.write(b'{"torn\xff\x00')
    log.repair()


def emptied(host: Host) -> None:
    """Root removes the log and all that was derived from it."""
    folder = Path(host.place.state, "audit")
    (folder / "log.jsonl").write_bytes(b"")
    for name in ("edge", "index", "checkpoint.json"):
        (folder / name).unlink()


async def test_the_guards_own_log_is_proved(host: Host, witness: Witness) -> None:
    whole_life(host, witness)
    material = await fetched(host)
    kept = recall(witness, "gpu01", (), known(host))
    report = verify(material, kept)
    assert (report.wrong, report.missing) == ([], [])
    assert report.signatures == 2
    assert "1 in force" in str(report.proved[-1])
    remember(witness, material, kept, report)
    assert {seen.number for seen in witness.seen("gpu01", "proved")} >= {report.records}


async def test_a_lost_dead_man_a_denial_and_a_withdrawal_are_proved(
    host: Host, witness: Witness
) -> None:
    host.applied()
    host.clock.go(100)
    host.tick()
    rid = host.submit()["id"]
    host.decide(rid, verdict="deny")
    host.submit(mode="one_then_ratify")
    host.clock.go(400)
    host.tick()
    host.clock.reboot()
    host.tick()
    report = verify(await fetched(host), recall(witness, "gpu01", (), known(host)))
    assert report.wrong == []


async def test_a_log_in_a_file_is_the_same_log(
    host: Host, witness: Witness, tmp_path: Path
) -> None:
    whole_life(host, witness)
    torn(host)
    material = await fetched(host)
    write_log(tmp_path / "gpu01.audit", material)
    assert (tmp_path / "gpu01.audit").stat().st_mode & 0o777 == 0o600
    again = read_log(tmp_path / "gpu01.audit", "gpu01")
    assert again == msgspec.structs.replace(material, fetched=0)
    bare = read_log(Path(host.guard().log.path), "gpu01")
    assert bare.lines == material.lines


async def test_a_guard_that_hides_an_action_is_found_out(host: Host, witness: Witness) -> None:
    """All records of the request gone, and the log signed anew. Threats: 94, 95."""
    whole_life(host, witness)
    emptied(host)
    report = verify(await fetched(host), recall(witness, "gpu01", (), known(host)))
    said = " ".join(map(str, report.wrong))
    for word in ("DENIED", "HIDDEN", "ROLLED BACK", "was shown and is gone"):
        assert word in said
    assert report.code == 1


async def test_root_that_installs_a_roster_alone_is_told(
    host: Host, witness: Witness, tmp_path: Path
) -> None:
    """The first one, and the way back in when all keys are lost. Threats: 100."""
    whole_life(host, witness)
    known_before = known(host)
    replaced(host, tmp_path / "roster.json")
    host.submit()
    material = await fetched(host)
    report = verify(material, recall(witness, "gpu01", (), known_before))
    said = " ".join(str(each) for each in report.wrong)
    assert "root on the host put another roster" in said
    assert "root's own act on the host, and not one that this console knows" in said
    # Also where this console knows it by now: nobody signed that it takes the place of the other.
    known_now = verify(material, recall(witness, "gpu01", (), known_before | known(host)))
    assert ["which nobody signed" in str(each) for each in known_now.wrong] == [True]


def replaced(host: Host, path: Path) -> None:
    """Root installs another roster."""
    path.write_bytes(canonical.write(roster_doc(quorum=3)))
    path.chmod(0o644)
    guard = host.guard(Caller("", "", 0, ""))
    assert commands.command(guard, ["install-roster", str(path)], lambda: True) == 0


async def test_a_guard_that_was_killed_tells_once_also_after_a_torn_line(
    host: Host, witness: Witness
) -> None:
    host.decide(host.submit()["id"], verdict="deny")
    torn(host)
    host.mark = killer("is APPLIED")
    rid = host.submit()["id"]
    with pytest.raises(Killed):
        host.decide(rid)
    host.mark = lambda point: None
    host.tick()
    ends = [record for record in host.guard().log.recent(8) if record["ev"] == "exec_end"]
    assert [record["rid"] for record in ends].count(rid) == 1
    report = verify(await fetched(host), recall(witness, "gpu01", (), known(host)))
    assert report.wrong == []


def killer(at: str) -> Callable[[str], None]:
    """Ends the process at a mark."""

    def mark(point: str) -> None:
        if point == at:
            raise Killed

    return mark


async def test_what_was_begun_on_a_full_disk_is_told_late_and_not_wrong(
    host: Host, witness: Witness
) -> None:
    from console.hostside.guard.audit import log

    made = host.request("carol", mode="one_then_ratify")

    def full(self: log.Log, *given: object) -> None:
        raise log._unwritten("No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log.Log, "append", full)
        answer = host.call("submit", **made)
        assert answer["state"] == "APPLIED"
    host.clock.go(301)
    host.tick()
    report = verify(await fetched(host), recall(witness, "gpu01"))
    assert not report.wrong, report.wrong
    assert any("told late" in note for note in map(str, report.notes))


async def test_who_took_evidence_is_proved_by_their_own_signature(
    host: Host, witness: Witness
) -> None:
    host.simulate(pace_s=0)
    parts = {"include": ["processes"], "since_s": 60}
    rid = host.decide(host.submit(action="collect-evidence", params=parts)["id"])["id"]
    doc = {"by": "bob", "expires": host.clock.time + 600, "request_sha256": rid}
    text, signature = host.signed("fetch", "bob", doc, flags=1)
    number = witness.sent("gpu01", "fetch", rid, text.encode(), signature.encode())
    assert host.call("fetch", fetch=text, signature=signature)["ok"]
    witness.answered(number, b'{"ok":true}')
    whole = await fetched(host)
    report = verify(whole, recall(witness, "gpu01"))
    assert not report.wrong, report.wrong
    without = [line for line in whole.lines if b'"ev":"fetched"' not in line]
    assert len(without) == len(whole.lines) - 1
    report = verify(msgspec.structs.replace(whole, lines=without), recall(witness, "gpu01"))
    assert any("DENIED" in str(each) for each in report.wrong)
