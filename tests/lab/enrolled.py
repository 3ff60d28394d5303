"""One host, an administrator who enrols it, and whoever holds the console's key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.lab import LabHost
from tests.support.sshd import KeyPair, make_key

ROOT = Path(__file__).resolve().parents[2]


class Enrolled:
    """``host`` and the key ``key`` that its enrolment lets in."""

    def __init__(self, host: LabHost, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.key: KeyPair = make_key(folder / "wfmon")
        self.config = folder / "fleet.toml"

    def script(self, *argv: str) -> str:
        """What ``watchfloor enroll`` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "console", "enroll", self.host.name, "--print", *argv],
            check=True, capture_output=True, text=True, timeout=60, cwd=ROOT,
        )  # fmt: skip
        return done.stdout

    def install(self, tier: int = 2) -> str:
        """The script for this host and key."""
        return self.script("--tier", str(tier), "--key", f"{self.key.path}.pub")

    def run_script(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a script on the host as an administrator would: from a file."""
        self.host.run("tee", "/root/script", stdin=script)
        done = self.host.run("sh", "/root/script", check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def enroll(self, tier: int = 2) -> None:
        """Enrol the host, whatever it was before; its inventory is written anew."""
        self.run_script(self.install(tier))
        self.config.write_text(
            "\n".join(
                [
                    "workstation = false",
                    f'state_dir = "{self.folder}/state"',
                    "[[hosts]]",
                    f'name = "{self.host.name}"',
                    f'address = "{self.host.address}"',
                    'user = "wfmon"',
                    f'key = "{self.key.path}"',
                    f'host_key = "{self.host.host_key_line}"',
                    f"tier = {tier}",
                ]
            )
        )

    def ssh_options(self) -> list[str]:
        """Options of ssh, scp and sftp for the account of the console."""
        known = self.folder / "known_hosts"
        known.write_text(f"{self.host.address} {self.host.host_key_line}\n")
        options = [
            f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=/dev/null", "BatchMode=yes",
            "IdentitiesOnly=yes", f"IdentityFile={self.key.path}", "ConnectTimeout=10",
            "LogLevel=INFO",
        ]  # fmt: skip
        return ["-F", "/dev/null", *(word for option in options for word in ("-o", option))]

    def ssh(
        self, *argv: str, flags: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``ssh`` as the console's account with nothing on its input; ``flags`` come first."""
        return subprocess.run(
            ["ssh", *self.ssh_options(), *flags, f"wfmon@{self.host.address}", *argv],
            check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )  # fmt: skip

    def as_account(self, program: str, user: str = "wfmon") -> subprocess.CompletedProcess[str]:
        """Run Python source on the host as ``user``."""
        argv = ("runuser", "-u", user, "--", "python3", "-I", "-c", program)
        return self.host.run(*argv, check=False)

    def sensors(self) -> list[int]:
        """Pids, on the host, of the processes of the sensor's account."""
        done = self.host.run("pgrep", "-u", "wfsensor", "-f", "start.py", check=False)
        return [int(word) for word in done.stdout.split()]

    def first_frame(self) -> dict[str, Any]:
        """The first frame of a new session over SSH."""
        done = self.ssh()
        assert done.stdout, done.stderr
        frame: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
        return frame
