"""From a form to a confirmed host over real SSH: two people, two consoles, hosts that decide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from console.errors import ActionError
from console.model.guard import ONE_THEN_RATIFY, TWO_BEFORE
from tests.support.actionpath import ISOLATE, Console, GuardedHost

REASON = "beaconing from the vLLM worker, INC-4711"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[GuardedHost]]:
    with ExitStack() as stack:
        found = [GuardedHost(tmp_path / name, name) for name in ("gpu01", "gpu02")]
        for host in found:
            stack.enter_context(host)
        # One login of operators opens all guards, as enrolment makes it.
        for host in found[1:]:
            host.login = found[0].login
            host.sshd.authorize(*host.lines())
        yield found


async def test_two_people_isolate_and_release_two_hosts_with_one_request(
    hosts: list[GuardedHost], tmp_path: Path
) -> None:
    names = [host.name for host in hosts]
    async with (
        Console("alice", hosts, tmp_path / "a") as alice,
        Console("bob", hosts, tmp_path / "b") as bob,
    ):
        await alice.live(*names)
        await bob.live(*names)
        made = await alice.engine.preview(names, "isolate", ISOLATE)
        assert [target.trouble for target in made.targets] == ["", ""]
        assert made.targets[0].effect
        assert made.targets[0].effector == "simulated"
        draft = alice.engine.draft(made, REASON, TWO_BEFORE)
        outcomes = await alice.engine.submit(made, REASON, TWO_BEFORE, alice.ask)
        assert [(each.host, each.ok, each.state) for each in outcomes] == [
            ("gpu01", True, "PENDING"),
            ("gpu02", True, "PENDING"),
        ]
        assert {each.id for each in outcomes} == {draft.id}

        shown = await bob.until(
            "the request on both",
            lambda: (
                [
                    each
                    for each in bob.engine.requests()
                    if each.id == draft.id and each.may_approve
                ][1:]
                and bob.engine.requests()
            ),
        )
        assert {each.host for each in shown} == set(names)
        for each in shown:
            assert each.verified, each.why_not_verified
            assert set(each.hosts) == set(names)
            assert each.words == draft.words
            assert each.reason == REASON
            assert each.effect == made.targets[0].effect
            assert (each.requester, each.workstation) == ("alice", "desk-of-alice")
        wanted = bob.events("guard.approval-wanted")
        assert [event.key for event in wanted] == [draft.id]  # once, though two hosts show it
        own = await alice.request(draft.id)
        assert own[0].mine
        assert not own[0].may_approve
        assert not alice.events("guard.approval-wanted")

        done = await bob.engine.decide(names, draft.id, True, "seen it too", bob.ask)
        assert [each.ok for each in done] == [True, True], done
        await bob.until(
            "both stand",
            lambda: all(
                [item.state for item in bob.guard(name).active] == ["STANDING"] for name in names
            ),
        )
        assert {event.host for event in bob.events("guard.confirmed")} == set(names)
        assert bob.guard("gpu01").isolation == "isolated"
        assert bob.guard("gpu01").active[0].approvers == ("bob",)

        released = await bob.engine.release(names, draft.id, "clean again", bob.ask)
        assert [each.state for each in released] == ["PENDING", "PENDING"], released
        rid = released[0].id
        await alice.until(
            "the release on both",
            lambda: (
                sum(each.id == rid and each.may_approve for each in alice.engine.requests()) == 2
            ),
        )
        over = await alice.engine.decide([], rid, True, "", alice.ask)
        assert all(each.ok for each in over), over
        await alice.until(
            "nothing stands", lambda: not any(alice.guard(name).active for name in names)
        )
        assert alice.guard("gpu01").isolation == ""
        kept = alice.witness.all_sent("gpu01")
        assert [each.kind for each in kept][:2] == ["submit", "decide"]
        assert all(b'"token"' not in each.answer for each in kept)


async def test_one_person_alone_gets_nothing_that_lasts(
    hosts: list[GuardedHost], tmp_path: Path
) -> None:
    async with Console("alice", hosts, tmp_path / "a") as alice:
        await alice.live("gpu01")
        made = await alice.engine.preview(["gpu01"], "isolate", ISOLATE)
        outcomes = await alice.engine.submit(made, REASON, TWO_BEFORE, alice.ask)
        rid = outcomes[0].id
        await alice.request(rid)
        with pytest.raises(ActionError, match="another person decides"):
            await alice.engine.decide(["gpu01"], rid, True, "", alice.ask)
        with pytest.raises(ActionError, match="does not allow one_then_ratify"):
            await alice.engine.submit(made, REASON, ONE_THEN_RATIFY, alice.ask)
        gone = await alice.engine.cancel(["gpu01"], rid, "mistaken", alice.ask)
        assert gone[0].ok
        await alice.until("it is gone", lambda: not alice.engine.requests())


async def test_a_partial_success_is_told_host_by_host(
    hosts: list[GuardedHost], tmp_path: Path
) -> None:
    hosts[1].sshd.authorize(*hosts[1].lines()[:1])  # its guard cannot be called
    async with Console("alice", hosts, tmp_path / "a") as alice:
        await alice.live("gpu01")
        made = await alice.engine.preview(["gpu01", "gpu02"], "isolate", ISOLATE)
        assert made.targets[0].trouble == ""
        assert "did not accept" in made.targets[1].trouble
        outcomes = await alice.engine.submit(made, REASON, TWO_BEFORE, alice.ask)
        assert [(each.host, each.ok) for each in outcomes] == [("gpu01", True), ("gpu02", False)]
