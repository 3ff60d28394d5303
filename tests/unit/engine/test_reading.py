"""Recordings from elsewhere: cut off, damaged, of a later version, or made to hurt."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.clock import ManualClock
from console.engine import picture, reading, unpacking
from console.engine.reading import Reading
from console.engine.recording import MAX_LINE, MAX_VALUES, RecordingError
from console.engine.replay import ReplayEngine
from console.model.host import HostState
from tests.support.recordings import BEGIN, INCIDENT, Moment, event, write
from tests.support.still_engine import listener, poisoned, view

POISON = "\x1b]52;c;AAAA\x07\u202e\ud800\r\n"


def small(path: Path) -> list[bytes]:
    """A recording of five ticks and a keyframe in the middle, and its lines."""
    moments = [(float(70 * n), [view("gpu01"), view("gpu02")], [event(n + 1)]) for n in range(5)]
    write(path, moments)
    return path.read_bytes().splitlines(keepends=True)


def play(path: Path) -> ReplayEngine:
    """Read all of it, at every moment that there is."""
    with closing(Reading(path)) as opened:
        engine = ReplayEngine(opened, clock=ManualClock(), paused=True)
        for at in (engine.begin, engine.end, (engine.begin + engine.end) / 2, engine.end):
            engine.seek(at)
            snapshot = engine.snapshot()
            assert engine.begin <= engine.position <= engine.end
            assert not engine.seeking
            for host in snapshot.hosts:
                engine.history(host.name, "cpu_pct", 3600)
        engine.events(0, 100_000)
        return engine


def test_a_recording_cut_off_anywhere_plays_to_its_end_and_says_so(tmp_path: Path) -> None:
    whole = b"".join(small(tmp_path / "whole"))
    shown = 0
    unreadable: list[tuple[int, str]] = []
    for size in [*range(0, len(whole), 997), len(whole) - 1]:
        (tmp_path / "cut").write_bytes(whole[:size])
        try:
            engine = play(tmp_path / "cut")
        except RecordingError as error:
            unreadable.append((size, error.hint))
            continue
        shown += 1
        assert engine.ends == "it was cut off"
        assert engine.events()[-1].kind == "replay.ended"
    assert shown > 20
    assert all(size < 60_000 and hint for size, hint in unreadable)
    assert play(tmp_path / "whole").ends == ""


def test_a_packed_recording_cut_off_plays_too(tmp_path: Path) -> None:
    packed = INCIDENT.read_bytes()
    (tmp_path / "cut").write_bytes(packed[: len(packed) // 2])
    engine = play(tmp_path / "cut")
    assert engine.ends == "it was cut off"
    assert engine.end > engine.begin
    (tmp_path / "bad").write_bytes(packed[:60_000] + b"\0" * 100 + packed[60_100:])
    assert "damaged" in play(tmp_path / "bad").ends


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda line: line[: len(line) // 2] + b"\n", "truncated|malformed|invalid"),
        (lambda line: b"\n", "truncated"),
        (lambda line: b"\xff\xfe\n", "malformed|Expecting"),
        (lambda line: b'{"at":NaN}\n', "malformed"),
        (lambda line: b'{"at":1e99}\n', "time cannot be|float"),
        (lambda line: b'{"at":-5}\n', "time cannot be"),
        (lambda line: b'{"at":1,"host":"nobody","set":{}}\n', "names a host"),
        (lambda line: b'{"at":1,"host":"gpu01","set":{"fast":7}}\n', "fast"),
        (lambda line: b'{"at":1,"host":"gpu01","set":{"since":-1}}\n', "time cannot be"),
        (lambda line: b'{"at":1,"host":"gpu01","set":{"state":"WEIRD"}}\n', "WEIRD"),
        (lambda line: b'{"at":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "nested deeper"),
        (lambda line: b'{"at":1,"x":7}\n', "unknown field"),
        (lambda line: b'{"at":1,"set":["' + b"a" * MAX_LINE + b'"]}\n', "longer than"),
        (lambda line: b'{"at":1,"set":[' + b"1," * MAX_VALUES + b"1]}\n", "values"),
    ],
)
def test_damage_is_named_and_forgotten_with_the_next_keyframe(
    tmp_path: Path, change: Callable[[bytes], bytes], why: str
) -> None:
    lines = small(tmp_path / "whole")
    ticks = [n for n, line in enumerate(lines) if b'"tick"' in line]
    keys = [n for n, line in enumerate(lines) if b'"key":true' in line]
    of_one = [n for n, line in enumerate(lines) if b'"host":"gpu01","set"' in line]
    place = next(n for n in of_one if n > ticks[2])
    lines[place] = change(lines[place])
    (tmp_path / "bad").write_bytes(b"".join(lines))
    engine = play(tmp_path / "bad")
    assert engine.ends == ""
    assert engine.damage.startswith(f"line {place + 1} "), engine.damage
    assert re.search(why, engine.damage), engine.damage
    assert engine.end - engine.begin == 280.0
    with closing(Reading(tmp_path / "bad")) as opened:
        engine = ReplayEngine(opened, clock=ManualClock(), paused=True)
        for tick, end in enumerate(ticks):
            states = {view.name: view.state for view in engine.snapshot().hosts}
            spoilt = place < end and not any(place < key < end for key in keys)
            assert (states["gpu01"] is HostState.STALE) == spoilt, tick
            engine.step(1)
        assert [one.seq for one in engine.events()] == [1, 2, 3, 4, 5]


def test_a_line_of_one_host_hides_nothing_of_another(tmp_path: Path) -> None:
    moments: list[Moment] = []
    for n in range(6):
        seen = view("gpu01", listeners=tuple(listener(port) for port in range(20 + n)))
        moments.append((float(n), [seen, view("gpu02", frame_at=BEGIN + n)], [event(n + 1)]))
    write(tmp_path / "whole", moments)
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    place = [n for n, line in enumerate(lines) if b'"host":"gpu01","set"' in line][2]
    head = lines[place].partition(b',"set"')[0]
    for bad in (
        head + b',"set":{"processes":"' + b"a" * (2 * MAX_LINE) + b'"}}\n',
        head + b',"set":{"listeners":7}}\n',
        head + b',"set":{"spec":{"name":"gpu02","address":""}}}\n',
        head + b',"se',
    ):
        lines[place] = bad.rstrip(b"\n") + b"\n"
        (tmp_path / "bad").write_bytes(b"".join(lines))
        with closing(Reading(tmp_path / "bad")) as opened:
            engine = ReplayEngine(opened, at=BEGIN + 5, clock=ManualClock(), paused=True)
            hurt, other = engine.snapshot().hosts
            assert other.state is HostState.LIVE
            assert other.frame_at == BEGIN + 5
            assert hurt.state is HostState.STALE
            assert f"line {place + 1} of the recording is damaged" in hurt.reason
            assert len(hurt.listeners) == 21
            assert len(engine.events()) == 6
            assert engine.ends == ""
            assert engine.damage


def test_a_damaged_event_keeps_the_numbers_of_the_others(tmp_path: Path) -> None:
    lines = small(tmp_path / "whole")
    at = [n for n, line in enumerate(lines) if b'"events"' in line]
    lines[at[1]] = b'{"at":%d,"events":[{"kind":7},{"kind":"x","host":"a","at":1}]}\n' % BEGIN
    lines[at[2]] = b'{"at":%d,"events":[{"a":%s}]}\n' % (BEGIN, b"[" * 50 + b"1.5e400" + b"]" * 50)
    (tmp_path / "bad").write_bytes(b"".join(lines))
    with closing(Reading(tmp_path / "bad")) as opened:
        straight = ReplayEngine(opened, clock=ManualClock(), paused=True)
        for _ in range(5):
            straight.step(1)
            straight.snapshot()
        kinds = [one.kind for one in straight.events()]
    assert kinds == ["auth.failed", "replay.damaged", "x", "replay.damaged", *["auth.failed"] * 2]
    with closing(Reading(tmp_path / "bad")) as opened:
        engine = ReplayEngine(opened, at=BEGIN + 280, clock=ManualClock(), paused=True)
        assert [one.seq for one in engine.events()] == [1, 2, 3, 4, 5, 6]
        assert [one.kind for one in engine.events()] == kinds


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", "not a recording"),
        (b"\x7fELF\0\0\n", "not a recording"),
        (b'{"v":1,"seq":1}\n', "not a recording"),
        (b'{"watchfloor":"status","version":1}\n', "not a recording"),
        (b'{"watchfloor":"recording","version":2}\n', "version 2, this console reads version 1"),
        (
            b'{"watchfloor":"recording","version":1,"hosts":[' + b'"a",' * 20_001 + b'"a"]}\n',
            "hosts",
        ),
        (b'{"watchfloor":"recording","version":1}\n', "holds no picture"),
        (b'{"watchfloor":"recording","version":1}\n{"at":1,"tick":{}}\n', "without a keyframe"),
    ],
)
def test_what_is_no_recording_is_named(tmp_path: Path, head: bytes, why: str) -> None:
    (tmp_path / "r").write_bytes(head)
    with pytest.raises(RecordingError, match=why) as told:
        Reading(tmp_path / "r").close()
    assert told.value.where
    assert told.value.hint


def test_things_that_are_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "none", tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(RecordingError):
            Reading(path)


def test_what_is_no_recording_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(64)) + pack.flush()
    (tmp_path / "zeros.gz").write_bytes(bomb)
    taken: list[int] = []
    real = tempfile.TemporaryFile

    def watched(**more: Any) -> IO[bytes]:
        file: IO[bytes] = real(**more)
        write = file.write

        def noted(data: bytes) -> int:
            taken.append(len(data))
            return write(data)

        monkeypatch.setattr(file, "write", noted)
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", watched)
    with pytest.raises(RecordingError, match="not a recording"):
        Reading(tmp_path / "zeros.gz")
    assert taken == []
    small(tmp_path / "whole")
    (tmp_path / "whole.gz").write_bytes(gzip.compress((tmp_path / "whole").read_bytes()))
    Reading(tmp_path / "whole.gz").close()
    assert sum(taken) == (tmp_path / "whole").stat().st_size


def test_bombs_are_defused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "FREELY", 1 << 20)
    head = b'{"watchfloor":"recording","version":1,"hosts":["a"]}\n'
    (tmp_path / "zeros.gz").write_bytes(gzip.compress(head + b"0" * (5 << 20)))
    with pytest.raises(RecordingError, match="unpacks to more than 200 times its size"):
        Reading(tmp_path / "zeros.gz")
    noise = os.urandom(1 << 20).hex().encode()
    (tmp_path / "noise.gz").write_bytes(gzip.compress(head + noise))
    monkeypatch.setattr(unpacking, "RESERVE", 1 << 60)
    with pytest.raises(RecordingError, match=r"cannot be unpacked into .*would stay free") as told:
        Reading(tmp_path / "noise.gz")
    assert "TMPDIR" in told.value.hint
    monkeypatch.setattr(unpacking, "MAX_PLAIN", 1 << 20)
    with pytest.raises(RecordingError, match="unpacks to more than 0 GiB"):
        Reading(tmp_path / "noise.gz")
    monkeypatch.undo()
    lines = small(tmp_path / "whole")
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    twice = pack.compress(b"".join(lines)) + pack.flush()
    (tmp_path / "two.gz").write_bytes(twice + gzip.compress(b"0" * (5 << 20)))
    assert play(tmp_path / "two.gz").ends == ""  # a second member is not looked at
    monkeypatch.setattr(picture, "MAX_MEMORY", 10_000)
    with pytest.raises(RecordingError, match="its hosts take more"):
        play(tmp_path / "whole")
    monkeypatch.setattr(reading, "MAX_TICKS", 2)
    with closing(Reading(tmp_path / "whole")) as opened:
        assert "so many lines" in opened.ends


def test_too_many_rows_are_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_ROWS", 1)
    small(tmp_path / "whole")
    engine = play(tmp_path / "whole")
    assert {host.state for host in engine.snapshot().hosts} == {HostState.STALE}
    assert "more than 1 rows" in engine.damage


def test_the_bound_of_memory_means_what_it_says(tmp_path: Path) -> None:
    """Rows that are short as text take much more than their text."""
    names = [f"h{n}" for n in range(8)]
    head = {"watchfloor": "recording", "version": 1, "at": BEGIN, "hosts": names}
    lines = [json.dumps(head), json.dumps({"at": BEGIN, "key": True})]
    row = [300, 300, "ab", 300, "cd", "ef", "gh", 300, 300, 300, "ij", "kl", "mn", False, "op"]
    rows = [[n, *row] for n in range(4000)]
    for name in names:
        line = {"at": BEGIN, "host": name, "set": {"processes": {"all": rows}}}
        lines.append(json.dumps(line, separators=(",", ":")))
    lines.append(json.dumps({"at": BEGIN, "tick": {}}))
    (tmp_path / "r").write_text("\n".join(lines) + "\n")
    with closing(Reading(tmp_path / "r")) as opened:
        tracemalloc.start()
        engine = ReplayEngine(opened, clock=ManualClock(), paused=True)
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert all(len(host.processes) == 4000 for host in engine.snapshot().hosts)
        assert taken < engine._picture._total < 4 * taken


def test_time_that_goes_back_stands_still_in_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "r"
    write(path, [(n, [view("gpu01")], []) for n in (0.0, 5.0, -100.0, -95.0, 9.0)])
    with closing(Reading(path)) as opened:
        assert [at - BEGIN for at in opened.index.at] == [0, 5, 5, 5, 9]
        engine = ReplayEngine(opened, clock=ManualClock(), paused=True)
        engine.step(3)
        assert engine.snapshot().at == BEGIN - 95
        assert engine.now() == BEGIN - 95


def test_all_text_is_clean_whoever_wrote_it(tmp_path: Path) -> None:
    bad = poisoned(view("gpu01"), POISON.replace("\ud800", ""))
    path = tmp_path / "r"
    write(path, [(0, [bad], [event(1, kind=f"x{POISON[:5]}")])])
    lines = path.read_text().splitlines()
    (tmp_path / "r2").write_text("\n".join(line.replace("u202e", "ud800") for line in lines) + "\n")
    for name in ("r", "r2"):
        engine = play(tmp_path / name)
        seen = repr((engine.snapshot(), engine.events(), engine.title))
        for sign in ("\\x1b", "\\x07", "\\u202e", "\\ud800", "\\r", "\\n"):
            assert sign not in seen, (name, sign)


def small_incident() -> bytes:
    with closing(Reading(INCIDENT)) as opened:
        opened._file.seek(0)
        return opened._file.read(opened.index.start[6])


_WHOLE = small_incident()
_LINES = [json.loads(line) for line in _WHOLE.splitlines()]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_bytes_do_more_than_end_a_replay(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(_WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 50))] = data.draw(st.binary(max_size=30))
    (tmp_path / "r").write_bytes(raw)
    with suppress(RecordingError):
        play(tmp_path / "r")


_ANY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_values_do_more_than_end_a_replay(tmp_path: Path, data: st.DataObject) -> None:
    """Valid JSON with other things in it than a recording has."""
    lines = json.loads(json.dumps(_LINES))
    for _ in range(data.draw(st.integers(1, 3))):
        spot = lines[data.draw(st.integers(0, len(lines) - 1))]
        for _ in range(data.draw(st.integers(0, 4))):
            keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
            inner = [key for key in keys if isinstance(spot[key], dict | list) and spot[key]]
            if not inner:
                break
            spot = spot[data.draw(st.sampled_from(inner))]
        key = data.draw(st.sampled_from(list(spot) if isinstance(spot, dict) else range(len(spot))))
        spot[key] = data.draw(_ANY)
    (tmp_path / "r").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with suppress(RecordingError):
        play(tmp_path / "r")
