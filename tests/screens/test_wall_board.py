"""The wall board: what is wrong can be read at any width, and no host keeps a page in front."""

from __future__ import annotations

import time

import pytest

from console.model.host import HostState
from console.model.view import HostView
from console.tui.control.actions import Mode
from console.tui.screens.wall import PAGES, WallScreen
from console.tui.style.bigtext import big
from tests.screens.conftest import settle, text
from tests.screens.test_golden import NOW
from tests.screens.test_overviews import app_of, board
from tests.support.still_engine import StillEngine, gpu, view

EVERY = 15.0


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(time, "localtime", time.gmtime)


def lost(name: str, **more: object) -> HostView:
    more = {"lost": "GPU is lost", "last_xid": 79, "last_xid_at": NOW - 5} | more
    return view(name, listeners=(), gpus=(gpu(3, 1.0, **more), gpu(4, 9.0)))


async def test_the_problem_is_read_where_big_letters_have_no_room() -> None:
    made = StillEngine(lost("h100-fra-1"), lost("a-host-with-a-rather-long-name"))
    app = app_of(made, mode=Mode.WALL)
    async with app.run_test(size=(80, 24)) as pilot:
        await board(pilot)
        shown = text(app)
        assert big("h100-fra-1")[2].rstrip() in shown, "the host still in big letters"
        assert "\n  GPU3 lost, Xid 79\n" in shown
        assert "\n  a-host-with-a-rather-long-name  GPU3 lost, Xid 79\n" in shown
        await pilot.resize_terminal(200, 60)
        await settle(pilot)
        assert big("GPU3 lost, Xid 79")[2] in text(app)


async def test_the_time_is_shown_where_the_headline_has_no_room_for_it() -> None:
    app = app_of(StillEngine(view("gpu01", frame_at=NOW - 4200)), mode=Mode.WALL)
    async with app.run_test(size=(70, 24)) as pilot:
        await board(pilot)
        assert big("no data 70m")[2] in text(app)
        assert "2023-11-14 22:13:20 UTC" in text(app)


async def test_the_newest_frame_is_that_of_a_host_and_not_of_this_workstation() -> None:
    desk = view("desk", workstation=True, gpus=(), frame_at=NOW)
    app = app_of(StillEngine(desk, view("gpu01", frame_at=NOW - 4200)), mode=Mode.WALL)
    async with app.run_test(size=(120, 40)) as pilot:
        await board(pilot)
        assert "newest frame 70m ago" in text(app)


@pytest.mark.parametrize("flap", ["number of an Xid", "state", "many hosts"])
async def test_no_host_keeps_the_board_on_a_page(flap: str) -> None:
    """What changes each second is new once; every page comes, as it does on a calm fleet."""
    made = StillEngine()
    made.tell("auth.failed", "gpu01", user="root", source="203.0.113.7")
    app = app_of(made, mode=Mode.WALL)
    async with app.run_test(size=(160, 50)) as pilot:
        screen, clock = await board(pilot)
        seen: list[str] = []
        for second in range(int(EVERY) * 16):
            odd = bool(second % 2)
            if flap == "number of an Xid":
                hosts = [lost("gpu01", last_xid=79 + odd)]
            elif flap == "state":
                state = HostState.DOWN if odd else HostState.LIVE
                hosts = [view("gpu01", state, since=NOW, listeners=())]
            else:
                name = f"gpu{second:03}"
                hosts = [view(name, HostState.DOWN, since=NOW, gpus=()), lost("calm")]
            made.show(view("gpu00", listeners=()), *hosts)
            clock.now += 1
            screen.show(made.snapshot())
            screen.tick()
            seen.append(screen.page)
    assert set(seen) == {page.id for page in PAGES}
    last = {page: len(seen) - 1 - seen[::-1].index(page) for page in set(seen)}
    assert min(last.values()) > len(seen) - 10 * EVERY, "each comes again and again"


async def test_a_host_that_is_newly_wrong_still_comes_to_the_front() -> None:
    made = StillEngine(view("gpu00", listeners=()))
    app = app_of(made, mode=Mode.WALL)
    async with app.run_test(size=(120, 40)) as pilot:
        screen, clock = await board(pilot)
        screen._turn("busy")
        made.show(lost("gpu00"))
        await settle(pilot)
        clock.now += 1
        screen.tick()
        assert screen.page == "state"


async def test_a_time_that_no_calendar_has_is_shown_as_none() -> None:
    made = StillEngine(lost("gpu00", lost="", last_xid_at=1e18))
    app = app_of(made, mode=Mode.WALL)
    async with app.run_test(size=(120, 40)) as pilot:
        await board(pilot)
        assert isinstance(app.screen, WallScreen)
        assert "since --:--:-- UTC" in text(app)


async def test_a_break_in_and_a_theft_are_on_the_board() -> None:
    hosts = [view(name, listeners=(), gpus=()) for name in ("gw", "store", "well")]
    made = StillEngine(*hosts)
    for _ in range(40):
        made.tell("auth.failed", "gw", user="root", source="203.0.113.77")
    made.tell("auth.accepted", "gw", user="svc", source="203.0.113.77", method="password")
    made.tell("weights.opened", "store", name="rclone", pid=7, user="svc", path="/srv/models/a")
    app = app_of(made, mode=Mode.WALL)
    async with app.run_test(size=(80, 40)) as pilot:
        await board(pilot)
        shown = text(app)
        assert "\n  login after 40 refused\n" in shown
        assert "\n  rclone opened weights\n" in shown
