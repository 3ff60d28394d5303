"""Evidence: bounded, packed the same way each time, signed, and without our secrets."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.hostside.guard.host import evidence, pack
from console.hostside.guard.place import Place
from console.hostside.guard.steps import collect, step
from console.hostside.guard.steps.base import StepFailed
from console.hostside.guard.world import World

NAME = "ab" * 32
ARGS = {"since_s": 60, "include": ["guard", "modules", "processes"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Our own state below a folder, with the real process table."""
    (tmp_path / "proc").symlink_to("/proc")
    (tmp_path / "etc/watchfloor").mkdir(parents=True)
    (tmp_path / "etc/watchfloor/identity.json").write_text('{"host_id":"h-11"}')
    state = tmp_path / "var/lib/watchfloor/guard"
    for name in ("evidence", "audit", "standing", "nonces"):
        (state / name).mkdir(parents=True)
    (state / "secret").write_bytes(b"THE-SECRET")
    (state / "standing/x").write_text("what stands")
    (state / "audit/log.jsonl").write_text("a record\n")
    found = World(Place(str(tmp_path)))
    found.request = NAME
    key = pack.key(found)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return found


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        found = {}
        for member in tar.getmembers():
            stream = tar.extractfile(member)
            assert stream is not None
            found[member.name] = stream.read()
    return found


def test_a_pack_holds_what_its_manifest_says(world: World, tmp_path: Path) -> None:
    each = step("collect")
    before = each.look(ARGS, world)
    said: list[str] = []
    world.progress = lambda done, total, words: said.append(f"{done}/{total} {words}")
    result = each.do(ARGS, before, world)
    assert result["name"] == f"{NAME}.tar.gz"
    assert said[0] == "0/4 collects processes"  # the most volatile first, whatever was asked
    path = tmp_path / "var/lib/watchfloor/guard/evidence" / result["name"]
    held = unpacked(path)
    manifest = json.loads(held[f"{NAME}/manifest.json"])
    assert manifest["host_id"] == "h-11"
    assert [part["name"] for part in manifest["parts"]] == ["processes", "modules", "guard"]
    assert b"what stands" in held[f"{NAME}/guard"]
    assert b"a record" in held[f"{NAME}/guard"]
    whole = b"".join(held.values())
    assert b"THE-SECRET" not in whole
    assert b"PRIVATE KEY" not in whole
    assert each.do(ARGS, before, world) == result
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_host_without_its_key_collects_nothing(world: World) -> None:
    Path(pack.key(world)).unlink()
    with pytest.raises(StepFailed, match="no audit key"):
        step("collect").look(ARGS, world)


def test_older_packs_are_not_piled_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "KEPT_BYTES", 10)
    Path(world.path(collect.FOLDER), "old.tar.gz").write_bytes(b"x" * 11)
    with pytest.raises(StepFailed, match="move older packs away"):
        step("collect").look(ARGS, world)


def test_a_full_disk_is_seen_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "SPARE_BYTES", 1 << 60)
    with pytest.raises(StepFailed, match="may be needed"):
        step("collect").look(ARGS, world)


def test_a_part_is_cut_by_size_and_by_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(since_s: int, world: World) -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    monkeypatch.setitem(evidence._SOURCES, "kernel", endless)
    monkeypatch.setattr(evidence, "PART_BYTES", 1 << 20)
    target = io.BytesIO()
    assert evidence.collect("kernel", 60, target, world) == "cut at 1 MiB"
    assert len(target.getvalue()) == 1 << 20
    monkeypatch.setattr(evidence, "PART_S", 0.0)
    assert evidence.collect("kernel", 60, io.BytesIO(), world) == "cut after 0 s"


def test_a_program_that_never_ends_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "PART_S", 0.2)
    begun = time.monotonic()
    said = b"".join(evidence._programs(["sleep", "900"], ["nothing-of-this-name"]))
    assert b"it took too long" in said
    assert b"not collected: nothing-of-this-name" in said
    assert time.monotonic() - begun < 30


def test_a_part_that_cannot_be_read_costs_only_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(since_s: int, world: World) -> Iterator[bytes]:
        yield b"begun"
        raise PermissionError(13, "Permission denied")

    monkeypatch.setitem(evidence._SOURCES, "kernel", broken)
    target = io.BytesIO()
    assert evidence.collect("kernel", 60, target, world) == ""
    assert target.getvalue().startswith(b"begun\nnot all of it: PermissionError")


def test_the_same_parts_make_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1" * 100_000)
    (tmp_path / "two").write_bytes(b"2")
    for target in ("a", "b"):
        pack.archive(str(tmp_path), ["one", "two"], "evidence", str(tmp_path / target))
        (tmp_path / "one").touch()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_processes_are_told_with_what_names_them(world: World) -> None:
    rows = [json.loads(line) for line in evidence._processes(60, world)]
    me = next(row for row in rows if "pytest" in " ".join(row["argv"]))
    assert me["exe"]
    assert me["started"] > 0
