"""The hosts of ``bench_fleet``, in a process of their own: ``python -m benchmarks.fleet_hosts``.

A thousand hosts that look like real ones and cost little: frames are made once by the demo's
simulated probe (8 GPUs, 1,000 packages) and then sent again and again with another sequence number
and host id. Each host sends a fast frame each two seconds from a phase of its own, the slow frames
with every fifth one, and then one event stamped with the time at which it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import asyncssh
import msgspec

from console.demo.fleet import digest, fleet
from console.demo.frames import FrameWriter
from console.demo.simulate import SimState

PERIOD_S = 2.0
SLOW_EVERY = 5
PACKAGES = 1_000
IMAGES = 3
EVENT = "auth.failed"
_ID = b"0" * 32


class Script:
    """The lines of one kind of host, with holes for sequence number and host id."""

    def __init__(self, image: int) -> None:
        kind = next(host for host in fleet() if host.name == "h100-fra-1")
        state = SimState(kind, image, time.time)
        writer = FrameWriter(state)
        self._own = state.host_id.encode()
        self.key = [self._hole(with_packages(line, image)) for line in writer.keyframe()]
        self.fast: list[bytes] = []
        self.slow: list[bytes] = []
        for tick in range(1, 5):
            state.advance(10.0 * tick)
            self.fast += [self._hole(line) for line in writer.fast()]
            self.slow += [self._hole(line) for line in writer.slow()][:1]

    def _hole(self, line: bytes) -> bytes:
        """The line after its sequence number, with zeros where its host id was."""
        return line.split(b",", 2)[2].replace(self._own, _ID)


def with_packages(line: bytes, image: int) -> bytes:
    """``line`` with as many packages as a server has, where it holds that table."""
    frame = msgspec.json.decode(line)
    table = frame.get("t", {}).get("packages")
    if table is None:
        return line
    for number in range(PACKAGES - len(table["set"])):
        name = f"library{number}-{image}"
        table["set"].append([f"deb/{name}/amd64", "deb", name, f"1.{number}-1", "amd64"])
    table["n"] = len(table["set"])
    table["x"] = 0
    for row in table["set"]:
        table["x"] ^= crc32(row[0].encode())
    return msgspec.json.encode(frame) + b"\n"


class Voice:
    """What one host says, period after period."""

    def __init__(self, script: Script, number: int) -> None:
        self._script = script
        self._id = digest("host", number).encode()
        self._seq = 0
        self._tick = number

    def _line(self, rest: bytes) -> bytes:
        self._seq += 1
        return b'{"v":1,"seq":%d,' % self._seq + rest.replace(_ID, self._id)

    def first(self) -> bytes:
        """The keyframe."""
        return b"".join(map(self._line, self._script.key))

    def period(self) -> bytes:
        """What comes each two seconds."""
        self._tick += 1
        fast = self._script.fast[self._tick % len(self._script.fast)]
        out = self._line(fast)
        if self._tick % SLOW_EVERY == 0:
            out += self._line(self._script.slow[self._tick % len(self._script.slow)])
            told = b'{"v":1,"seq":0,"e":[{"kind":"%s","at":%.6f,"key":"root"}],' % (
                EVENT.encode(),
                time.time(),
            )
            out += self._line(told.split(b",", 2)[2] + fast[: fast.index(b',"f":')] + b"}\n")
        return out


@contextlib.contextmanager
def rhythm(
    voice: Voice, write: Callable[[bytes], None], over: Callable[[], bool]
) -> Iterator[None]:
    """Let ``voice`` speak until the end of the block."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None
    due = loop.time() + random.random() * PERIOD_S

    def speak() -> None:
        nonlocal timer, due
        if over():
            return
        write(voice.period())
        due += PERIOD_S
        timer = loop.call_at(due, speak)

    write(voice.first())
    timer = loop.call_at(due, speak)
    try:
        yield
    finally:
        timer.cancel()


class Sender(asyncssh.SSHServerSession[bytes]):
    """One SSH session: one host."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._speaking = contextlib.ExitStack()

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def exec_requested(self, command: str) -> bool:
        return True

    def shell_requested(self) -> bool:
        return True

    def session_started(self) -> None:
        assert self._channel is not None
        self._speaking.enter_context(
            rhythm(self._voice, self._channel.write, self._channel.is_closing)
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._speaking.close()


async def serve(folder: Path) -> None:
    """Serve SSH and plain TCP until standard input ends."""
    scripts = [Script(image) for image in range(IMAGES)]
    number = 0

    def voice() -> Voice:
        nonlocal number
        number += 1
        return Voice(scripts[number % IMAGES], number)

    class Login(asyncssh.SSHServer):
        def session_requested(self) -> Sender:
            return Sender(voice())

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with rhythm(voice(), writer.write, writer.is_closing), contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    ssh = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Login,
        encoding=None,
        backlog=512,
        server_host_keys=[str(folder / "host")],
        authorized_client_keys=str(folder / "user.pub"),
        encryption_algs=["aes128-gcm@openssh.com"],
    )
    tcp = await asyncio.start_server(plain, "127.0.0.1", 0, backlog=512)
    ports = {"ssh": ssh.get_port(), "tcp": tcp.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
