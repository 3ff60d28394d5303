"""quarantine-model: out of every service's way, and back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hostside.guard.actions import quarantine
from console.hostside.guard.model.folders import Folder
from console.hostside.guard.steps.base import StepFailed
from tests.support import modelkit
from tests.support.guardkit import refused
from tests.support.modelkit import MODEL, Killed, Models, Run


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Models]:
    found = Models(tmp_path / "host")
    found.version("1", b"one")
    found.version("2", b"two")
    found.link("2")
    found.serve()
    yield found
    modelkit.end(found)


def plan(host: Models, version: str) -> dict[str, Any]:
    return host.plan("quarantine-model", model=MODEL, version=version)


def held(host: Models) -> list[str]:
    folder = host.base / "srv/models/.quarantine"
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def test_it_is_put_where_only_root_can_enter_and_back(host: Models) -> None:
    run = Run(plan(host, "1"), host.world)
    assert run.go() == ""
    (name,) = held(host)
    assert name.startswith("llama-1-")
    assert len(name) == len("llama-1-") + 8
    folder = (host.base / "srv/models/.quarantine").stat()
    assert (folder.st_mode & 0o777, folder.st_uid) == (0o700, os.geteuid())
    assert not host.folder("1").exists()
    assert host.world.starts == 1, "the service of the other version was left alone"
    run.undo()
    run.undo()
    assert held(host) == []
    assert (host.folder("1") / "weights.bin").read_bytes() == b"one"


def test_the_version_that_is_served_has_its_service_stopped_first(host: Models) -> None:
    steps = plan(host, "2")["steps"]
    assert [item["kind"] for item in steps] == ["unit", "rename"]
    assert steps[0]["args"] == {"name": modelkit.SERVICE, "op": "stop"}
    said = host.preview("quarantine-model", model=MODEL, version="2")
    assert "model.service is stopped" in said["effect"][0]
    assert "everybody who uses model.service" in said["cut_off"]


def test_the_version_that_is_served_by_nobody_declared_is_refused(host: Models) -> None:
    host.write(health={})
    assert refused(plan, host, "2").rule == "health"


def test_who_has_it_open_is_named_and_goes_on_reading(host: Models) -> None:
    code = "import sys; f = open(sys.argv[1], 'rb'); print(1, flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", code, str(host.folder("1") / "weights.bin")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/",
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    try:
        said = host.preview("quarantine-model", model=MODEL, version="1")
        assert any(f"process {process.pid}" in line for line in said["cut_off"])
        assert any("goes on reading" in line for line in said["residual"])
    finally:
        process.communicate(b"")


def test_without_a_manifest_it_is_taken_away_all_the_same(host: Models) -> None:
    for name in ("MANIFEST.json", "MANIFEST.json.sig"):
        (host.folder("1") / name).unlink()
    assert Run(plan(host, "1"), host.world).go() == ""
    assert len(held(host)) == 1


def test_killed_at_every_point_it_is_finished_or_put_back(host: Models) -> None:
    points = 0
    ended = False
    while not ended:
        points += 1
        run = Run(plan(host, "1"), host.world)
        host.world.marks, host.world.kill_at = [], points
        try:
            assert run.go() == ""
            ended = True
        except Killed:
            pass
        host.world.kill_at = -1
        run.undo()
        assert (host.folder("1") / "weights.bin").read_bytes() == b"one"
        assert held(host) == []
        assert run.go() == ""
        assert len(held(host)) == 1
        run.undo()
    assert points > 2


def test_a_folder_put_in_its_place_is_not_moved(host: Models) -> None:
    run = Run(plan(host, "1"), host.world)
    host.folder("1").rename(host.folder("x"))
    host.folder("1").mkdir()
    assert "not the folder that was signed for" in run.go()
    assert held(host) == []


def test_a_new_version_of_the_same_name_is_not_overwritten_by_the_way_back(host: Models) -> None:
    run = Run(plan(host, "1"), host.world)
    assert run.go() == ""
    host.version("1", b"new")
    with pytest.raises(StepFailed, match="is there already"):
        run.undo()
    assert (host.folder("1") / "weights.bin").read_bytes() == b"new"
    assert len(held(host)) == 1


def test_a_quarantine_folder_that_is_a_link_is_refused(host: Models) -> None:
    (host.base / "srv/models/.quarantine").symlink_to(host.base / "etc")
    assert "is a link" in Run(plan(host, "1"), host.world).go()
    assert host.folder("1").exists()


@pytest.mark.parametrize("model", ["../etc", "llama/..", "-r", ".quarantine", "", "x y"])
def test_a_model_that_is_a_path_is_refused(host: Models, model: str) -> None:
    found = refused(host.plan, "quarantine-model", model=model, version="1")
    assert found.rule == "parameters"


def test_a_version_that_is_a_link_is_refused(host: Models) -> None:
    host.folder("9").symlink_to("1")
    assert refused(plan, host, "9").rule == "path"


def test_a_tree_too_deep_to_look_at_is_put_away_all_the_same(host: Models) -> None:
    """Its own account may make it as deep as it likes; what was not looked at is said."""
    at = os.open(host.folder("1"), os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
    told = host.preview("quarantine-model", model=MODEL, version="1")
    assert any("folders lie more than 32 deep" in line for line in told["residual"])
    assert Run(plan(host, "1"), host.world).go() == ""
    subprocess.run(["rm", "-rf", host.base / "srv/models/.quarantine"], check=True)


def test_a_file_that_vanishes_meanwhile_stops_no_preview(
    host: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda at: [*real(at), "gone"])
    with Folder(str(host.folder("1"))) as at:
        found, lines = quarantine.inodes_below(at)
    assert len(found) > 4
    assert "2 entries changed while they were looked at" in lines[0]
