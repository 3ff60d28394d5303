"""``begin`` and ``review`` of the operator's side, and connections that wait for a signature."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.errors import ActionError
from console.model.guard import BREAK_GLASS, TWO_BEFORE
from console.ssh.prepared import Ready
from tests.support.actionpath import ISOLATE, Console, GuardedHost

DELETE = {
    "path": "/srv/models/llama/versions/0.9", "device": 64769, "inode": 1311, "kind": "tree",
}  # fmt: skip
REASON = "the weights of 0.9 were poisoned, INC-4711"
ALONE = "beaconing to 203.0.113.9 from the model server, and nobody else answers the phone"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GuardedHost]:
    with GuardedHost(tmp_path / "gpu01", "gpu01") as made:
        yield made


def done(host: GuardedHost) -> list[str]:
    """Kinds of steps that the simulated host has carried out."""
    path = host.base / "var/lib/watchfloor/guard/simulated.json"
    found = json.loads(path.read_text()) if path.exists() else {"done": {}}
    return [each["kind"] for each in found["done"].values()]


def states(console: Console) -> list[str]:
    """What is applied or stands, as that console sees it."""
    guard = console.guard("gpu01")
    return [item.state for item in guard.active] if guard else []


async def asked(console: Console, action: str, params: dict[str, Any]) -> str:
    """A request of that person; its id."""
    made = await console.engine.preview(["gpu01"], action, params)
    assert made.targets[0].trouble == ""
    outcomes = await console.engine.submit(made, REASON, TWO_BEFORE, console.ask)
    assert [(each.ok, each.state) for each in outcomes] == [(True, "PENDING")], outcomes
    return outcomes[0].id


async def test_what_destroys_is_started_by_who_asked_for_it(
    host: GuardedHost, tmp_path: Path
) -> None:
    """The second person approves, the first starts: neither can do both."""
    async with (
        Console("alice", [host], tmp_path / "a") as alice,
        Console("bob", [host], tmp_path / "b") as bob,
    ):
        await alice.live("gpu01")
        await bob.live("gpu01")
        rid = await asked(alice, "secure-delete", DELETE)
        await alice.request(rid)
        with pytest.raises(ActionError, match="not approved yet"):
            await alice.engine.begin(["gpu01"], rid, alice.ask)
        await bob.until("to approve", lambda: [v for v in bob.engine.requests() if v.may_approve])
        (shown,) = await bob.request(rid)
        assert "THERE IS NO WAY BACK" in shown.effect
        (approved,) = await bob.engine.decide([], rid, True, "", bob.ask)
        assert (approved.ok, approved.state) == (True, "APPROVED"), approved
        assert done(host) == []
        with pytest.raises(ActionError, match="not yours to start"):
            await bob.engine.begin([], rid, bob.ask)
        await alice.until("to start", lambda: [v for v in alice.engine.requests() if v.may_start])
        with pytest.raises(ActionError, match="no such request waits on gpu02"):
            await alice.engine.begin(["gpu02"], rid, alice.ask)
        (begun,) = await alice.engine.begin([], rid, alice.ask)
        assert begun.ok, begun
        closed = await alice.until("its end", lambda: alice.guard("gpu01").closed)
        assert (closed[0].id, closed[0].state) == (rid, "DONE")
        assert done(host) == ["destroy"]
        with pytest.raises(ActionError, match="no such request"):  # once
            await alice.engine.begin([], rid, alice.ask)
        assert [each.kind for each in alice.witness.all_sent("gpu01")] == ["submit", "start"]


async def test_a_break_glass_is_reviewed_by_somebody_else(
    host: GuardedHost, tmp_path: Path
) -> None:
    """Until then everybody is told. Threats: 99."""
    async with (
        Console("alice", [host], tmp_path / "a") as alice,
        Console("bob", [host], tmp_path / "b") as bob,
    ):
        await alice.live("gpu01")
        await bob.live("gpu01")
        made = await alice.engine.preview(["gpu01"], "isolate", ISOLATE)
        (alone,) = await alice.engine.submit(made, ALONE, BREAK_GLASS, alice.ask)
        assert alone.ok, alone
        rid = alone.id
        await bob.until("it is told", lambda: bob.guard("gpu01") and bob.guard("gpu01").unreviewed)
        assert bob.guard("gpu01").unreviewed == (("alice", rid),)
        with pytest.raises(ActionError, match="comment"):
            await bob.engine.review(["gpu01"], rid, "  ", bob.ask)
        (own,) = await alice.engine.review(["gpu01"], rid, "all was well", alice.ask)
        assert (own.ok, own.rule) == (False, "same-person")
        (other,) = await bob.engine.review(["gpu01"], "0" * 64, "what is this", bob.ask)
        assert (other.ok, other.rule) == (False, "no-breakglass")
        (seen,) = await bob.engine.review(["gpu01"], rid, "I saw the traffic too", bob.ask)
        assert seen.ok, seen
        await bob.until("it is reviewed", lambda: not bob.guard("gpu01").unreviewed)
        with pytest.raises(ActionError, match="no host is called"):
            await bob.engine.review(["gpu09"], rid, "x", bob.ask)


async def test_an_approval_leaves_over_the_connection_that_waited(
    host: GuardedHost, tmp_path: Path
) -> None:
    """One login less after the signature; the confirmation still comes from another port."""
    async with (
        Console("alice", [host], tmp_path / "a") as alice,
        Console("bob", [host], tmp_path / "b") as bob,
    ):
        await alice.live("gpu01")
        await bob.live("gpu01")
        rid = await asked(alice, "isolate", ISOLATE)
        await bob.until("to approve", lambda: [v for v in bob.engine.requests() if v.may_approve])
        bob.engine.prepare(["gpu01", "no-such-host"])
        (begun,) = bob.engine.acting.prepare(["gpu01"])  # the same one
        ready = await begun
        assert isinstance(ready, Ready)
        port = ready._made.connection.ssh.get_extra_info("sockname")[1]
        before = host.sshd.log.count("Accepted publickey")
        (approved,) = await bob.engine.decide([], rid, True, "", bob.ask)
        assert approved.confirm_until, approved
        await bob.until("it stands", lambda: states(bob) == ["STANDING"])
        logins = host.sshd.log
        assert logins.count("Accepted publickey") == before + 1  # that of the confirmation
        last = [line for line in logins.splitlines() if "Accepted publickey" in line][-1]
        assert f"port {port} " not in last
        # What waits when the console is left is closed.
        (begun,) = bob.engine.acting.prepare(["gpu01"])
        await begun
    for _ in range(2000):
        if not host.sshd.sessions():
            return
        await asyncio.sleep(0.01)
    pytest.fail("a connection was left open")
