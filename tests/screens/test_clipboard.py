"""The clipboard: the right program, an honest word, and never a screen that waits."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from console.tui.takeaway import clipboard
from console.tui.takeaway.clipboard import MOST_BYTES, OSC52_BYTES, copy, tools

ALL = ("wl-copy", "xclip", "xsel", "pbcopy", "tmux")


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def everything(tmp_path: Path) -> dict[str, str]:
    """A PATH on which every program is, keeping what it is given."""
    for name in ALL:
        program(tmp_path, name, f'echo "$0 $*" > {tmp_path}/argv\ncat > {tmp_path}/taken')
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "folder": str(tmp_path)}


@pytest.mark.parametrize(
    ("env", "platform", "wanted"),
    [
        ({"WAYLAND_DISPLAY": "w"}, "linux", ["wl-copy"]),
        ({"DISPLAY": ":0"}, "linux", ["xclip", "xsel"]),
        ({"WAYLAND_DISPLAY": "w", "DISPLAY": ":0"}, "linux", ["wl-copy", "xclip", "xsel"]),
        ({"WAYLAND_DISPLAY": "w", "SSH_TTY": "t", "DISPLAY": ":10"}, "linux", ["xclip", "xsel"]),
        ({}, "darwin", ["pbcopy"]),
        ({"SSH_CONNECTION": "c"}, "darwin", []),
        ({"TMUX": "t"}, "linux", ["tmux"]),
        ({}, "linux", []),
    ],
)
def test_which_program_is_asked(
    everything: dict[str, str], env: dict[str, str], platform: str, wanted: list[str]
) -> None:
    assert [tool.name for tool in tools({**everything, **env}, platform)] == wanted


def test_a_program_that_is_not_there_or_found_by_a_relative_path_is_not_asked(
    everything: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tools({"DISPLAY": ":0", "PATH": "/nowhere"}) == []
    monkeypatch.chdir(everything["folder"])
    assert tools({"DISPLAY": ":0", "PATH": "."}) == []


async def test_a_program_gets_the_text_and_is_named(everything: dict[str, str]) -> None:
    done = await copy("gpu01; rm -rf $(x)\u00e9", {**everything, "DISPLAY": ":0"})
    assert done == ("copied by xclip", "ok", False)
    folder = Path(everything["folder"])
    assert (folder / "taken").read_text() == "gpu01; rm -rf $(x)\u00e9"
    assert (folder / "argv").read_text().split()[1:] == ["-selection", "clipboard"]


async def test_one_that_fails_makes_way_for_the_next(everything: dict[str, str]) -> None:
    program(Path(everything["folder"]), "xclip", "exit 1")
    assert (await copy("x", {**everything, "DISPLAY": ":0"})).words == "copied by xsel"
    program(Path(everything["folder"]), "xsel", "exec false")
    done = await copy("x", {**everything, "DISPLAY": ":0"})
    assert done.terminal
    assert "OSC 52" in done.words
    assert "cannot be seen" in done.words


async def test_one_that_hangs_is_ended_and_the_loop_goes_on(
    everything: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipboard, "WAIT_S", 0.2)
    folder = Path(everything["folder"])
    program(folder, "xclip", f"echo $$ > {folder}/pid\nexec sleep 600")
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    done = await copy("x" * 500_000, {**everything, "DISPLAY": ":0"})
    counting.cancel()
    assert done.words == "copied by xsel"
    assert turns > 10
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)


async def test_one_that_stays_behind_to_serve_does_not_hold_us(everything: dict[str, str]) -> None:
    folder = Path(everything["folder"])
    program(folder, "xclip", f"cat > {folder}/taken\nsleep 30 & echo $! > {folder}/pid")
    done = await copy("x", {**everything, "DISPLAY": ":0"})
    assert done.words == "copied by xclip"
    os.kill(int((folder / "pid").read_text()), 9)


async def test_what_is_too_much_is_refused_in_words() -> None:
    assert not (await copy("x" * (OSC52_BYTES + 1), {})).terminal
    assert "74,994" in (await copy("x" * (OSC52_BYTES + 1), {})).words
    assert (await copy("x" * OSC52_BYTES, {})).terminal
    assert "not copied" in (await copy("x" * (MOST_BYTES + 1), {"DISPLAY": ":0"})).words


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
async def test_a_real_tmux_holds_it(tmp_path: Path) -> None:
    def tmux(*words: str) -> str:
        line = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null", *words]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout

    tmux("new-session", "-d", "-x", "80", "-y", "24", "sleep 600")
    try:
        socket = f"{tmp_path}/socket,{tmux('display', '-p', '#{pid}').strip()},0"
        done = await copy("gpu01 in tmux", {"PATH": os.environ["PATH"], "TMUX": socket})
        if done.terminal:
            pytest.skip("this tmux has no load-buffer -w")
        assert "tmux's buffer" in done.words
        assert tmux("show-buffer") == "gpu01 in tmux"
    finally:
        tmux("kill-server")
