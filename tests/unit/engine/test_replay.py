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


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keyframe after 400 lines of events, and 400 samples of a host."""
    path = tmp_path_factory.mktemp("eventful") / "r"
    moments: list[Moment] = []
    for n in range(400):
        fast = Fast(cpu_pct=float(n % 100))
        moments.append((0.1 * n, [view("gpu01", fast=fast, frame_at=BEGIN + n)], [event(n + 1)]))
    moments.append((70.0, [view("gpu01", frame_at=BEGIN + 400)], [event(401)]))
    write(path, moments)
    return path


def note(patch: pytest.MonkeyPatch, opened: Reading, name: str, places: list[int]) -> None:
    """Let ``places`` know which lines are read by that method."""
    real = getattr(opened, name)

    def noted(place: int) -> object:
        places.append(place)
        return real(place)

    patch.setattr(opened, name, noted)


def test_a_jump_reads_events_from_before_it_in_small_looks(
    eventful: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Reading(eventful)) as opened:
        assert len(opened.index.key_ticks) == 2
        engine = ReplayEngine(opened, clock=ManualClock(), paused=True, patience_s=0.0)
        read: list[int] = []
        note(monkeypatch, opened, "read", read)
        engine.seek(engine.end)
        assert read == []
        looks = 0
        while engine.seeking:
            before = len(read)
            engine.snapshot()
            looks += 1
            assert len(read) - before <= 1
        assert looks > len(read) > 390
        assert [one.seq for one in engine.events(0, 1000)] == list(range(1, 402))


def test_a_seek_right_after_a_seek_shows_where_it_went(eventful: Path) -> None:
    with closing(Reading(eventful)) as opened:
        engine = ReplayEngine(opened, clock=ManualClock(), paused=True, patience_s=0.0)
        engine.seek(engine.end)
        engine.snapshot()
        engine.seek(opened.index.at[-2])  # the tick before the keyframe that is being read
        while engine.seeking:
            engine.snapshot()
        shown = engine.snapshot()
        assert shown.at == opened.index.wall[-2]
        assert shown.hosts[0].frame_at == BEGIN + 399


def test_history_is_read_in_small_looks(eventful: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Reading(eventful)) as opened:
        engine = ReplayEngine(
            opened, at=opened.index.at[-1], clock=ManualClock(), paused=True, patience_s=0.0
        )
        read: list[int] = []
        note(monkeypatch, opened, "numbers", read)
        engine.snapshot()
        assert engine.history("gpu01", "cpu_pct", 3600).points
        assert len(read) == 1
        for _ in range(500):
            engine.history("gpu01", "cpu_pct", 3600)
        whole = engine.history("gpu01", "cpu_pct", 3600)
        assert len(read) == len(opened.index.fast["gpu01"]) == 401
    with closing(Reading(eventful)) as opened:
        at_once = ReplayEngine(opened, at=opened.index.at[-1], clock=ManualClock(), paused=True)
        assert at_once.history("gpu01", "cpu_pct", 3600) == whole


def test_of_one_tick_the_last_sample_counts(tmp_path: Path) -> None:
    """However often a host speaks in a tick, one sample of it is read again."""
    write(tmp_path / "r", [(float(n), [view("gpu01", since=n)], []) for n in range(3)])
    lines = (tmp_path / "r").read_bytes().splitlines(keepends=True)
    head = b'{"at":%d,"host":"gpu01","set":{"fast":{"cpu_pct":1.0}}}\n' % BEGIN
    (tmp_path / "r").write_bytes(b"".join([*lines[:-2], head * 500, *lines[-2:]]))
    with closing(Reading(tmp_path / "r")) as opened:
        assert len(opened.index.fast["gpu01"]) <= 3


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
        ("2023-11-14T22:15:10", 110), ("2023-11-14T23:15:10+01:00", 110), ("22:13", 0),
        ("0:00", 0), ("0:20", 20), ("03:00", 180), ("16:40", 1000), ("0:16:40", 1000),
        ("+1h", 1000), ("22:15Z", 100),
    ],
)  # fmt: skip
def test_moments_as_a_person_writes_them(text: str, at: float) -> None:
    begin = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
    assert moment(text, begin, begin + 1000, begin + 100) == begin + at


@pytest.mark.parametrize(
    "text", ["", "soon", "+", "25:61", "-1x", "200", "nan%", "2023-99-99", "9" * 50]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no moment"):
        moment(text, 0, 100, 50)


@pytest.mark.parametrize(
    "text",
    ["16:41", "22:13:00", "22:30:01", "1:00:00", "0:05Z", "2023-11-13", "2023-11-14T22:13:00",
     "2030-01-01T00:00:00", "999:59"],
)  # fmt: skip
def test_a_moment_outside_the_recording_is_named(text: str) -> None:
    begin = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
    with pytest.raises(UsageError, match="is outside the recording") as told:
        moment(text, begin, begin + 1000, begin + 100)
    assert "from 2023-11-14 22:13:20 to 2023-11-14 22:30:00 UTC" in told.value.hint
    assert "16:40 long" in told.value.hint


def test_a_time_of_day_wins_over_a_length_and_midnight_is_passed() -> None:
    begin = 1_700_005_000.0  # 2023-11-14 23:36:40 UTC
    assert moment("0:20", begin, begin + 7200, begin) == begin + 1400 + 1200
    assert moment("1:10", begin, begin + 7200, begin) == begin + 1400 + 4200
    assert moment("1:50", begin, begin + 7200, begin) == begin + 110
