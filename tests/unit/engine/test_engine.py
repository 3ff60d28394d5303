"""LocalEngine over scripted hosts: events without loss, cursors, history, and a failing store."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from console.engine.session import LocalEngine
from console.fleet.source import RowSource
from console.model.event import Event
from console.model.history import Point
from console.model.host import Host, HostState
from console.model.view import HostView
from console.store.database import NAME
from console.store.writer import EventRow, HistoryRow, Store
from tests.support.scripted import ScriptedTransport, frame, host


class Rig:
    """An engine over hosts that say what a test tells them."""

    def __init__(self, *names: str, **more: Any) -> None:
        self.transport = ScriptedTransport()
        self.engine = LocalEngine([host(n) for n in names or ("gpu01",)], self.transport, **more)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LocalEngine]:
        await self.engine.start()
        try:
            yield self.engine
        finally:
            await self.engine.stop()

    def view(self, name: str = "gpu01") -> HostView:
        view = self.engine.snapshot().host(name)
        assert view is not None
        return view

    async def until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.view(), self.own())
            await asyncio.sleep(0.01)

    async def live(self, name: str = "gpu01") -> None:
        await self.until(lambda: self.view(name).state is HostState.LIVE)

    def own(self) -> list[Event]:
        """What the engine says of itself."""
        return [event for event in self.engine.events(0, 100_000) if not event.host]


def told(*numbers: int, kind: str = "auth.failed") -> list[dict[str, Any]]:
    return [
        {"kind": kind, "at": float(n), "key": "root", "facts": {"n": n}, "cursor": f"s=1;i={n}"}
        for n in numbers
    ]


async def test_events_of_all_hosts_are_one_stream_in_the_order_of_each() -> None:
    rig = Rig("a", "b")
    async with rig.running() as engine:
        await rig.live("a")
        await rig.live("b")
        for seq in range(2, 12):
            rig.transport.link("a").sink.data(frame(seq, e=told(*range(seq * 10, seq * 10 + 10))))
            rig.transport.link("b").sink.data(frame(seq, e=told(seq)))
        await rig.until(lambda: rig.view("a").counts.frames + rig.view("b").counts.frames == 22)
        events = engine.events(0, 1_000)
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        of = {name: [e.facts["n"] for e in events if (e.host, e.kind) == (name, "auth.failed")]
              for name in "ab"}  # fmt: skip
        assert of == {"a": list(range(20, 120)), "b": list(range(2, 12))}
        assert engine.events(events[-1].seq) == []
        assert engine.snapshot().dropped_events == 0


async def test_a_host_waits_while_the_store_is_full_and_no_event_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.store.writer.HIGH", 50)
    rig = Rig(state_dir=tmp_path)
    async with rig.running() as engine:
        await rig.live()
        store = engine._store
        assert store is not None
        assert store._opened is not None
        link = rig.transport.link("gpu01")
        # The writer waits for this lock as it would for a slow disk.
        blocker = sqlite3.connect(tmp_path / NAME, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        sent = 0
        for seq in range(2, 180):
            link.sink.data(frame(seq, e=told(sent)))
            sent += 1
            await asyncio.sleep(0)
            if link.paused:
                break
        assert link.paused, "the channel of that host is paused"
        assert sent < 170
        before = rig.view().counts.frames
        left = sent + 1 - before  # frames that came and were not read yet
        link.sink.data(frame(sent + 2, e=told(sent)))  # what was on its way
        assert rig.view().counts.frames == before
        blocker.execute("ROLLBACK")
        blocker.close()
        await rig.until(lambda: rig.view().counts.frames == before + left + 1)
        await rig.until(lambda: not link.paused)
        assert engine.snapshot().dropped_events == 0
        numbers = [e.facts["n"] for e in engine.events(0, 10_000) if e.kind == "auth.failed"]
        assert numbers == list(range(sent + 1))
    kept = Store(tmp_path)
    assert [e.facts["n"] for e in kept.events(10_000) if e.kind == "auth.failed"] == numbers
    kept.close()


async def test_the_cursor_is_kept_and_sent_again_by_the_next_console(tmp_path: Path) -> None:
    first = Rig(state_dir=tmp_path)
    async with first.running():
        await first.live()
        assert first.transport.link("gpu01").verbs == []
        first.transport.link("gpu01").sink.data(frame(2, e=told(1, 2, 3)))
    second = Rig(state_dir=tmp_path)
    async with second.running():
        await second.live()
        assert second.transport.link("gpu01").verbs == ["resync s=1;i=3"]


async def test_without_a_state_folder_all_is_in_memory(tmp_path: Path) -> None:
    rig = Rig()
    async with rig.running() as engine:
        await rig.live()
        rig.transport.link("gpu01").sink.data(frame(2, e=told(1)))
        assert engine.history("gpu01", "cpu_pct", 60).points[-1].last == 12.5
        assert engine.history("gpu01", "cpu_pct", 86_400 * 8).points
        assert engine.history("gpu01", "no such", 60).points == ()
        assert engine.history("nobody", "cpu_pct", 60).points == ()
        assert rig.own() == []


@pytest.mark.parametrize(
    ("seconds", "step"),
    [(600, 2.0), (3_600, 2.0), (7_200, 60.0), (86_400, 60.0), (7 * 86_400, 900.0)],
)
async def test_the_window_decides_the_step(tmp_path: Path, seconds: float, step: float) -> None:
    now = int(time.time())
    store = Store(tmp_path)
    for size in (60, 900):
        begin = now // size * size - size
        store.put(HistoryRow("gpu01", size, begin, {"cpu_pct": (1.0, 99.0, float(size))}))
    store.close()
    rig = Rig(state_dir=tmp_path)
    async with rig.running() as engine:
        await rig.live()
        series = engine.history("gpu01", "cpu_pct", seconds)
        assert series.step_s == step
        assert series.points
        if step > 2:
            first = series.points[0]
            assert first == Point(now // int(step) * int(step) - step, 1.0, 99.0, step)
            assert [p.at for p in series.points] == sorted({p.at for p in series.points})
        assert series.points[-1].last == 12.5, "the newest is from memory"


async def test_long_ranges_are_not_empty_before_anything_was_kept(tmp_path: Path) -> None:
    rig = Rig(state_dir=tmp_path)
    async with rig.running() as engine:
        await rig.live()
        for seconds in (86_400.0, 7 * 86_400.0):
            series = engine.history("gpu01", "cpu_pct", seconds)
            assert (series.step_s, series.points[-1].last) == (2.0, 12.5)
        assert "cpu_pct" in engine.series("gpu01")
        assert engine.series("nobody") == []


def unusable(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "state"


def broken(folder: Path) -> Path:
    (folder / NAME).write_bytes(b"no database" * 500)
    return folder


def a_folder_in_the_way(folder: Path) -> Path:
    (folder / NAME).mkdir()
    return folder


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (unusable, "store.unavailable", "cannot be used"),
        (broken, "store.moved", "moved aside"),
        (a_folder_in_the_way, "store.unavailable", "cannot be opened"),
    ],
)
async def test_a_store_that_cannot_be_used_is_said_and_watching_goes_on(
    tmp_path: Path, make: Callable[[Path], Path], kind: str, says: str
) -> None:
    rig = Rig(state_dir=make(tmp_path))
    async with rig.running() as engine:
        await rig.live()
        own = rig.own()
        assert [event.kind for event in own] == [kind]
        assert says in own[0].facts["reason"]
        rig.transport.link("gpu01").sink.data(frame(2, e=told(1)))
        assert engine.events()[-1].kind == "auth.failed"
        assert engine.history("gpu01", "cpu_pct", 7_200).host == "gpu01"


async def test_another_console_on_the_same_folder_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rig = Rig(state_dir=tmp_path)
    async with rig.running():
        await rig.live()
        assert "another Watchfloor process" in rig.own()[0].facts["reason"]
    store.close()


async def test_a_row_of_the_store_that_somebody_changed_does_no_harm(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(EventRow(None, "gpu01", "i=1"))
    store.put(HistoryRow("gpu01", 60, int(time.time()) // 60 * 60 - 60, {"cpu_pct": (1, 2, 3)}))
    store.put(EventRow(Event(kind="x", host="gpu01", at=1.0)))
    store.close()
    db = sqlite3.connect(tmp_path / NAME)
    db.execute("UPDATE history SET numbers = 'rubbish'")
    db.execute("UPDATE cursor SET cursor = x'00ff'")
    db.execute("UPDATE event SET facts = '[[['")
    db.commit()
    db.close()
    rig = Rig(state_dir=tmp_path)
    async with rig.running() as engine:
        await rig.live()
        points = engine.history("gpu01", "cpu_pct", 7_200).points
        assert {point.last for point in points} == {12.5}, "what memory has, and nothing else"
        assert rig.transport.link("gpu01").verbs == []
        assert engine._store is not None
        assert next(event.facts for event in engine._store.events()) == {}


class Broken(RowSource):
    """A row whose task ends by a defect."""

    def view(self) -> HostView:
        return HostView(spec=Host(name="workstation", address="localhost"), workstation=True)

    async def run(self, changed: Callable[[], None]) -> None:
        raise KeyError("a defect")


async def test_a_defect_inside_is_an_event_once_and_not_the_end() -> None:
    rig = Rig(sources=[Broken()])
    async with rig.running() as engine:
        await rig.live()
        await rig.until(rig.own)
        await asyncio.sleep(1.2)  # a second look must not tell it again
        assert [(e.kind, e.facts["what"]) for e in rig.own()] == [("console.defect", "workstation")]
        assert "a defect" in rig.own()[0].facts["error"]
        assert engine.snapshot().hosts[0].workstation


async def test_two_hosts_with_one_machine_id_are_told_of_each_other_once() -> None:
    rig = Rig("a", "b")
    async with rig.running():
        await rig.live("a")
        await rig.live("b")

        def same() -> list[Event]:
            return [e for e in rig.engine.events() if e.kind == "host.same-id"]

        await rig.until(same)
        await asyncio.sleep(1.2)  # a second look must not tell it again
        assert {(e.host, e.facts["with"]) for e in same()} == {("a", "b"), ("b", "a")}
        assert len(same()) == 2


async def test_stop_before_start_and_twice_is_no_error() -> None:
    rig = Rig()
    await rig.engine.stop()
    async with rig.running():
        await rig.live()
    await rig.engine.stop()
    assert rig.transport.closed
