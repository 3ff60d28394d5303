"""Hosts that are logged in to and then flood the SSH layer itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32

from console.errors import ProtocolError
from console.model.host import Host
from console.ssh import guard
from console.ssh.connect import Timing
from console.ssh.transport import Start, Transports
from tests.support.sink import RecordingSink
from tests.support.sshd import make_key, need_openssh

SIZE = 1 << 20
IGNORE, DEBUG, GLOBAL_REQUEST, CHANNEL_OPEN = 2, 4, 80, 90


class Session(asyncssh.SSHServerSession[bytes]):
    """A probe that writes a megabyte and stays."""

    def __init__(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connection = connection

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def exec_requested(self, command: str) -> bool:
        return True

    def session_started(self) -> None:
        self._channel.write(b"".join(b"%07d\n" % number for number in range(SIZE // 8)))


class Server(asyncssh.SSHServer):
    """Lets anybody in, and keeps its connections for the test."""

    def __init__(self, made: list[asyncssh.SSHServerConnection]) -> None:
        self._made = made

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._made.append(conn)

    def begin_auth(self, username: str) -> bool:
        return False

    def session_requested(self) -> Session:
        return Session(self._connection)


Opened = tuple[asyncssh.SSHServerConnection, RecordingSink]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Opened]:
    """A link to a server of this process: the server's connection and the link's sink."""
    need_openssh()
    user = make_key(folder / "user")
    key = asyncssh.generate_private_key("ssh-ed25519")
    made: list[asyncssh.SSHServerConnection] = []
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: Server(made),
        server_host_keys=[key],
        encoding=None,
    )
    host = Host(
        name="gpu01",
        address="127.0.0.1",
        port=server.get_port(),
        key=str(user.path),
        host_key=(key.export_public_key().decode().strip(),),
    )
    links = Transports({}, timing=Timing(close=1), starter=lambda host: Start("probe"))
    sink = RecordingSink()
    link = await links.open(host, sink)
    try:
        yield made[0], sink
    finally:
        await link.close()
        await links.close()
        for connection in made:
            connection.abort()
        server.close()
        await server.wait_closed()


def ignore(connection: asyncssh.SSHServerConnection) -> None:
    connection.send_packet(IGNORE, String(b""))


def debug(connection: asyncssh.SSHServerConnection) -> None:
    connection.send_packet(DEBUG, Boolean(False), String(b"x" * 30_000), String(b""))


def request(connection: asyncssh.SSHServerConnection) -> None:
    connection.send_packet(GLOBAL_REQUEST, String(b"keepalive@openssh.com"), Boolean(True))


def channel(connection: asyncssh.SSHServerConnection) -> None:
    words = [UInt32(number) for number in (7, 1 << 20, 1 << 15)]
    connection.send_packet(CHANNEL_OPEN, String(b"session"), *words)


Send = Callable[[asyncssh.SSHServerConnection], None]


async def flood(connection: asyncssh.SSHServerConnection, send: Send, *, reads: bool) -> None:
    """Send until the other side has gone."""
    transport = connection._transport
    assert transport is not None
    if not reads:
        transport.pause_reading()
    while not transport.is_closing():
        for _ in range(50):
            send(connection)
        await asyncio.sleep(0)
        while transport.get_write_buffer_size() > SIZE and not transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def dropped(connection: asyncssh.SSHServerConnection, sink: RecordingSink, send: Send) -> str:
    """Flood until the link has ended; why it did."""
    reads = send in (ignore, debug)
    task = asyncio.create_task(flood(connection, send, reads=reads))
    try:
        error = await sink.end()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert type(error) is ProtocolError
    assert "gpu01" in str(error)
    return error.message


@pytest.mark.parametrize("send", [ignore, debug])
async def test_a_flood_below_the_channels_ends_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, send: Send
) -> None:
    monkeypatch.setattr(guard, "GIVE_UP_S", 0.3)
    async with opened(tmp_path) as (connection, sink):
        await sink.until(SIZE)
        monkeypatch.setattr(guard, "BURST_S", 2.0)
        assert "than a probe ever does" in await dropped(connection, sink, send)


async def test_a_key_exchange_is_charged_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "GIVE_UP_S", 0.3)
    async with opened(tmp_path) as (connection, sink):
        await sink.until(SIZE)
        monkeypatch.setattr(guard, "CPU_SHARE", 1e9)  # nothing else costs anything here
        monkeypatch.setattr(guard, "BYTES_A_SECOND", 1e12)
        monkeypatch.setattr(guard, "KEY_EXCHANGE_S", 1e12)
        connection._send_kexinit()
        connection._kexinit_sent = True
        assert "than a probe ever does" in await dropped(connection, sink, ignore)


@pytest.mark.parametrize("send", [request, channel])
async def test_answers_that_the_host_does_not_read_end_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, send: Send
) -> None:
    async with opened(tmp_path) as (connection, sink):
        await sink.until(SIZE)
        monkeypatch.setattr(guard, "CPU_SHARE", 1e9)  # only memory is looked at here
        monkeypatch.setattr(guard, "BYTES_A_SECOND", 1e12)
        assert "does not read the answers" in await dropped(connection, sink, send)


async def test_answers_held_up_by_a_key_exchange_end_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host begins a key exchange and never goes on with it: answers wait for its end."""
    async with opened(tmp_path) as (connection, sink):
        await sink.until(SIZE)
        monkeypatch.setattr(guard, "CPU_SHARE", 1e9)
        connection._send_kexinit()
        connection._kex_complete = True  # so that the server goes on sending
        connection._recv_handler = lambda: False
        connection._rekey_bytes = 1 << 60
        assert "does not read the answers" in await dropped(connection, sink, request)


async def test_what_is_held_comes_later_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BURST_S", 0.001)
    monkeypatch.setattr(guard, "BYTES_A_SECOND", 1 << 30)
    monkeypatch.setattr(guard, "CPU_SHARE", 0.5)
    monkeypatch.setattr(guard, "WAIT_S", 0.001)
    async with opened(tmp_path) as (_, sink):
        data = await sink.until(SIZE)
        assert not sink.ends
    assert data == b"".join(b"%07d\n" % number for number in range(SIZE // 8))
