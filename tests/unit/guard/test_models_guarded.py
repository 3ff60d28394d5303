"""The model actions asked for, signed and carried out through the guard itself, with real steps."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hostside.guard import steps
from console.hostside.guard.caller import Caller
from console.hostside.guard.guard import Guard
from tests.support.guardhost import Host
from tests.support.modelkit import MODEL, ROOT, Killed, Models


class ModelHost(Host):
    """A host whose guard acts on the models below the same folder."""

    def __init__(self, base: Path) -> None:
        self.models = Models(base)
        super().__init__(base, policy=self.models.policy)
        self.effector = "real"

    def guard(self, caller: Caller | None = None) -> Guard:
        """A process of the guard, in the world of the models."""
        self.port += 1
        who = caller or Caller("wfops", "10.9.1.5", self.port, "SHA256:login-a")
        world = self.models.world
        return Guard(world, self.clock, who, self.digest, self.effector, self.watch)

    def approved(self, action: str, **params: Any) -> dict[str, Any]:
        """Asked for by Alice and approved by Bob; the answer."""
        asked = self.submit(action=action, params=params)
        assert asked["ok"], asked
        return self.decide(asked["id"])

    def closed(self) -> dict[str, Any]:
        """The newest entry that has ended."""
        found: dict[str, Any] = self.state["closed"][-1]
        return found


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHost]:
    monkeypatch.setattr(steps, "EFFECTOR", "real")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        made = ModelHost(Path(folder) / "host")
        made.models.version("1", b"one")
        made.models.version("2", b"two")
        made.models.link("2")
        made.models.serve(timeout_s=1)
        yield made
        made.models.world.stop()


def test_two_people_roll_a_version_back(host: ModelHost) -> None:
    answer = host.approved("rollback-model", model=MODEL, to="1")
    assert answer["state"] == "DONE", answer
    assert host.models.current == "versions/1"
    assert host.closed()["result"]["signer"] == "carol"


def test_a_failing_health_check_is_told_and_put_back(host: ModelHost) -> None:
    host.models.version("0", b"BROKEN")
    answer = host.approved("rollback-model", model=MODEL, to="0")
    assert not answer["ok"]
    assert "status 500" in answer["words"]
    assert host.closed()["state"] == "FAILED"
    assert host.models.current == "versions/2"


def test_a_deletion_is_approved_by_one_and_started_by_the_other(host: ModelHost) -> None:
    path = f"{ROOT}/{MODEL}/versions/1"
    status = os.lstat(host.models.world.path(path))
    params = {"path": path, "device": status.st_dev, "inode": status.st_ino, "kind": "tree"}
    answer = host.approved("secure-delete", **params)
    assert answer["state"] == "APPROVED", answer
    assert host.models.folder("1").is_dir()
    text, signature = host.signed(
        "start", "alice",
        {"by": "alice", "request_sha256": answer["id"], "expires": host.clock.time + 60},
    )  # fmt: skip
    done = host.call("start", start=text, signature=signature)
    assert done["state"] == "DONE", done
    assert not host.models.folder("1").exists()
    assert any("backups" in line for line in host.closed()["result"]["remains"])


def test_a_deletion_never_runs_on_one_signature(host: ModelHost) -> None:
    """Threats: 89."""
    path = f"{ROOT}/{MODEL}/versions/1"
    status = os.lstat(host.models.world.path(path))
    params = {"path": path, "device": status.st_dev, "inode": status.st_ino, "kind": "tree"}
    for mode in ("break_glass", "one_then_ratify"):
        answer = host.submit(action="secure-delete", params=params, mode=mode)
        assert not answer["ok"]
    assert host.models.folder("1").is_dir()


def test_a_quarantine_stands_until_two_people_release_it(host: ModelHost) -> None:
    answer = host.approved("quarantine-model", model=MODEL, version="1")
    assert answer["state"] == "STANDING", answer
    assert not host.models.folder("1").exists()
    assert host.state["active"][-1]["holds"]
    released = host.approved("release", id=answer["id"])
    assert released["ok"], released
    assert (host.models.folder("1") / "weights.bin").read_bytes() == b"one"


def delete(host: ModelHost, path: str) -> dict[str, Any]:
    """A folder deleted by two people; the answer to the start."""
    status = os.lstat(host.models.world.path(path))
    params = {"path": path, "device": status.st_dev, "inode": status.st_ino, "kind": "tree"}
    answer = host.approved("secure-delete", **params)
    assert answer["ok"], answer
    text, signature = host.signed(
        "start", "alice",
        {"by": "alice", "request_sha256": answer["id"], "expires": host.clock.time + 60},
    )  # fmt: skip
    return host.call("start", start=text, signature=signature)


def test_a_quarantine_of_what_was_then_deleted_ends_by_itself(host: ModelHost) -> None:
    kept = host.approved("quarantine-model", model=MODEL, version="1")["id"]
    (name,) = os.listdir(host.models.world.path(f"{ROOT}/.quarantine"))
    done = delete(host, f"{ROOT}/.quarantine/{name}")
    assert done["state"] == "DONE", done
    assert host.state["active"] == []
    ended = next(each for each in host.state["closed"] if each["id"] == kept)
    assert (ended["state"], ended["why"]) == ("RELEASED", f"by request {done['id'][:12]}")
    (record,) = [each for each in host.audit() if each.get("ends")]
    assert record["ends"] == [kept]
    host.tick()
    assert "lost" not in host.events()


@pytest.mark.parametrize("point", ["did 0", "written"])
def test_killed_at_the_very_end_of_a_deletion_it_is_done(host: ModelHost, point: str) -> None:
    """All was unlinked, and nobody had noted it yet."""
    seen: list[str] = []

    def end(mark: str) -> None:
        if mark == "did 0":
            seen.append(mark)
        if seen and mark.startswith(point):
            host.models.world.on_mark = lambda mark: None
            raise Killed(mark)

    host.models.world.on_mark = end
    with pytest.raises(Killed):
        delete(host, f"{ROOT}/{MODEL}/versions/1")
    assert not host.models.folder("1").exists()
    host.tick()
    ended = host.closed()
    assert ended["state"] == "DONE", ended
    assert "not noted" in ended["result"]["remains"][0]
    assert host.events(ended["id"])[-1] == "exec_end"


def test_killed_before_the_end_of_a_deletion_it_is_not_done(host: ModelHost) -> None:
    def end(mark: str) -> None:
        if mark == "destroy.begun":
            host.models.world.on_mark = lambda mark: None
            raise Killed(mark)

    host.models.world.on_mark = end
    with pytest.raises(Killed):
        delete(host, f"{ROOT}/{MODEL}/versions/1")
    host.tick()
    (left,) = host.state["active"]
    assert left["state"] == "REVERTING"
    assert "delete the rest" in left["trouble"]
