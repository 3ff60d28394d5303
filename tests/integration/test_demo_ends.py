"""However a demo or a watch ends, nothing stays behind: no process, no folder, no traceback."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.demo.run import Demo, DemoError

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(120)

WATCHFLOOR = [sys.executable, "-m", "console"]


def until(condition: Callable[[], object], what: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def holding(folder: Path) -> list[str]:
    """Processes whose environment or arguments name ``folder``: the demo's own, all of them."""
    needle = str(folder).encode()
    out = []
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit() or int(proc.name) == os.getpid():
            continue
        try:
            text = (proc / "environ").read_bytes() + (proc / "cmdline").read_bytes()
        except OSError:
            continue
        if needle in text:
            out.append(f"{proc.name} {text[-200:]!r}")
    return out


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT), **more}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert holding(tmp_path) == []


def gone(folder: Path) -> bool:
    return not holding(folder) and not list(folder.glob("watchfloor-demo-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_plain_demo_that_is_stopped_leaves_nothing(folder: Path, number: signal.Signals) -> None:
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        demo = subprocess.Popen(
            [*WATCHFLOOR, "demo", "--plain"],
            cwd=ROOT, env=environment(folder), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        )  # fmt: skip
        try:
            until(lambda: (folder / "out").read_text().count(" LIVE ") >= 7, "seven are LIVE")
            assert len(holding(folder)) >= 3, "the console, its servers and the probe"
            demo.send_signal(number)
            status = demo.wait(20)
        finally:
            demo.kill()
            demo.wait()
    until(lambda: gone(folder), f"all is gone: {holding(folder)}", 20)
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    assert "Traceback" not in (folder / "err").read_text()


def heed_interrupts() -> None:
    """In a child: shells let what they start in the background ignore SIGINT, and all its own."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_screens_that_are_stopped_leave_nothing(folder: Path, number: signal.Signals) -> None:
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(
        [*WATCHFLOOR, "demo"],
        cwd=ROOT, env=environment(folder, TERM="xterm-256color"),
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    os.close(theirs)
    os.set_blocking(ours, False)
    shown = bytearray()

    def read() -> bytes:
        try:
            while chunk := os.read(ours, 65_536):
                shown.extend(chunk)
        except OSError:
            pass
        return bytes(shown)

    try:
        until(lambda: read().count(b"LIVE") >= 7, "the fleet is on the screen")
        demo.send_signal(number)

        def ended() -> bool:
            read()
            return demo.poll() is not None

        until(ended, "it ends", 20)
    finally:
        demo.kill()
        demo.wait()
        os.close(ours)
    until(lambda: gone(folder), f"all is gone: {holding(folder)}", 20)
    assert b"Traceback" not in shown
    if number != signal.SIGKILL:
        assert b"\x1b[?1049l" in shown, "the terminal is as it was before"


def run(folder: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WATCHFLOOR, *argv],
        cwd=ROOT, env=environment(folder, **more), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip


def test_a_home_that_cannot_be_written_does_not_matter(folder: Path) -> None:
    env = {"HOME": "/proc", "XDG_STATE_HOME": "/proc", "XDG_CONFIG_HOME": "/proc"}
    done = run(folder, "demo", "--plain", "--seconds", "10", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" LIVE ") >= 7
    assert "store." not in done.stdout


def test_a_temporary_folder_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nothing"))
    with pytest.raises(DemoError, match="temporary folder: No such file"):
        Demo().start()


def test_without_a_terminal_the_screens_say_what_to_do(folder: Path) -> None:
    done = run(folder, "demo")
    assert done.returncode == 2
    assert "--plain" in done.stderr
    assert not list(folder.glob("watchfloor-demo-*"))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The inventory of a running fleet, one of whose hosts accepts and never answers."""
    with Demo(count=4, bad=("mute",), local=False, incident=False) as demo:
        yield demo.folder / "hosts.toml"


def test_a_reader_that_leaves_ends_a_plain_demo_without_an_error(folder: Path) -> None:
    demo = subprocess.Popen(
        [*WATCHFLOOR, "demo", "--plain"], cwd=ROOT, env=environment(folder),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert demo.stdout is not None
    assert demo.stderr is not None
    assert demo.stdout.readline()
    demo.stdout.close()
    assert demo.wait(60) == 0
    last = demo.stderr.read().splitlines()[-1]
    assert last.startswith("    100 s"), "nothing after what there is to see"
    demo.stderr.close()
    until(lambda: gone(folder), "the demo's servers end")


@pytest.mark.parametrize("form", ["--json", "--plain"])
def test_a_reader_that_leaves_ends_a_watch_quietly(fleet: Path, folder: Path, form: str) -> None:
    watch = subprocess.Popen(
        [*WATCHFLOOR, "--config", str(fleet), "watch", form],
        cwd=ROOT, env=environment(folder, XDG_STATE_HOME=str(folder / "state")),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watch.stdout is not None
    assert watch.stderr is not None
    assert watch.stdout.readline()
    watch.stdout.close()
    assert watch.wait(30) == 1
    assert watch.stderr.read() == ""
    watch.stderr.close()


def test_a_host_that_never_answers_ends_a_status_within_its_timeout(
    fleet: Path, folder: Path
) -> None:
    began = time.monotonic()
    done = run(
        folder, "--config", str(fleet), "status", "--timeout", "5",
        XDG_STATE_HOME=str(folder / "state"),
    )  # fmt: skip
    took = time.monotonic() - began
    assert done.returncode == 1, done.stderr
    assert took < 5 + 10
    assert done.stdout.startswith("4 hosts: 1 CONNECTING, 3 LIVE;")
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("sim")] == [
        "LIVE", "LIVE", "LIVE", "CONNECTING",
    ]  # fmt: skip
