"""Three real hosts, one for each tier, set up the way the README says."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lab import LabHost, LabUnavailable

ROOT = Path(__file__).resolve().parents[2]


class Fleet:
    """The three hosts, the monitoring key, and the inventory that names them."""

    def __init__(self, hosts: list[LabHost], key: Path, folder: Path) -> None:
        self.hosts = hosts
        self.key = key
        self.folder = folder
        self.config = folder / "fleet.toml"

    def write_config(self) -> None:
        """Write the inventory with the host keys as they are now."""
        lines = ["workstation = false", f'state_dir = "{self.folder}/state"', ""]
        for tier, host in enumerate(self.hosts):
            lines += [
                "[[hosts]]",
                f'name = "{host.name}"',
                f'address = "{host.address}"',
                'user = "wfmon"',
                f'key = "{self.key}"',
                f'host_key = "{host.host_key_line}"',
                f"tier = {tier}",
                "",
            ]
        self.config.write_text("\n".join(lines), encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """An environment in which nothing of this user is read or written."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
        }

    def watchfloor(self, *argv: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the command the way a person would."""
        return subprocess.run(
            [sys.executable, "-m", "console", *argv],
            cwd=self.folder,
            env=self.environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def enroll(self, host: LabHost, tier: int) -> None:
        """Print the script for ``host`` and run it there, as an administrator would."""
        argv = ("enroll", host.name, "--print", "--tier", str(tier), "--key", f"{self.key}.pub")
        printed = self.watchfloor(*argv)
        assert printed.returncode == 0, printed.stderr
        done = host.run("sh", "-s", stdin=printed.stdout, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Hosts lab1 (tier 0), lab2 (tier 1) and lab3 (tier 2), booted and enrolled."""
    folder = tmp_path_factory.mktemp("lab")
    key = folder / "wfmon"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key)]
    with contextlib.ExitStack() as stack:
        try:
            hosts = [stack.enter_context(LabHost(number)) for number in (1, 2, 3)]
        except LabUnavailable as why:
            pytest.skip(f"no lab hosts: {why}")
        subprocess.run(argv, check=True)
        fleet = Fleet(hosts, key, folder)
        fleet.write_config()
        hosts[0].add_account("wfmon", (folder / "wfmon.pub").read_text().strip())
        fleet.enroll(hosts[1], 1)
        fleet.enroll(hosts[2], 2)
        yield fleet
