"""``enroll --as`` over a real sshd: what hangs, what is broken off, what a host sends back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.enroll import exchange, remote
from console.errors import ConnectError
from tests.support.sshd import Sshd, make_key
from tests.support.watchfloor import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a script runs as root")

_RUN = """
import sys
from pathlib import Path
from console.enroll import remote
to, config, keys, undo, script = sys.argv[1:]
remote._KEYS = keys
remote.undo_sshd = lambda: undo
try:
    remote.enrol(to, "gpu01", script, [], changes=True, config=Path(config))
except KeyboardInterrupt:
    sys.exit(130)
except remote.ConnectError as error:
    print(error.message, flush=True)
    sys.exit(1)
"""


class Desk:
    """One host that an administrator logs in to, whose logins a script can take away."""

    def __init__(self, folder: Path) -> None:
        key = make_key(folder / "admin")
        self.sshd = Sshd(folder / "sshd", authorized=[key.public])
        self.folder = folder
        self.config = folder / "ssh_config"
        self.key = key
        self.logins = folder / "sshd/authorized_keys"
        self.lock_out = f"mv {self.logins} {self.logins}.away\n"
        self.undo = f"mv {self.logins}.away {self.logins} && echo undone\n"
        self.keys = f"cat {folder}/sshd/host_key.pub"
        self.mark = folder / "pid"
        self.hang = f"echo $$ >{self.mark}\necho hangs\nsleep 1000\n"

    @property
    def to(self) -> str:
        return f"{self.sshd.user}@127.0.0.1"

    def write(self) -> None:
        known = self.folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{self.sshd.port} {self.sshd.host_keys[0].public}\n")
        self.config.write_text(
            f"Host *\n  Port {self.sshd.port}\n  BatchMode yes\n  IdentityFile {self.key.path}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n"
        )

    def enrol(self, script: str, *, changes: bool = True) -> int:
        return remote.enrol(self.to, "gpu01", script, [], changes=changes, config=self.config)

    def gone(self) -> bool:
        """The script does not run any more."""
        return not Path(f"/proc/{self.mark.read_text().strip()}").exists()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(tmp_path)
    monkeypatch.setattr(remote, "_KEYS", made.keys)
    monkeypatch.setattr(remote, "undo_sshd", lambda: made.undo)
    with made.sshd:
        made.write()
        yield made


def test_a_script_that_hangs_is_ended_and_logins_are_tried(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remote, "SCRIPT_S", 1.0)
    taken_back = desk.folder / "taken_back"
    with pytest.raises(ConnectError, match="did not end in 1 s and was broken off"):
        desk.enrol(f"trap 'touch {taken_back}; exit 1' HUP INT TERM\n{desk.hang}")
    assert desk.gone()
    assert taken_back.exists(), "its own trap has run"
    assert "gpu01| hangs" in capsys.readouterr().out
    assert desk.sshd.log.count("Accepted publickey") == 3  # the first, and two that tried


def test_a_script_that_hangs_after_it_locked_us_out_is_undone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remote, "SCRIPT_S", 1.0)
    with pytest.raises(ConnectError, match="was put back, and logins work"):
        desk.enrol(desk.lock_out + desk.hang)
    assert "gpu01| undone" in capsys.readouterr().out
    assert desk.gone()


def test_what_cannot_be_put_back_is_said(desk: Desk) -> None:
    desk.undo = "exit 3\n"
    with pytest.raises(ConnectError, match="COULD NOT BE PUT BACK, AND IT STILL CANNOT") as caught:
        desk.enrol(desk.lock_out)
    assert "Do not close sessions" in (caught.value.hint or "")


@pytest.mark.parametrize("locks_out", [True, False])
def test_ctrl_c_ends_the_script_and_leaves_a_way_in(desk: Desk, locks_out: bool) -> None:
    """A terminal sends it to every process of ours, so that ssh must not end by it."""
    script = (desk.lock_out if locks_out else "") + desk.hang
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, desk.to, str(desk.config), desk.keys, desk.undo, script],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, process_group=0,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "gpu01| hangs\n"
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert "ending the script, then trying a new login" in err
    assert desk.gone()
    assert desk.logins.exists()
    if locks_out:
        assert (process.returncode, "was put back, and logins work" in out) == (1, True), out
    else:
        assert (process.returncode, out) == (130, "")


def test_what_a_host_prints_is_marked_and_cannot_steer_the_terminal(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    script = r"""printf '\033]52;c;ZXZpbA==\007owned\033[2J\r\n\tpinned here: host id\nno end'
printf '\033[31mred\n' >&2
"""
    assert desk.enrol(script, changes=False) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "gpu01| �]52;c;ZXZpbA==�owned�[2J", "gpu01|     pinned here: host id", "gpu01| no end",
    ]  # fmt: skip
    assert told.err == "gpu01| �[31mred\n"


def test_a_host_that_never_stops_talking_fills_no_memory(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.enrol("head -c 8000000 /dev/zero | tr '\\000' x\n", changes=False) == 0
    out = capsys.readouterr().out
    assert len(out) < 2 * exchange.MAX_SHOWN
    assert max(map(len, out.splitlines())) <= exchange.MAX_LINE + len("gpu01| ")
    assert out.endswith("gpu01| [more than 1 MiB came; the rest is not shown]\n")
    monkeypatch.setattr(remote, "_KEYS", "cat /dev/zero")
    with pytest.raises(ConnectError, match="answered with more than 64 KiB"):
        desk.enrol("touch /nothing\n")


def test_a_command_is_ended_however_it_reads_and_writes() -> None:
    out, err = exchange.Kept(), exchange.Kept()
    big = b"x" * 2_000_000
    assert remote.exchange(["/bin/true"], big, 20, out.take, err.take) == 0
    big_back = exchange.Kept(3_000_000)
    assert remote.exchange(["/bin/cat"], big, 20, big_back.take, err.take) == 0
    assert big_back.text == big.decode()
    began = time.monotonic()
    with pytest.raises(exchange.TooMuch):
        remote.exchange(["/bin/cat", "/dev/zero"], b"", 20, out.take, err.take)
    with pytest.raises(TimeoutError):
        remote.exchange(["/bin/sleep", "100"], b"", 0.1, out.take, err.take)
    assert time.monotonic() - began < 10
