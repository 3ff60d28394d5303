"""The lab itself: what is left when a test run is killed, and where the lab cannot be had."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lab import LabHost, LabUnavailable, wait_until
from tests.support.labroot import cache_dir, mirrors

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
RUN = """\
import sys
from tests.support.lab import LabHost, LabUnavailable
try:
    with LabHost(7) as host:
        print(host.init_pid, flush=True)
        sys.stdin.read()
except LabUnavailable as why:
    print(why, flush=True)
"""


def runs(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_a_killed_run_leaves_nothing_and_the_next_one_starts_at_once() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", RUN],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert child.stdout is not None
    said = child.stdout.readline().strip()
    if not said.isdecimal():
        child.communicate(timeout=60)
        pytest.skip(f"no lab host: {said}")
    init = int(said)
    link = Path("/sys/class/net/wflab7a")
    assert runs(init)
    assert link.exists()
    child.kill()
    child.communicate(timeout=20)
    wait_until(lambda: not runs(init), 20, "the host has ended")
    wait_until(lambda: not link.exists(), 20, "its link is gone")
    assert "hosts/lab7" not in Path("/proc/mounts").read_text(encoding="utf-8")
    assert list((cache_dir() / "hosts/lab7").iterdir()) == []
    with LabHost(7) as host:
        assert host.answers()
    assert not link.exists()
    assert not list(Path("/sys/fs/cgroup").rglob("wflab7"))


def test_why_there_is_no_host_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LabUnavailable, match="need root"):
        LabHost(7).__enter__()
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LabUnavailable, match="not installed: debootstrap"):
        LabHost(7).__enter__()


def test_a_mirror_is_an_address_of_apt() -> None:
    assert all("://" in mirror and "security" not in mirror for mirror in mirrors())
