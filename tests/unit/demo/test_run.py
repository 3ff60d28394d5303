"""A demo starts, tells where its hosts are, and leaves nothing behind however it ends."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from console.config.loader import load
from console.demo.run import Demo, inventory_toml

CHILD = """
import sys, time
from console.demo.run import Demo
demo = Demo(local=False)
demo.start()
print(demo.pid, demo.folder, flush=True)
time.sleep(60)
"""


def until(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_demo_has_eight_hosts_and_a_private_folder_and_ends_clean() -> None:
    with Demo() as demo:
        assert len(demo.hosts) == 8
        assert {host.address for host in demo.hosts} == {"127.0.0.1"}
        assert len({host.port for host in demo.hosts}) == 8
        assert [host.tier for host in demo.hosts if host.name == "local"] == [0]
        assert stat.S_IMODE(demo.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(Path(demo.hosts[0].key).stat().st_mode) == 0o600
        assert demo.config().state_dir.is_relative_to(demo.folder)
        assert not demo.stages_begun()  # time stands still until a console has connected
        pid, folder = demo.pid, demo.folder
        assert alive(pid)
    assert not alive(pid)
    assert not folder.exists()


async def test_the_inventory_it_writes_says_the_same_hosts() -> None:
    async with Demo(local=False) as demo:
        text = (demo.folder / "hosts.toml").read_text(encoding="utf-8")
        assert text == inventory_toml(demo.hosts)
        read = load(only_file=demo.folder / "hosts.toml", env={}, cwd=demo.folder)
        assert read.hosts == demo.hosts


def test_a_kept_folder_stays() -> None:
    with Demo(local=False, keep=True) as demo:
        folder = demo.folder
    try:
        assert (folder / "hosts.toml").is_file()
    finally:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_console_that_is_killed_leaves_no_servers_and_no_folder(number: signal.Signals) -> None:
    console = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True, env=os.environ | ENV
    )
    try:
        assert console.stdout is not None
        pid, _, folder = console.stdout.readline().strip().partition(" ")
        assert alive(int(pid))
        assert Path(folder).is_dir()
        console.send_signal(number)
        console.wait(10)
        until(lambda: not alive(int(pid)), "the servers end by themselves")
        until(lambda: not Path(folder).exists(), "the folder is gone")
    finally:
        console.kill()
        console.wait()
        if console.stdout is not None:
            console.stdout.close()


ENV = {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
