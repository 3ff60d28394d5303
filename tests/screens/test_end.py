"""How the terminal ends: a defect of its own, and an environment that would steer the library."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from console.tui.crash import keep
from console.tui.environ import scrub
from tests.support.terminal import Terminal

CRASHING = """
import sys
from console.tui import app
from tests.support.still_engine import StillEngine, view

class Broken(StillEngine):
    def snapshot(self):
        secret = "hunter2" + "-passphrase"
        if self.running:
            raise RuntimeError("the engine is broken")
        return super().snapshot()

sys.exit(app.run_app(lambda ask: Broken(view("gpu01"))))
"""
ENTERED = """
import json, os, sys
import console.tui.app
import textual.constants as constants
print(json.dumps({
    "left": sorted(name for name in os.environ if name.startswith("TEXTUAL")),
    "press": constants.PRESS, "driver": constants.DRIVER, "log": constants.LOG_FILE,
    "fps": constants.MAX_FPS,
}))
"""


def test_a_crash_ends_with_another_status_and_leaves_a_private_traceback(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path), "TERM": "xterm-256color"}
    with Terminal([sys.executable, "-c", CRASHING], env) as terminal:
        status, shown = terminal.rest()
    assert status == 70
    (path,) = tmp_path.glob("watchfloor-crash-*.txt")
    assert str(path) in shown, "it says where"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_text("utf-8")
    assert "RuntimeError: the engine is broken" in kept
    for where in (kept, shown):
        assert "hunter2-passphrase" not in where, "values of variables are kept nowhere"
    assert re.search(r"\\x1b\[\?1049l", repr(shown)), "the terminal is as it was"


def test_the_environment_types_no_key_and_loads_no_code(tmp_path: Path) -> None:
    steering = {
        "TEXTUAL_PRESS": "q,enter", "TEXTUAL_DRIVER": "evil:Driver", "TEXTUAL": "devtools",
        "TEXTUAL_LOG": str(tmp_path / "log"), "TEXTUAL_SCREENSHOT": "1", "TEXTUAL_FPS": "30",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", ENTERED],
        env={**os.environ, **steering}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == (
        '{"left": ["TEXTUAL_FPS"], "press": "", "driver": null, "log": null, "fps": 30}'
    )
    assert not list(tmp_path.iterdir())


def test_scrub_leaves_everything_else_alone() -> None:
    env = {"TEXTUAL_PRESS": "q", "TEXTUALIZE": "x", "HOME": "/h", "TEXTUAL_ANIMATIONS": "none"}
    scrub(env)
    assert env == {"HOME": "/h", "TEXTUAL_ANIMATIONS": "none"}


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_draw_is_told_what_to_use(term: str) -> None:
    code = "import sys; from console.tui.app import run_app; sys.exit(run_app(None))"
    env = {name: value for name, value in os.environ.items() if name != "TERM"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env | ({"TERM": term} if term else {}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "watchfloor watch --plain" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_crash_without_room_for_a_file_is_told_whole() -> None:
    full = "import tempfile; tempfile.tempdir = '/nonexistent'\n"
    env = {**os.environ, "TERM": "xterm-256color"}
    with Terminal([sys.executable, "-c", full + CRASHING], env) as terminal:
        status, shown = terminal.rest()
    assert status == 70
    assert "no file can be written" in shown
    assert "RuntimeError: the engine is broken" in shown
    assert "hunter2-passphrase" not in shown
    assert re.search(r"\\x1b\[\?1049l", repr(shown)), "the terminal is as it was"


def test_two_crashes_never_share_a_file() -> None:
    first, second = keep("a"), keep("b")
    try:
        assert first != second
        assert Path(first).read_text("utf-8") == "a"
    finally:
        os.unlink(first)
        os.unlink(second)


def test_no_colours_means_none() -> None:
    code = (
        "import sys; from console.tui.app import run_app;"
        "from tests.support.still_engine import StillEngine, view, gpu;"
        "from console.model.host import HostState;"
        "sys.exit(run_app(lambda ask: StillEngine(view('a', gpus=(gpu(0, 99.0, lost='lost'),)),"
        "view('b', HostState.DOWN, reason='gone'))))"
    )
    env = {**os.environ, "NO_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with Terminal([sys.executable, "-c", code], env) as terminal:
        terminal.wait_for("gone")
        terminal.press("q")
        status, shown = terminal.rest()
    assert status == 0
    colours = set(re.findall(r"\x1b\[([0-9;]*)m", shown))
    numbers = {n for code in colours for n in code.split(";")}
    assert not numbers & {"31", "32", "33", "34", "35", "36", "38", "48", "41", "42", "43", "91"}
    assert numbers & {"7"}, "the bars are reversed"
