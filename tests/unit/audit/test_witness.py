"""What this console keeps, what it says at once, and what it gives to a peer."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import stat
import struct
import threading
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.audit.checkpoint import BadCheckpoint, read
from console.audit.cosign import KEY_FILE, cosigner
from console.audit.exchange import read_peer, write_peer
from console.audit.recall import kept_checkpoints, provable, recall, remember
from console.audit.verify import verify
from console.audit.witness import Alarm, Watch
from console.clock import SystemClock
from console.engine.witnessing import Witnessing
from console.errors import StoreError, UsageError
from console.model.event import Event
from console.model.guard import GuardDocs
from console.store import witness as store
from console.store.witness import NAME, Witness
from tests.support.auditlog import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.enrol()
    return made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def forget(host: Host) -> None:
    """Root removes what was derived from the log."""
    for name in ("edge", "index", "checkpoint.json"):
        (host.path.parent / name).unlink(missing_ok=True)
    host.log = host.anew()


def kinds(alarms: list[Alarm]) -> list[str]:
    return [alarm.kind for alarm in alarms]


def test_growing_is_no_alarm_and_everything_is_kept(host: Host, state: Path) -> None:
    witness = Witness(state)
    watch = Watch(witness)
    seen = []
    for number in range(3):
        host.submit(number=number)
        seen.append(host.checkpoint())
        assert watch.saw("gpu01", "checkpoint", seen[-1]) == []
        assert watch.saw("gpu01", "checkpoint", seen[-1]) == []
    assert [c.size for c in kept_checkpoints(witness, "gpu01")] == [3, 4, 5]
    assert witness.pinned("gpu01") == (host.blob, "first-sight")


@pytest.mark.parametrize("restarted", [False, True])
def test_fewer_records_than_before_are_an_alarm(host: Host, state: Path, restarted: bool) -> None:
    """A host put back to a snapshot, also after this console was started anew. Threats: 59."""
    witness = Witness(state)
    watch = Watch(witness)
    old = host.checkpoint()
    host.submit()
    watch.saw("gpu01", "checkpoint", host.checkpoint())
    if restarted:
        witness.close()
        witness = Witness(state)
        watch = Watch(witness)
    alarms = watch.saw("gpu01", "checkpoint", old)
    assert kinds(alarms) == ["audit.rollback"]
    assert "it had 3 records, it has 2" in alarms[0].words
    assert watch.saw("gpu01", "checkpoint", old) == []  # each once


def test_two_logs_of_one_length_are_an_alarm_and_both_are_kept(host: Host, state: Path) -> None:
    """Threats: 97."""
    witness = Witness(state)
    watch = Watch(witness)
    watch.saw("gpu01", "checkpoint", host.checkpoint())
    host.path.write_bytes(b"")
    forget(host)
    host.now += 1
    host.enrol()
    assert kinds(watch.saw("gpu01", "checkpoint", host.checkpoint())) == ["audit.fork"]
    assert len(kept_checkpoints(witness, "gpu01")) == 2


def test_another_key_and_junk_are_alarms_and_are_not_kept(
    host: Host, state: Path, tmp_path: Path
) -> None:
    witness = Witness(state)
    watch = Watch(witness)
    watch.saw("gpu01", "checkpoint", host.checkpoint())
    (tmp_path / "other").mkdir()
    other = Host(tmp_path / "other").checkpoint()
    assert kinds(watch.saw("gpu01", "checkpoint", other)) == ["audit.other-key"]
    changed = host.checkpoint().replace(b"h-11", b"h-12")
    assert kinds(watch.saw("gpu01", "checkpoint", changed)) == ["audit.unsigned"]
    assert len(kept_checkpoints(witness, "gpu01")) == 1


def test_records_that_were_shown_are_kept_and_a_changed_one_is_an_alarm(
    host: Host, state: Path
) -> None:
    """The window that nobody saw is one poll. Threats: 96."""
    witness = Witness(state)
    watch = Watch(witness)
    host.isolate()
    tail = json.dumps({"records": host.log.tail(4)}).encode()
    assert watch.saw("gpu01", "tail", tail) == []
    assert [seen.number for seen in witness.seen("gpu01", "record")] == [3, 4, 5, 6]
    changed = tail.replace(b"STANDING", b"REVERTED")
    assert kinds(watch.saw("gpu01", "tail", changed)) == ["audit.fork"]


def test_a_flood_of_one_host_is_bounded(
    host: Host, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_SEEN", (1 << 20) + 10_000)
    witness = Witness(state)
    watch = Watch(witness)
    told: list[Alarm] = []
    for number in range(200):
        envelope = {"request": f"{number}", "signature": "s" * 500, "decisions": []}
        told += watch.saw("gpu01", "request", json.dumps(envelope).encode())
    assert kinds(told) == ["audit.full"]
    witness.keep("gpu02", "request", 0, b"x")
    assert witness.seen("gpu02", "request")
    for _ in range(3000):
        if not witness.keep("gpu01", "request", _, b"y" * 1000):
            break
    assert not witness.keep("gpu01", "request", 9999, b"y" * 1000)
    assert witness.sent("gpu01", "submit", "r", b"own", b"")  # what is ours is always kept


@given(st.sampled_from(["checkpoint", "tail", "request", "state", "x"]), st.binary(max_size=99))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_document_raises(state: Path, kind: str, data: bytes) -> None:
    witness = Witness(state)
    Watch(witness).saw("gpu01", kind, data)
    witness.close()


def test_evidence_is_private_and_cannot_be_changed_by_mistake(state: Path) -> None:
    witness = Witness(state)
    witness.keep("gpu01", "record", 0, b"x")
    witness.pin("gpu01", b"key", "enrolled")
    number = witness.sent("gpu01", "submit", "r", b"d", b"s")
    witness.answered(number, b"first")
    witness.answered(number, b"second")
    assert witness.all_sent("gpu01")[0].answer == b"first"
    assert witness.pin("gpu01", b"other", "enrolled") == b"key"
    assert stat.S_IMODE((state / NAME).stat().st_mode) == 0o600
    db = sqlite3.connect(state / NAME)
    for table in ("seen", "sent", "answer", "pin"):
        with pytest.raises(sqlite3.IntegrityError, match="evidence is not changed"):
            db.execute(f"DELETE FROM {table}")  # noqa: S608  # constant text
    db.close()


def test_two_processes_may_keep_at_once(state: Path) -> None:
    """A verb beside the screens: neither loses anything."""
    many = [Witness(state) for _ in range(3)]

    def add(at: int) -> None:
        for number in range(20):
            many[at].keep(f"host{at}", "record", number, b"x")

    threads = [threading.Thread(target=add, args=(at,)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(many[0].seen(f"host{at}", "record")) for at in range(3)] == [20, 20, 20]


def test_a_damaged_database_is_left_where_it_is(state: Path) -> None:
    state.mkdir()
    (state / NAME).write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="do not delete it"):
        Witness(state)
    assert (state / NAME).read_bytes().startswith(b"no database")


def test_one_of_a_newer_version_is_left_alone(state: Path) -> None:
    Witness(state).close()
    db = sqlite3.connect(state / NAME)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        Witness(state)


# ---- for a peer


def test_only_what_was_proved_is_cosigned_and_the_line_is_the_standards(
    host: Host, state: Path, tmp_path: Path
) -> None:
    """The note is checked here by the words of c2sp.org/tlog-cosignature, with none of our code."""
    witness = Witness(state)
    watch = Watch(witness)
    watch.saw("gpu01", "checkpoint", host.checkpoint())
    rid = host.isolate()
    material = host.material([rid])
    kept = recall(witness, "gpu01")
    remember(witness, material, kept, verify(material, kept))
    host.submit(number=4)
    watch.saw("gpu01", "checkpoint", host.checkpoint())
    key = cosigner(state)
    file = tmp_path / "peer"
    assert write_peer(file, key, provable(witness, "gpu01")) == 3
    head, *rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert ["note" in row for row in rows] == [True, True, False]

    name, key_id, packed = head["witness"].split("+", 2)
    public = base64.b64decode(packed)
    assert (public[0], len(public)) == (4, 33)
    for row in rows[:2]:
        text, line = row["note"].split("\n\n")
        body = text + "\n"
        assert body == row["body"]
        dash, said, signed = line.rstrip("\n").split(" ")
        assert (dash, said) == ("\u2014", name)
        raw = base64.b64decode(signed)
        assert len(raw) == 4 + 8 + 64
        own = hashlib.sha256(name.encode() + b"\n\x04" + public[1:]).digest()[:4]
        assert raw[:4] == own == bytes.fromhex(key_id)
        at = struct.unpack(">Q", raw[4:12])[0]
        message = f"cosignature/v1\ntime {at}\n".encode() + body.encode()
        verifier = Ed25519PublicKey.from_public_bytes(public[1:])
        verifier.verify(raw[12:], message)
        with pytest.raises(InvalidSignature):
            verifier.verify(
                raw[12:], message.replace(b"\n7\n", b"\n8\n").replace(b"\n2\n", b"\n3\n")
            )
    assert [seen.size for seen in read_peer(file)] == [2, 7, 8]


def test_nothing_is_cosigned_where_something_was_wrong(host: Host, state: Path) -> None:
    witness = Witness(state)
    Watch(witness).saw("gpu01", "checkpoint", host.checkpoint())
    host.begin("c" * 64)
    material = host.material()
    kept = recall(witness, "gpu01")
    report = verify(material, kept)
    remember(witness, material, kept, report)
    assert report.code == 1
    assert [at for _, _, at in provable(witness, "gpu01")] == [0, 0]


def test_the_witness_key_is_made_once_and_private(state: Path) -> None:
    first = cosigner(state)
    assert cosigner(state).vkey == first.vkey
    assert stat.S_IMODE((state / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in state.iterdir()] == [KEY_FILE]
    (state / KEY_FILE).chmod(0o644)
    with pytest.raises(StoreError, match="others may read"):
        cosigner(state)


def test_a_peers_file_that_is_none_names_its_line(tmp_path: Path, host: Host) -> None:
    file = tmp_path / "peer"
    file.write_bytes(b'{"kind":"watchfloor-checkpoints"}\n' + host.checkpoint() + b"\njunk\n")
    with pytest.raises(UsageError, match="line 3"):
        read_peer(file)


@given(st.binary(max_size=300))
def test_no_checkpoint_raises_anything_else(data: bytes) -> None:
    with pytest.raises(BadCheckpoint):
        read(data)


# ---- in the engine


def there(path: Path) -> bool:
    return path.exists()


def blocked(path: Path) -> None:
    path.write_text("a file where the folder should be")


def unblocked(path: Path) -> None:
    path.unlink()


async def test_what_guards_publish_is_kept_while_watching(host: Host, state: Path) -> None:
    events: list[Event] = []
    docs: dict[str, GuardDocs] = {}
    watching = Witnessing(state, SystemClock(), lambda: docs, docs.get, events.append)
    await watching.look()
    assert not there(state)  # no guard, no database
    first = host.checkpoint()
    docs["gpu01"] = GuardDocs(docs=(("checkpoint", "1", first),))
    await watching.look()
    host.submit()
    docs["gpu01"] = GuardDocs(docs=(("checkpoint", "2", host.checkpoint()),))
    await watching.look()
    assert events == []
    docs["gpu01"] = GuardDocs(docs=(("checkpoint", "1", first),))
    await watching.look()
    assert [(event.kind, event.host) for event in events] == [("audit.rollback", "gpu01")]
    assert [c.size for c in kept_checkpoints(Witness(state), "gpu01")] == [2, 3]


async def test_evidence_that_cannot_be_kept_is_told_and_tried_again(
    host: Host, state: Path
) -> None:
    events: list[Event] = []
    docs = {"gpu01": GuardDocs(docs=(("checkpoint", "1", host.checkpoint()),))}
    blocked(state)
    watching = Witnessing(state, SystemClock(), lambda: docs, docs.get, events.append)
    await watching.look()
    await watching.look()
    assert [event.kind for event in events] == ["audit.unkept"]
    unblocked(state)
    await watching.look()
    assert [event.kind for event in events] == ["audit.unkept", "audit.kept"]
    assert len(kept_checkpoints(Witness(state), "gpu01")) == 1
