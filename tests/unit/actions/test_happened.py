"""Events out of what hosts' guards show."""

from __future__ import annotations

import msgspec
import pytest

from console.actions.happened import Memory, events
from console.actions.pending import judge
from console.actions.standing import guard_view
from console.model.event import Event
from console.model.guard import ActiveView, GuardView
from console.model.words import sentence, severity
from tests.support.actionhosts import Fleet

EMPTY = GuardView(host_id="h")


def told(
    memory: Memory, before: GuardView | None, after: GuardView, person: str = "bob"
) -> list[Event]:
    return list(events(memory, "gpu01", before, after, (), person, 5.0))


def looked(fleet: Fleet, name: str, person: str = "bob") -> GuardView:
    return guard_view(fleet.docs(name), fleet.view(name), fleet.clock.wall(), "",
                      fleet.eyes(person))[0]  # fmt: skip


def test_whoever_may_approve_is_called_once_and_the_requester_never(fleet: Fleet) -> None:
    """Two hosts show one request, again and again: one call. Threats: 51."""
    fleet.hosts["gpu01"].submit("alice")
    view = looked(fleet, "gpu01")
    memory = Memory()
    (event,) = told(memory, None, view)
    assert event.kind == "guard.approval-wanted"
    assert event.facts["requester"] == "alice"
    assert "alice asks for isolate on gpu01" in sentence(event)
    assert severity(event) == "warn"
    assert told(memory, view, view) == []
    assert told(Memory(), None, looked(fleet, "gpu01", "alice"), "alice") == []
    assert told(Memory(), None, looked(fleet, "gpu01", "dave"), "dave") == []


def test_a_request_that_does_not_hold_calls_nobody_but_is_told(fleet: Fleet) -> None:
    """Threats: 47, 49."""
    fleet.hosts["gpu01"].submit("alice")
    view = looked(fleet, "gpu01")
    bad = msgspec.structs.replace(view.requests[0], verified=False, why_not_verified="forged")
    memory = Memory()
    (event,) = told(memory, None, msgspec.structs.replace(view, requests=(bad,)))
    assert event.kind == "guard.doubted"
    assert severity(event) == "bad"
    assert told(memory, None, msgspec.structs.replace(view, requests=(bad,))) == []


def state(word: str, **more: object) -> ActiveView:
    return ActiveView(id="r1", host="gpu01", action="isolate", state=word, requester="alice",
                      approvers=("bob",), **more)  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ((), (state("APPLIED"),), "guard.applied"),
        ((state("APPLIED"),), (state("STANDING"),), "guard.standing"),
        ((state("STANDING"),), (state("STANDING", holds=False),), "guard.isolation-lost"),
    ],
)
def test_states_are_told_as_they_change(
    before: tuple[ActiveView, ...], after: tuple[ActiveView, ...], wanted: str
) -> None:
    """Threats: 66."""
    old = msgspec.structs.replace(EMPTY, active=before)
    new = msgspec.structs.replace(EMPTY, active=after)
    assert [event.kind for event in told(Memory(), old, new)] == [wanted]
    assert told(Memory(), new, new) == []


def test_what_was_put_back_within_one_look_is_still_told_as_lost() -> None:
    """Threats: 66."""
    old = msgspec.structs.replace(EMPTY, active=(state("STANDING", lost=1),))
    gone = msgspec.structs.replace(EMPTY, active=(state("STANDING", lost=2, holds=False),))
    back = msgspec.structs.replace(EMPTY, active=(state("STANDING", lost=2),))
    both = ["guard.isolation-lost", "guard.put-back"]
    assert [event.kind for event in told(Memory(), old, back)] == both
    assert [event.kind for event in told(Memory(), old, gone)] == both[:1]
    assert [event.kind for event in told(Memory(), gone, back)] == both[1:]
    assert told(Memory(), back, back) == []
    assert told(Memory(), None, back) == []


@pytest.mark.parametrize(
    ("ended", "why", "wanted"),
    [
        ("REVERTED", "not confirmed", "guard.reverted"),
        ("FAILED", "nft", "guard.failed"),
        ("RELEASED", "by request", "guard.released"),
        ("CLOSED", "denied by bob", "guard.refused"),
        ("CLOSED", "expired", "guard.closed"),
    ],
)
def test_ends_are_told_once_and_old_ones_not_at_all(ended: str, why: str, wanted: str) -> None:
    new = msgspec.structs.replace(EMPTY, closed=(state(ended, why=why),))
    (event,) = told(Memory(), EMPTY, new)
    assert event.kind == wanted
    assert why in sentence(event)
    assert told(Memory(), None, new) == []


def test_a_host_whose_roster_or_build_is_not_the_signed_one_is_told(fleet: Fleet) -> None:
    """Threats: 81, 82."""
    bad = msgspec.structs.replace(
        EMPTY, roster_ok="differs from this console's signed roster", guard="ab" * 32
    )
    kinds = [event.kind for event in told(Memory(), EMPTY, bad)]
    assert kinds == ["guard.trust-differs", "guard.unknown-build"]
    assert told(Memory(), bad, bad) == []


def test_a_key_that_counts_backwards_is_an_alarm_and_no_block(fleet: Fleet) -> None:
    """Threats: 30."""
    host = fleet.hosts["gpu01"]
    memory = Memory()

    def of(counter: int) -> list[Event]:
        given = host.request("alice")
        from tests.support.guardkit import key_of

        given["signature"] = key_of("alice").sign(
            given["request"].encode(), "request-v1@watchfloor", counter=counter
        )
        rid = host.call("submit", **given)["id"]
        found = judge(fleet.envelope("gpu01"), fleet.seen("gpu01"), fleet.kept)
        assert found.wrong == ""
        text, by = host.signed(
            "cancel", "alice", {"by": "alice", "comment": "", "request_sha256": rid}
        )
        host.call("cancel", cancel=text, signature=by)
        return [
            event for _ in range(2)
            for event in events(memory, "gpu01", EMPTY, EMPTY, (found,), "bob", 5.0)
        ]  # fmt: skip

    assert of(7) == []
    assert of(9) == []
    (event,) = of(8)
    assert event.kind == "guard.counter-back"
    assert (event.facts["counter"], event.facts["before"]) == (8, 9)
    assert of(0) == []  # many keys count nothing
