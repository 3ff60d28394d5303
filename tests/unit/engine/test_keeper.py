"""Minutes and quarters are folded from the hour in memory, each once, a sixtieth a second."""

from __future__ import annotations

import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from console.clock import ManualClock
from console.engine.keeper import HOST_SERIES, MINUTE, QUARTER, Keeper, fold
from console.engine.session import LocalEngine
from console.fleet.session import Session
from console.model.frame import Fast
from console.store.writer import Store
from tests.support.scripted import ScriptedTransport, host

BEGIN = int(time.time()) // QUARTER * QUARTER - QUARTER  # the store forgets what is old


def sessions(count: int) -> list[Session]:
    engine = LocalEngine([host(f"h{n}") for n in range(count)], ScriptedTransport())
    return list(engine._pool.sessions.values())


@given(st.lists(st.tuples(st.integers(0, 59), st.floats(0, 100)), min_size=1, max_size=40))
def test_a_minute_has_the_low_the_high_and_the_last(samples: list[tuple[int, float]]) -> None:
    (session,) = sessions(1)
    last: dict[int, float] = {}
    for second, value in sorted(samples, key=lambda sample: sample[0]):
        session.history.add(BEGIN + second, Fast(cpu_pct=value))
        last[second // 2] = value
    row = fold(session, BEGIN, MINUTE)
    assert row is not None
    assert (row.host, row.step, row.at) == ("h0", MINUTE, BEGIN)
    low, high, end = row.numbers["cpu_pct"]
    assert abs(low - min(last.values())) < 0.1
    assert abs(high - max(last.values())) < 0.1
    assert abs(end - last[max(last)]) < 0.1
    assert row.numbers.keys() <= set(HOST_SERIES)


def test_what_is_outside_the_step_is_not_in_it() -> None:
    (session,) = sessions(1)
    assert fold(session, BEGIN, MINUTE) is None
    for second, value in ((-2, 1.0), (0, 50.0), (58, 60.0), (60, 99.0)):
        session.history.add(BEGIN + second, Fast(cpu_pct=value))
    row = fold(session, BEGIN, MINUTE)
    assert row is not None
    assert row.numbers["cpu_pct"] == (50.0, 60.0, 60.0)
    assert fold(session, BEGIN + 10 * MINUTE, MINUTE) is None


def test_every_host_is_kept_once_a_minute_and_once_a_quarter(tmp_path: Path) -> None:
    hosts = sessions(130)
    for session in hosts:
        for second in range(0, QUARTER, 10):
            session.history.add(BEGIN + second, Fast(cpu_pct=second / 10))
    store = Store(tmp_path)
    keeper = Keeper(hosts, store, ManualClock(BEGIN))
    for moment in range(BEGIN + MINUTE, BEGIN + QUARTER + MINUTE):
        keeper._keep(moment)
    store.close()
    again = Store(tmp_path)
    for name in ("h0", "h59", "h60", "h129"):
        minutes = again.history(name, "cpu_pct", MINUTE, 0)
        assert [point.at for point in minutes] == [BEGIN + MINUTE * n for n in range(15)]
        assert [(p.low, p.high, p.last) for p in minutes[1:3]] == [(6, 11, 11), (12, 17, 17)]
        (quarter,) = again.history(name, "cpu_pct", QUARTER, 0)
        assert (quarter.at, quarter.low, quarter.high, quarter.last) == (BEGIN, 0, 89, 89)
    again.close()


def test_the_minute_that_is_not_over_is_kept_at_the_end(tmp_path: Path) -> None:
    (session,) = sessions(1)
    session.history.add(BEGIN + 4, Fast(cpu_pct=7.0))
    store = Store(tmp_path)
    Keeper([session], store, ManualClock(BEGIN + 5)).rest()
    store.close()
    again = Store(tmp_path)
    assert [point.last for point in again.history("h0", "cpu_pct", MINUTE, 0)] == [7.0]
    again.close()
