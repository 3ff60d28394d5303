"""The host `local` of the demo: the real probe, and nothing else, behind the demo's server."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.demo.run import Demo
from console.errors import ProbeError
from console.fleet.decode import decode
from console.model.host import Host
from console.ssh.transport import Start, Transports
from tests.support.sink import RecordingSink


@pytest.fixture
async def local() -> AsyncIterator[Host]:
    async with Demo(incident=False, workstation=False) as demo:
        yield next(host for host in demo.hosts if host.name == "local")


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").is_dir()


async def test_the_probe_of_this_machine_speaks_and_ends_with_its_channel(local: Host) -> None:
    sink = RecordingSink()
    transports = Transports({})
    link = await transports.open(local, sink)
    try:
        frames = [decode(line).frame for line in await sink.lines(3)]
        assert not sink.ends
        assert frames[0].k == 1
        hello = frames[0].hello
        assert hello is not None
        assert hello.uid == os.geteuid()
        assert hello.tier == 0
        pid = hello.pid
        assert runs(pid)
        before = len(sink.received)
        link.send("focus on")
        await sink.until(before + 10_000)
        assert any(
            "procs" in decode(line).frame.t for line in bytes(sink.received).split(b"\n")[:-1]
        )
    finally:
        await link.close()
        await transports.close()
    deadline = time.monotonic() + 10
    while runs(pid):
        assert time.monotonic() < deadline, "the probe ends with its channel"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("command", ["id", "exec python3 -c 'print(1)'", ""])
async def test_no_other_command_is_run(local: Host, command: str) -> None:
    sink = RecordingSink()
    transports = Transports({}, starter=lambda _: Start(command))
    link = await transports.open(local, sink)
    error = await sink.end()
    await link.close()
    await transports.close()
    assert isinstance(error, ProbeError)
    assert "only the probe may be run here" in str(error)
    assert not sink.received
