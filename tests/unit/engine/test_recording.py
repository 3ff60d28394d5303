"""What is written is what is read again, and a file is never more than it may be."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console.engine import pieces, recorder, recording
from console.engine.reading import Reading
from console.engine.recorder import Full, Recorded, Writer
from console.engine.recording import CHUNK, Change, applied, changes, spec_of
from console.engine.replay import ReplayEngine
from console.errors import UsageError
from console.model.event import Event
from console.model.host import Host, HostState
from console.model.view import FleetSnapshot, HostView
from tests.support.recordings import BEGIN, Moment, event, write
from tests.support.still_engine import StillEngine, gpu, listener, process, view

_decode = msgspec.json.Decoder(Change).decode


def told(new: HostView, old: HostView | None, start: HostView) -> HostView:
    """``new`` as a reader has it who had ``start`` for ``old``."""
    for change in changes(new, old):
        start = applied(start, _decode(msgspec.json.encode(change)))
    return start


def bare(name: str) -> HostView:
    return HostView(spec=Host(name=name, address=""))


def as_read(seen: HostView) -> HostView:
    return msgspec.structs.replace(seen, spec=spec_of(seen.spec))


def test_a_whole_host_comes_back_as_it_was() -> None:
    seen = view("gpu01", processes=tuple(process(n, "x") for n in range(5 * CHUNK + 1)))
    assert told(seen, None, bare("gpu01")) == as_read(seen)


@pytest.mark.parametrize(
    "more",
    [
        {"state": HostState.DOWN, "reason": "no route", "frame_at": None, "fast": None, "gpus": ()},
        {"gpus": (gpu(0, 99.0, last_xid=79), gpu(1, 3.0, lost="GPU is lost"))},
        {"listeners": ()},
        {"processes": tuple(process(n, "y") for n in range(3, 60))},
        {"processes": tuple(process(n, "x") for n in range(60, 0, -1))},
        {"processes": (process(1, "a"), process(1, "b"))},
        {"denied": {"packages": "may not be read"}},
    ],
    ids=lambda more: "-".join(more),
)
def test_a_change_leads_from_one_picture_to_the_next(more: dict[str, Any]) -> None:
    rows = tuple(process(n, "x") for n in range(50))
    old = view("gpu01", processes=rows)
    new = msgspec.structs.replace(old, **more)
    there = told(old, None, bare("gpu01"))
    assert told(new, old, there) == as_read(new)
    assert told(old, new, as_read(new)) == as_read(old)


def test_a_small_change_is_small() -> None:
    rows = tuple(process(n, "x") for n in range(500))
    old = view("gpu01", processes=rows)
    new = msgspec.structs.replace(old, processes=(*rows[1:], process(9999, "new")))
    (change,) = changes(new, old)
    written = msgspec.json.encode(change)
    assert len(written) < 300
    assert b'"gone":[0]' in written
    assert list(changes(old, old)) == [Change()]


def test_every_field_of_a_host_is_recorded() -> None:
    fields = set(HostView.__struct_fields__)
    assert fields == set(recording.TABLES) | set(recording.PLAIN) | {"spec", "gpus"}


def test_where_keys_lie_is_left_out(tmp_path: Path) -> None:
    spec = Host(name="gpu01", address="a", key="/home/me/.ssh/id", certificate="/home/me/c")
    write(tmp_path / "r", [(0, [view("gpu01", spec=spec)], [])])
    assert "/home/me" not in (tmp_path / "r").read_text()


@pytest.mark.parametrize("name", ["r.jsonl", "r.gz"])
def test_a_file_is_private_and_never_replaces_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, [(0, [view("gpu01")], [event(1)])])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(UsageError, match="never replaces one"):
        Writer(path)
    assert path.read_bytes() == before
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        Writer(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(UsageError, match="No such file"):
        Writer(tmp_path / "none/r")


def test_keyframes_come_with_time_and_with_size(tmp_path: Path) -> None:
    big = view("gpu01", processes=tuple(process(n, "x") for n in range(400)))
    moments: list[Moment] = [
        (float(n), [msgspec.structs.replace(big, frame_at=BEGIN + n)], []) for n in range(0, 400, 2)
    ]
    write(tmp_path / "r", moments)
    with closing(Reading(tmp_path / "r")) as reading:
        index = reading.index
    keys = list(index.key_ticks)
    sizes = [index.start[n + 1] - index.start[n] for n in range(len(index.at))]
    assert len(keys) < 3  # not each minute: a keyframe is longer than a minute of small changes
    for key in keys[1:]:
        assert index.at[key] - index.at[0] >= 60
        assert sum(sizes[1:key]) >= sizes[0]


class Busy(StillEngine):
    """Another event and picture with each look."""

    def __init__(self, others: Callable[[], Iterable[Event]]) -> None:
        super().__init__(view("gpu01"))
        self.others = others
        self.seen: list[Event] = []

    def snapshot(self) -> FleetSnapshot:
        self.tell("auth.failed", "gpu01", user="root", source="203.0.113.7")
        self.seen += self.others()
        return super().snapshot()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "TICK_S", 0.1)


async def recorded(path: Path, *, limit: int, until: Callable[[Busy], bool]) -> Busy:
    made: list[Busy] = []

    def make(others: Callable[[], Iterable[Event]]) -> Busy:
        made.append(Busy(others))
        return made[0]

    engine = Recorded(make, path, limit=limit)
    await engine.start()
    async with asyncio.timeout(30):
        while not until(made[0]):
            engine.snapshot()
            await asyncio.sleep(0.01)
    await engine.stop()
    assert not made[0].running
    return made[0]


async def test_the_limit_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "r"
    busy = await recorded(path, limit=60_000, until=lambda engine: bool(engine.seen))
    (stopped,) = busy.seen
    assert stopped.kind == "record.stopped"
    assert "limit" in stopped.facts["reason"]
    assert path.stat().st_size <= 60_000 + 4096
    reading = Reading(path)
    assert reading.ends == ""
    reading.close()


async def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "r"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))  # the kernel refuses what is beyond
    try:
        busy = await recorded(path, limit=1 << 30, until=lambda engine: bool(engine.seen))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (stopped,) = busy.seen
    assert "File too large" in stopped.facts["reason"]
    assert path.stat().st_size == 60_000
    reading = Reading(path)
    assert reading.ends == "it was cut off"
    assert ReplayEngine(reading).snapshot().hosts[0].state is HostState.LIVE
    reading.close()


async def test_an_engine_is_recorded_until_its_end(tmp_path: Path) -> None:
    path = tmp_path / "r"
    # Two looks are enough: the last events are written at the end in any case.
    busy = await recorded(path, limit=1 << 30, until=lambda engine: len(engine.events()) > 5)
    assert busy.seen == []
    reading = Reading(path)
    engine = ReplayEngine(reading, at=reading.index.at[-1])
    assert reading.ends == ""
    kept = engine.events()
    assert [one.seq for one in kept] == list(range(1, len(kept) + 1))
    assert kept == busy.events()[: len(kept)]
    assert len(kept) > 5
    (host,) = engine.snapshot().hosts
    assert host == as_read(busy._hosts[0])
    reading.close()


async def test_what_fits_into_no_line_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "LINE", 700)  # of what a host holds, a GPU's inventory is longest
    busy = await recorded(tmp_path / "r", limit=1 << 30, until=lambda engine: bool(engine.seen))
    told = [(one.kind, one.host, one.facts["field"]) for one in busy.seen]
    assert ("record.left-out", "gpu01", "gpus") in told
    assert len(told) == len(set(told))
    reading = Reading(tmp_path / "r")
    engine = ReplayEngine(reading, at=reading.index.at[-1])
    assert (engine.ends, engine.damage) == ("", "")
    assert engine.snapshot().hosts[0].listeners == busy._hosts[0].listeners
    reading.close()


def test_a_tick_that_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "r", limit=2_000)
    writer.begin(BEGIN, ["gpu01"], "")
    size = os.stat(tmp_path / "r").st_size
    many = view("gpu01", listeners=tuple(listener(n, key=f"tcp/{n}") for n in range(300)))
    with pytest.raises(Full):
        writer.tick(BEGIN, FleetSnapshot(hosts=(many,)), [], 0)
    assert os.stat(tmp_path / "r").st_size == size
    writer.close()
