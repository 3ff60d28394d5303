"""Themes on the real screens: whole, changed while they are open, and never a way to crash."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from console.tui.app import ConsoleApp
from console.tui.settings import Settings
from console.tui.style.look import Look
from console.tui.style.theme_files import SHIPPED, ThemeFiles
from console.tui.style.themed import LOOK_AT_FILE_S
from tests.screens.conftest import settle, text
from tests.screens.test_golden import NOW, engine

Golden = Callable[[str, str], None]
MARKS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(time, "localtime", time.gmtime)
    for name in ("NO_COLOR", "COLORFGBG", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("LANG", "C.UTF-8")


def app_with(name: str) -> ConsoleApp:
    look = Look(theme=ThemeFiles().load(name))
    return ConsoleApp(lambda ask: engine(), Settings(title="test"), look=look)


def segments(app: ConsoleApp) -> list[list[Segment]]:
    """What is painted, line by line."""
    return [list(strip) for strip in app.screen._compositor.render_strips()]


def worded(style: Style) -> str:
    """A style in words that stay the same whatever the library adds to it."""
    on = "default" if style.color is None else style.color.name
    ground = "default" if style.bgcolor is None else style.bgcolor.name
    names = [n for n in ("bold", "dim", "italic", "underline", "reverse") if getattr(style, n)]
    return " ".join([*names, on, "on", ground])


def styled(app: ConsoleApp) -> str:
    """The screen, and below each line one letter a cell for its style; blanks say the commonest."""
    marks: dict[str, str] = {worded(app.look.style("")): " "}
    out = []
    for line in segments(app):
        words = "".join(segment.text for segment in line)
        letters = ""
        for segment in line:
            style = worded(segment.style or Style())
            mark = marks.setdefault(style, MARKS[len(marks) - 1])
            letters += mark * segment.cell_length
        out += [words.rstrip(), letters.rstrip()]
    legend = [f"{mark!r} {style}" for style, mark in marks.items()]
    return "\n".join([*out, "", *legend]) + "\n"


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast", "mono"])
async def test_styles(name: str, golden: Golden) -> None:
    app = app_with(name)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("down")
        await settle(pilot)
        golden(f"styled-fleet-{name}", styled(app))
        app.open_host("gpu02")
        await settle(pilot)
        golden(f"styled-host-overview-{name}", styled(app))


async def everywhere(pilot: Pilot[None], look: Callable[[str], None]) -> None:
    """Go through the views and call ``look`` with the name of each."""
    await settle(pilot)
    look("fleet")
    for keys, place in ((("question_mark",), "help"), (("colon", "h"), "typing")):
        await pilot.press(*keys)
        await settle(pilot)
        look(place)
        await pilot.press("escape")
    await pilot.press("ctrl+p", *"sort")
    await pilot.pause(0.3)
    look("palette")
    await pilot.press("escape", "H")
    await settle(pilot)
    look("heat map")
    await pilot.press("escape", "down", "P")
    await settle(pilot)
    look("plot")
    await pilot.press("escape", "enter")
    for tab in "1234567":
        await pilot.press(tab)
        await settle(pilot)
        look(f"host, tab {tab}")


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast"])
async def test_no_cell_shows_the_terminals_own_ground(name: str) -> None:
    """A hole in the theme would be dark text on a dark terminal, or light on light."""
    app = app_with(name)

    def look(place: str) -> None:
        for y, line in enumerate(segments(app)):
            for segment in line:
                style = segment.style or Style()
                told = f"{place}, line {y}: {segment.text!r} is {worded(style)}"
                assert style.bgcolor is not None, told
                assert style.bgcolor.triplet is not None, told
                if segment.text.strip():
                    assert style.color is not None, told
                    assert style.color.triplet is not None, told

    async with app.run_test(size=(120, 40)) as pilot:
        await everywhere(pilot, look)


async def test_a_change_reaches_every_cell_of_every_open_view() -> None:
    """Rows, lines and plots are kept after they were drawn; none may keep the old colours."""
    app = app_with("dark")
    old = {theme_style.bgcolor for theme_style in map(app.look.style, ("", "bar"))}
    old.add(app.look.cursor("").bgcolor)

    def look(place: str) -> None:
        left = {s.style.bgcolor for line in segments(app) for s in line if s.style} & old
        assert not left, (place, left)

    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for way in (("P",), ("H",), ("enter",), ("enter", "3")):
            app.choose_theme("dark")
            await pilot.press(*way)
            await settle(pilot)
            app.choose_theme("light")
            await settle(pilot)
            look(f"after {way}")
            await pilot.press("escape")
            await settle(pilot)
            look(f"the fleet after {way}")


async def test_mono_paints_no_colour_anywhere() -> None:
    app = app_with("mono")

    def look(place: str) -> None:
        for line in segments(app):
            for segment in line:
                style = segment.style or Style()
                colours = [c for c in (style.color, style.bgcolor) if c is not None]
                assert all(colour.is_default for colour in colours), (place, segment)

    async with app.run_test(size=(120, 40)) as pilot:
        await everywhere(pilot, look)


async def test_every_theme_shows_the_same_words() -> None:
    """Colour adds nothing that words and symbols do not say; so each severity has both."""
    shown = {}
    for name in SHIPPED:
        app = app_with(name)
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            shown[name] = text(app)
    assert len(set(shown.values())) == 1
    for words in ("◐ STALE", "✖ DOWN", "⚠ NEW-KEY", "⊘ REFUSED", "✖ GPU1 lost", "▲ 1 undeclared"):
        assert words in shown["mono"]
    for line in shown["mono"].splitlines():
        if "Xid 79" in line or "is DOWN" in line:
            assert "✖" in line
        if "refused" in line and "11-14" in line:
            assert "▲" in line


def mine(folder: Path, content: str) -> ConsoleApp:
    """An app that was told to use the person's theme ``mine``."""
    (folder / "mine.toml").write_text(content)
    settings = Settings(title="test", theme="mine", own_themes=folder)
    return ConsoleApp(lambda ask: engine(), settings)


def rewrite(path: Path, content: str) -> None:
    """As an editor saves: another file in its place."""
    new = path.with_suffix(".new")
    new.write_text(content)
    os.replace(new, path)


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    """Wait for something that a timer does."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, text(pilot.app)  # type: ignore[arg-type]
        await pilot.pause(0.05)


async def test_a_changed_file_is_taken_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    app = mine(tmp_path, 'base = "dark"\nok = "#101010"')
    path = tmp_path / "mine.toml"
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert app.look.theme.name == "mine"
        rewrite(path, 'base = "light"\nok = "#202020"')
        assert LOOK_AT_FILE_S <= 1.0
        await until(pilot, lambda: worded(app.look.style("ok")).startswith("#202020"))
        await pilot.pause()
        assert {s.style.bgcolor.name for line in segments(app) for s in line} >= {"#fbfbf8"}  # type: ignore[union-attr]
        rewrite(path, 'base = "light"\nokk = "#303030"')
        await until(pilot, lambda: "a theme has no 'okk'" in text(app))
        assert "Did you mean 'ok'?" in " ".join(text(app).split())
        assert worded(app.look.style("ok")).startswith("#202020"), "it keeps what it has"
        path.unlink()
        app.watch_theme_file()
        assert app.look.theme.name == "mine", "a file that is gone changes nothing"
        rewrite(path, 'base = "dark"\nok = "#404040"')
        await until(pilot, lambda: worded(app.look.style("ok")).startswith("#404040"))


@pytest.mark.parametrize("content", ['okk = "red"', "ok = [", 'ok = "\\u001b[31m"', 'base = "x"'])
async def test_a_wrong_theme_at_the_start_is_told_and_another_taken(
    tmp_path: Path, content: str
) -> None:
    app = mine(tmp_path, content)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert app.look.theme.name == "dark"
        assert "mine.toml" in text(app)
        assert "\x1b" not in text(app)


@pytest.mark.parametrize(
    ("env", "taken"),
    [({"NO_COLOR": "1"}, "mono"), ({"COLORTERM": "", "TERM": "screen"}, "ansi16"), ({}, "dark")],
    ids=str,
)
async def test_what_fits_the_terminal_is_taken(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], taken: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    app = ConsoleApp(lambda ask: engine(), Settings(title="test"))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert app.look.theme.name == taken
        await pilot.press("T")
        await settle(pilot)
        if taken == "mono":
            assert app.look.theme.name == "mono", "no theme with colours may take its place"
            assert app.choose_theme("dark") is False
            await pilot.pause()
            assert "NO_COLOR asks for none" in text(app)
        else:
            assert app.look.theme.name != taken


async def test_reduced_motion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    app = ConsoleApp(lambda ask: engine(), Settings(title="test", paint_s=0.2))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert app.look.reduced_motion
        assert app.animation_level == "none"
        assert app._paint_s == 1.0
        await pilot.press("slash")
        assert app.screen.query_one("#typed", Input).cursor_blink is False
        await pilot.press("escape", "ctrl+p")
        await pilot.pause(0.3)
        assert isinstance(app.screen, CommandPalette)
        assert app.screen.query_one(Input).cursor_blink is False


async def test_the_palette_is_ascii_where_the_terminal_is() -> None:
    app = ConsoleApp(lambda ask: engine(), Settings(title="test"), look=Look(ascii_only=True))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("ctrl+p", *"sort")
        await pilot.pause(0.3)
        shown = text(app)
        assert re.search(r"sort", shown)
        assert shown.isascii(), [sign for sign in shown if not sign.isascii()]
