"""Listeners that are taken over between two looks, and a user who has too many of them."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.probe import listeners
from console.hostside.probe.denied import Denied
from console.hostside.probe.fair import group_of, in_turn, level
from console.hostside.probe.listeners import Listeners
from console.hostside.probe.owners import Holdings
from console.hostside.probe.place import Place
from console.hostside.probe.procs import Process
from console.hostside.probe.proctable import ProcessTable
from console.hostside.probe.sockdiag import SockDiag, Socket
from console.hostside.probe.users import Users


class Kernel(SockDiag):
    """A kernel whose sockets are those of a list."""

    tcp: list[Socket]

    def listeners(self) -> list[Socket]:
        return list(self.tcp)

    def udp(self) -> list[Socket]:
        return []


class Host:
    """A host whose sockets and their holders are what a test says."""

    def __init__(self) -> None:
        place = Place(proc="/nonexistent")
        self.denied = Denied()
        self.kernel = Kernel(place)
        self.kernel.tcp = []
        self.table = ProcessTable(place, Users(place), self.denied, "salt")
        self.holdings = Holdings()
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.listeners = Listeners(
            place, self.kernel, self.table, lambda: self.holdings, self.event, self.denied
        )

    def event(self, kind: str, key: str, facts: dict[str, Any]) -> None:
        self.events.append((kind, key, facts))

    def listen(self, inode: int, uid: int, pid: int, port: int = 8000, at: str = "::") -> None:
        self.kernel.tcp.append(Socket(at, port, "::", 0, uid, inode))
        self.holdings.sockets[inode] = pid
        self.table.by_pid.setdefault(pid, Process(pid))

    def close(self, inode: int) -> None:
        self.kernel.tcp = [one for one in self.kernel.tcp if one.inode != inode]

    def tick(self) -> list[tuple[str, str, Any, Any]]:
        self.events.clear()
        self.listeners.sample()
        return [(kind, key, f.get("uid"), f.get("pid")) for kind, key, f in self.events]


@pytest.fixture
def host() -> Host:
    return Host()


KEY = "tcp/[::]:8000"


@pytest.mark.parametrize(("uid", "pid"), [(1001, 20), (33, 20), (1001, 10)])
def test_a_listener_that_is_taken_over_within_a_tick_goes_and_comes(
    host: Host, uid: int, pid: int
) -> None:
    host.listen(1, 33, 10)
    assert host.tick() == []
    host.close(1)
    host.listen(2, uid, pid)
    seen = [event[:3] for event in host.tick()]
    assert seen == [("listener.gone", KEY, 33), ("listener.new", KEY, uid)]
    assert host.tick() == []


def test_a_server_that_opens_its_own_port_again_is_no_news(host: Host) -> None:
    host.listen(1, 33, 10)
    host.tick()
    host.close(1)
    host.listen(2, 33, 10)
    assert host.tick() == []


def test_of_workers_with_one_port_the_next_is_no_takeover(host: Host) -> None:
    host.listen(1, 33, 10)
    host.listen(2, 33, 11)
    host.tick()
    host.close(1)
    assert host.tick() == []
    host.close(2)
    assert [event[0] for event in host.tick()] == ["listener.gone"]


def test_a_user_with_too_many_listeners_hides_nothing_of_others(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "MAX_LISTENERS", 50)
    host.tick()
    for number in range(100):
        host.listen(100 + number, 1001, 10, 10_000 + number, "127.0.0.1")
    told = host.tick()
    assert ("log.gap", "listener.new", None, None) in told
    assert len(host.listeners.rows) == 50
    assert host.denied.whole()["listeners"].endswith("most of uid 1001")
    host.listen(1, 33, 20, 65_000, "127.0.0.1")
    host.listen(2, 1001, 10, 4444)
    told = host.tick()
    assert ("listener.new", "tcp/[::]:4444") in [event[:2] for event in told]
    assert ("listener.new", "tcp/127.0.0.1:65000") in [event[:2] for event in told]
    assert [event for event in told if event[0] != "listener.new"] == []  # the cut is told once
    host.kernel.tcp = host.kernel.tcp[-2:]
    host.tick()
    assert "listeners" not in host.denied.whole()
    assert len(host.listeners.rows) == 2


@given(st.dictionaries(st.integers(0, 9), st.integers(1, 500), min_size=1), st.integers(10, 900))
def test_shares_fill_the_limit_and_never_pass_it(counts: dict[int, int], limit: int) -> None:
    most = level(counts, limit)
    taken = sum(min(count, most) for count in counts.values())
    assert taken <= limit
    assert taken == sum(counts.values()) or taken > limit - len(counts)


def test_subordinate_ids_are_one_user() -> None:
    assert group_of(1000) == 1000
    assert group_of(165_536) == group_of(165_536 + 30_000) != group_of(300_000)


def test_whose_work_takes_long_waits_for_the_others() -> None:
    now = [0.0]
    done: list[str] = []

    def visit(item: str) -> str | None:
        now[0] += 1.0 if item.startswith("hog") else 0.01
        done.append(item)
        return "hog rest" if item == "hog 0" else None

    queues = {
        1: deque(f"hog {number}" for number in range(9)),
        2: deque(f"small {number}" for number in range(30)),
    }
    left = in_turn(queues, visit, lambda: now[0], 3.0)
    assert sum(item.startswith("small") for item in done) == 30
    assert len(done) == 33
    assert left[-1] == "hog rest"
    assert len(left) == 7
