"""What one host shows must not end what this console does for all the others."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from console.audit.witness import Watch
from console.clock import SystemClock
from console.engine import session
from console.engine.witnessing import Witnessing
from console.model.event import Event
from console.model.guard import GuardDocs
from console.store.witness import Witness
from tests.support.auditlog import Host
from tests.unit.engine.test_engine import Rig

NOT_UTF8 = {
    "checkpoint": b'{"body":"\xff","signature":""}',
    "tail": b'{"records":["\xff"]}',
    "request": b'{"request":"\xff","signature":"","decisions":[]}',
}


def docs(*shown: tuple[str, bytes]) -> GuardDocs:
    return GuardDocs(docs=tuple((k, hashlib.sha256(d).hexdigest(), d) for k, d in shown))


@pytest.mark.parametrize("kind", NOT_UTF8)
def test_bytes_that_are_no_text_are_one_remark(tmp_path: Path, kind: str) -> None:
    witness = Witness(tmp_path)
    watch = Watch(witness)
    told = [*watch.saw("gpu01", kind, NOT_UTF8[kind]), *watch.saw("gpu01", kind, NOT_UTF8[kind])]
    assert len(told) == 1
    assert told[0].kind in ("audit.unreadable", "audit.unsigned")
    witness.close()


async def test_evidence_of_other_hosts_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where this console has a defect that nobody thought of."""
    host = Host(tmp_path)
    host.enrol()
    real = Watch.saw

    def saw(self: Watch, name: str, kind: str, data: bytes) -> object:
        if data == b"defect":
            raise ZeroDivisionError
        return real(self, name, kind, data)

    monkeypatch.setattr(Watch, "saw", saw)
    shown = {
        "evil": docs(("tail", b"defect"), *NOT_UTF8.items()),
        "good": docs(("checkpoint", host.checkpoint())),
    }
    told: list[Event] = []
    keeping = Witnessing(
        tmp_path / "state", SystemClock(), lambda: shown, shown.get, told.append
    )  # fmt: skip
    await keeping.look()
    assert keeping._witness is not None
    assert len(keeping._witness.seen("good", "checkpoint")) == 1
    assert {event.host for event in told} == {"evil"}
    assert any("ZeroDivisionError" in event.facts["reason"] for event in told)
    count = len(told)
    await keeping.look()
    assert len(told) == count, "told once"
    keeping._witness.close()


async def test_a_part_of_the_engine_that_ends_is_told_and_starts_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "AGAIN_S", 0.01)
    rig = Rig()
    runs = []
    again = asyncio.Event()

    async def work() -> None:
        runs.append(1)
        if len(runs) == 3:
            again.set()
            await asyncio.Event().wait()
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "of one host")

    begin: Callable[[str, Callable[[], Awaitable[None]]], None] = rig.engine._begin
    async with rig.running() as engine:
        begin("witness", work)
        await asyncio.wait_for(again.wait(), 10)
        told = [event for event in engine.events(0, 1000) if event.kind == "console.defect"]
        assert [event.facts["what"] for event in told] == ["witness"], "told once"
