"""What happened on a host before its screen was opened, however noisy the others were."""

from __future__ import annotations

import pytest

from console.model.event import Event
from console.model.view import HostView
from console.tui.screens.host import HostScreen
from tests.screens.conftest import make_app, settle, text
from tests.support.still_engine import StillEngine, view


async def test_the_events_tab_tells_of_the_host_alone() -> None:
    engine = StillEngine(view("gpu01"), view("noisy"))
    engine.tell("kernel.xid", "gpu01", "79", xid=79, pci="1b", message="off the bus")
    for n in range(300):
        engine.tell("listener.new", "noisy", f"tcp/127.0.0.1:{n}", name="x", pid=n)
    app = make_app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app.open_host("gpu01")
        await settle(pilot)
        await pilot.press("6")
        await settle(pilot)
        shown = text(app)
        assert shown.count("Xid 79") == 1
        assert "no longer held" not in shown


async def test_all_events_begin_with_what_is_rare_however_much_happened_since() -> None:
    engine = StillEngine(view("gpu01"), view("noisy"))
    engine.tell("listener.new", "gpu01", "tcp/0.0.0.0:4444", name="nc", pid=7)
    for n in range(2_500):
        engine.tell("process.new", "noisy", str(n), name=f"cc{n}", pid=n)
    app = make_app(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("E")
        await settle(pilot)
        await pilot.press("/", *"listener.new", "enter")
        await settle(pilot)
        assert "tcp/0.0.0.0:4444" in text(app)


async def test_the_events_tab_says_what_is_no_longer_held() -> None:
    engine = StillEngine(view("gpu01"))
    engine.gone["gpu01"] = 41
    app = make_app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app.open_host("gpu01")
        await settle(pilot)
        await pilot.press("6")
        await settle(pilot)
        shown = text(app)
        assert "41 older events are no longer held" in shown
        assert "Nothing has happened" not in shown


async def test_what_happens_on_others_draws_no_row_of_this_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = StillEngine(view("gpu01"), view("noisy"))
    app = make_app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app.open_host("gpu01", "events")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, HostScreen)
        drawn: list[HostView] = []
        monkeypatch.setattr(screen, "_draw", drawn.append)
        screen.show_events([Event(kind="listener.new", host="noisy", at=1.0, key="tcp/[::]:1")])
        assert drawn == []
        screen.show_events([Event(kind="listener.new", host="gpu01", at=1.0, key="tcp/[::]:1")])
        assert len(drawn) == 1
