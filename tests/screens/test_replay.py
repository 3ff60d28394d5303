"""A recorded incident on the real screens: its golden picture, and moving in it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from console.tui.meaning import present
from tests.screens.conftest import make_app, settle, text
from tests.screens.replaying import seat
from tests.support.still_engine import StillEngine, view

Golden = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "localtime", time.gmtime)


async def test_the_end_of_the_incident_on_the_fleet_screen(golden: Golden) -> None:
    async with seat(33, size=(150, 40)) as there:
        golden("replay-fleet", there.shown)


async def test_a_host_of_the_incident() -> None:
    async with seat(33, size=(120, 40)) as there:
        there.app.open_host("h100-fra-2", "network")
        await settle(there.pilot)
        (row,) = [line for line in there.shown.splitlines() if " 4444 " in line]
        assert "not declared" in row
        assert "svc-deploy" in row


async def test_what_is_not_recorded_says_so() -> None:
    async with seat(33, size=(120, 40)) as there:
        there.app.open_host("store-fra-1", "processes")
        await settle(there.pilot)
        assert "not recorded: the screen of this host was not open then" in there.shown
        assert "on its way" not in there.shown
        there.app.open_host("store-fra-1", "panels")
        await settle(there.pilot)
        assert "Not recorded: what plugins show is not kept" in there.shown
        assert "docs/plugins.md" not in there.shown
        there.app.open_host("h100-fra-1", "processes")
        await settle(there.pilot)
        assert "not recorded" not in there.shown


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (80, 24), (400, 60)])
async def test_the_bar_fits(size: tuple[int, int]) -> None:
    async with seat(10, size=size) as there:
        lines = there.shown.splitlines()
        assert any(line.startswith(" REPLAY ") for line in lines)
        assert max(map(len, lines)) <= size[0]


async def test_nothing_moves_a_live_console() -> None:
    engine = StillEngine(view("gpu01"))
    app = make_app(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert app.playback is None
        for key in ("space", "full_stop", "comma", "greater_than_sign", "right_curly_bracket"):
            await pilot.press(key)
        await pilot.press(*":seek", "enter")
        await settle(pilot)
        assert ":seek is not for this view: it is for a recording" in text(app)
        assert "REPLAY" not in text(app)


async def test_a_replay_connects_nothing_and_says_so() -> None:
    async with seat(10) as there:
        await there.type("retry")
        assert "this is a recording" in there.shown


async def test_back_and_the_events_after_it_are_gone() -> None:
    async with seat(33) as there:
        assert "Xid 79" in there.shown
        there.app.open_host("h100-fra-1", "events")
        await settle(there.pilot)
        assert "Xid 79" in there.shown
        await there.type("seek start")
        await there.type("seek +4s")
        assert "Xid 79" not in there.shown
        await there.pilot.press("escape")
        await settle(there.pilot)
        assert "Xid 79" not in there.shown
        assert "8 hosts" not in there.shown
        assert "7 LIVE" in there.shown
        await there.type("seek end")
        assert "Xid 79" in there.shown
        assert "at its end" in there.shown


async def test_ages_do_not_grow_while_it_stands_still() -> None:
    async with seat(33) as there:
        before = there.shown
        await there.pilot.pause(1.2)
        await settle(there.pilot)
        assert there.shown == before
    assert present.now() == there.engine.now()
