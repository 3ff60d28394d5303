"""Real SSH servers on 127.0.0.1: one port a host, public key login only, one probe a session.

They give no shell, no files, no forwarding: whatever command is asked for, the simulated probe
answers. Every bound is small because the only client is the console beside it.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Protocol

import asyncssh

from console.demo.frames import FrameWriter
from console.demo.simulate import SimState

ADDRESS = "127.0.0.1"
USER = "wfmon"
MAX_CONNECTIONS = 8  # for one host
MAX_INPUT = 4 << 20  # the source of a probe that is sent to tier 0, and verbs
MAX_LATE = 16
MAX_BUFFERED = 4 << 20  # bytes that wait for a console that does not read
LOGIN_S = 15

SessionFactory = Callable[[], asyncssh.SSHServerSession[bytes]]


class Operators(Protocol):
    """Who else may log in to a host, and what then answers: its guard."""

    def knows(self, user: str, key: bytes) -> bool:
        """Whether this public key, in SSH's binary form, may log in to that account."""
        ...

    def session(
        self, connection: asyncssh.SSHServerConnection, key: bytes
    ) -> asyncssh.SSHServerSession[bytes]:
        """What answers on a connection that this key has opened."""
        ...


class VerbSession(asyncssh.SSHServerSession[bytes]):
    """The part of a session that reads: swallows a sent source, then gives line after line."""

    def __init__(self) -> None:
        self.channel: asyncssh.SSHServerChannel[bytes] | None = None
        self.command = ""
        self.paused = False
        self._input = bytearray()
        self._skip = 0
        self._first = True

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel."""
        self.channel = chan

    def exec_requested(self, command: str) -> bool:
        """Any command is answered by the probe."""
        self.command = command
        return True

    def shell_requested(self) -> bool:
        """A forced command is asked for without naming it."""
        return True

    def session_started(self) -> None:
        """The console is ready: begin."""
        self.begin()

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Bytes of standard input: ``<length>\\n<source>`` at tier 0, then verbs."""
        self._input += data
        while True:
            if self._skip:
                cut = min(self._skip, len(self._input))
                del self._input[:cut]
                self._skip -= cut
                if self._skip:
                    return
            end = self._input.find(b"\n")
            if end < 0:
                if len(self._input) > 4_096:
                    self._input.clear()
                return
            line = bytes(self._input[:end])
            del self._input[: end + 1]
            if self._first and line.isdigit() and int(line) <= MAX_INPUT:
                self._skip = int(line)
            else:
                self.verb(line.decode("utf-8", "replace"))
            self._first = False

    def eof_received(self) -> bool:
        """End of input ends the probe."""
        self.end(0)
        return False

    def pause_writing(self) -> None:
        """The console reads slower than we write."""
        self.paused = True

    def resume_writing(self) -> None:
        """It reads again."""
        self.paused = False

    def write(self, data: bytes) -> bool:
        """Send ``data`` unless the channel is gone or too much is waiting."""
        chan = self.channel
        if chan is None or chan.is_closing() or chan.get_write_buffer_size() > MAX_BUFFERED:
            return False
        chan.write(data)
        return True

    def end(self, status: int) -> None:
        """End the command with ``status``."""
        self.stop()
        if self.channel is not None and not self.channel.is_closing():
            self.channel.exit(status)

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone."""
        self.channel = None
        self.stop()

    def begin(self) -> None:
        """Start to send."""

    def stop(self) -> None:
        """Stop everything that would send later. May be called twice."""

    def verb(self, line: str) -> None:
        """Take one line of input."""


class SimSession(VerbSession):
    """A simulated probe: the fast and slow lanes by timers, events at once."""

    def __init__(
        self, state: SimState, fast_s: float, slow_s: float, opened: Callable[[], None]
    ) -> None:
        super().__init__()
        self._state = state
        self._periods = (fast_s, slow_s)
        self._opened = opened
        self._writer: FrameWriter | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._late: list[str] = []  # verbs that came while nobody read the answers

    def begin(self) -> None:
        """The keyframe now, then the lanes."""
        self._opened()
        fast_s, slow_s = self._periods
        self._writer = FrameWriter(self._state, fast_s=fast_s, slow_s=slow_s)
        self._send(self._writer.keyframe())
        self._state.bells.add(self._news)
        self._state.turned.add(self._turned)
        self._again("fast", self._writer.period, self._fast)
        self._again("slow", slow_s, self._slow)

    def stop(self) -> None:
        """Cancel the lanes."""
        self._state.bells.discard(self._news)
        self._state.turned.discard(self._turned)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._writer = None

    def verb(self, line: str) -> None:
        """Obey at once, or when the console reads again."""
        if self.paused:
            if len(self._late) < MAX_LATE:
                self._late.append(line)
        elif self._writer is not None:
            self._send(self._writer.verb(line))
            self._again("fast", self._writer.period, self._fast)

    def resume_writing(self) -> None:
        """Answer what was asked meanwhile."""
        super().resume_writing()
        late, self._late = self._late, []
        for line in late:
            self.verb(line)

    def _again(self, lane: str, seconds: float, call: Callable[[], None]) -> None:
        if lane in self._timers:
            self._timers[lane].cancel()
        self._timers[lane] = asyncio.get_running_loop().call_later(seconds, call)

    def _fast(self) -> None:
        if self._writer is not None:
            self._again("fast", self._writer.period, self._fast)
            self._send(chain(self._writer.fast(), self._writer.events()))

    def _slow(self) -> None:
        if self._writer is not None:
            self._again("slow", self._writer.slow_s, self._slow)
            self._send(self._writer.slow())

    def _turned(self) -> None:
        """The guard has changed something: both lanes now, as its documents name it."""
        self._fast()
        self._slow()

    def _news(self) -> None:
        if self._writer is not None:
            self._send(self._writer.events())

    def _send(self, lines: Iterable[bytes]) -> None:
        # While nobody reads, or the host is mute, nothing is made: the deltas come later.
        if not self.paused and not self._state.silent:
            self.write(b"".join(lines))


class _Login(asyncssh.SSHServer):
    """One connection: one account, one key."""

    def __init__(self, port: "HostPort") -> None:
        self._port = port
        self._connection: asyncssh.SSHServerConnection | None = None
        self._operator = b""  # the key, where it is an operator's

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._port.connections.add(conn)
        if len(self._port.connections) > MAX_CONNECTIONS:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._port.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        operators = self._port.operators
        if operators is not None and operators.knows(username, key.public_data):
            self._operator = key.public_data
            return True
        return username == USER and key.public_data == self._port.user_key

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        operators = self._port.operators
        if self._operator and operators is not None and self._connection is not None:
            return operators.session(self._connection, self._operator)
        return self._port.session()


class HostPort:
    """The SSH server of one host. It is the ``Door`` through which stages take a host away."""

    def __init__(self, name: str, user_key: bytes, session: SessionFactory) -> None:
        """``user_key`` is the public key, in SSH's binary form, that may log in."""
        self.name = name
        self.user_key = user_key
        self.session = session
        self.operators: Operators | None = None
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.port = 0
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def open(self) -> None:
        """Listen on a free port."""
        self._acceptor = await asyncssh.listen(
            ADDRESS,
            0,
            server_factory=lambda: _Login(self),
            server_host_keys=[self._key],
            encoding=None,
            line_editor=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            password_auth=False,
            kbdint_auth=False,
            gss_host=None,
            compression_algs=["none"],
            encryption_algs=["aes128-gcm@openssh.com", "aes256-ctr"],
            login_timeout=LOGIN_S,
            server_version="WatchfloorDemo",
        )
        self.port = self._acceptor.get_port()

    @property
    def host_key(self) -> str:
        """The public key line that an inventory pins."""
        return self._key.export_public_key().decode("ascii").strip()

    def hush(self) -> None:
        """Keep the connections, send nothing more: the sessions look at ``SimState.silent``."""

    def vanish(self) -> None:
        """Break all connections and accept no new ones."""
        if self._acceptor is not None:
            self._acceptor.close()
        self._break()

    def change_key(self) -> None:
        """Break all connections; another key from now on, on the same port."""
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        if self._acceptor is not None:
            self._acceptor.update(server_host_keys=[self._key])
        self._break()

    def _break(self) -> None:
        for connection in list(self.connections):
            connection.abort()

    async def close(self) -> None:
        """Stop listening and wait until every connection is gone."""
        self.vanish()
        if self._acceptor is not None:
            await self._acceptor.wait_closed()
