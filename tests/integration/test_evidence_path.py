"""Evidence from a host to a console over real SSH: in parts, verified, with its custody kept."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.actions import evidence, pack
from console.audit.fetch import fetch as fetch_log
from console.audit.recall import recall
from console.audit.verify import verify
from console.errors import ActionError, LinkError, ProtocolError
from console.hostside.guard.audit.log import parse
from console.hostside.guard.trust import sshsig
from console.model.guard import TWO_BEFORE
from console.ssh.guardcall import Answer
from tests.support.actionpath import Console, GuardedHost

PARTS = {"include": ["processes", "sockets"], "since_s": 60}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GuardedHost]:
    found = GuardedHost(tmp_path / "gpu01", "gpu01")
    table = found.base / "var/lib/watchfloor/guard/simulated.json"
    table.write_text('{"done":{},"pace_s":0}')
    table.chmod(0o600)
    with found:
        yield found


async def collected(alice: Console, bob: Console) -> str:
    await alice.live("gpu01")
    await bob.live("gpu01")
    made = await alice.engine.preview(["gpu01"], "collect-evidence", PARTS)
    sent = await alice.engine.submit(made, "beaconing, INC-4711", TWO_BEFORE, alice.ask)
    rid = sent[0].id
    await bob.until("bob sees it", lambda: any(r.may_approve for r in bob.engine.requests()))
    assert (await bob.engine.decide(["gpu01"], rid, True, "", bob.ask))[0].ok
    await alice.until("it is done", lambda: any(c.id == rid for c in alice.guard("gpu01").closed))
    return rid


async def test_a_person_takes_evidence_and_the_custody_is_kept_on_both_sides(
    host: GuardedHost, tmp_path: Path
) -> None:
    async with (
        Console("alice", [host], tmp_path / "a") as alice,
        Console("bob", [host], tmp_path / "b") as bob,
    ):
        rid = await collected(alice, bob)
        await alice.until("the key is pinned", lambda: alice.witness.pinned("gpu01"))
        custody = await alice.engine.fetch("gpu01", rid, tmp_path / "out", alice.ask)
        kept = _pack(host, rid).read_bytes()
        got = _path(custody.file)
        assert got.read_bytes() == kept
        assert stat.S_IMODE(os.stat(got).st_mode) == 0o600
        assert (custody.by, custody.host, custody.size) == ("alice", "gpu01", len(kept))
        beside = json.loads(_path(f"{got}.custody.json").read_bytes())
        assert beside == msgspec.to_builtins(custody)
        assert sorted(os.listdir(tmp_path / "out")) == [got.name, got.name + ".custody.json"]
        sent = alice.witness.all_sent("gpu01")[-1]
        assert (sent.kind, sent.rid) == ("fetch", rid)
        assert json.loads(sent.answer)["custody"]["sha256"] == custody.sha256
        lines = (host.base / "var/lib/watchfloor/guard/audit/log.jsonl").read_bytes().splitlines()
        told = [each for each in map(parse, lines) if each and each["ev"] == "fetched"]
        assert [(each["by"], each["sha256"]) for each in told] == [("alice", custody.sha256)]

        spec = host.host()

        async def call(envelope: dict[str, Any]) -> dict[str, Any]:
            answer = await alice.caller.call(spec, msgspec.json.encode(envelope))
            found: dict[str, Any] = json.loads(answer.data)
            return found

        material = await fetch_log("gpu01", call)
        report = verify(material, recall(alice.witness, "gpu01"))
        assert not report.wrong, report.wrong


async def test_a_lost_link_is_gone_on_from_and_a_changed_pack_is_not_taken(
    host: GuardedHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        Console("alice", [host], tmp_path / "a") as alice,
        Console("bob", [host], tmp_path / "b") as bob,
    ):
        rid = await collected(alice, bob)
        await alice.until("the key is pinned", lambda: alice.witness.pinned("gpu01"))
        asked: list[int] = []
        real = alice.caller.call
        size = 200

        async def in_pieces(spec: Any, envelope: bytes) -> Answer:
            told = json.loads(envelope)
            if told["op"] != "fetch":
                return await real(spec, envelope)
            asked.append(told["offset"])
            if len(asked) == 2:
                raise LinkError("the link is gone", where="gpu01")
            answer = await real(spec, envelope)
            found = json.loads(answer.data)
            import base64

            whole = base64.b64decode(found["data"])
            found["data"] = base64.b64encode(whole[:size]).decode()
            return msgspec.structs.replace(answer, data=json.dumps(found).encode())

        monkeypatch.setattr(alice.caller, "call", in_pieces)
        with pytest.raises(LinkError):
            await alice.engine.fetch("gpu01", rid, tmp_path / "out", alice.ask)
        assert [*os.listdir(tmp_path / "out")] == [f".gpu01-{rid[:12]}.tar.gz.part"]
        custody = await alice.engine.fetch("gpu01", rid, tmp_path / "out", alice.ask)
        assert asked[:4] == [0, 200, 200, 400]  # from where it was
        path = _pack(host, rid)
        assert _path(custody.file).read_bytes() == path.read_bytes()

        monkeypatch.setattr(alice.caller, "call", real)
        _change(path)
        with pytest.raises(ActionError, match="the part processes is another"):
            await alice.engine.fetch("gpu01", rid, tmp_path / "other", alice.ask)
        assert [*os.listdir(tmp_path / "other")] == [f".gpu01-{rid[:12]}.tar.gz.wrong"]


def _path(name: str) -> Path:
    return Path(name)


def _pack(host: GuardedHost, rid: str) -> Path:
    return host.base / f"var/lib/watchfloor/guard/evidence/{rid}.tar.gz"


def _change(path: Path) -> None:
    """One character of one part, as root on the host could."""
    with tarfile.open(path) as tar:
        members = [(each, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]
    with tarfile.open(path, "w:gz") as tar:
        for each, data in members:
            data = data.replace(b"simulated", b"Simulated") if each.name.endswith("sses") else data
            tar.addfile(each, io.BytesIO(data))
    path.chmod(0o600)


async def test_evidence_of_a_host_whose_key_is_not_known_is_not_asked_for(
    host: GuardedHost, tmp_path: Path
) -> None:
    async with Console("alice", [host], tmp_path / "a") as alice:
        await alice.live("gpu01")
        await alice.until("the roster", lambda: alice.engine.may_act() == "")
        with pytest.raises(ActionError, match="no audit key"):
            await alice.engine.fetch("gpu01", "ab" * 32, tmp_path / "out", alice.ask)
        assert alice.witness.all_sent("gpu01") == []
        public = host.base / "var/lib/watchfloor/guard/audit/audit_key.pub"
        blob = sshsig.key_line(" ".join(public.read_text().split()[:2]))
        alice.witness.pin("gpu01", blob, "enrolled")
        with pytest.raises(ActionError, match="no evidence"):
            await alice.engine.fetch("gpu01", "ab" * 32, tmp_path / "out", alice.ask)


@pytest.fixture
def signed(tmp_path: Path) -> Callable[..., tuple[bytes, bytes]]:
    """A pack with these parts, and the key that signed it."""
    from console.hostside.guard.host import pack as host_pack
    from console.hostside.guard.place import Place
    from console.hostside.guard.steps import collect
    from console.hostside.guard.world import World

    base = tmp_path / "base"
    for name in ("audit", "evidence"):
        (base / "var/lib/watchfloor/guard" / name).mkdir(parents=True)
    world = World(Place(str(base)))
    key = host_pack.key(world)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    blob = sshsig.key_line(" ".join(Path(f"{key}.pub").read_text().split()[:2]))

    def made(data: bytes = b"x" * 1000) -> tuple[bytes, bytes]:
        def gather(part: str, since_s: int, target: Any, world: Any) -> str:
            target.write(data)
            return ""

        name = "ab" * 32 + ".tar.gz"
        collect.make(name, PARTS, world, gather)
        return (base / collect.FOLDER.lstrip("/") / name).read_bytes(), blob

    return made


def test_a_pack_is_read_within_bounds_and_nothing_else_passes(
    signed: Callable[..., tuple[bytes, bytes]],
) -> None:
    import gzip

    data, key = signed()
    name = "ab" * 32 + ".tar.gz"
    assert [each.name for each in pack.check(io.BytesIO(data), name, "", key).parts] == [
        "processes", "sockets",
    ]  # fmt: skip
    plain = gzip.decompress(data)

    def wrong(changed: bytes, why: str, name: str = name, host: str = "") -> None:
        with pytest.raises(ActionError, match=why):
            pack.check(io.BytesIO(changed), name, host, key)

    wrong(data[:-200], "cannot be unpacked")
    wrong(b"no archive at all", "cannot be unpacked")
    wrong(data, "members are not", "cd" * 32 + ".tar.gz")
    wrong(data, "another host", host="h-12")
    wrong(gzip.compress(plain + b"more"), "more in it")
    wrong(gzip.compress(plain + b"\0" * (1 << 20)), "more in it")
    wrong(gzip.compress(plain.replace(b"x" * 1000, b"y" * 1000)), "another one")
    at = plain.index(b'"begun"')
    wrong(gzip.compress(plain[:at] + b'"Begun"' + plain[at + 7 :]), "signature")
    with pytest.raises(ActionError, match="another key"):
        pack.check(io.BytesIO(data), name, "", key[:-1] + bytes([key[-1] ^ 1]))


@pytest.mark.parametrize(
    "change",
    [
        {"data": "no base64"}, {"data": 5}, {"offset": 1}, {"name": "../x"}, {"size": 0},
        {"size": 1 << 40}, {"size": True}, {"sha256": "AB" * 32}, {"sha256": 5},
    ],
)  # fmt: skip
def test_an_odd_part_is_refused(change: dict[str, Any]) -> None:
    told = {"data": "eHg=", "offset": 0, "name": "n", "size": 2, "sha256": "ab" * 32}
    assert evidence._piece(told, 0, "n", "gpu01") == b"xx"
    with pytest.raises(ProtocolError):
        evidence._piece({**told, **change}, 0, "n", "gpu01")
