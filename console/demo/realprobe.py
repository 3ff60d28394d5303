"""The real probe on this machine behind a demo server: the same command as on any tier 0 host.

Only that one command is run, as the user of the demo and without a shell; its input and output are
the SSH channel. Whoever holds the demo's temporary key gets nothing else.
"""

import asyncio
import shlex
from typing import cast

import asyncssh

from console.demo.server import MAX_BUFFERED, VerbSession
from console.model.host import Host

REFUSED = 126
GRACE_S = 2.0


class RealProbeSession(VerbSession):
    """Runs the probe as a child and passes bytes both ways, with back-pressure."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._child: _Child | None = None
        self._start: asyncio.Task[None] | None = None
        self._held = bytearray()

    def begin(self) -> None:
        """Start the child if the command is the probe's."""
        from console.ssh.payload import command

        if self.command != command(self._host):
            if self.channel is not None:
                self.channel.write_stderr(b"only the probe may be run here\n")
            self.end(REFUSED)
            return
        self._start = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        argv = shlex.split(self.command)
        if argv[0] == "exec":
            del argv[0]
        # A session of its own: a stop typed at the terminal must reach the console alone.
        _, self._child = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Child(self), *argv, start_new_session=True
        )
        if self.channel is None:
            self._child.stop()
        elif self._held:
            self._child.write(bytes(self._held))
            self._held.clear()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Standard input of the probe."""
        if self._child is not None:
            self._child.write(data)
        elif len(self._held) + len(data) <= MAX_BUFFERED:
            self._held += data

    def eof_received(self) -> bool:
        """The probe ends by itself when its input ends."""
        if self._child is not None:
            self._child.close_input()
        return True

    def pause_writing(self) -> None:
        """The console reads slower than the probe writes: stop reading from the probe."""
        if self._child is not None:
            self._child.pause()

    def resume_writing(self) -> None:
        """Read from the probe again."""
        if self._child is not None:
            self._child.resume()

    def stop(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()


class _Child(asyncio.SubprocessProtocol):
    """The child's end of a session."""

    def __init__(self, session: RealProbeSession) -> None:
        self._session = session
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        channel = self._session.channel
        if channel is not None and not channel.is_closing():
            channel.write(data, asyncssh.EXTENDED_DATA_STDERR if fd == 2 else None)

    def process_exited(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            status = transport.get_returncode()
            transport.close()
            self._session.end(status if status is not None and status >= 0 else 1)

    def pause_writing(self) -> None:
        if self._session.channel is not None:
            self._session.channel.pause_reading()

    def resume_writing(self) -> None:
        if self._session.channel is not None:
            self._session.channel.resume_reading()

    def _pipe(self, fd: int) -> asyncio.BaseTransport | None:
        return self._transport.get_pipe_transport(fd) if self._transport is not None else None

    def write(self, data: bytes) -> None:
        """To standard input."""
        pipe = self._pipe(0)
        if pipe is not None and not pipe.is_closing():
            cast("asyncio.WriteTransport", pipe).write(data)

    def close_input(self) -> None:
        """End of standard input."""
        pipe = self._pipe(0)
        if pipe is not None:
            pipe.close()

    def pause(self) -> None:
        """Read no more of what the child says."""
        for fd in (1, 2):
            pipe = self._pipe(fd)
            if pipe is not None:
                cast("asyncio.ReadTransport", pipe).pause_reading()

    def resume(self) -> None:
        """Read again."""
        for fd in (1, 2):
            pipe = self._pipe(fd)
            if pipe is not None:
                cast("asyncio.ReadTransport", pipe).resume_reading()

    def stop(self) -> None:
        """End the child: by its input, by force where that is not enough."""
        self.close_input()
        transport = self._transport
        if transport is not None:
            asyncio.get_running_loop().call_later(GRACE_S, _kill, transport)


def _kill(transport: asyncio.SubprocessTransport) -> None:
    if transport.get_returncode() is None:
        try:
            transport.kill()
        except ProcessLookupError:
            pass
