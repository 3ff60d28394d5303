"""Refused logins on real hosts: each tier that may read the journal tells of them at once."""

from __future__ import annotations

import subprocess

import pytest

from console.engine.protocol import Engine
from tests.lab.conftest import Fleet
from tests.lab.test_hosts import all_live, until, watching
from tests.support.lab import LabHost

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

SECONDS = 10.0


def refuse(host: LabHost, user: str) -> None:
    """Try to log in as somebody the host does not know; sshd logs that."""
    argv = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
    argv += ["-o", "UserKnownHostsFile=/dev/null", f"{user}@{host.address}", "true"]
    done = subprocess.run(argv, check=False, capture_output=True, timeout=60)
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr


async def told(engine: Engine, host: LabHost, user: str) -> None:
    """Wait until the console tells that ``user`` was refused on ``host``."""

    def is_told(_: object) -> bool:
        return any(
            (event.host, event.kind, event.key) == (host.name, "auth.failed", user)
            for event in engine.events()
        )

    await until(engine, host.name, is_told, SECONDS, f"auth.failed of {user}")


async def test_a_refused_login_is_an_event_within_seconds(fleet: Fleet) -> None:
    for host in fleet.hosts[:2]:
        host.run("usermod", "--append", "--groups", "systemd-journal", "wfmon")
    async with watching(fleet) as engine:
        await all_live(engine, fleet)
        for tier, host in enumerate(fleet.hosts):
            view = await until(engine, host.name, lambda v: v.hello, 10, "hello")
            assert "log.journal" not in view.denied
            refuse(host, f"stranger{tier}")
            await told(engine, host, f"stranger{tier}")
