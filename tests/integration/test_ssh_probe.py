"""The real probe at tier 0 over a real sshd: loader, source on its input, verbs after it."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from console.errors import ProbeError
from console.model.frame import Frame
from console.model.host import Host
from console.ssh.connect import Timing
from console.ssh.payload import payload
from console.ssh.transport import Transports
from tests.support.sink import RecordingSink
from tests.support.sshd import KeyPair, Sshd

TIMING = Timing(close=1.5)


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def frames(sink: RecordingSink, count: int) -> list[Frame]:
    return [msgspec.json.decode(line, type=Frame) for line in await sink.lines(count)]


def here(server: Sshd, user: KeyPair, kind: str, **more: object) -> Host:
    """This machine, reached over SSH, with the interpreter that runs the tests."""
    values = {"python": sys.executable, **more}
    return server.host("here", key=str(user.path), transport=kind, **values)


async def test_the_probe_runs_without_a_file_on_the_host_and_hears_verbs(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        made = Transports({}, timing=TIMING)
        sink = RecordingSink()
        link = await made.open(here(server, user, kind), sink)
        first = (await frames(sink, 1))[0]
        assert (first.v, first.seq, first.k) == (1, 1, 1)
        assert first.hello is not None
        assert first.hello.sha256 == payload().sha256
        assert first.hello.tier == 0
        assert first.f is not None
        pid = first.hello.pid
        assert runs(pid)
        link.send("resync")
        count = 1
        while True:
            count += 1
            assert not sink.ends, sink.said
            frame = (await frames(sink, count))[-1]
            assert frame.seq == count
            if frame.k:
                break
        assert not sink.said, sink.said
        await link.close()
        await made.close()
        for _ in range(500):  # the end of its input ends it
            if not runs(pid):
                break
            await asyncio.sleep(0.02)
        assert not runs(pid)
    assert sink.ends == [None]


async def test_a_host_without_python_says_what_to_install(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        made = Transports({}, timing=TIMING)
        sink = RecordingSink()
        link = await made.open(here(server, user, kind, python="/nonexistent/python3"), sink)
        error = await sink.end()
        await link.close()
        await made.close()
    assert isinstance(error, ProbeError)
    assert "/nonexistent/python3" in str(error)
    assert "set `python`" in error.hint


async def test_a_host_that_is_not_enrolled_says_how_to_enrol_it(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        made = Transports({}, timing=TIMING)
        sink = RecordingSink()
        link = await made.open(here(server, user, kind, tier=2), sink)
        error = await sink.end()
        await link.close()
        await made.close()
    assert isinstance(error, ProbeError)
    assert "not enrolled" in str(error)
    assert "watchfloor enroll here --print --tier 2" in error.hint


async def test_an_interpreter_that_is_not_python_says_what_it_said(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\necho 'no such option' >&2\nexit 2\n")
    fake.chmod(0o755)
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        made = Transports({}, timing=TIMING)
        sink = RecordingSink()
        link = await made.open(here(server, user, kind, python=os.fspath(fake)), sink)
        error = await sink.end()
        await link.close()
        await made.close()
    assert isinstance(error, ProbeError)
    assert "status 2: no such option" in str(error)
