"""Hosts that misbehave on the wire: silent, frozen, flooding, speaking something else."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from console.errors import ConnectError, LinkError, ProtocolError
from console.model.host import Host
from console.ssh.channel import NARRATION_LIMIT, WINDOW
from console.ssh.connect import Timing
from console.ssh.transport import Start, Transports
from tests.support.sink import RecordingSink
from tests.support.sshd import KeyPair, Sshd, free_port

SHORT = Timing(connect=3, login=2, command=5, close=1)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def tcp_server(serve: Serve) -> AsyncIterator[int]:
    """A bare TCP server on loopback; its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()
        await server.wait_closed()


def strange_host(user: KeyPair, port: int, kind: str) -> Host:
    return Host(
        name="gpu01",
        address="127.0.0.1",
        port=port,
        key=str(user.path),
        host_key=(user.public,),
        transport=kind,
    )


async def failure(host: Host, timing: Timing = SHORT) -> LinkError:
    """The error with which opening a link to ``host`` must end, soon."""
    made = Transports({host.name: host}, timing=timing, starter=lambda host: Start("cat"))
    sink = RecordingSink()
    async with asyncio.timeout(timing.connect + 5):
        with pytest.raises(LinkError) as caught:
            await made.open(host, sink)
    await made.close()
    assert not sink.ends
    return caught.value


async def test_a_closed_port(user: KeyPair, kind: str) -> None:
    error = await failure(strange_host(user, free_port(), kind))
    assert type(error) is ConnectError
    assert "nothing listens there" in error.message


async def test_a_name_that_does_not_exist(user: KeyPair, kind: str) -> None:
    host = Host(
        name="gpu01",
        address="no-such-host.invalid",
        key=str(user.path),
        host_key=(user.public,),
        transport=kind,
    )
    error = await failure(host, Timing(connect=15, login=15))
    assert type(error) is ConnectError
    assert "cannot be resolved" in error.message


async def test_a_server_that_never_speaks(user: KeyPair, kind: str) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with tcp_server(silent) as port:
        error = await failure(strange_host(user, port, kind))
    assert type(error) is ConnectError
    assert "timed out" in error.message


async def test_a_server_that_hangs_up(user: KeyPair, kind: str) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()

    async with tcp_server(rude) as port:
        error = await failure(strange_host(user, port, kind))
    assert type(error) is ConnectError


@pytest.mark.parametrize(
    "said",
    [
        b"\x1b]52;c;ZXZpbA==\x07\x1b[2J HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-1.5-\x1b[31mold\r\n",
        b"SSH-2.0-\xff\xfe\x1b]0;x\x07\r\n" + b"\x00" * 4_096,
        b"x" * 100_000,
        b"noise\n" * 50_000,
        b"SSH-2.0-x\r\n" + b"\xff" * 4_096,
        b"SSH-2.0-" + b"y" * 10_000 + b"\r\n",
    ],
    ids=["http", "version 1", "escapes", "endless line", "endless lines", "packets", "long"],
)
async def test_a_server_that_speaks_something_else(user: KeyPair, kind: str, said: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        await reader.read()

    async with tcp_server(babble) as port:
        error = await failure(strange_host(user, port, kind))
    assert type(error) is ConnectError
    text = str(error)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert len(text) < 700


async def test_escape_sequences_in_a_banner_reach_nobody(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    banner = tmp_path / "banner"
    banner.write_bytes(b"\x1b]52;c;ZXZpbA==\x07Welcome\x1b[2J\n")
    with Sshd(tmp_path / "a", authorized=[user.public], extra=[f"Banner {banner}"]) as server:
        host = server.host("gpu01", key=str(user.path), transport=kind)
        made = Transports({}, timing=Timing(), starter=lambda host: Start("echo hello; cat"))
        sink = RecordingSink()
        link = await made.open(host, sink)
        assert await sink.lines(1) == [b"hello"]
        shown = "".join(sink.said) + link.facts.server
        assert "\x1b" not in shown
        assert "\x07" not in shown
        await link.close()
        await made.close()


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("count", [1, 4])
async def test_a_flood_is_held_back_while_paused(
    user: KeyPair, tmp_path: Path, kind: str, count: int
) -> None:
    """A paused host may write for ever: it is stopped by its window and we hold no more."""
    written = tmp_path / "written"
    flood = Start(
        "i=0; while :; do dd if=/dev/zero bs=65536 count=16 2>/dev/null || exit 1; "
        f"i=$((i+1)); echo $i > {written}; done"
    )
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        made = Transports({}, timing=Timing(close=1), starter=lambda host: flood)
        host = server.host("gpu01", key=str(user.path), transport=kind)
        sinks = [RecordingSink() for _ in range(count)]
        before = peak_mib()
        for sink in sinks:
            sink.link = await made.open(host, sink)
            sink.pause_after = 1
        for sink in sinks:
            await sink.until(1)
        sizes = await settled(sinks)
        for sink in sinks:
            assert sink.link is not None
            sink.pause_after = 0
            sink.link.resume()
        for sink, size in zip(sinks, sizes, strict=True):  # it goes on where it was held
            await sink.until(size + 4 * WINDOW)
            assert sink.link is not None
            await sink.link.close()
        await made.close()
    assert all(size <= 2 * WINDOW for size in sizes)
    assert peak_mib() - before < 30 + count * 16 * WINDOW / 1024**2


async def test_a_flood_of_standard_error_ends_the_link(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    flood = Start("exec dd if=/dev/zero of=/dev/stderr bs=65536")
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        made = Transports({}, timing=Timing(close=1), starter=lambda host: flood)
        sink = RecordingSink()
        link = await made.open(server.host("gpu01", key=str(user.path), transport=kind), sink)
        error = await sink.end()
        await link.close()
        await made.close()
    assert isinstance(error, ProtocolError)
    assert sink.ends == [error]
    assert sum(map(len, sink.said)) <= NARRATION_LIMIT


async def settled(sinks: list[RecordingSink]) -> list[int]:
    """Sizes received, once nothing more has come for twenty looks at the loop."""
    sizes: list[int] = []
    same = 0
    async with asyncio.timeout(20):
        while same < 20:
            await asyncio.sleep(0.02)
            now = [len(sink.received) for sink in sinks]
            same = same + 1 if now == sizes else 0
            sizes = now
    return sizes


async def test_a_frozen_host_is_noticed(user: KeyPair, tmp_path: Path, kind: str) -> None:
    timing = Timing(keepalive=1, keepalive_count=2, close=1)
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        host = server.host("gpu01", key=str(user.path), transport=kind)
        made = Transports({}, timing=timing, starter=lambda host: Start("echo hello; cat"))
        sink = RecordingSink()
        link = await made.open(host, sink)
        assert await sink.lines(1) == [b"hello"]
        server.signal(signal.SIGSTOP)
        error = await sink.end(seconds=15)
        await link.close()
        await made.close()
    assert type(error) is ConnectError
    assert "keepalive" in str(error)
    assert sink.ends == [error]


async def test_closing_does_not_wait_for_a_frozen_host(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        host = server.host("gpu01", key=str(user.path), transport=kind)
        made = Transports({}, timing=Timing(), starter=lambda host: Start("echo hello; cat"))
        sink = RecordingSink()
        link = await made.open(host, sink)
        await sink.lines(1)
        server.signal(signal.SIGSTOP)
        for _ in range(2_000):
            link.send("resync " + "x" * 4_000)
        async with asyncio.timeout(2):
            await link.close()
        await made.close()
    assert sink.ends == [None]


async def test_giving_up_while_connecting_leaves_nothing_open(user: KeyPair, kind: str) -> None:
    arrived = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()

    before = len(os.listdir("/proc/self/fd"))
    async with tcp_server(silent) as port:
        host = strange_host(user, port, kind)
        made = Transports({}, timing=Timing(close=1), starter=lambda host: Start("cat"))
        sink = RecordingSink()
        opening = asyncio.create_task(made.open(host, sink))
        await arrived.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await made.close()
        assert not sink.ends
    gc.collect()
    for _ in range(250):
        if len(os.listdir("/proc/self/fd")) <= before:
            break
        await asyncio.sleep(0.02)
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_one_bad_host_does_not_slow_another(user: KeyPair, tmp_path: Path) -> None:
    """While one host floods and one is silent, a good host's echo comes back in time."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    def start(host: Host) -> Start:
        flood = "exec dd if=/dev/zero bs=65536 2>/dev/null"
        return Start(flood if host.name == "bad" else "exec cat")

    async with tcp_server(silent) as port:
        with Sshd(tmp_path / "a", authorized=[user.public]) as server:
            made = Transports({}, timing=Timing(close=1), starter=start)
            good, bad = RecordingSink(), RecordingSink()
            opening = asyncio.create_task(
                made.open(strange_host(user, port, "asyncssh"), RecordingSink())
            )
            flood = bad.link = await made.open(server.host("bad", key=str(user.path)), bad)
            bad.pause_after = 1
            link = await made.open(server.host("good", key=str(user.path)), good)
            for number in range(20):
                link.send(f"line {number}")
                assert len(await good.lines(number + 1, seconds=5)) == number + 1
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            await link.close()
            await flood.close()
            await made.close()


async def test_a_reset_is_a_lost_connection(user: KeyPair) -> None:
    """A listener that accepts and resets at once, as a full host does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        opening = asyncio.create_task(failure(strange_host(user, port, "asyncssh")))
        connection, _ = await asyncio.to_thread(listener.accept)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()
        error = await opening
    assert type(error) is ConnectError
