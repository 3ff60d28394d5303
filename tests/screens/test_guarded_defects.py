"""Hostile hosts and quick hands: the terminal goes on, and nothing is signed that nobody read."""

from __future__ import annotations

import msgspec
import pytest

from console.tui.app import ConsoleApp
from console.tui.screens import sign
from console.tui.screens.form import ActionScreen
from console.tui.screens.sign import SignScreen
from tests.screens.conftest import make_app, settle
from tests.screens.test_guarded import ASKED, Seat, engine
from tests.support.acting_engine import RID, active_view, request_view

BOTH = ("gpu01", "gpu02")


async def test_a_defect_is_told_and_the_console_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = engine()
    app = make_app(made)
    reports: list[str] = []

    def keep(told: str) -> str:
        reports.append(told)
        return "/tmp/report"

    monkeypatch.setattr("console.tui.guarding.keep", keep)

    async def odd(*args: object) -> None:
        raise KeyError("families")

    monkeypatch.setattr(made, "preview", odd)
    async with app.run_test(size=(120, 40)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.type(ASKED)
        await seat.until(lambda: "a defect of this console, KeyError" in seat.shown)
        assert "see /tmp/report" in seat.shown
        assert "families" in reports[0]
        await seat.type("requests")
        assert app.is_running
        assert not app.report, "it has not ended"


async def test_a_count_of_400_digits_is_drawn() -> None:
    made = engine()
    many = active_view("gpu01", state="EXECUTING", progress_done=10**400, progress_total=1)
    made.guard("gpu01", active=(many,))
    app = make_app(made)
    async with app.run_test(size=(120, 40)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.open()
        assert "100%" in seat.shown


async def test_an_approval_over_all_targets_says_which_are_not_seen() -> None:
    """Title, word and count are of all; what is not seen takes a second line. Threats: 50, 51."""
    made = engine(*BOTH)
    made.guard("gpu01", requests=(request_view("gpu01", hosts=BOTH),))
    app = make_app(made)
    async with app.run_test(size=(120, 60)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.open()
        await seat.press("a")
        await seat.to_the_end()
        assert "approve isolate on gpu01, gpu02" in seat.shown
        assert "NOT SEEN HERE" in seat.shown
        assert "to sign: hosts 2" in seat.shown
        first = app.screen
        await seat.press(*"hosts 2", "enter")
        await seat.until(lambda: isinstance(app.screen, SignScreen) and app.screen is not first)
        await seat.to_the_end()
        assert "to sign: and 1 not seen here" in seat.shown
        await seat.press("escape")
        assert not made.done("approve")
        assert "nothing was signed" in seat.shown
        await seat.press("a")
        await seat.to_the_end()
        first = app.screen
        await seat.press(*"hosts 2", "enter")
        await seat.until(lambda: isinstance(app.screen, SignScreen) and app.screen is not first)
        await seat.to_the_end()
        await seat.press(*"and 1 not seen here", "enter")
        await seat.until(lambda: made.done("approve"))
        assert made.done("approve") == [("approve", "gpu01", RID, "", "unseen gpu02")]


async def test_a_target_that_hides_the_request_while_somebody_reads() -> None:
    """Threats: 52."""
    made = engine(*BOTH)
    for name in BOTH:
        made.guard(name, requests=(request_view(name, hosts=BOTH),))
    app = make_app(made)
    async with app.run_test(size=(120, 60)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.open()
        await seat.press("a")
        await seat.to_the_end()
        assert "NOT SEEN HERE" not in seat.shown
        made.guard("gpu02", requests=())
        await seat.until(lambda: "It cannot be signed any more: gpu02" in seat.shown)
        await seat.press(*"hosts 2", "enter")
        assert not made.done("approve")


async def test_keys_count_once_somebody_could_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes late because the console was busy signs nothing. Threats: 51."""
    monkeypatch.setattr(sign, "DWELL_S", 3600.0)
    made = engine()
    made.guard("gpu01", requests=(request_view(),))
    app = make_app(made)
    async with app.run_test(size=(160, 70)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.open()
        await pilot.press("a")
        await seat.until(lambda: isinstance(app.screen, SignScreen))
        screen = app.screen
        assert isinstance(screen, SignScreen)
        await seat.until(lambda: screen._first_at is not None)
        await seat.press(*"gpu01", "enter")
        assert "Read it first" in seat.shown
        assert not made.done("approve")
        await seat.press(*"gpu")
        monkeypatch.setattr(sign, "DWELL_S", 0.0)
        screen._first_paint()
        await seat.press(*"01", "enter")
        assert not made.done("approve"), "the beginning was typed before"
        screen._typed.value = ""
        await seat.press(*"gpu01", "enter")
        await seat.until(lambda: made.done("approve"))


@pytest.mark.parametrize("size", [(80, 24), (130, 36), (200, 60)])
async def test_the_line_for_the_name_of_an_action_is_in_sight(size: tuple[int, int]) -> None:
    made = engine()
    one = made.actions("gpu01")[0]
    every = tuple(msgspec.structs.replace(one, name=f"action-{n:02}") for n in range(40))
    app: ConsoleApp = make_app(made)
    async with app.run_test(size=size) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        app.push_screen(ActionScreen(app.look, ["gpu01"], every))
        await seat.until(lambda: isinstance(app.screen, ActionScreen))
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, ActionScreen)
        box = screen.query_one("#box").region
        line = screen.query_one("#pick").region
        assert line.height == 1
        assert box.contains_region(line)
        assert box.height <= size[1]


async def test_this_machine_is_not_asked() -> None:
    made = engine()
    views = [
        msgspec.structs.replace(each, workstation=each.name == "gpu02", guard=None)
        if each.name == "gpu02"
        else each
        for each in made.snapshot().hosts
    ]
    made.show(*views)
    app = make_app(made)
    async with app.run_test(size=(120, 40)) as pilot:
        seat = Seat(app, pilot)
        await settle(pilot)
        await seat.type("act isolate gpu02")
        await seat.until(lambda: "gpu02 is this machine" in seat.shown)
