"""The second transport: the system's ``ssh`` program, for what the library lacks.

Hardware keys without an agent, Kerberos-free smart cards, unusual ciphers. It costs a process of
about 8 MB and several times the CPU for each connection.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

from console.errors import ConnectError
from console.model.host import Host
from console.model.link import Inventory, LineSink, Link, LinkFacts
from console.ssh.channel import FLOOD_LIMIT, SEND_LIMIT, Narration, ended, flooded
from console.ssh.connect import Timing
from console.ssh.errors import place
from console.ssh.jump import route
from console.ssh.openssh_config import TARGET, write_config
from console.ssh.openssh_log import SshLog
from console.ssh.transport import Starter, probe_start

LOG_LINE_LIMIT = 4_096
SSH_FAILED = 255  # ssh's own status when it, and not the command, failed


class _LogReader(asyncio.Protocol):
    """Cuts ssh's log into lines."""

    def __init__(self, log: SshLog, changed: asyncio.Event) -> None:
        self._log = log
        self._changed = changed
        self._rest = b""
        self.done = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LOG_LINE_LIMIT:
            self._rest = b""
        for line in lines:
            self._log.line(line[:LOG_LINE_LIMIT].decode("utf-8", "replace"))
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set()
        self._changed.set()


class _SshProcess(asyncio.SubprocessProtocol):
    """Passes the output of ssh on, and tells when it is over."""

    def __init__(self, sink: LineSink, log: SshLog, changed: asyncio.Event) -> None:
        self._sink = sink
        self._log = log
        self._changed = changed
        self._rest = b""
        self.narration = Narration(sink.narration)
        self.transport: asyncio.SubprocessTransport | None = None
        self.over = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._sink.data(data)
        else:
            self._errors(data)

    def _errors(self, data: bytes) -> None:
        """Standard error: the probe's, and the log of the ssh processes of jump hosts."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LOG_LINE_LIMIT:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            if not line.startswith((b"debug1:", b"debug2:", b"debug3:")):
                if not self._log.interactive:
                    self._log.line(line.decode("utf-8", "replace"), hop=True)
                self.narration.feed(line + b"\n")
        if self.narration.dropped > FLOOD_LIMIT and self.transport is not None:
            _kill_group(self.transport)

    def process_exited(self) -> None:
        """ssh has ended: end the helpers that it started for jump hosts, which hold its pipes."""
        if self.transport is not None:
            _kill_group(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """All pipes are closed and the process has ended."""
        if self.transport is not None:
            self.transport.close()
        self.narration.feed(self._rest, final=True)
        self.over.set()
        self._changed.set()


class OpensshLink:
    """A probe that runs behind an ``ssh`` process."""

    def __init__(
        self,
        process: _SshProcess,
        log: SshLog,
        sink: LineSink,
        where: str,
        close_s: float,
        host: Host,
    ) -> None:
        self.facts: LinkFacts = log.facts()
        self.dropped_verbs = 0
        self._process = process
        self._log = log
        self._sink = sink
        self._where = where
        self._host = host
        self._close_s = close_s
        self._closing = False
        self._waiter = asyncio.create_task(self._wait(), name="ssh process")

    @property
    def _transport(self) -> asyncio.SubprocessTransport:
        transport = self._process.transport
        assert transport is not None  # noqa: S101  # set before a link is made
        return transport

    async def _wait(self) -> None:
        await self._process.over.wait()
        status = self._transport.get_returncode()
        error: Exception | None = None
        if not self._closing and status != 0:
            if self._process.narration.dropped > FLOOD_LIMIT:
                error = flooded(self._where)
            elif status == SSH_FAILED or status is None or status < 0:
                error = self._log.error()
            else:
                error = ended(status, self._process.narration.last, self._where, self._host)
        self._sink.closed(error)

    def _stdin(self) -> asyncio.WriteTransport:
        return cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))

    def send(self, line: str) -> None:
        """Send one verb."""
        if self._closing or self._process.over.is_set() or self._stdin().is_closing():
            return
        if self._stdin().get_write_buffer_size() > SEND_LIMIT:
            self.dropped_verbs += 1
            return
        self._stdin().write(line.replace("\n", " ").encode("utf-8", "replace") + b"\n")

    def end_input(self) -> None:
        """Nothing more will be sent; what comes is still read."""
        if not self._closing and not self._process.over.is_set():
            self._stdin().close()

    def _read(self, *, on: bool) -> None:
        for number in (1, 2):
            pipe = cast(asyncio.ReadTransport | None, self._transport.get_pipe_transport(number))
            if pipe is not None and not pipe.is_closing():
                if on:
                    pipe.resume_reading()
                else:
                    pipe.pause_reading()

    def pause(self) -> None:
        """Stop reading; the pipe fills, then the channel window, then the host waits."""
        if not self._process.over.is_set():
            self._read(on=False)

    def resume(self) -> None:
        """Read again."""
        if not self._process.over.is_set():
            self._read(on=True)

    async def close(self) -> None:
        """Close the probe's input, then end ssh."""
        self._closing = True
        self.resume()  # a paused pipe would never report its end
        await stop(self._process, self._close_s)
        await self._waiter


async def stop(process: _SshProcess, seconds: float) -> None:
    """End ssh: by its input, by SIGTERM, and after ``seconds`` by SIGKILL."""
    transport = process.transport
    if transport is None:
        return
    stdin = transport.get_pipe_transport(0)
    if stdin is not None:
        stdin.close()
    with contextlib.suppress(ProcessLookupError):
        transport.terminate()
    try:
        async with asyncio.timeout(seconds):
            await process.over.wait()
    except TimeoutError:
        _kill_group(transport)
        await process.over.wait()


def _kill_group(transport: asyncio.SubprocessTransport) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)


def environment() -> dict[str, str]:
    """What ssh may know of ours: nothing that changes what it does, but the agent's socket."""
    kept = {key: os.environ[key] for key in ("HOME", "SSH_AUTH_SOCK") if key in os.environ}
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", **kept}


class OpensshTransport:
    """Links by one ``ssh`` process each."""

    def __init__(
        self, inventory: Inventory, *, timing: Timing | None = None, starter: Starter = probe_start
    ) -> None:
        self._inventory = inventory
        self._timing = timing or Timing()
        self._starter = starter

    async def open(self, host: Host, sink: LineSink) -> Link:
        """Connect, check the host key, log in, start the probe."""
        where = place(host.name, host.address, host.port)
        program = shutil.which("ssh")
        if program is None:
            raise ConnectError(
                "this machine has no ssh program", where=where, hint="Install openssh-client."
            )
        hops = route(host, self._inventory)
        what = self._starter(host)
        with tempfile.TemporaryDirectory(prefix="watchfloor-ssh-") as folder:
            # ssh reads the files before it logs in; after that the folder is not needed.
            config = write_config(Path(folder), host, hops, self._timing)
            argv = [program, "-T", "-F", str(config), TARGET]
            if what.command:
                argv.append(what.command)
            log = SshLog(where, tuple(hop.name for hop in hops), host)
            process = await self._connect(argv, Path(folder), log, sink, where)
        transport = process.transport
        if what.first and transport is not None:
            cast(asyncio.WriteTransport, transport.get_pipe_transport(0)).write(what.first)
        return OpensshLink(process, log, sink, where, self._timing.close, host)

    async def _connect(
        self, argv: list[str], folder: Path, log: SshLog, sink: LineSink, where: str
    ) -> _SshProcess:
        """Start ssh and wait until it has a session; ends it and raises otherwise."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        process = _SshProcess(sink, log, changed)
        async with _log_pipe(folder / "log", log, changed) as finished:
            await loop.subprocess_exec(
                lambda: process,
                *[argv[0], "-E", str(folder / "log"), *argv[1:]],
                env=environment(),
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(self._timing.connect):
                    while not log.interactive and not process.over.is_set():
                        changed.clear()
                        await changed.wait()
            except BaseException as exc:
                await stop(process, self._timing.close)
                if isinstance(exc, TimeoutError):
                    raise ConnectError(
                        "the connection timed out",
                        where=where,
                        hint="Check the address, the port and the firewalls on the way.",
                    ) from exc
                raise
        if not log.interactive:
            await finished.wait()
            raise log.error()
        return process

    async def close(self) -> None:
        """Nothing is shared between links."""


@contextlib.asynccontextmanager
async def _log_pipe(
    path: Path, log: SshLog, changed: asyncio.Event
) -> AsyncIterator[asyncio.Event]:
    """A named pipe whose lines go to ``log``; the event is set when its last writer has gone.

    ssh's own log must not mix with the host's standard error, and ssh closes inherited
    descriptors. Within the context we are a writer too, so that the reader sees no early end.
    """
    os.mkfifo(path, 0o600)
    reader = _LogReader(log, changed)
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        await asyncio.get_running_loop().connect_read_pipe(lambda: reader, file)
        yield reader.done
    finally:
        os.close(writer)
