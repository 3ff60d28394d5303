"""A theme file is read strictly, and what is wrong in it is told so that it can be mended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from console.errors import ConfigError
from console.resources import shipped
from console.tui import environ
from console.tui.style.theme import KEYS, MAX_BYTES, Theme
from console.tui.style.theme_css import variables
from console.tui.style.theme_files import SHIPPED, ThemeFiles

SPOILT = [
    ('okk = "green"', "a theme has no 'okk'", "Did you mean 'ok'?"),
    ('ok = "grene"', "ok: 'grene' is not known", "Did you mean 'green'?"),
    ('ok = "#12345"', "ok: '#12345' is not known", "A colour is #rrggbb, default, or one of"),
    ('ok = "bold #123456 on"', "ok: '' is not known", "A colour is #rrggbb"),
    ('ok = "red green"', "ok: 'red green' is not known", "A style has one colour"),
    ('ok = "blink red"', "ok: 'blink' is not known", ""),
    ("ok = 7", "ok is 7, not text in quotes", "For example"),
    ('background = "red on blue"', "background: 'red on blue' is not known", ""),
    ('background = "$surface"', "background: '$surface' is not known", ""),
    ('border = "ansi_red; layer: x"', "border: 'ansi_red; layer: x' is not known", ""),
    ('series = ["red"]', "series is not a list of 6 styles", ""),
    ("heat = [1]", "heat is not a list of 10 styles", ""),
    ('base = "darc"', "base: 'darc' is not known", "Did you mean 'dark'?"),
    ('base = "mine"', "base: 'mine' is not known", ""),
    ("ok =", "is not TOML", ""),
    ('ok = "\\u001b]52;c;aGk=\\u0007"', "ok: '\ufffd]52;c;aGk=\ufffd' is not known", ""),
]


def own(folder: Path, text: str | bytes, name: str = "mine") -> ThemeFiles:
    """The files of a person with one theme."""
    data = text.encode() if isinstance(text, str) else text
    (folder / f"{name}.toml").write_bytes(data)
    return ThemeFiles(folder)


@pytest.mark.parametrize(("text", "what", "hint"), SPOILT)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, what: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        own(tmp_path, text).load("mine")
    told = str(caught.value)
    assert caught.value.where == str(tmp_path / "mine.toml")
    assert what in told
    assert hint in told
    assert told.isprintable()


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is larger than 64 KiB"):
        own(tmp_path, "#" * (MAX_BYTES + 1)).load("mine")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        own(tmp_path, b"\xff").load("mine")
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(ConfigError, match="is not a regular file"):
        ThemeFiles(tmp_path).load("pipe")
    (tmp_path / "loop.toml").mkdir()
    with pytest.raises(ConfigError):
        ThemeFiles(tmp_path).load("loop")


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    theme = own(tmp_path, 'base = "light"\nok = "bold #112233"').load("mine")
    light = ThemeFiles().load("light")
    assert str(theme.style("ok").color) == str(theme.over("ok").color)
    assert theme.over("ok").color is not None
    assert theme.over("ok").color.name == "#112233"  # type: ignore[union-attr]
    assert theme.over("ok").bold
    assert (theme.background, theme.over("bad")) == (light.background, light.over("bad"))
    assert own(tmp_path, "").load("mine").background == ThemeFiles().load("dark").background


def test_names(tmp_path: Path) -> None:
    for name in ("mine", "UPPER", "..", "auto", "dark", "no.way"):
        (tmp_path / f"{name}.toml").write_text('ok = "#010203"')
    files = ThemeFiles(tmp_path)
    assert files.names() == [*SHIPPED, "mine"]
    assert files.load("dark").over("ok") == files.load("mine").over("ok"), "the own file wins"
    assert ThemeFiles(tmp_path / "none").names() == list(SHIPPED)
    for name in ("../mine", "/etc/passwd", "mine.toml", "", "x" * 100):
        with pytest.raises(ConfigError, match="no theme is called"):
            files.load(name)
    with pytest.raises(ConfigError, match="Did you mean 'high-contrast'"):
        files.load("high-contrst")


def test_stamp_changes_with_the_file(tmp_path: Path) -> None:
    files = own(tmp_path, 'ok = "red"')
    before = files.stamp("mine")
    assert before == files.stamp("mine")
    new = tmp_path / "new"
    new.write_text('ok = "blue"')
    os.replace(new, tmp_path / "mine.toml")
    assert files.stamp("mine") not in (before, None)
    (tmp_path / "mine.toml").unlink()
    assert files.stamp("mine") is None


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_theme_is_whole(name: str) -> None:
    """It stands for itself, and is the pattern that people copy."""
    text = (shipped("themes") / f"{name}.toml").read_text()
    for key in set(KEYS) - {"base"}:
        assert f"\n{key} = " in text, key
    theme = ThemeFiles().load(name)
    assert theme.about
    assert theme.name == name


@given(st.binary(max_size=300))
def test_any_bytes_are_a_theme_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        theme = own(folder, raw).load("mine")
    except ConfigError as error:
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert isinstance(theme, Theme)


@given(st.sampled_from(sorted(KEYS)), st.text(max_size=40))
def test_no_text_of_a_file_reaches_a_style_sheet(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    """Whatever stands in a value, a variable is a known colour or a list of known attributes."""
    folder = tmp_path_factory.getbasetemp()
    quoted = "".join(f"\\U{ord(char):08x}" for char in value if not 0xD800 <= ord(char) < 0xE000)
    try:
        theme = own(folder, f'{key} = "{quoted}"').load("mine")
    except ConfigError:
        return
    for told in variables(theme).values():
        assert told.replace("#", "").replace("_", "").replace(" ", "").isalnum(), told


TERMINALS = [
    ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, 1 << 24, "dark"),
    ({"TERM": "xterm-256color", "COLORTERM": "24bit", "COLORFGBG": "0;15"}, 1 << 24, "light"),
    ({"TERM": "xterm-256color", "COLORFGBG": "15;default;0"}, 256, "dark"),
    ({"TERM": "tmux-256color"}, 256, "dark"),
    ({"TERM": "xterm-kitty"}, 256, "dark"),
    ({"TERM": "screen"}, 16, "ansi16"),
    ({"TERM": "linux"}, 16, "ansi16"),
    ({"TERM": "xterm-16color"}, 16, "ansi16"),
    ({"TERM": "xterm", "COLORFGBG": "0;15"}, 16, "ansi16"),
    ({"TERM": "xterm", "COLORTERM": "truecolor", "NO_COLOR": "1"}, 1 << 24, "mono"),
    ({"TERM": "xterm", "COLORTERM": "truecolor", "NO_COLOR": ""}, 1 << 24, "dark"),
    ({"TERM": "xterm-256color", "TEXTUAL_COLOR_SYSTEM": "standard"}, 16, "ansi16"),
    ({"TERM": "vt220"}, 0, "mono"),
    ({"TERM": "xterm-mono"}, 0, "mono"),
]


@pytest.mark.parametrize(("env", "many", "theme"), TERMINALS, ids=lambda v: str(v)[:60])
def test_what_fits_a_terminal(env: dict[str, str], many: int, theme: str) -> None:
    assert environ.colours(env) == many
    assert environ.fitting_theme(env) == theme
    system = {16: "standard", 256: "256", 1 << 24: "truecolor"}.get(many)
    if system and "TEXTUAL_COLOR_SYSTEM" not in env:  # as the library that writes sees it
        shown = {name: value for name, value in env.items() if name != "NO_COLOR"}
        assert Console(force_terminal=True, _environ=shown).color_system == system


def test_an_empty_no_color_is_none() -> None:
    env = {"NO_COLOR": "", "TEXTUAL_PRESS": "y", "TEXTUAL_ANIMATIONS": "none"}
    environ.scrub(env)
    assert env == {"TEXTUAL_ANIMATIONS": "none"}
    assert environ.reduced_motion(env)
    env = {"NO_COLOR": "1"}
    environ.scrub(env)
    assert environ.colourless(env)
