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
