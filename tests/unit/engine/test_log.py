"""The stream of events: numbered, in order, bounded, and honest about what it lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.log import EventLog
from console.model.event import Event


def event(n: int, host: str = "a") -> Event:
    return Event(kind=f"kind-{n}", host=host, at=float(n))


def test_events_are_numbered_from_one_and_come_in_order() -> None:
    log = EventLog()
    assert log.after(0, 10) == []
    assert [log.add(event(n)).seq for n in range(5)] == [1, 2, 3, 4, 5]
    assert [e.seq for e in log.after(0, 10)] == [1, 2, 3, 4, 5]
    assert [e.kind for e in log.after(3, 10)] == ["kind-3", "kind-4"]
    assert [e.seq for e in log.after(1, 2)] == [2, 3]
    assert log.after(5, 10) == []
    assert log.after(99, 10) == []
    assert log.dropped == 0


def test_what_left_before_it_was_read_is_counted_and_what_was_read_is_not() -> None:
    log = EventLog(kept=10)
    for n in range(10):
        log.add(event(n))
    assert [e.seq for e in log.after(0, 4)] == [1, 2, 3, 4]
    for n in range(6):
        log.add(event(n))
    assert log.dropped == 2, "4 of the 6 that left had been read"
    assert [e.seq for e in log.after(4, 100)] == list(range(7, 17))


def test_a_million_kinds_take_no_more_room_than_one() -> None:
    log = EventLog(kept=1_000)
    for n in range(1_000_000):
        log.add(event(n))
    assert len(log.after(0, 10_000_000)) == 1_000
    assert log.dropped == 999_000


@given(
    kept=st.integers(1, 30),
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 25)), max_size=40),
)
def test_a_reader_misses_exactly_what_is_counted(kept: int, steps: list[tuple[bool, int]]) -> None:
    log = EventLog(kept=kept)
    added = read = after = 0
    for reads, count in steps:
        if reads:
            got = log.after(after, count)
            assert len(got) <= count
            assert [e.seq for e in got] == sorted({e.seq for e in got})
            assert all(e.seq > after for e in got)
            read += len(got)
            after = got[-1].seq if got else after
        else:
            for _ in range(count):
                added += 1
                assert log.add(event(added)).seq == added
    rest = log.after(after, added + 1)
    assert read + len(rest) + log.dropped == added


@pytest.mark.parametrize("limit", [0, 1])
def test_a_limit_is_kept(limit: int) -> None:
    log = EventLog()
    log.add(event(1))
    log.add(event(2))
    assert len(log.after(0, limit)) == limit


def numbered(kind: str, host: str, n: int = 0) -> Event:
    return Event(kind=kind, host=host, at=float(n))


def test_a_noisy_host_never_hides_the_events_of_another() -> None:
    log = EventLog(kept=1_000)
    log.add(numbered("gpu.lost", "h100"))
    log.add(numbered("kernel.xid", "h100"))
    for n in range(50_000):
        log.add(numbered("listener.new", "local", n))
    assert [e.kind for e in log.after(0, 10, "h100")] == ["gpu.lost", "kernel.xid"]
    assert [e.kind for e in log.after(0, 2)] == ["gpu.lost", "kernel.xid"], "the stream has them"
    assert log.gone("h100") == 0
    assert log.gone("local") == 50_000 - 998
    assert log.gone("unknown") == 0
    assert log.after(0, 10, "unknown") == []


@pytest.mark.parametrize("busy", ["process.new", "log.line", "listener.new", "auth.failed"])
def test_what_a_host_does_all_day_never_hides_its_own_xid(busy: str) -> None:
    log = EventLog(kept=100)
    log.add(numbered("kernel.xid", "a"))
    for n in range(1_000):
        log.add(numbered(busy, "a", n))
    held = log.after(0, 1_000, "a")
    assert (len(held), held[0].kind, held[-1].at) == (100, "kernel.xid", 999.0)
    assert [e.seq for e in held] == sorted(e.seq for e in held)
    assert log.gone("a") == 901


def test_all_hosts_together_stay_within_the_bound() -> None:
    log = EventLog(kept=1_000)
    for host in range(300):
        for n in range(20):
            log.add(numbered("x", f"host{host}", n))
    assert len(log.after(0, 100_000)) <= 1_000
    assert all(len(log.after(0, 100, f"host{host}")) >= 3 for host in range(300))


def test_the_events_of_one_host_are_read_without_counting_as_the_stream() -> None:
    log = EventLog(kept=4)
    for n in range(4):
        log.add(numbered("x", "a", n))
    assert [e.seq for e in log.after(1, 2, "a")] == [2, 3]
    log.add(numbered("x", "a", 4))
    assert log.dropped == 1


def test_a_burst_is_lost_to_nobody_who_reads_and_then_shrinks() -> None:
    log = EventLog(kept=1_000, a_host=100)
    for host in range(300):
        log.add(numbered("x", f"host{host}"))
    for n in range(600):
        log.add(numbered("auth.failed", "host0", n))
    assert log.dropped == 0
    assert len(log.after(0, 1_000)) == 900
    log.add(numbered("auth.failed", "host0", 600))
    assert [e.at for e in log.after(0, 1_000, "host0")] == [0.0, *range(502, 601)]
    assert log.dropped == 0
