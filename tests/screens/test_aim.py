"""What a person means: the row that was under the cursor or the mouse, whatever moves meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from textual.events import Click
from textual.widgets.input import Selection

from console.model.host import Host, HostState
from console.model.view import FleetSnapshot
from console.tui.meaning.newcomers import Newcomers
from console.tui.overviews import subject
from console.tui.screens.host import HostScreen
from console.tui.screens.network_tables import Heard, listeners
from console.tui.style.look import Look
from console.tui.tables.table_model import TableModel
from console.tui.widgets.line_table import LineTable
from tests.screens.conftest import make_app, settle, text
from tests.screens.test_tables import command, fleet, head, until
from tests.support.still_engine import StillEngine, listener, process, view

WIDE = (160, 30)


def shown_process(screen: object) -> str | None:
    assert isinstance(screen, HostScreen)
    return screen._opened[2].name if screen._opened else None


async def test_enter_on_a_host_opens_no_neighbour_of_a_row_that_vanished() -> None:
    rows = tuple(process(10 + n, f"proc{n}", 90.0 - n) for n in range(5))
    engine = StillEngine(view("gpu01", processes=rows))
    app = make_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("3", "down", "down")
        table = app.screen.table  # type: ignore[attr-defined]
        assert table.cursor == 12
        engine.show(view("gpu01", processes=tuple(row for row in rows if row.pid != 12)))
        app.paint_soon()
        app.look_at_engine()
        assert (table.aimed, table.cursor) == (12, 13)
        await pilot.press("enter")
        await until(pilot, "proc2 is gone")
        assert shown_process(app.screen) is None
        await pilot.press("enter")
        await settle(pilot)
        assert shown_process(app.screen) == "proc3", "told once, then what is seen is meant"


async def test_a_double_click_means_the_row_of_the_first_click() -> None:
    views = [view(f"gpu{n:02}") for n in range(6)]
    engine = StillEngine(*views)
    app = make_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        table = app._fleet.table
        table.filter("state=LIVE")
        await pilot.click(LineTable, offset=(3, 3))
        assert table.cursor == "gpu02"
        engine.show(*(view(v.name, HostState.DOWN) if v.name == "gpu02" else v for v in views))
        table.show(engine.snapshot().hosts)
        assert table.model.order[2] == "gpu03", "another host has come under the mouse"
        table.on_click(Click(table, 3, 3, 0, 0, 1, False, False, False, chain=2))
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "gpu02"


async def test_a_plot_is_of_the_host_that_is_meant() -> None:
    engine = fleet()
    app = make_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        table = app._fleet.table
        await pilot.press("down")
        hosts = engine.snapshot().hosts
        table.show([*hosts[:1], *hosts[2:]])
        assert table.cursor == "web01"
        assert subject(app._fleet, engine.snapshot())[1] == "gpu02"


async def test_sort_by_name_begins_at_the_first_row_and_a_key_keeps_the_row() -> None:
    app = make_app(fleet())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        table = app._fleet.table
        await pilot.press("down", "s")
        assert table.cursor == "gpu02"
        await command(pilot, "sort host down")
        assert (table.cursor, table.scroll_offset.y) == ("web02", 0)
        await pilot.press("S")
        assert (table.model.order[0], table.cursor) == ("gpu01", "web02")


async def test_letters_replace_an_old_filter_and_arrows_edit_it() -> None:
    app = make_app(fleet())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        table = app._fleet.table
        await pilot.press("slash", *"gpu", "enter", "slash")
        assert app.screen.typed.selection == Selection(1, 4)  # type: ignore[attr-defined]
        await pilot.press(*"web", "enter")
        assert table.model.filter == "web"
        await pilot.press("slash", "right", *"01", "enter")
        assert table.model.filter == "web01"
        await pilot.press("slash", *"gpu", "escape")
        assert table.model.filter == "web01"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("state=dwon", "no row matches; state=dwon fits none; values: LIVE DOWN STALE; Esc ends"),
        ("gpu state=dwon", "no row matches; state=dwon fits none"),
        ("@nyc", "no row matches; @nyc fits none; values: fra prod"),
        ("temp>900", "no row matches; temp>900 fits none; Esc ends"),
        ("gpu state=stale", "no row matches 'gpu state=stale'; Esc ends"),
    ],
)
async def test_a_comparison_that_no_row_fits_is_named(typed: str, words: str) -> None:
    app = make_app(fleet())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        app._fleet.table.filter(typed)
        await until(pilot, words)


def loaded(name: str, state: HostState) -> object:
    host = Host(name=name, address="192.0.2.1", site="fra", environment="prod")
    return view(name, state, spec=host, listeners=(listener(22),), reason="silent")


async def test_old_numbers_are_dim_and_told_as_old_where_they_are_pinned() -> None:
    engine = StillEngine(loaded("a", HostState.LIVE), loaded("b", HostState.DOWN))  # type: ignore[arg-type]
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await command(pilot, "pin cpu")
        await pilot.press(*["right"] * 4)
        await pilot.pause()
        assert "STATE" not in head(app)
        table = app._fleet.table
        look = Look()
        for line, dim in ((1, False), (2, True)):
            cpu = next(s for s in table.render_line(line) if "%" in s.text)
            assert (cpu.style is not None and cpu.style.color == look.style("dim").color) is dim
        assert "DOWN" in text(app).splitlines()[3], "its state and age stand before the reason"


async def test_numbers_of_a_host_out_of_reach_are_unknown_to_filters_and_orders() -> None:
    states = (HostState.LIVE, HostState.STALE, HostState.DOWN, HostState.REFUSED, HostState.NEW_KEY)
    engine = StillEngine(*(loaded(state.value.lower(), state) for state in states))  # type: ignore[arg-type]
    app = make_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        table = app._fleet.table
        for typed in ("cpu>=0", "listen>0", "gpumem<1T", "gpumem<=100%", "egress>=0"):
            table.filter(typed)
            assert table.model.order == ["live", "stale"], typed
        table.filter("")
        for way in ("up", "down"):
            await command(pilot, f"sort cpu {way}")
            assert set(table.model.order[:2]) == {"live", "stale"}, way


def test_listeners_sort_by_since_both_ways_and_what_was_there_before_is_the_oldest() -> None:
    section = listeners(Newcomers())
    now = time.time()
    rows = [
        Heard(name, "tcp", "::", 1, "-", name, 1, 0, "root", None, since)
        for name, since in (("before", None), ("hour", now - 3600), ("new", now - 5))
    ]
    model = TableModel(section.columns, section.key, str)
    model.update(rows, 0.0)
    model.sort_by("since", down=False, now=0.0)
    assert model.order == ["new", "hour", "before"]
    model.sort_by("since", down=True, now=0.0)
    assert model.order == ["before", "hour", "new"]


async def test_tab_completes_the_path_of_an_export(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    app = make_app(fleet())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("colon")
        typed = app.screen.typed  # type: ignore[attr-defined]
        typed.value = f":export {tmp_path}/rep"
        await pilot.press("tab")
        assert typed.value == f":export {tmp_path}/reports/"


async def test_a_command_of_a_host_says_on_the_fleet_to_open_one() -> None:
    app = make_app(fleet())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await command(pilot, "processes")
        await until(pilot, ":processes is not for this view: open a host first")


async def test_a_view_that_takes_long_is_painted_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = fleet()
    app = make_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        painted = 0

        def slow(snapshot: FleetSnapshot) -> None:
            nonlocal painted
            painted += 1
            end = time.thread_time() + 0.3
            while time.thread_time() < end:
                pass

        monkeypatch.setattr(app._fleet, "show", slow)
        app.paint_soon()
        app.look_at_engine()
        assert painted == 1
        ago = time.monotonic()
        for after, times in ((1.0, 1), (1.6, 2)):
            app._painted = ago - after
            engine.show(*engine.snapshot().hosts)
            app.look_at_engine()
            assert painted == times, after
