"""Hands on keys: cursor by host, order that stands still, filter, sort, ways back and out."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest
from textual.events import Key

from console.model.host import HostState
from console.tui.app import ConsoleApp
from console.tui.control import actions
from console.tui.screens.fleet import FleetScreen
from console.tui.screens.host import HostScreen
from console.tui.screens.modal import HelpScreen
from console.tui.settings import Settings
from console.tui.style.look import Look
from tests.screens.conftest import make_app, settle, text
from tests.support.still_engine import StillEngine, gpu, view


def fleet_of(count: int) -> list:  # type: ignore[type-arg]
    return [view(f"gpu{n:04}", gpus=(gpu(0, n % 100),)) for n in range(count)]


async def test_the_cursor_follows_the_host_and_not_the_row() -> None:
    hosts = fleet_of(20)
    engine = StillEngine(*hosts)
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("down", "down", "down")
        table = app._fleet.table
        assert table.cursor == "gpu0003"
        engine.show(*reversed(hosts))
        await settle(pilot)
        assert table.cursor == "gpu0003"
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "gpu0003"


async def test_the_order_stands_still_while_keys_are_pressed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hosts = fleet_of(10)
    engine = StillEngine(*hosts)
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        table = app._fleet.table
        table.model.sort_by("gpus", down=True, now=time.monotonic())
        await pilot.press("down")
        before = list(table.model.order)
        changed = [view(h.name, gpus=(gpu(0, random.random() * 100),)) for h in hosts]
        table.show(changed)
        assert table.model.order == before
        table.model.update(changed, time.monotonic() + 10)
        assert table.model.order != before


async def test_filter_sort_and_the_ways_back() -> None:
    engine = StillEngine(view("a"), view("b", HostState.DOWN, reason="gone"), view("ab"))
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        table = app._fleet.table
        await pilot.press("slash", *"down")
        await pilot.pause()
        assert table.model.order == ["b"]
        await pilot.press("enter")
        assert table.has_focus
        assert table.model.filter == "down"
        await pilot.press("escape")
        assert len(table.model.order) == 3
        await pilot.press("slash", *"nofield>1")
        await pilot.pause()
        assert "no field 'nofield'" in text(app)
        await pilot.press("escape", "S", "s")
        assert (table.model.sort, table.model.down) == ("name", True)
        assert table.model.order == ["b", "ab", "a"]


async def test_keys_after_a_slash_or_colon_are_text_however_fast_they_come() -> None:
    app = make_app(StillEngine(view("aq"), view("b")))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        for key in ("slash", "q"):  # both wait in the queue before the first is looked at
            app.post_message(Key(key, "/" if key == "slash" else key))
        await settle(pilot)
        assert app.is_running
        assert app._fleet.table.model.order == ["aq"]
        assert "/q" in text(app), "what is typed is seen"
        await pilot.press("slash", "colon")
        assert "/q/:" in text(app), "a second slash, and a colon, are text too"
        await pilot.press("escape", "colon")
        await pilot.press(*"host b", "enter")
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)


async def test_a_passphrase_may_hold_a_colon_and_a_slash() -> None:
    app = make_app(StillEngine(view("a")))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        asked = asyncio.create_task(app.ask_passphrase("k"))
        await settle(pilot)
        await pilot.press("a", "colon", "slash", "q", "question_mark", "enter")
        assert await asked == "a:/q?"


async def test_an_empty_table_says_why() -> None:
    denied = view("denied", listeners=(), denied={"listen.owner": "CAP_SYS_PTRACE"})
    gone = view("gone", HostState.DOWN, hello=None, processes=(), frame_at=None)
    app = make_app(StillEngine(denied, gone, view("plain", listeners=())))
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        for host, tab, words in (
            ("denied", "4", "nothing is visible with this account"),
            ("denied", "4", "listen.owner needs CAP_SYS_PTRACE"),
            ("gone", "3", "nothing is known yet: the host is DOWN"),
            ("plain", "4", "nothing listens"),
        ):
            app.open_host(host)
            await settle(pilot)
            await pilot.press(tab)
            await settle(pilot)
            assert words in text(app), (host, tab)
            await pilot.press("escape")
            await settle(pilot)


async def test_every_key_of_the_registry_does_something() -> None:
    app = make_app(StillEngine(view("a"), view("b")))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for place, owner in (
            ("fleet", FleetScreen), ("host", HostScreen), ("table", type(app._fleet.table)),
            ("app", type(app)),
        ):  # fmt: skip
            for action in actions.of(place):
                name = action.name.partition("(")[0]
                assert hasattr(owner, f"action_{name}"), action.id
        ids = [action.id for action in actions.ACTIONS]
        assert len(ids) == len(set(ids))


async def test_a_host_is_focused_while_it_is_looked_at() -> None:
    engine = StillEngine(view("a"), view("b"))
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert engine.asked[-1] == ("focus", "a")
        for key in "234567":
            await pilot.press(key)
        await pilot.press("tab")
        assert getattr(app.screen, "tab", "") == "overview"
        await pilot.press("5", "n", "n", "r")
        await settle(pilot)
        assert ("retry", "a") in engine.asked
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(app.screen, FleetScreen)
        assert engine.asked[-1:] == [("focus",)]
        await pilot.press("escape")
        assert isinstance(app.screen, FleetScreen), "Esc is always safe"


@pytest.mark.parametrize("keys", [("q",), ("colon", *"quit", "enter"), ("colon", *"q", "enter")])
async def test_ways_out_end_with_0_and_stop_the_engine(keys: tuple[str, ...]) -> None:
    engine = StillEngine(view("a"))
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert engine.running
        await pilot.press(*keys)
        await settle(pilot)
    assert app.return_code == 0
    assert not engine.running


async def test_commands_and_help() -> None:
    app = make_app(StillEngine(view("a"), view("b")))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("colon", *"host b", "enter")
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "b"
        await pilot.press("question_mark")
        await settle(pilot)
        assert isinstance(app.screen, HelpScreen)
        assert "next section" in text(app)
        await pilot.press("escape")
        await pilot.press("colon", *"nonsense", "enter")
        await pilot.pause()
        assert "no command :nonsense in this view" in text(app)


async def test_the_mouse_moves_sorts_and_opens() -> None:
    app = make_app(StillEngine(view("a"), view("b"), view("c")))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        table = app._fleet.table
        await pilot.click(table, offset=(2, 3))
        assert table.cursor == "c"
        await pilot.click(table, offset=(1, 0))
        assert table.model.sort == "name"
        await pilot.click(table, offset=(2, 2), times=2)
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "b"


async def test_a_passphrase_is_asked_for_and_not_shown() -> None:
    app = make_app(StillEngine(view("a")))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        asked = asyncio.create_task(app.ask_passphrase("/home/op/.ssh/wfmon"))
        await settle(pilot)
        await pilot.press(*"s3cret")
        shown = text(app)
        assert "/home/op/.ssh/wfmon" in shown
        assert "s3cret" not in shown
        await pilot.press("enter")
        assert await asked == "s3cret"
        asked = asyncio.create_task(app.ask_passphrase("k"))
        await settle(pilot)
        await pilot.press("escape")
        assert await asked is None


async def test_a_thousand_hosts_scroll() -> None:
    app = make_app(StillEngine(*fleet_of(1_000)))
    async with app.run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await pilot.press("end")
        assert app._fleet.table.cursor == "gpu0999"
        assert "gpu0999" in text(app)
        await pilot.press("g")
        assert "gpu0000" in text(app)
        await pilot.press("slash", *"gpus>97")
        await pilot.pause()
        assert len(app._fleet.table.model.order) == 20


async def test_progress_is_shown_until_every_host_was_tried_once() -> None:
    waiting = [view(f"w{n}", HostState.CONNECTING, frame_at=None, fast=None) for n in range(6)]
    engine = StillEngine(view("a"), view("b"), *waiting)
    app = make_app(engine)
    async with app.run_test(size=(140, 24)) as pilot:
        await settle(pilot)
        assert "connecting ██░░░░░░░░ 2/8" in text(app)
        engine.show(*(view(f"h{n}") for n in range(8)))
        app.paint_soon()
        await settle(pilot)
        assert "connecting" not in text(app).splitlines()[0]


async def test_the_palette_offers_the_actions_of_the_view_and_finds_hosts() -> None:
    app = make_app(StillEngine(view("alpha"), view("beta")))
    async with app.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+p")
        for _ in range(20):
            await pilot.pause(0.05)
            if "turn the order round" in text(app):
                break
        assert "turn the order round" in text(app)
        assert "processes as a tree" not in text(app), "that is for another view"
        await pilot.press(*"beta")
        for _ in range(20):
            await pilot.pause(0.05)
            if "host beta" in text(app):
                break
        await pilot.press("enter")
        for _ in range(20):
            await pilot.pause(0.05)
            if isinstance(app.screen, HostScreen):
                break
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "beta"


async def test_enter_after_a_filter_means_the_row_that_is_left() -> None:
    app = make_app(StillEngine(view("alpha"), view("beta")))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        assert app._fleet.table.cursor == "alpha"
        await pilot.press("slash", *"beta", "enter", "enter")
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "beta"


async def test_enter_means_a_row_that_vanished_by_itself_and_then_what_is_there() -> None:
    engine = StillEngine(view("alpha"), view("beta"))
    app = make_app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        engine.show(view("beta"))
        app._fleet.show(engine.snapshot())
        await pilot.press("enter")
        await settle(pilot)
        assert app.screen is app._fleet
        assert "alpha is gone" in text(app)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "beta"


async def test_ctrl_c_says_how_to_leave_and_ctrl_q_leaves() -> None:
    app = make_app(StillEngine(view("a")))
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert "q ^Q leaves the console" in text(app)
        assert app.is_running
        await pilot.press("ctrl+q")
    assert app.return_code == 0


async def test_the_view_below_the_help_goes_on() -> None:
    engine = StillEngine(view("a"), view("b"))
    app = make_app(engine)
    async with app.run_test(size=(160, 24)) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        engine.show(view("a"), view("b"), view("new-one"))
        app.paint_soon()
        await settle(pilot)
        assert "3 hosts" in text(app)


@pytest.mark.parametrize(
    ("keys", "told"), [({}, ", n next"), ({"host.section": "f7"}, ", F7 next")]
)
async def test_the_next_section_is_told_by_the_key_that_leads_there(
    keys: dict[str, str], told: str
) -> None:
    engine = StillEngine(view("gpu01"))
    app = ConsoleApp(lambda ask: engine, Settings(keys=keys), look=Look())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.open_host("gpu01", "inventory")
        await settle(pilot)
        assert told in text(app)


async def test_no_problem_at_the_start_hides_another(tmp_path: Path) -> None:
    (tmp_path / "layouts.toml").write_text("broken = [", encoding="utf-8")
    settings = Settings(
        theme="nosuch", state=tmp_path, keys={"fleet.sort": "q", "nothing.here": "x"}
    )
    app = ConsoleApp(lambda ask: StillEngine(view("a")), settings)
    async with app.run_test(size=(140, 30)) as pilot:
        await settle(pilot)
        shown = " ".join(text(app).split())
        for words in ("(and 1 more)", "layouts.toml", "no theme is called 'nosuch'"):
            assert words in shown
