"""An undoing waits for no disk, and one entry that cannot be worked on holds up no other."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from console.hostside.guard.state import journal
from console.hostside.guard.state.files import Files
from console.hostside.guard.state.spool import Store
from tests.support.guardhost import Host

SOURCE = {"action": "block-source",
          "params": {"source": "192.0.2.7", "confirm_s": 60, "expires_s": 3600}}  # fmt: skip


def fill(monkeypatch: pytest.MonkeyPatch, host: Host, reserve: bool) -> None:
    """Below the guard's state nothing can be written any more but the table of the simulation;
    with ``reserve`` until the room that is kept is given up."""
    real = Files.write

    def write(self: Files, path: str, *given: Any, **how: Any) -> None:
        kept = Path(host.place.state, "reserve").exists()
        ours = path.startswith(host.place.state) and not path.endswith("simulated.json")
        if ours and (kept or not reserve):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, path, *given, **how)

    monkeypatch.setattr(Files, "write", write)


@pytest.mark.parametrize("reserve", [True, False])
def test_what_is_overdue_is_undone_on_a_full_disk(host: Host, reserve: bool) -> None:
    """With the room that is kept, and where somebody has taken that as well. Threats: 84."""
    rid = host.submit("alice", mode="one_then_ratify")["id"]
    host.tick()
    assert Path(host.place.state, "reserve").exists()
    with pytest.MonkeyPatch.context() as patch:
        fill(patch, host, reserve)
        host.clock.go(301)
        assert host.call("status")["ok"]
        assert host.done() == []
        late = host.decide(rid, "bob")
        assert not late["ok"], late
        host.tick()
        host.tick()
        assert host.done() == []
    host.tick()
    assert host.state["active"] == []
    assert [each["state"] for each in host.state["closed"]] == ["REVERTED"]
    assert host.events(rid)[-2:] == ["revert", "undone"]


def test_somebody_can_say_no_on_a_full_disk(host: Host) -> None:
    """It undoes at once. Threats: 84."""
    rid = host.submit("alice", mode="one_then_ratify")["id"]
    with pytest.MonkeyPatch.context() as patch:
        fill(patch, host, reserve=False)
        host.clock.go(30)
        host.decide(rid, "bob", verdict="deny")
        assert host.done() == []
        assert not host.decide(rid, "carol")["ok"]
    host.tick()
    host.clock.go(301)
    host.tick()
    assert (host.state["active"], host.done()) == ([], [])


@pytest.mark.parametrize("error", [OSError(errno.EIO, "gone"), RuntimeError("a defect")])
def test_one_that_fails_holds_up_no_other(host: Host, error: Exception) -> None:
    """Both are overdue, and the first cannot even be looked at. Threats: 64."""
    bad = host.decide(host.submit()["id"])["id"]
    good = host.decide(host.submit("bob", **SOURCE)["id"], "carol")["id"]
    undo = journal.undo

    def broken(g: Any, folder: str, entry: dict[str, Any]) -> str:
        if entry["id"] == bad:
            raise error
        return undo(g, folder, entry)

    host.clock.go(61)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "undo", broken)
        assert host.decide(bad, "carol")["rule"] == "disk"  # and it is not decided meanwhile
        host.tick()
        assert [each["id"] for each in host.state["closed"]] == [good]
        assert f"could not be worked on: {bad[:12]}" in host.state["warnings"]
        assert host.done() == ["flows", "nft"] or host.done() == ["nft"]
    host.tick()
    assert host.done() == []
    assert [each["id"] for each in host.state["closed"]] == [good, bad]


def test_one_that_cannot_be_put_back_holds_up_no_other(host: Host) -> None:
    first = host.standing()
    second = host.standing(**SOURCE)
    host.simulate(done={})
    save = Store.save

    def broken(self: Store, folder: str, entry: dict[str, Any]) -> None:
        if entry["id"] == first:
            raise OSError(errno.EIO, "gone")
        save(self, folder, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "save", broken)
        host.tick()
    assert "reapplied" in host.events(second)
