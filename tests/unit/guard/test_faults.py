"""The guard is killed at every point between two writes, and whoever comes next goes on from there.

A kill is an exception that nothing catches, raised at a mark; then a fresh guard is called. What is
done, the state that is told, and the audit must agree, and nothing may be half done.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.guardhost import Host, Killed
from tests.support.guardkit import policy_doc

RULE = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 300}
# How a record says that a request has come to each state.
TOLD = {
    "APPLIED": {"exec_end", "confirm", "ratified"},
    "STANDING": {"exec_end", "confirm", "ratified", "reapplied"},
    "REVERTED": {"undone"},
    "FAILED": {"undone"},
    "DONE": {"exec_end"},
}


@pytest.fixture
def new_host(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Host]:
    """Hosts, as many as there are points."""
    monkeypatch.setattr("console.hostside.guard.steps.EFFECTOR", "simulated")

    def make() -> Host:
        base = tmp_path_factory.mktemp("host", numbered=True)
        return Host(base, policy=policy_doc(actions={"isolate": RULE}))

    return make


def kill_at(host: Host, number: int, act: Callable[[], Any]) -> str:
    """Run ``act`` and end it at the mark of that number; its name, empty where it ended itself."""
    seen: list[str] = []

    def mark(point: str) -> None:
        seen.append(point)
        if len(seen) == number:
            raise Killed(point)

    host.mark = mark
    try:
        act()
    except Killed as point:
        return str(point)
    finally:
        host.mark = lambda point: None
    return ""


def walk(
    new_host: Callable[[], Host], prepare: Callable[[Host], Callable[[], Any]]
) -> Iterator[tuple[Host, str]]:
    """A host for every mark of what ``prepare`` gives, killed there; the last one is not killed."""
    for number in range(1, 200):
        host = new_host()
        act = prepare(host)
        point = kill_at(host, number, act)
        yield host, point
        if not point:
            assert number > 5, "the walk saw no marks"
            return
    raise AssertionError("the walk has no end")


def consistent(host: Host) -> None:
    """What is done, what is told and what is recorded agree."""
    states = {each["id"]: each for each in host.state["active"] + host.state["closed"]}
    stands = [each for each in states.values() if each["state"] in ("APPLIED", "STANDING")]
    assert host.done() == sorted("nft" for each in stands), (host.done(), states)
    for rid, each in states.items():
        events = host.events(rid)
        if each["state"] in TOLD:
            assert TOLD[each["state"]] & set(events), (each["state"], events)
        assert len(set(events)) == len(events), events
        assert each["state"] not in ("EXECUTING", "REVERTING"), each
    for folder in ("journal", "standing"):
        names = {path.name for path in Path(host.place.state, folder).iterdir()}
        names = {name for name in names if len(name) == 64}
        assert names <= set(states)


def test_killed_while_two_people_isolate(new_host: Callable[[], Host]) -> None:
    """It is undone or done, at every point of the decision. Threats: 61, 75."""
    points = []

    def prepare(host: Host) -> Callable[[], Any]:
        sent = host.decision(host.submit()["id"])
        return lambda: host.call("decide", **sent)

    for host, point in walk(new_host, prepare):
        points.append(point)
        host.tick()
        consistent(host)
        host.clock.go(61)
        host.tick()
        consistent(host)
        assert host.done() == [], point
        # The guard is of use again, whatever was left behind.
        assert host.standing()
        consistent(host)
    assert {"taken", "look 0", "do 0", "did 0", "do 1", "is APPLIED"} <= set(points)


def test_killed_while_it_is_confirmed(new_host: Callable[[], Host]) -> None:
    """It stands or it reverts. Threats: 61."""

    def prepare(host: Host) -> Callable[[], Any]:
        answer = host.applied()
        return lambda: host.confirm(answer)

    ends = set()
    for host, _ in walk(new_host, prepare):
        host.tick()
        consistent(host)
        host.clock.go(61)
        host.tick()
        consistent(host)
        ends.add(len(host.done()))
    assert ends == {0, 1}


def test_killed_while_it_is_released(new_host: Callable[[], Host]) -> None:
    """It is given back, or stands as before. Threats: 61."""

    def prepare(host: Host) -> Callable[[], Any]:
        rid = host.standing()
        release = host.submit("carol", action="release", params={"id": rid})["id"]
        sent = host.decision(release, "alice")
        return lambda: host.call("decide", **sent)

    ends = set()
    for host, _ in walk(new_host, prepare):
        host.tick()
        consistent(host)
        ends.add(len(host.done()))
        for each in host.state["active"]:
            assert each["state"] == "STANDING"
    assert ends == {0, 1}


def test_killed_while_one_person_begins(new_host: Callable[[], Host]) -> None:
    """One signature alone leaves nothing that lasts, wherever it ends. Threats: 33, 61."""

    def prepare(host: Host) -> Callable[[], Any]:
        sent = host.request(mode="one_then_ratify")
        return lambda: host.call("submit", **sent)

    for host, point in walk(new_host, prepare):
        host.tick()
        consistent(host)
        host.clock.go(1801)
        host.tick()
        consistent(host)
        assert host.done() == [], point


def test_killed_while_it_reverts(new_host: Callable[[], Host]) -> None:
    """The reverting goes on. Threats: 61, 64."""

    def prepare(host: Host) -> Callable[[], Any]:
        host.applied()
        host.clock.go(61)
        return host.tick

    for host, point in walk(new_host, prepare):
        host.tick()
        consistent(host)
        assert host.done() == [], point


def test_killed_twice(new_host: Callable[[], Host]) -> None:
    """The next call is killed as well, at every point of it. Threats: 61."""
    for second in range(1, 40):
        host = new_host()
        sent = host.decision(host.submit()["id"])
        done = 0

        def mark(point: str) -> None:
            if point == "did 0":
                raise Killed(point)

        host.mark = mark
        with pytest.raises(Killed):
            host.call("decide", **sent)
        done = kill_at(host, second, host.tick) != ""
        host.tick()
        consistent(host)
        assert host.done() == []
        if not done:
            assert second > 5
            return
    raise AssertionError("the walk has no end")


def test_killed_while_it_closes(new_host: Callable[[], Host]) -> None:
    """A denial is there or it is not. Threats: 61."""

    def prepare(host: Host) -> Callable[[], Any]:
        sent = host.decision(host.submit()["id"], verdict="deny")
        return lambda: host.call("decide", **sent)

    for host, _ in walk(new_host, prepare):
        host.tick()
        consistent(host)
        waiting = host.published("request")
        closed = [each["why"] for each in host.state["closed"]]
        assert len(waiting) + len(closed) == 1
        assert closed in ([], ["denied by bob"])


def test_rebooted_at_every_point(new_host: Callable[[], Host]) -> None:
    """What was not confirmed is gone after it. Threats: 65."""

    def prepare(host: Host) -> Callable[[], Any]:
        sent = host.decision(host.submit()["id"])
        return lambda: host.call("decide", **sent)

    for host, point in walk(new_host, prepare):
        host.clock.reboot()
        host.tick()
        consistent(host)
        assert host.done() == [], point
