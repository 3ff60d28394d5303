"""Tables under the fingers: columns, jump, rows that need a look, copies, files, layouts."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from console.model.host import Host, HostState
from console.tui.app import ConsoleApp
from console.tui.screens.host import HostScreen
from console.tui.settings import Settings
from console.tui.style.look import Look
from console.tui.widgets import line_table
from tests.screens.conftest import settle, text
from tests.support.still_engine import StillEngine, gpu, view

WIDE, NARROW = (220, 40), (80, 24)


def console(engine: StillEngine, state: Path | None = None, layout: str = "") -> ConsoleApp:
    settings = Settings(title="test", state=state, layout=layout)
    return ConsoleApp(lambda ask: engine, settings, look=Look())


def fleet() -> StillEngine:
    return StillEngine(
        view("gpu01", listeners=(), gpus=(gpu(0, 50),)),
        view("gpu02", HostState.DOWN, reason="gone"),
        view("web01", listeners=(), gpus=()),
        view("web02", HostState.STALE, reason="silent"),
    )


async def command(pilot: Pilot[None], typed: str) -> None:
    await pilot.press("colon")
    pilot.app.screen.query_one("#typed").value = f":{typed}"  # type: ignore[attr-defined]
    await pilot.press("enter")
    await pilot.pause()


async def until(pilot: Pilot[None], words: str) -> str:
    """Wait for words on the screen, however they are folded."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    deadline = time.monotonic() + 10
    while words not in (shown := " ".join(text(app).split())):
        assert time.monotonic() < deadline, f"{words!r} is not on:\n{text(app)}"
        await pilot.pause(0.02)
    return shown


def cursor(app: ConsoleApp) -> object:
    return app._fleet.table.cursor


def head(app: ConsoleApp) -> str:
    return text(app).splitlines()[1]


async def test_every_column_is_reached_to_the_right_and_the_first_stays() -> None:
    app = console(fleet())
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        first = head(app)
        assert first.startswith("HOST")
        assert "\u203a" in first, "something is hidden at the right"
        assert "SITE" not in first
        seen = first
        for key in ("right", "l") * 8:
            await pilot.press(key)
            await pilot.pause()
            assert head(app).startswith("HOST")
            seen += head(app)
        for column in app._fleet.table.model.columns:
            assert column.title in seen, column.id
        assert "\u2039" in head(app)
        assert "\u203a" not in head(app)
        assert "gone" in text(app), "why a host is not LIVE stays where its state is out of sight"
        for key in ("left", "h") * 8:
            await pilot.press(key)
        await pilot.pause()
        assert head(app) == first


async def test_columns_are_listed_chosen_pinned_and_sorted_by_command() -> None:
    app = console(fleet())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await command(pilot, "columns -power -temp")
        assert "POWER" not in head(app)
        await command(pilot, "columns")
        shown = await until(pilot, "power (hidden)")
        assert "host (pinned)" in shown
        assert "gpumem, " in shown
        await command(pilot, "pin egress")
        assert head(app).split()[:2] == ["HOST", "EGRESS"]
        await command(pilot, "unpin host")
        assert head(app).split()[0] == "EGRESS"
        await command(pilot, "unpin site")
        await until(pilot, "site is not pinned")
        await command(pilot, "columns +nope")
        await until(pilot, "no column 'nope' here")
        await command(pilot, "columns reset")
        assert head(app).startswith("HOST")
        await command(pilot, "sort host down")
        assert app._fleet.table.model.order == ["web02", "web01", "gpu02", "gpu01"]
        await command(pilot, "sort host sideways")
        await until(pilot, "say :sort COLUMN")
        await command(pilot, "sort nope")
        await until(pilot, "no column 'nope' here")
        table = app._fleet.table
        assert table.complete_columns("-host +p") == []
        assert table.complete_columns("-host -po") == ["-host -power"]
        assert table.complete_sort_by("temp ") == ["temp up", "temp down"]
        assert table.complete_pin("gpum") == ["gpumem"]
        assert table.complete_unpin("") == ["host"]
        assert table.complete_sort_by("on") == ["ongpu"], "as the head spells it"
        await command(pilot, "sort procs")
        assert table.model.sort == "procs", "the id of a layout file is understood too"


async def test_a_click_on_the_head_sorts_by_the_column_that_is_there() -> None:
    app = console(fleet())
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await pilot.press("right", "right", "right")
        await pilot.pause()
        x = head(app).index("TEMP") + 1
        await pilot.click(app._fleet.table, offset=(x, 0))
        assert app._fleet.table.model.sort == "temp"


async def test_first_letters_move_the_cursor_at_once() -> None:
    app = console(fleet())
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await pilot.press("apostrophe", "W")
        await pilot.pause()
        assert cursor(app) == "web01"
        await pilot.press(*"eb02")
        await pilot.pause()
        assert cursor(app) == "web02"
        await pilot.press("x")
        await until(pilot, "no row begins so")
        assert cursor(app) == "web02"
        await pilot.press("enter")
        await pilot.pause()
        assert app._fleet.table.has_focus
        assert cursor(app) == "web02"


async def test_w_goes_to_the_next_row_that_needs_a_look_and_round() -> None:
    app = console(fleet())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("w")
        assert cursor(app) == "gpu02"
        await pilot.press("w")
        assert cursor(app) == "web02"
        await pilot.press("w")
        assert cursor(app) == "gpu02"
        await until(pilot, "from the top again")
        await pilot.press("slash", *"web02", "enter", "w")
        await until(pilot, "this is the only row")
        await pilot.press("escape", "slash", *"01", "enter", "w")
        await until(pilot, "no row needs a look (the filter hides some rows)")


async def test_enter_means_the_row_that_vanished_and_not_the_one_that_came_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = fleet()
    app = console(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        table = app._fleet.table
        await pilot.press("slash", *"!stale", "enter", "down")
        assert cursor(app) == "gpu02"
        hosts = engine.snapshot().hosts
        engine.show(hosts[0], view("gpu02", HostState.STALE, reason="stale"), *hosts[2:])
        table.show(engine.snapshot().hosts)
        assert cursor(app) == "web01", "the cursor stays at the place"
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "gpu02"
        await pilot.press("escape")
        await pilot.press("escape", "home", "down")
        table.show([*hosts[:1], *hosts[2:]])
        await pilot.press("enter")
        await until(pilot, "gpu02 is gone")
        monkeypatch.setattr(line_table, "AIM_S", 0.0)
        table.show(hosts[2:])
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, HostScreen)
        assert app.screen.host == "web01", "later, Enter means what the person sees"


async def test_a_megabyte_pasted_into_the_filter_is_refused_and_told() -> None:
    app = console(fleet())
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await pilot.press("slash", "w")
        screen = app._fleet
        looked = 0
        keep = screen.table.model.set_filter

        def counted(text: str, now: float) -> None:
            nonlocal looked
            looked += 1
            keep(text, now)

        screen.table.model.set_filter = counted  # type: ignore[method-assign]
        screen.typed.post_message(Paste("x " * 500_000))
        await until(pilot, "1,000,000 characters are too many here; nothing was pasted")
        assert screen.typed.value == "/w"
        assert looked == 0
        screen.typed.post_message(Paste("eb01\nrm"))
        await pilot.pause()
        assert screen.typed.value == "/web01"
        await pilot.press("enter")
        assert screen.table.model.order == ["web01"]


async def test_a_catastrophic_expression_is_told_and_the_screen_lives() -> None:
    slow = StillEngine(*(view(f"{'a' * 60}{n}") for n in range(50)))
    app = console(slow)
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"~(a+)+$")
        await until(pilot, "takes too long on these rows")
        assert len(app._fleet.table.model.order) == 50
        await pilot.press("escape", "down")
        assert cursor(app) == f"{'a' * 60}1"


async def test_places_filter_the_fleet() -> None:
    def at(name: str, **more: object) -> Host:
        return Host(name=name, address="192.0.2.1", **more)  # type: ignore[arg-type]

    engine = StillEngine(
        view("a", spec=at("a", site="fra", groups=("gpu", "canary"))),
        view("b", spec=at("b", site="nyc", environment="prod")),
        view("fra", spec=at("fra", site="ams", tags=("night",))),
    )
    app = console(engine)
    async with app.run_test(size=NARROW) as pilot:
        await settle(pilot)
        table = app._fleet.table
        for typed, wanted in (
            ("@fra", ["a"]), ("@CANARY", ["a"]), ("@prod|", []), ("@prod", ["b"]),
            ("@n*", ["b", "fra"]),
            ("!@fra name~^[ab]$", ["b"]), ("site=fra|ams", ["a", "fra"]),
        ):  # fmt: skip
            table.filter(typed)
            assert table.model.order == wanted, typed


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """A program that takes what is copied, found where xclip would be."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "xclip"
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/copied\n")
    program.chmod(0o755)
    for name in ("WAYLAND_DISPLAY", "TMUX", "SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return (tmp_path / "copied").read_text


async def test_y_copies_the_name_and_the_command_more(copied: Callable[[], str]) -> None:
    app = console(fleet())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("down", "y")
        await until(pilot, "gpu02: copied by xclip")
        assert copied() == "gpu02"
        await command(pilot, "copy row")
        await until(pilot, "the row: copied by xclip")
        assert copied().startswith("gpu02\tDOWN\t")
        await command(pilot, "copy table")
        await until(pilot, "4 rows: copied by xclip")
        assert len(copied().splitlines()) == 5
        await command(pilot, "copy all")
        await until(pilot, ":copy row or :copy table")
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("y")
        await until(pilot, "gpu02: copied by xclip")
        await command(pilot, "processes")
        await settle(pilot)
        await pilot.press("apostrophe", *"sys", "enter", "y")
        await until(pilot, "1: copied by xclip")
        assert copied() == "1", "the process number of systemd"
        await command(pilot, "network")
        await settle(pilot)
        await pilot.press("home", "w", "y")
        await until(pilot, "tcp/0.0.0.0:4444: copied by xclip")


async def test_without_a_program_the_terminal_is_asked_and_nothing_is_promised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("WAYLAND_DISPLAY", "DISPLAY", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    app = console(fleet())
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("y")
        await until(pilot, "OSC 52; whether it was taken cannot be seen")
        assert app.clipboard == "gpu01"


async def test_e_writes_the_table_in_view(tmp_path: Path) -> None:
    app = console(fleet(), tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"gpu", "enter")
        await command(pilot, "columns -site")
        await pilot.press("e")
        await until(pilot, f"written: {tmp_path}/exports/watchfloor-hosts-")
        (path,) = (tmp_path / "exports").iterdir()
        lines = list(csv.reader(path.read_text().splitlines()))
        assert [line[0] for line in lines] == ["HOST", "gpu01", "gpu02"]
        assert "SITE" not in lines[0]
        assert path.stat().st_mode & 0o777 == 0o600
        await command(pilot, f"export {tmp_path}/x.json")
        await until(pilot, f"written: {tmp_path}/x.json")
        whole = json.loads((tmp_path / "x.json").read_text())
        assert [row["id"] for row in whole["rows"]] == ["gpu01", "gpu02"]
        assert whole["filter"] == "gpu"
        await command(pilot, f"export {tmp_path}/x.json")
        await until(pilot, "x.json is there already")
        await command(pilot, f"export {tmp_path}/x.svg")
        await until(pilot, f"written: {tmp_path}/x.svg")
        assert "gpu02" in (tmp_path / "x.svg").read_text()
        await command(pilot, "export /proc/x.csv")
        await until(pilot, "was not written")


async def test_the_picture_has_a_name_of_its_own(tmp_path: Path) -> None:
    app = console(fleet(), tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, "written:")
        (path,) = (tmp_path / "exports").iterdir()
        assert path.read_text().startswith("<svg")
        await command(pilot, "picture x.csv")
        await until(pilot, "a picture is an SVG file")


async def test_a_layout_is_kept_taken_and_there_at_the_next_start(tmp_path: Path) -> None:
    app = console(fleet(), tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await command(pilot, "columns -power")
        await command(pilot, "layout events off")
        await settle(pilot)
        assert "events, newest first" not in text(app)
        await command(pilot, "layout save night")
        await until(pilot, "layout night is kept")
        await command(pilot, "layout reset")
        await settle(pilot)
        assert "POWER" in head(app)
        assert "events, newest first" in text(app)
        await command(pilot, "layout night")
        await until(pilot, "layout night")
        assert "POWER" not in head(app)
        await command(pilot, "layout")
        await until(pilot, "layouts: night; in use: night")
        await command(pilot, "layout x")
        await until(pilot, "no layout is called 'x'")
        await command(pilot, "layout a b c")
        await until(pilot, ":layout save NAME")
        assert app.complete_layout("delete ") == ["delete night"]
        assert "night" in app.complete_layout("n")
    app = console(fleet(), tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        assert "POWER" not in head(app)
        assert "events, newest first" not in text(app)
        await command(pilot, "layout delete night")
        await until(pilot, "layout night is forgotten")


async def test_a_layout_file_that_is_wrong_is_told_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "layouts.toml"
    path.write_text('last = "x"\n[layouts.x.tables.hosts]\ncolumns = ["name", "old"]\n')
    app = console(fleet(), tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, "no such columns: old")
        assert head(app).split() == ["HOST"]
    path.write_text("last = ")
    app = console(fleet(), tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, "no layouts: ")
        assert head(app).startswith("HOST")
