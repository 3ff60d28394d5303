"""The login of operators on a simulated host: it starts the guard, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh

from console.demo.guards import HostGuard

USER = "wfops"
MAX_ENVELOPE = 256 << 10


class GuardSession(asyncssh.SSHServerSession[bytes]):
    """One envelope in, one answer out; whatever command is asked for."""

    def __init__(
        self, guard: HostGuard, connection: asyncssh.SSHServerConnection, auth: Path
    ) -> None:
        """``auth`` is the file that says with which key the other end has logged in."""
        self._guard = guard
        self._connection = connection
        self._auth = auth
        self._input = bytearray()
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel."""
        self._channel = chan

    def exec_requested(self, command: str) -> bool:
        """As by a forced command."""
        return True

    def shell_requested(self) -> bool:
        """As by a forced command."""
        return True

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """A part of the envelope; what is too long is refused."""
        self._input += data
        if len(self._input) > MAX_ENVELOPE:
            self._end(b"", 1)

    def eof_received(self) -> bool:
        """The envelope is whole."""
        if self._task is None and self._channel is not None:
            self._task = asyncio.create_task(self._answer(), name="guard call")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """A guard at work ends its work, whether anybody reads the answer or not."""
        self._channel = None

    async def _answer(self) -> None:
        try:
            out = await self._guard.call(bytes(self._input), self._environ())
        except (OSError, TimeoutError):
            self._end(b"", 1)
        else:
            self._end(out, 0)

    def _environ(self) -> dict[str, str]:
        """What sshd and sudo leave to a guard."""
        peer = self._connection.get_extra_info("peername")
        here = self._connection.get_extra_info("sockname")
        return {
            "SSH_CONNECTION": f"{peer[0]} {peer[1]} {here[0]} {here[1]}",
            "SSH_USER_AUTH": str(self._auth),
            "SUDO_USER": USER,
        }

    def _end(self, out: bytes, status: int) -> None:
        channel, self._channel = self._channel, None
        if channel is not None and not channel.is_closing():
            if out:
                channel.write(out)
            channel.exit(status)
