"""A plugin over time, in a real engine: pinned, restarted, given up, in nobody's way."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from console.clock import SystemClock
from console.config.document import Plugin
from console.engine.plugins import supervise
from console.engine.plugins.manifest import read
from console.engine.plugins.supervise import Around, Supervised
from console.engine.session import LocalEngine
from console.model.event import Event
from console.model.host import HostState
from console.model.panel import Note, Row
from console.model.view import HostView
from tests.support.plugins import HEAD, confinable, doing, write
from tests.support.scripted import ScriptedTransport, frame, host

pytestmark = confinable

FAST = (0.01, 0.02)
COUNT = """
def collect(self, at, hosts):
    self.n = getattr(self, "n", 0) + 1
    return [Sample(host=h.name, name="count", value=float(self.n)) for h in hosts]

def panels(self, at, hosts):
    return [Panel(host=h.name, title="t", items=(Row(label=h.state, value=str(self.n)),))
            for h in hosts]
"""


def engine_with(folder: Path, *names: str, **more: object) -> LocalEngine:
    settings = Plugin(enabled=True, sha256=read(folder).sha256, interval_s=1.0)
    settings = msgspec.structs.replace(settings, **more)
    return LocalEngine(
        [host(name) for name in names or ("gpu01",)],
        ScriptedTransport(),
        plugins={folder.name: settings},
        plugin_folders=[folder.parent],
    )


@asynccontextmanager
async def running(engine: LocalEngine) -> AsyncIterator[LocalEngine]:
    await engine.start()
    try:
        yield engine
    finally:
        began = time.monotonic()
        await engine.stop()
        assert time.monotonic() - began < 3


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.01)


def told(engine: LocalEngine, kind: str) -> list[Event]:
    return [event for event in engine.events(0, 10_000) if event.kind == kind]


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "PAUSES", FAST)


async def test_panels_and_samples_reach_faces_and_the_picture_changes(tmp_path: Path) -> None:
    folder = write(tmp_path, COUNT)
    async with running(engine_with(folder, "a", "b", hosts="a")) as engine:
        (first,) = engine.panels("a")
        assert (first.at, first.items) == (0.0, (Note(text="has not answered yet"),))
        assert engine.panels("b") == ()
        await until(lambda: engine.panels("a")[0].at)
        version, shown = engine.snapshot().version, engine.panels("a")
        await until(lambda: engine.panels("a") != shown)
        assert engine.snapshot().version > version
        assert engine.panels("a")[0].plugin == "trial"
        await until(lambda: engine.history("a", "plugin.trial.count", 600).points[-1].last > 1)
        assert "plugin.trial.count" in engine.series("a")
        assert engine.history("b", "plugin.trial.count", 600).points == ()
        (event,) = told(engine, "plugin.started")
        assert (event.key, event.facts) == ("trial", {"version": "0.1"})


@pytest.mark.parametrize(
    ("pin", "reason"),
    [("", "no sha256"), ("ab" * 32, "not those that were pinned")],
)
async def test_without_its_pin_nothing_of_a_plugin_runs(
    tmp_path: Path, pin: str, reason: str
) -> None:
    folder = write(tmp_path, doing("x = 1"))
    async with running(engine_with(folder, sha256=pin)) as engine:
        await until(lambda: told(engine, "plugin.refused"))
        (event,) = told(engine, "plugin.refused")
        assert reason in event.facts["reason"]
        assert "watchfloor plugins pin trial" in event.facts["reason"]
        (panel,) = engine.panels("gpu01")
        assert reason in panel.stopped
        assert not told(engine, "plugin.started")


async def test_the_bytes_that_were_hashed_are_the_bytes_that_run(tmp_path: Path) -> None:
    """Files that change after the check are not read again, not even after a failure."""
    folder = write(tmp_path, doing("if len(hosts) == 1: x = 'pinned'"))
    async with running(engine_with(folder)) as engine:
        (folder / "main.py").write_text(HEAD + "    boom", encoding="utf-8")
        await until(lambda: engine.panels("gpu01")[0].at or engine.panels("gpu01")[0].stopped)
        (panel,) = engine.panels("gpu01")
        if not panel.stopped:
            assert panel.items == (Row(label="x", value="pinned"),)
        else:  # it was read after the change, and then it is another
            assert "not those that were pinned" in panel.stopped


@pytest.mark.usefixtures("_fast")
async def test_one_that_fails_is_started_again_with_pauses_and_then_given_up(
    tmp_path: Path,
) -> None:
    folder = write(tmp_path, doing("x = 1 / 0"))
    async with running(engine_with(folder)) as engine:
        await until(lambda: told(engine, "plugin.given-up"))
        stopped = told(engine, "plugin.stopped")
        assert [event.facts["again_s"] for event in stopped] == [*FAST]
        assert "ZeroDivisionError" in stopped[0].facts["reason"]
        assert len(told(engine, "plugin.started")) == 3
        (panel,) = engine.panels("gpu01")
        assert "given up" in panel.stopped
        assert "ZeroDivisionError" in panel.stopped
        (note,) = panel.items
        assert note == Note(text=panel.stopped, severity="bad")


@pytest.mark.usefixtures("_fast")
async def test_one_that_hangs_hinders_neither_hosts_nor_other_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.engine.plugins.process.ANSWER_S", 0.5)
    hang = write(tmp_path, doing("time.sleep(3600)"), name="hang")
    fine = write(tmp_path, COUNT, name="fine")
    transport = ScriptedTransport()
    engine = LocalEngine(
        [host("gpu01")],
        transport,
        plugins={
            folder.name: Plugin(enabled=True, sha256=read(folder).sha256, interval_s=1.0)
            for folder in (hang, fine)
        },
        plugin_folders=[tmp_path],
    )
    async with running(engine):
        slowest, seq, last = 0.0, 2, time.monotonic()
        while not told(engine, "plugin.stopped") or not told(engine, "plugin.given-up"):
            await asyncio.sleep(0.005)
            slowest, last = max(slowest, time.monotonic() - last), time.monotonic()
            if (view := engine.snapshot().host("gpu01")) and view.state is HostState.LIVE:
                transport.link("gpu01").sink.data(frame(seq))
                seq += 1
        _, good = engine.panels("gpu01")
        assert good.at
        assert not good.stopped
        assert slowest < 1.0, "the event loop stood still"


async def test_a_stop_leaves_no_process_behind(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); x = os.getpid()"
    folder = write(tmp_path, doing(deaf))
    async with running(engine_with(folder)) as engine:
        await until(lambda: engine.panels("gpu01")[0].at)
        (row,) = engine.panels("gpu01")[0].items
        assert isinstance(row, Row)
        pid = int(row.value)
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert engine.panels("gpu01")[0].at, "what was shown last stays to be printed"


async def test_many_hosts_are_asked_about_in_portions(tmp_path: Path) -> None:
    names = [f"gpu{n:03}" for n in range(120)]
    body = """
    def collect(self, at, hosts):
        self.most = max(getattr(self, "most", 0), len(hosts))
        return []

    def panels(self, at, hosts):
        return [Panel(host=h.name, title=str(self.most)) for h in hosts]
    """
    folder = write(tmp_path, body)
    async with running(engine_with(folder, *names)) as engine:
        await until(lambda: all(engine.panels(name)[0].at for name in names))
        assert engine.panels(names[-1])[0].title == "50"


@pytest.mark.usefixtures("_fast")
async def test_a_defect_of_the_console_stands_in_the_panel_and_does_not_end_the_plugin(
    tmp_path: Path,
) -> None:
    """Nothing shows an old panel as if it were of now, whatever goes wrong."""
    folder = write(tmp_path, COUNT)
    events: list[Event] = []
    views = {"a": HostView(spec=host("a"))}
    broken = False

    def now() -> dict[str, HostView]:
        if broken:
            raise LookupError("the views are gone")
        return views

    around = Around(SystemClock(), now, events.append, lambda: None, [tmp_path])
    settings = Plugin(enabled=True, sha256=read(folder).sha256, interval_s=1.0)
    plugin = Supervised("trial", settings, ["a"], around)
    task = asyncio.create_task(plugin.run())
    try:
        await until(lambda: plugin.panels("a")[0].at)
        broken = True
        await until(lambda: [event for event in events if event.kind == "plugin.stopped"])
        assert "a defect of Watchfloor: LookupError: the views" in plugin.panels("a")[0].stopped
        broken = False
        await until(lambda: plugin.panels("a")[0].at)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_too_many_names_of_numbers_end_it(tmp_path: Path) -> None:
    body = """
    def collect(self, at, hosts):
        self.n = getattr(self, "n", 0) + 30
        return [Sample(host="gpu01", name=f"n{i + self.n}", value=1.0) for i in range(30)]

    def panels(self, at, hosts):
        return []
    """
    folder = write(tmp_path, body)
    async with running(engine_with(folder)) as engine:
        await until(lambda: told(engine, "plugin.stopped"))
        assert "more than 64 numbers" in told(engine, "plugin.stopped")[0].facts["reason"]
        assert len(engine.series("gpu01")) <= 64 + 8


def test_the_pauses_grow_and_end() -> None:
    assert list(supervise.PAUSES) == sorted(supervise.PAUSES)
    assert supervise.PAUSES[0] >= 1
