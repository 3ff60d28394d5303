"""The typed line: what stays while it is wrong, what is shown of a filter, ways out of it."""

from __future__ import annotations

import time

import pytest

from console.tui.screens import base
from console.tui.screens.fleet import FleetScreen
from console.tui.screens.host import HostScreen
from tests.screens.conftest import make_app, settle, text
from tests.support.still_engine import StillEngine, view


async def test_a_mistake_hides_no_rows_and_enter_waits_until_it_is_mended() -> None:
    app = make_app(StillEngine(view("gpu01"), view("gpu02")))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        order = app._fleet.table.model.order
        await pilot.press("slash", *"temp>abc")
        assert app._fleet.table.model.order == order == ["gpu01", "gpu02"]
        assert "temp>abc: not a number" in text(app)
        await pilot.press("enter")
        assert app._fleet.typing
        await pilot.press("ctrl+u", *"nofield>1")
        shown = text(app)
        for word in ("'nofield'", "host", "gpumem", "undecl", "egress", "owner"):
            assert word in shown.replace("\n", " "), "80 columns are enough for all fields"
        await pilot.press("escape")
        assert app._fleet.table.model.filter == ""


async def test_a_kept_filter_is_told_on_both_screens() -> None:
    app = make_app(StillEngine(view("gpu01"), view("gpu02"), view("cpu01")))
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"gpu0", "enter")
        await settle(pilot)
        assert "/gpu0: 2 of 3 rows, Esc ends it" in text(app)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("3", "slash", *"vllm", "enter")
        await settle(pilot)
        assert "/vllm: 1 of 2 rows, Esc ends it" in text(app)
        await pilot.press("2")
        assert "Esc ends it" not in text(app), "no table, no filter"
        await pilot.press("3", "escape")
        assert "Esc ends it" not in text(app)
        assert isinstance(app.screen, HostScreen)
        await pilot.press("escape")
        await settle(pilot)
        await pilot.press("escape")
        assert "Esc ends it" not in text(app)


@pytest.mark.parametrize("key", ["backspace", "ctrl+u"])
@pytest.mark.parametrize("opened", ["slash", "colon"])
async def test_a_line_without_its_sign_is_left(opened: str, key: str) -> None:
    app = make_app(StillEngine(view("a"), view("b")))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        await pilot.press(opened, key)
        await pilot.pause()
        assert not app._fleet.typing
        assert app._fleet.table.has_focus
        await pilot.press(opened, "x", "ctrl+u")
        await pilot.pause()
        assert app._fleet.typed.value in "/:", "the sign stays, so that typing goes on"
        assert app._fleet.typed.value
        await pilot.press("b")
        assert app._fleet.typed.value[1:] == "b"


async def test_a_host_that_is_not_there_is_told_with_the_nearest_and_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "TOLD_S", 0.2)
    app = make_app(StillEngine(view("gpu01"), view("web-a")))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        await pilot.press("colon", *"host gpu10", "enter")
        await pilot.pause()
        assert "no host is called gpu10; nearest: gpu01" in text(app)
        deadline = time.monotonic() + 10
        while "no host" in text(app):
            assert time.monotonic() < deadline, "the remark stays"
            await pilot.pause(0.05)
        assert "Enter open" in text(app)


async def test_tab_completes_commands_and_hosts() -> None:
    app = make_app(StillEngine(view("gpu-01"), view("gpu-02"), view("web")))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        await pilot.press("colon", *"ho", "tab")
        assert app._fleet.typed.value == ":host "
        await pilot.press("g", "tab")
        assert app._fleet.typed.value == ":host gpu-0"
        assert "gpu-01  gpu-02" in text(app)
        await pilot.press("2", "enter")
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "gpu-02"


async def test_esc_leads_to_the_fleet_from_a_host_that_was_opened_over_another() -> None:
    engine = StillEngine(view("a"), view("b"))
    app = make_app(engine)
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("colon", *"host b", "enter")
        await settle(pilot)
        assert getattr(app.screen, "host", "") == "b"
        assert engine.asked[-1] == ("focus", "b")
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(app.screen, FleetScreen)


async def test_commands_come_back_with_up_and_down() -> None:
    app = make_app(StillEngine(view("alpha"), view("beta")))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        await pilot.press("colon", "up")
        assert app._fleet.typed.value == ":", "nothing has been typed yet"
        await pilot.press("escape")
        for command in ("host beta", "fleet", "help", "fleet"):
            await pilot.press("colon", *("space" if sign == " " else sign for sign in command))
            await pilot.press("enter")
            await settle(pilot)
            await pilot.press(*(["escape"] if command == "help" else []))
        assert app.typed_before == [":host beta", ":help", ":fleet"], "each once, newest last"
        typed = app._fleet.typed
        await pilot.press("colon", "up")
        assert typed.value == ":fleet"
        await pilot.press("up", "up", "up")
        assert typed.value == ":host beta"
        await pilot.press("down")
        assert typed.value == ":help"
        await pilot.press("down", "down")
        assert typed.value == ":"


async def test_opening_the_typed_line_moves_no_row() -> None:
    app = make_app(StillEngine(*(view(f"gpu{n:02}") for n in range(40))))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        before = text(app).splitlines()[:15]
        await pilot.press("slash")
        await settle(pilot)
        assert text(app).splitlines()[:15] == before
        assert " /" in text(app)
