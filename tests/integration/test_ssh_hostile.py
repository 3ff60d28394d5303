"""Servers that speak SSH and mean harm: before they have proved who they are, and after."""

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from console.errors import ConnectError
from console.model.host import Host
from console.ssh.connect import Timing
from console.ssh.scan import fetch_host_key
from console.ssh.transport import Start, Transports
from tests.support.sink import RecordingSink
from tests.support.sshd import KeyPair

SHORT = Timing(connect=5, login=3, command=3, close=1)
MSG_DISCONNECT, MSG_KEXINIT, MSG_GROUP = 1, 20, 31
CURVE = "curve25519-sha256"
GROUP_EXCHANGE = "diffie-hellman-group-exchange-sha256"
NEGATIVE = b"\x80" + b"\0" * 255


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def packet(number: int, payload: bytes) -> bytes:
    """A packet as it is before any key is agreed on: plain, eight bytes a block."""
    body = bytes([number]) + payload
    pad = 8 - (len(body) + 5) % 8
    pad += 8 if pad < 4 else 0
    return struct.pack(">IB", len(body) + pad + 1, pad) + body + bytes(pad)


@contextlib.asynccontextmanager
async def plain_server(exchange: str, after: bytes) -> AsyncIterator[int]:
    """Anybody on the way: offers one key exchange and then says ``after``; its port."""
    names = [exchange, "ssh-ed25519", *["aes128-ctr"] * 2, *["hmac-sha2-256"] * 2, *["none"] * 2]
    lists = b"".join(string(name.encode()) for name in [*names, "", ""])

    served: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(over := asyncio.Event())
        with contextlib.suppress(ConnectionError):
            writer.write(b"SSH-2.0-x\r\n")
            writer.write(packet(MSG_KEXINIT, os.urandom(16) + lists + bytes(5)))
            await reader.readline()
            await reader.read(65_536)  # its own offer
            writer.write(after)
            await writer.drain()
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for over in served:
            await over.wait()


def host_at(port: int, user: KeyPair, kind: str = "asyncssh") -> Host:
    return Host(
        name="gpu01",
        address="127.0.0.1",
        port=port,
        key=str(user.path),
        host_key=(user.public,),
        transport=kind,
    )


async def failure(work: Callable[[], Awaitable[object]]) -> ConnectError:
    """The error, of just this kind, with which ``work`` ends soon."""
    async with asyncio.timeout(SHORT.connect + 5):
        with pytest.raises(ConnectError) as caught:
            await work()
    assert type(caught.value) is ConnectError
    return caught.value


async def open_failure(host: Host) -> ConnectError:
    made = Transports({}, timing=SHORT, starter=lambda host: Start("cat"))
    error = await failure(lambda: made.open(host, RecordingSink()))
    await made.close()
    return error


async def test_a_group_of_the_servers_own_is_never_asked_for(user: KeyPair, kind: str) -> None:
    group = packet(MSG_GROUP, string(NEGATIVE) + string(b"\x02"))
    async with plain_server(GROUP_EXCHANGE, group) as port:
        error = await open_failure(host_at(port, user, kind))
    assert "no common algorithms" in error.message


async def test_a_scan_asks_for_no_group_either(user: KeyPair) -> None:
    group = packet(MSG_GROUP, string(NEGATIVE) + string(b"\x02"))
    async with plain_server(GROUP_EXCHANGE, group) as port:
        error = await failure(lambda: fetch_host_key(host_at(port, user), {}, timing=SHORT))
    assert "no common algorithms" in error.message


async def test_what_the_library_fails_on_is_that_hosts_error(user: KeyPair) -> None:
    """A port that no socket takes makes it raise OverflowError."""
    host = host_at(70_000, user)
    assert "OverflowError" in (await open_failure(host)).message
    error = await failure(lambda: fetch_host_key(host, {}, timing=SHORT))
    assert "OverflowError" in error.message


@pytest.mark.parametrize("code", [2, 9, 14])
@pytest.mark.parametrize(
    "text", ["Too many authentication failures", "Host key verification failed."]
)
async def test_a_disconnect_by_anybody_is_only_quoted(
    user: KeyPair, kind: str, code: int, text: str
) -> None:
    """Codes: protocol error, host key not verifiable, no more ways to log in. All unproved."""
    said = packet(MSG_DISCONNECT, struct.pack(">I", code) + string(text.encode()) + string(b""))
    async with plain_server(CURVE, said) as port:
        error = await open_failure(host_at(port, user, kind))
    assert f'"{text}"' in error.message
