"""The screens in terminals of every kind, and at their end; hosts that stand still."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.standing import SECRET
from tests.support.terminal import Terminal
from tests.support.tmux import PYTHON, ROOT, Tmux, colours, needs_tmux

STANDING = (sys.executable, "-m", "tests.support.standing")
SIXTEEN = {str(number) for number in (*range(30, 38), *range(40, 48), *range(90, 98))}


def standing(
    *words: str,
    size: tuple[int, int] = (120, 30),
    term: str = "tmux-256color",
    env: Mapping[str, str] | None = None,
) -> Tmux:
    """The screens in a real terminal."""
    return Tmux(*STANDING, *words, size=size, term=term, env=env)


@needs_tmux
def test_a_terminal_with_256_colours_is_drawn_with_them() -> None:
    with standing() as terminal:
        terminal.wait("gpu02 +✖ DOWN", "q leave")
        assert {"38", "5"} <= colours(terminal.coloured)


@needs_tmux
def test_sixteen_colours_are_enough() -> None:
    with standing(term="screen") as terminal:
        terminal.wait("gpu01 +● LIVE", "gpu02 +✖ DOWN", "gpu04 +⚠ NEW-KEY", "q leave")
        for keys in (("Enter",), ("2",), ("6",), ("Escape",), ("H",), ("Escape",), ("P",)):
            terminal.press(*keys)
        terminal.wait("the last 10 minutes")
        terminal.press("Escape")
        terminal.wait("HOST +STATE", gone="the last 10 minutes")
        coloured = terminal.coloured
        assert not colours(coloured) & {"38", "48"}, "none that this terminal does not have"
        assert colours(coloured) & SIXTEEN
        rows = {name: line for line in coloured.split("\n") for name in _names(line)}
        down, stale = (_state_colour(rows[name]) for name in ("gpu02", "gpu03"))
        assert down != stale, "bad and warning are told apart"


def _names(line: str) -> list[str]:
    return re.findall(r"gpu0\d(?= )", line)[:1]


def _state_colour(line: str) -> str:
    """What colours the word of a state in a row of the fleet."""
    before = re.split("DOWN|STALE", line)[0]
    return str(re.findall(r"\x1b\[([0-9;]*)m", before)[-1])


@needs_tmux
def test_no_color_is_obeyed_in_every_view() -> None:
    with standing(env={"NO_COLOR": "1", "COLORTERM": "truecolor"}) as terminal:
        terminal.wait("gpu02 +✖ DOWN", "q leave")
        seen = colours(terminal.coloured)
        for key, words in (("H", "GPU use"), ("P", "the last 10 minutes"), ("?", "keys")):
            terminal.press(key)
            terminal.wait(words)
            seen |= colours(terminal.coloured)
            terminal.press("Escape")
        terminal.press("T")
        terminal.wait("theme mono")
        seen |= colours(terminal.coloured)
        assert not seen & (SIXTEEN | {"38", "48"})
        assert "7" in seen, "bars are reversed"


@needs_tmux
@pytest.mark.parametrize("name", ["LANG", "LC_ALL"])
def test_a_terminal_without_unicode_gets_ascii(name: str) -> None:
    with standing(env={name: "C"}) as terminal:
        terminal.wait("gpu02 +X DOWN|gpu02 +!! DOWN|gpu02 +. DOWN", "q leave")
        for key, words in (
            ("Enter", "1 overview"), ("2", "GPU 0"), ("3", "PID"), ("5", "firmware|os"),
            ("H", "GPU use"), ("P", "the last 10 minutes"), ("?", "keys"),
        ):  # fmt: skip
            terminal.press(key)
            assert terminal.wait(words).isascii(), key


@needs_tmux
@pytest.mark.parametrize("size", [(80, 24), (40, 10), (20, 5)], ids=str)
def test_small_terminals_show_what_matters_most(size: tuple[int, int]) -> None:
    with standing(size=size) as terminal:
        shown = terminal.wait("gpu01")
        assert all(len(line) <= size[0] for line in shown.split("\n"))
        terminal.press("G")
        terminal.wait("gpu04")
        terminal.press("Enter")
        terminal.wait(r"\A gpu04")
        terminal.press(":")
        terminal.wait(r"(?m)^ :\s*$")
        terminal.write("quit")
        terminal.press("Enter")
        assert terminal.end() == 0


@needs_tmux
def test_a_hostile_host_commands_no_terminal() -> None:
    with standing("poison") as terminal:
        title = terminal.title
        terminal.wait("● LIVE", "q leave")
        for key, words in (
            ("Enter", "1 overview"), ("2", "GPU 0"), ("3", "PID"), ("4", "PROTO"),
            ("5", "firmware"), ("6", "TIME"), ("?", "keys"),
            ("Escape", "Esc back"), ("H", "GPU use"), ("P", "10 min"),
        ):  # fmt: skip
            terminal.press(key)
            terminal.wait(words)
        shown = terminal.wait("the last 10 minutes")
        assert terminal.title == title != "owned"
        assert not terminal.buffers, "nothing was put into a clipboard"
        assert "\x1b" not in shown
        assert "evil.example\x1b" not in terminal.coloured
        assert not re.search(r"\x1b\]8;;http", terminal.coloured)
        assert "201" not in colours(terminal.coloured)


# -- terminals that cannot draw


@pytest.mark.parametrize("verb", [(), ("wall",), ("screens",)], ids=str)
def test_without_a_terminal_it_says_what_to_use(verb: tuple[str, ...], tmp_path: Path) -> None:
    config = tmp_path / "hosts.toml"
    config.write_text("", encoding="utf-8")
    done = subprocess.run(
        [*PYTHON, "--config", str(config), *verb],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 2
    assert "watch --plain" in done.stderr


@needs_tmux
def test_a_dumb_terminal_is_told_what_to_use() -> None:
    with Tmux("env", "TERM=dumb", *STANDING) as terminal:
        assert terminal.end() == 2
        assert "this terminal cannot draw screens; use `watchfloor watch --plain`" in (
            terminal.left
        )


# -- the end


@needs_tmux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_signal_ends_it_and_gives_the_terminal_back(number: signal.Signals) -> None:
    with standing() as terminal:
        terminal.wait("gpu02", "q leave")
        before = terminal.alternate
        os.kill(terminal.pid, number)
        assert terminal.end() == 0
        assert (before, terminal.alternate) == (True, False)
        assert "gpu02" not in terminal.shown


def test_a_terminal_that_goes_away_ends_it() -> None:
    """No hang-up is sent here: the terminal only answers with errors from then on."""
    env = {**os.environ, "TERM": "xterm-256color"}
    with Terminal(list(STANDING), env) as terminal:
        terminal.wait_for("gpu02")
        terminal.go_away()
        used = terminal.end_and_cost()
    assert used < 5.0, "it did not spin meanwhile"


@needs_tmux
@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("snapshot", ()),
        ("events", ()),
        ("history", ("Enter",)),
        ("series", ("P",)),
        ("panels", ("Enter", "7")),
        ("retry", ("r",)),
        ("focus", ("Enter",)),
    ],
)
def test_a_defect_is_named_and_keeps_no_secret(
    where: str, keys: tuple[str, ...], tmp_path: Path
) -> None:
    with standing("break", where, env={"TMPDIR": str(tmp_path)}) as terminal:
        if keys:
            terminal.wait("gpu02", "q leave")
        for key in keys:
            terminal.press(key)
            if key != keys[-1]:
                terminal.wait("1 overview")
        assert terminal.end() == 70
        shown = terminal.left
        (path,) = tmp_path.glob("watchfloor-crash-*.txt")
        assert "ended by a defect of its own" in shown
        assert str(path) in shown
        assert not terminal.alternate
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_text("utf-8")
    assert "the engine is broken" in kept
    assert "-".join(SECRET) not in kept + shown


def test_every_variable_that_would_steer_the_library_does_nothing(tmp_path: Path) -> None:
    """As a person starts it: whole program, a terminal, and an environment set by somebody else."""
    steering = {
        "TEXTUAL_PRESS": "q", "TEXTUAL_DRIVER": "evil:Driver", "TEXTUAL": "devtools,debug",
        "TEXTUAL_LOG": str(tmp_path / "log"), "TEXTUAL_SCREENSHOT": "0",
        "TEXTUAL_SCREENSHOT_LOCATION": str(tmp_path), "TEXTUAL_SCREENSHOT_FILENAME": "shot.svg",
        "TEXTUAL_THEME": "nord", "TEXTUAL_DEVTOOLS_HOST": "203.0.113.9", "TEXTUAL_DEBUG": "1",
        "TEXTUAL_ALLOW_SIGNALS": "1", "TEXTUAL_DISABLE_KITTY_KEY": "1",
    }  # fmt: skip
    env = {**os.environ, **steering, "TERM": "xterm-256color"}
    with Terminal(list(STANDING), env) as terminal:
        terminal.wait_for("gpu02")
        time.sleep(0.5)  # nothing may come: that cannot be waited for otherwise
        terminal.press("H")  # it is there, and the first key that it gets is this person's
        terminal.wait_for("tens of per cent")
        terminal.press(":quit\r")
        status, _ = terminal.rest()
    assert status == 0
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("ahead", ["q\r", "q?", "qE", "qP", "q-"])
def test_what_is_typed_ahead_of_the_end_opens_nothing(ahead: str) -> None:
    env = {**os.environ, "TERM": "xterm-256color"}
    with Terminal(list(STANDING), env) as terminal:
        terminal.wait_for("gpu02")
        terminal.press("H")
        terminal.wait_for("tens of per cent")
        terminal.press(ahead)
        status, shown = terminal.rest()
    assert status == 0, shown[-300:]
