"""The host's audit log: on the disk before anything happens, signed, torn, repaired, flooded."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.audit.checkpoint import read
from console.audit.records import walk
from console.hostside.guard.audit import log as audit
from console.hostside.guard.audit import logfiles as auditfiles
from console.hostside.guard.audit import tlog
from console.hostside.guard.refused import Refused
from tests.support.auditlog import Host
from tests.support.guardkit import refused


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def fill(host: Host, count: int) -> None:
    for number in range(count):
        host.log.append("submit", "r", {"n": number, "text": "ä\n\x1b[2J"})


def test_a_record_has_all_that_the_page_says(host: Host) -> None:
    fill(host, 2)
    first, second = (json.loads(line) for line in host.lines)
    assert first["prev"] == ""
    assert second["prev"] == hashlib.sha256(host.lines[0]).hexdigest()
    assert [each["seq"] for each in (first, second)] == [0, 1]
    assert (first["t"], first["boot"], first["ev"], first["rid"]) == (
        host.now, host.boot, "submit", "r",
    )  # fmt: skip
    assert host.path.stat().st_mode & 0o777 == 0o600
    # Shown on a terminal, the file can do nothing to it.
    assert host.path.read_bytes().replace(b"\n", b"").isascii()
    assert b"\x1b" not in host.path.read_bytes()


def test_it_is_on_the_disk_before_append_returns(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(host, 1)
    done: list[str] = []
    write, sync = os.write, os.fsync

    def written(handle: int, data: bytes) -> int:
        done.append("write")
        return write(handle, data)

    def synced(handle: int) -> None:
        done.append("fsync")
        sync(handle)

    monkeypatch.setattr(os, "write", written)
    monkeypatch.setattr(os, "fsync", synced)
    host.log.append("exec_start", "r", {})
    assert done == ["write", "fsync"]


def test_a_disk_that_does_not_take_it_refuses(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(host, 1)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert refused(host.log.append, "exec_start", "r", {}).rule == "audit-write"


@pytest.mark.parametrize("kind", ["link", "folder", "shared", "hard-link"])
def test_a_log_that_is_not_the_guards_alone_is_not_written(host: Host, kind: str) -> None:
    fill(host, 1)
    other = host.folder / "other"
    if kind == "link":
        host.path.rename(other)
        host.path.symlink_to(other)
    elif kind == "folder":
        host.path.unlink()
        host.path.mkdir()
    elif kind == "hard-link":
        os.link(host.path, other)
    else:
        host.path.chmod(0o640)
    assert refused(host.anew().append, "exec_start", "r", {}).rule == "audit-write"


@pytest.mark.parametrize(
    "facts", [{"seq": 1}, {"x": float("nan")}, {"x": b""}, {"x": "a" * 410_000}]
)
def test_facts_that_are_none_are_refused(host: Host, facts: dict[str, object]) -> None:
    assert refused(host.log.append, "submit", "r", facts).rule == "audit-write"
    assert host.path.read_bytes() == b""


def test_a_checkpoint_is_the_standard_body_and_openssh_verifies_it(host: Host) -> None:
    fill(host, 5)
    made = host.log.checkpoint()
    origin, size, root, end = made["body"].split("\n")
    assert (origin, size, end) == ("watchfloor/h-11", "5", "")
    assert base64.b64decode(root) == tlog.whole([tlog.leaf(line) for line in host.lines])
    signers = host.folder / "signers"
    signers.write_text(f"host {host.key.with_suffix('.pub').read_text()}")
    signature = host.folder / "signature"
    signature.write_text(made["signature"])
    done = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "host", "-n", audit.NAMESPACE,
         "-s", signature],
        input=made["body"].encode(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read(json.dumps(made).encode()).key == host.blob


def test_nothing_is_signed_twice(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(host, 1)
    first = host.log.checkpoint()
    monkeypatch.setattr(host.log.world, "run", None)
    assert host.log.checkpoint() == first
    assert host.anew().checkpoint() == first


def test_without_its_key_flush_is_empty_and_the_records_stay(host: Host) -> None:
    fill(host, 2)
    host.key.unlink()
    assert host.log.flush() == {}
    assert refused(host.log.checkpoint).rule == "audit-sign"
    assert len(host.lines) == 2


def test_each_call_goes_on_where_the_one_before_ended(host: Host) -> None:
    for _ in range(3):
        host.log = host.anew()
        fill(host, 70)
        host.log.flush()
    assert walk(host.lines).broken == []
    assert walk(host.lines).root == read(host.checkpoint()).root


@pytest.mark.parametrize("lost", [("edge",), ("index",), ("edge", "index", "checkpoint.json")])
@pytest.mark.parametrize("damage", ["gone", "empty", "junk"])
def test_what_can_be_made_again_is_made_again(
    host: Host, lost: tuple[str, ...], damage: str
) -> None:
    fill(host, 150)
    before = host.log.checkpoint()["body"]
    for name in lost:
        path = host.path.parent / name
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(b"" if damage == "empty" else b'{"size": -1, "edge": ["zz"]}')
    host.log = host.anew()
    assert host.log.checkpoint()["body"] == before
    for start in (0, 63, 64, 149):
        assert json.loads(host.log.read(start, 10_000)[0][0])["seq"] == start


def test_reading_in_parts_gives_the_whole(host: Host) -> None:
    fill(host, 200)
    found: list[str] = []
    while True:
        part, size = host.log.read(len(found), 4096)
        assert size == 200
        if not part:
            break
        assert sum(map(len, part)) <= 4096
        found += part
    assert [line.encode() for line in found] == host.lines
    assert host.log.tail(3) == found[-3:]
    assert host.log.tail(0) == []
    assert host.log.read(-1, 100) == ([], 200)
    assert len(host.log.read(7, 1)[0]) == 1


@pytest.mark.parametrize(
    "torn", [b'{"boot":"x', b"\0" * 40, b'{"a":1}', b"\xff\xfe", b"junk\nmore"]
)
def test_a_torn_end_stops_the_guard_until_it_is_repaired(host: Host, torn: bytes) -> None:
    """Nothing is done on a torn log, and the torn bytes stay where they are. Threats: 98."""
    fill(host, 3)
    host.log.flush()
    with host.path.open("ab") as file:
        file.write(torn)
    host.log = host.anew()
    for call in (host.log.check, lambda: host.log.append("exec_start", "r", {})):
        assert refused(call).rule == "audit-torn"
    assert host.path.read_bytes().endswith(torn)
    host.log.repair()
    host.log.check()
    assert torn in host.path.read_bytes()
    closed = json.loads(host.lines[-1])
    assert closed["ev"] == "repaired"
    assert closed["torn"] == hashlib.sha256(torn).hexdigest()
    fill(host, 2)
    walked = walk(host.lines)
    assert (walked.broken, len(walked.repaired)) == ([], 1)
    assert walked.root == read(host.checkpoint()).root
    again = host.anew()
    (host.path.parent / "edge").unlink()
    again.check()
    before = host.lines
    again.repair()
    assert host.lines == before


@pytest.mark.parametrize("cut", range(1, 9))
def test_power_is_lost_anywhere_in_the_last_line(host: Host, cut: int) -> None:
    """Cut off at any byte, the log is torn or whole, never quietly shorter. Threats: 98."""
    fill(host, 3)
    whole = host.path.read_bytes()
    last = len(host.lines[-1]) + 1
    host.path.write_bytes(whole[: len(whole) - last + last * cut // 9])
    log = host.anew()
    assert refused(log.check).rule == "audit-torn"
    log.repair()
    assert len(host.lines) == 4


@pytest.mark.parametrize("how", ["cut", "changed"])
def test_a_log_that_was_cut_or_changed_under_the_guard_is_noticed(host: Host, how: str) -> None:
    """Whole by itself, but not what it was: root's hand, or an older disk. Threats: 95, 98."""
    fill(host, 5)
    host.log.flush()
    lines = host.lines[:3] if how == "cut" else [*host.lines[:4], host.lines[4].replace(b"r", b"s")]
    host.path.write_bytes(b"\n".join(lines) + b"\n")
    log = host.anew()
    assert refused(log.append, "exec_start", "r", {}).rule == "audit-short"
    log.repair()
    said = json.loads(host.lines[-1])
    assert said["lost"] == 2 if how == "cut" else said.get("changed") or said.get("torn")
    log.append("submit", "r", {})


def test_a_flood_of_refusals_is_counted_and_takes_no_room(host: Host) -> None:
    """Per minute and rule one record at once and one with the count. Threats: 85."""
    fill(host, 1)
    for _ in range(2000):
        host.log.refused("same-person", "both signatures are of one person")
    assert len(host.lines) == 2
    host.now += 60
    host.log.refused("nonce-used", "this was used before")
    rows = [json.loads(line) for line in host.lines]
    assert [(row["ev"], row.get("rule"), row.get("count")) for row in rows[1:]] == [
        ("refused", "same-person", 1),
        ("refused", "same-person", 1999),
        ("refused", "nonce-used", 1),
    ]
    assert rows[0]["ev"] == "submit"


def test_a_count_is_written_by_the_next_call_of_any_kind(host: Host) -> None:
    """No refusal is lost because none followed it. Threats: 85."""
    for _ in range(5):
        host.log.refused("expired", "it has expired")
    host.now += 120
    host.anew().flush()
    assert json.loads(host.lines[-1])["count"] == 4
    size = len(host.lines)
    host.anew().flush()
    assert len(host.lines) == size


def test_days_of_refusals_stay_within_their_share(host: Host) -> None:
    """Every rule, every minute of a day: bounded, and actions are still written. Threats: 85."""
    rules = [f"rule-{number}" for number in range(100)]
    for _ in range(60):
        for rule in rules:
            host.log.refused(rule, "w" * 300)
        host.now += 60
    size = host.path.stat().st_size
    assert size < audit.REFUSED_DAY + (64 << 10)
    host.log.append("exec_start", "r", {})
    # The next day what was only counted is told.
    host.now += 86_400
    host.log.flush()
    counts = [json.loads(line).get("count", 0) for line in host.lines]
    assert sum(counts) == 6000
    assert walk(host.lines).broken == []


def test_a_refusal_is_no_reason_to_fail(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log is torn or the disk is full, refusing goes on. Threats: 85."""
    fill(host, 1)
    with host.path.open("ab") as file:
        file.write(b"torn")
    host.log = host.anew()
    host.log.refused("expired", "it has expired")
    (host.path.parent / "refused.json").write_text('{"minute": [], "rules": 3}')
    host.log.refused("expired", "it has expired")
    assert host.path.read_bytes().endswith(b"torn")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.dictionaries(st.text(min_size=5, max_size=9), JSON, max_size=4), max_size=4))
def test_whatever_is_written_is_read_again(host: Host, rows: list[dict[str, object]]) -> None:
    before = len(host.lines) if host.path.exists() else 0
    for facts in rows:
        host.log.append("submit", "r", facts)
    for line, facts in zip(host.lines[before:] if rows else [], rows, strict=True):
        record = audit.parse(line)
        assert record is not None
        assert facts.items() <= record.items()
        assert audit.write(record) == line
    host.anew().check()


@given(st.binary(max_size=200))
def test_no_line_raises(line: bytes) -> None:
    record = audit.parse(line)
    assert record is None or audit.write(record) == line
    if b"\n" not in line:
        from console.audit.records import as_line

        assert as_line(audit.shown(line)) == line


def test_the_state_file_is_checked(tmp_path: Path) -> None:
    (tmp_path / "edge").write_text(json.dumps(
        {"size": 3, "offset": 9, "start": 4, "last": "", "edge": ["00"]}))  # fmt: skip
    assert auditfiles.load(tmp_path.as_posix()) is None


def test_the_systems_log_has_number_and_digest_of_every_record(host: Host) -> None:
    """Sent to another machine, it narrows the tail that no console saw. Threats: 96."""
    (host.folder / "dev").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(host.folder / "dev/log"))
        log.settimeout(5)
        fill(host, 2)
        for number in range(2):
            said = log.recv(1000).decode()
            digest = hashlib.sha256(host.lines[number]).hexdigest()
            assert said.startswith("<85>watchfloor-guard[")
            assert said.endswith(f"]: audit seq={number} ev=submit rid=r sha256={digest}")
        fill(host, 1000)  # nobody reads: it neither waits nor fails
    assert len(host.lines) == 1002


def test_two_calls_at_once_make_one_chain(host: Host) -> None:
    """The guard's lock keeps them apart; the file's own lock would, too."""
    children = []
    for _ in range(2):
        child = os.fork()
        if not child:
            try:
                log = host.anew()
                for number in range(25):
                    log.append("submit", "r", {"n": number})
                os._exit(0)
            except Refused:
                os._exit(1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    walked = walk(host.lines)
    assert (walked.size, walked.broken) == (50, [])
