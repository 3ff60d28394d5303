"""Record the real demo, kill the console, and replay what it left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.recordings import INCIDENT
from tests.support.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = (sys.executable, "-m", "console")


def console(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CONSOLE, *words], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60,
        env={**os.environ, **more},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["r.jsonl", "r.gz"])
def test_a_killed_console_loses_its_last_seconds_only(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    argv = [*CONSOLE, "demo", "--plain", "--speed", "10", "--record", str(path)]
    child = subprocess.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert child.stdout is not None
    seen = ""
    for line in child.stdout:  # until the end of the incident
        seen += line
        if "[host-gone]" in line:
            break
    deadline = time.monotonic() + 30
    size = path.stat().st_size
    while path.stat().st_size == size:  # the tick that holds it
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    done = console("replay", str(path), "--plain")
    assert done.returncode == 1
    assert "the recording ends before its time: it was cut off" in done.stderr
    for told in ("Xid 79", "login of svc-deploy", "NEW-KEY", "new listener tcp/0.0.0.0:4444"):
        assert told in seen, told
        assert told in done.stdout, told


def test_lines_of_a_recording() -> None:
    whole = console("replay", str(INCIDENT), "--plain")
    assert whole.returncode == 0, whole.stderr
    assert whole.stderr == ""
    assert whole.stdout.splitlines()[-1].startswith("7 hosts: 5 LIVE, 1 DOWN, 1 NEW-KEY")
    late = console("replay", str(INCIDENT), "--at", "90%")
    assert "Xid 79" in whole.stdout
    assert "Xid 79" not in late.stdout
    assert set(late.stdout.splitlines()[:-1]) <= set(whole.stdout.splitlines())
    told = console("replay", str(INCIDENT), "--json").stdout
    objects = [json.loads(line) for line in told.splitlines()]
    assert {one["type"] for one in objects} == {"event", "host"}
    assert {one["state"] for one in objects if one["type"] == "host"} >= {"LIVE", "DOWN", "STALE"}


def test_a_recording_that_was_cut_off_is_told_by_the_screens_too(tmp_path: Path) -> None:
    packed = INCIDENT.read_bytes()
    for name, data, status in (
        ("whole.gz", packed, 0),
        ("cut.gz", packed[: len(packed) // 2], 1),
    ):
        (tmp_path / name).write_bytes(data)
        env = {**os.environ, "TERM": "xterm-256color", "HOME": str(tmp_path)}
        with Terminal([*CONSOLE, "replay", str(tmp_path / name)], env) as terminal:
            terminal.wait_for("REPLAY")
            terminal.press("q")
            code, shown = terminal.rest()
        assert code == status, shown[-400:]
        assert ("ends before its time: it was cut off" in shown) == bool(status)


def test_what_is_wrong_is_said_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "new").write_text('{"watchfloor":"recording","version":9}\n')
    for argv, code, words in (
        (("replay", str(tmp_path / "none")), 1, "No such file"),
        (("replay", __file__), 1, "not a recording of Watchfloor"),
        (("replay", str(tmp_path / "new")), 1, "version 9, this console reads version 1"),
        (("replay", str(INCIDENT), "--at", "noon"), 2, "is no moment"),
        (("replay", str(INCIDENT), "--at", "9:00"), 2, "is outside the recording"),
        (("replay", str(INCIDENT), "--speed", "0"), 2, "between 0.1 and 100"),
        (("replay", str(INCIDENT), "--speed", "x"), 2, "between 0.1 and 100"),
        (("wall", "--every", "x"), 2, "between 2 and 3600"),
        (("watch", "--seconds", "x"), 2, "above 0"),
        (("demo", "--speed", "x"), 2, "between 0.1 and 20"),
        (("watch", "--seconds", "1", "--record", str(INCIDENT)), 2, "never replaces one"),
        (("--record", str(tmp_path / "x"), "status"), 2, "--record goes with"),
    ):
        config = tmp_path / "empty.toml"
        config.write_text("")
        done = console("--config", str(config), *argv)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()
    full = console("replay", str(INCIDENT), TMPDIR="/proc")
    assert full.returncode in (0, 1)
    assert "Traceback" not in full.stderr
