"""Whose key is believed, and how long a host may keep a verification waiting."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from console.audit.exchange import read_log, write_log
from console.audit.fetch import MIN_PART, fetch, newest
from console.audit.recall import recall, remember
from console.audit.report import Report
from console.audit.verify import Material, verify
from console.errors import ProtocolError
from console.hostside.guard.trust.sshsig import fingerprint
from console.store import witness as store
from console.store.witness import NAME, Witness
from tests.support.auditlog import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.enrol()
    return made


def verified(witness: Witness, material: Material) -> Report:
    """As the verb does it."""
    kept = recall(witness, "gpu01")
    report = verify(material, kept)
    remember(witness, material, kept, report)
    return report


def test_no_key_is_pinned_from_a_file(host: Host, tmp_path: Path) -> None:
    write_log(tmp_path / "gpu01.audit", host.material(fetched=host.now))
    with closing(Witness(tmp_path / "state")) as witness:
        report = verified(witness, read_log(tmp_path / "gpu01.audit", "gpu01"))
        assert report.wrong == []
        assert witness.pinned("gpu01") is None
        assert witness.seen("gpu01", "checkpoint") == []


def test_no_key_is_pinned_where_something_is_wrong(host: Host, tmp_path: Path) -> None:
    host.begin("c" * 64)
    with closing(Witness(tmp_path / "state")) as witness:
        assert verified(witness, host.material(fetched=host.now)).code == 1
        assert witness.pinned("gpu01") is None


def test_a_key_is_pinned_at_first_sight_of_the_host_itself(host: Host, tmp_path: Path) -> None:
    with closing(Witness(tmp_path / "state")) as witness:
        assert verified(witness, host.material(fetched=host.now)).code == 3
        assert witness.pinned("gpu01") == (host.blob, "first-sight")


def test_a_key_that_a_person_replaced_leaves_a_trace(host: Host, tmp_path: Path) -> None:
    with closing(Witness(tmp_path / "state")) as witness:
        witness.pin("gpu01", b"old", "first-sight")
        witness.repin("gpu01", host.blob, "person")
        witness.repin("gpu01", host.blob, "person")  # as it is: no second trace
        assert witness.pinned("gpu01") == (host.blob, "person")
        assert witness.pin("gpu01", b"third", "first-sight") == host.blob
        assert [(old, new) for _, old, new in witness.repinned("gpu01")] == [(b"old", host.blob)]
        report = verified(witness, host.material(fetched=host.now))
        said = " ".join(map(str, report.notes))
        assert fingerprint(b"old") in said
        assert fingerprint(host.blob) in said
    with closing(sqlite3.connect(tmp_path / "state" / NAME)) as db:
        for change in ("DELETE FROM repin", "UPDATE repin SET at=0"):
            with pytest.raises(sqlite3.IntegrityError, match="evidence is not changed"):
                db.execute(change)


def test_a_database_of_before_takes_replaced_keys_too(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with closing(sqlite3.connect(state / NAME)) as db:
        for statement in store._statements(store._STEPS[0]):
            db.execute(statement)
        db.execute("INSERT INTO pin VALUES ('gpu01', x'01', 1.0, 'enrolled')")
        db.execute("PRAGMA user_version=1")
        db.commit()
    with closing(Witness(state)) as witness:
        assert witness.pinned("gpu01") == (b"\x01", "enrolled")
        witness.repin("gpu01", b"\x02", "person")
        assert witness.pinned("gpu01") == (b"\x02", "person")


async def test_a_log_in_crumbs_is_not_waited_for(host: Host) -> None:
    """One record a call, of millions that the host says it has."""
    calls = 0

    async def call(envelope: dict[str, Any]) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        return {"records": [host.lines[0].decode()], "size": 4_999_999, "checkpoint": {}}

    with pytest.raises(ProtocolError, match="says that it has 4,999,999 records and gave 1"):
        await fetch("gpu01", call)
    assert calls == 2  # the state, and one part


async def test_a_host_that_stalls_is_given_up(host: Host) -> None:
    """However large each part is, all of them together have a time."""

    async def call(envelope: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"records": ["x" * MIN_PART], "size": 4_999_999, "checkpoint": {}}

    with pytest.raises(ProtocolError, match="did not give its log within 0 s"):
        await fetch("gpu01", call, limit_s=0.05)


async def test_the_key_that_a_host_signs_with_is_asked_without_its_log(host: Host) -> None:
    async def call(envelope: dict[str, Any]) -> dict[str, Any]:
        assert envelope["op"] == "audit"
        return {"records": [], "size": 2, "checkpoint": host.log.checkpoint()}

    assert (await newest("gpu01", call)).key == host.blob

    async def nothing(envelope: dict[str, Any]) -> dict[str, Any]:
        return {}

    with pytest.raises(ProtocolError, match="shows no checkpoint"):
        await newest("gpu01", nothing)


def test_judging_has_an_end(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.isolate()
    monkeypatch.setattr("console.audit.verify.JUDGE_S", -1.0)
    report = verify(host.material(), recall_nothing(host))
    assert "records from number 0 on are not judged" in " ".join(map(str, report.missing))


def recall_nothing(host: Host) -> Any:
    from console.audit.verify import Remembered

    return Remembered(key=host.blob)
