"""A replay shows at each moment what was seen then, however it got there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.clock import ManualClock
from console.engine.moments import moment
from console.engine.protocol import Engine, Playback
from console.engine.reading import Reading
from console.engine.replay import ReplayEngine
from console.errors import UsageError
from console.model.event import Event
from console.model.frame import Fast
from console.model.host import HostState
from console.model.view import FleetSnapshot
from tests.support.recordings import BEGIN, INCIDENT, Moment, event, incident, write
from tests.support.still_engine import view


@pytest.fixture
def reading() -> Iterator[Reading]:
    with closing(Reading(INCIDENT)) as opened:
        yield opened


def states(snapshot: FleetSnapshot) -> dict[str, HostState]:
    return {view.name: view.state for view in snapshot.hosts}


def test_it_is_an_engine_and_a_playback(reading: Reading) -> None:
    engine: Engine = ReplayEngine(reading)
    assert isinstance(engine, Playback)


async def test_time_runs_with_the_clock_at_the_speed_asked_for(reading: Reading) -> None:
    clock = ManualClock()
    engine = ReplayEngine(reading, clock=clock)
    clock.advance(5)  # before the screens are there
    await engine.start()
    assert engine.position == engine.begin
    clock.advance(4)
    assert engine.position == engine.begin + 4
    engine.set_speed(3)
    clock.advance(2)
    assert engine.position == pytest.approx(engine.begin + 10)
    engine.pause()
    clock.advance(100)
    assert engine.position == pytest.approx(engine.begin + 10)
    assert engine.paused
    engine.resume()
    clock.advance(1000)
    assert engine.position == engine.end
    assert engine.paused
    engine.resume()
    clock.advance(1)
    assert engine.position == engine.begin + 3


def test_ages_are_those_of_then(reading: Reading) -> None:
    clock = ManualClock()
    engine = ReplayEngine(reading, at=reading.index.at[-1], paused=True, clock=clock)
    gone = engine.snapshot().host("l40s-fra-1")
    assert gone is not None
    age = gone.age(engine.now())
    assert age is not None
    assert 15 < age < 40
    clock.advance(3600)
    assert gone.age(engine.now()) == age


def test_the_incident_is_in_it() -> None:
    with incident(3) as before, incident(36) as after:
        assert set(states(before.snapshot()).values()) == {HostState.LIVE}
        seen = states(after.snapshot())
        assert seen["l40s-fra-1"] is HostState.DOWN
        assert seen["mi300-fra-1"] is HostState.NEW_KEY
        kinds = {event.kind for event in after.events(0, 10_000)}
        assert {"kernel.xid", "auth.accepted", "listener.new", "gpu.process.new"} <= kinds
        assert {event.kind for event in before.events(0, 10_000)} <= kinds
        h100 = after.snapshot().host("h100-fra-1")
        assert h100 is not None
        assert h100.gpus[3].fast.lost
        assert len(h100.processes) > 10


def fingerprint(engine: ReplayEngine) -> tuple[bytes, list[Event], list[object]]:
    snapshot = msgspec.structs.replace(engine.snapshot(), version=0)
    past = [engine.history("h100-fra-1", name, 3600) for name in ("cpu_pct", "gpu.3.temp_c")]
    return msgspec.json.encode(snapshot), engine.events(0, 100_000), [*past]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes with several keyframes, a host that comes and goes, and events."""
    path = tmp_path_factory.mktemp("long") / "r"
    moments: list[Moment] = []
    for n in range(300):
        fast = Fast(cpu_pct=float(n % 100), mem_total_kib=1 << 30, mem_avail_kib=1 << 29)
        seen = view("h100-fra-1", fast=fast, frame_at=BEGIN + 2.0 * n, since=BEGIN)
        state = HostState.DOWN if n % 50 > 40 else HostState.LIVE
        other = view("gpu02", state, frame_at=BEGIN, since=BEGIN + n // 50)
        moments.append((2.0 * n, [seen, other], [event(n + 1)] if n % 3 else []))
    write(path, moments)
    return path


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_each_way_to_a_moment_leads_to_the_same_picture(long: Path, data: st.DataObject) -> None:
    with closing(Reading(long)) as first, closing(Reading(long)) as second:
        assert len(first.index.key_ticks) > 3
        clock = ManualClock()
        engine = ReplayEngine(first, clock=clock, paused=True)
        for _ in range(data.draw(st.integers(1, 6))):
            match data.draw(st.sampled_from(["seek", "step", "run"])):
                case "seek":
                    engine.seek(engine.begin + data.draw(st.floats(-10, 700)))
                case "step":
                    engine.step(data.draw(st.integers(-40, 40)))
                case "run":
                    engine.resume()
                    clock.advance(data.draw(st.floats(0, 100)))
                    engine.pause()
            if data.draw(st.booleans()):
                fingerprint(engine)
        straight = ReplayEngine(second, clock=ManualClock())
        tick = second.index.tick(engine.position)
        for _ in range(tick):
            straight.step(1)
            straight.snapshot()
        straight.seek(engine.position)
        assert fingerprint(engine) == fingerprint(straight)


def test_a_seek_in_small_looks_shows_nothing_in_between(long: Path) -> None:
    with closing(Reading(long)) as opened:
        engine = ReplayEngine(opened, clock=ManualClock(), paused=True, patience_s=0.0)
        before = engine.snapshot()
        engine.seek(engine.end)
        looks = 0
        while engine.seeking:
            shown = engine.snapshot()
            assert shown.at in (before.at, BEGIN + 598.0)
            assert engine.now() in (before.at, BEGIN + 598.0)
            looks += 1
        assert looks > 5
        assert engine.snapshot().at == BEGIN + 598.0


def test_going_back_is_told_and_events_after_it_are_gone(reading: Reading) -> None:
    engine = ReplayEngine(reading, at=reading.index.at[-1], paused=True, clock=ManualClock())
    engine.snapshot()
    everything = engine.events(0, 10_000)
    assert engine.turns == 0
    engine.seek(engine.begin + 5)
    engine.snapshot()
    assert engine.turns == 1
    some = engine.events(0, 10_000)
    assert 0 < len(some) < len(everything)
    assert some == everything[: len(some)]


def test_history_is_there_right_after_a_seek(reading: Reading) -> None:
    engine = ReplayEngine(reading, at=reading.index.at[-1], paused=True, clock=ManualClock())
    points = engine.history("h100-fra-1", "cpu_pct", 3600).points
    assert len(points) > 10
    assert all(engine.begin - 3 <= point.at <= engine.end for point in points)
    assert "gpu.3.temp_c" in engine.series("h100-fra-1")
    assert engine.history("nobody", "cpu_pct", 3600).points == ()
    engine.seek(engine.begin + 6)
    engine.snapshot()
    assert len(engine.history("h100-fra-1", "cpu_pct", 3600).points) < 5


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("+30s", 130), ("-1m", 40), ("-1h", 0), ("+90", 190), ("50%", 500), ("100%", 1000),
        ("start", 0), ("end", 1000), ("22:15:00", 100), ("22:15", 100), ("2023-11-14", 0),
        ("2023-11-14T22:15:10", 110), ("2023-11-14T23:15:10+01:00", 110), ("03:00", 1000),
        ("22:13:00", 0),
    ],
)  # fmt: skip
def test_moments_as_a_person_writes_them(text: str, at: float) -> None:
    begin = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
    assert moment(text, begin, begin + 1000, begin + 100) == begin + at


@pytest.mark.parametrize(
    "text", ["", "soon", "+", "25:00", "-1x", "200", "nan%", "2023-99-99", "9" * 50]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no moment"):
        moment(text, 0, 100, 50)
