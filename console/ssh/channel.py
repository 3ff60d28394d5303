"""The channel on which a probe runs: bytes go straight to the sink, no stream in between."""

import codecs
from collections.abc import Callable

import asyncssh

from console.errors import ConnectError, ProbeError, ProtocolError
from console.model.host import Host
from console.model.link import LineSink, LinkFacts
from console.ssh.connect import hang_up
from console.ssh.errors import told
from console.ssh.payload import SENSOR_COMMAND
from console.text import clean

WINDOW = 1 << 20  # bytes that a paused host can make us hold
NARRATION_LIMIT = 65_536  # characters of standard error that are passed on
SEND_LIMIT = 1 << 20  # bytes of verbs waiting for a host that does not read
FLOOD_LIMIT = 8 << 20  # characters of standard error after which a host is dropped
LINE_LIMIT = 512
NOT_FOUND = 127
STATUS_HINTS = {
    126: "The account's shell or the interpreter may not run there.",
    NOT_FOUND: "Install python3 on the host, or set `python` to the interpreter's path.",
}
INSTALLED_HINT = "Its interpreter is gone: install python3 there and run its enrolment again."


class Narration:
    """Standard error of a host as cleaned lines, bounded."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._left = NARRATION_LIMIT
        self.dropped = 0  # characters past the limit
        self.last = ""  # the last line that said something

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Take bytes; tell every whole line."""
        text = self._decoder.decode(data, final)
        self._rest += text[: self._left]
        self.dropped += max(0, len(text) - self._left)
        self._left = max(0, self._left - len(text))
        *lines, self._rest = self._rest.split("\n")
        if len(self._rest) > LINE_LIMIT or (final and self._rest):
            lines.append(self._rest)
            self._rest = ""
        for line in lines:
            shown = clean(line.rstrip("\r"), LINE_LIMIT)
            if shown.strip():
                self.last = shown
                self._tell(shown)


def ended(status: int | None, last: str, where: str, host: Host | None = None) -> ProbeError:
    """The probe ended by itself; ``last`` is the last line that it wrote on standard error.

    ``host`` tells by its tier what was to be found there.
    """
    said = f": {last}" if last else ""
    if host is not None and host.tier > 0 and status:
        # A shell without our forced command looks for the name that only stands for the probe.
        if SENSOR_COMMAND in last:
            return ProbeError(
                f"this host is not enrolled for this key{said}",
                where=where,
                hint=f"Run `watchfloor enroll {host.name} --print --tier {host.tier} --key "
                "FILE.pub --from ADDRESS`, and the script that it prints on the host as root.",
            )
        if status == NOT_FOUND:
            return ProbeError(
                f"the probe ended with status {status}{said}", where=where, hint=INSTALLED_HINT
            )
    code = "without a status" if status is None else f"with status {status}"
    return ProbeError(
        f"the probe ended {code}{said}", where=where, hint=STATUS_HINTS.get(status or 0, "")
    )


def flooded(where: str) -> ProtocolError:
    """The host writes to standard error without end."""
    return ProtocolError(
        f"more than {FLOOD_LIMIT >> 20} MiB on standard error, so the host was dropped",
        where=where,
        hint="Look at what its account runs at login.",
    )


class ProbeSession(asyncssh.SSHClientSession[bytes]):
    """Passes what arrives to a sink and says once that it ended."""

    def __init__(self, sink: LineSink, where: str, host: Host | None = None) -> None:
        self._sink = sink
        self._host = host
        self._where = where
        self._narration = Narration(sink.narration)
        self._status: int | None = None
        self._signal = ""
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._ended = False
        self._error: Exception | None = None
        self._listener: Callable[[Exception | None], None] | None = None
        self.closing = False  # we ended it: whatever follows is orderly

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is open."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        """Take bytes of standard output or standard error."""
        if datatype is None:
            self._sink.data(data)
        else:
            self._narration.feed(data)
            if self._narration.dropped > FLOOD_LIMIT and self._channel is not None:
                self._channel.abort()

    def exit_status_received(self, status: int) -> None:
        """The command ended."""
        self._status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """The command was killed."""
        self._signal = clean(signal, 40)

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone: work out why."""
        if self._ended:
            return
        self._ended = True
        self._narration.feed(b"", final=True)
        if not self.closing:
            self._error = self._reason(exc)
        if self._listener is not None:
            self._listener(self._error)

    def _reason(self, exc: Exception | None) -> Exception | None:
        if self._narration.dropped > FLOOD_LIMIT:
            return flooded(self._where)
        if exc is not None:
            return told(exc, self._where)
        if self._signal:
            return ProbeError(f"the probe was killed (SIG{self._signal})", where=self._where)
        if self._status is None:
            return ConnectError("the host closed the connection", where=self._where)
        if self._status == 0:
            return None
        return ended(self._status, self._narration.last, self._where, self._host)

    def listen(self, listener: Callable[[Exception | None], None]) -> None:
        """Call ``listener`` once with the error at the end, at once if that has passed."""
        self._listener = listener
        if self._ended:
            listener(self._error)


class SshLink:
    """A probe that runs on a host over one SSH connection of its own."""

    def __init__(
        self,
        ssh: asyncssh.SSHClientConnection,
        channel: asyncssh.SSHClientChannel[bytes],
        session: ProbeSession,
        sink: LineSink,
        facts: LinkFacts,
        *,
        release: Callable[[], None],
        close_s: float,
    ) -> None:
        self.facts = facts
        self.dropped_verbs = 0
        self._ssh = ssh
        self._channel = channel
        self._session = session
        self._sink = sink
        self._release = release
        self._close_s = close_s
        self._over = False
        session.listen(self._end)

    def _end(self, error: Exception | None) -> None:
        self._over = True
        self._ssh.close()
        self._release()
        self._sink.closed(error)

    def send(self, line: str) -> None:
        """Send one verb."""
        if self._over or self._session.closing:
            return
        if self._channel.get_write_buffer_size() > SEND_LIMIT:
            self.dropped_verbs += 1
            return
        self._channel.write(line.replace("\n", " ").encode("utf-8", "replace") + b"\n")

    def end_input(self) -> None:
        """Nothing more will be sent; what comes is still read."""
        if not self._over and not self._session.closing:
            self._channel.write_eof()

    def pause(self) -> None:
        """Stop reading; at most ``WINDOW`` bytes more are held for this host."""
        if not self._over:
            self._channel.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self._over:
            self._channel.resume_reading()

    async def close(self) -> None:
        """End the probe (its input closes) and the connection."""
        self._session.closing = True
        await hang_up(self._ssh, self._close_s)


async def start(
    ssh: asyncssh.SSHClientConnection,
    command: str,
    first: bytes,
    sink: LineSink,
    where: str,
    host: Host | None = None,
) -> tuple[asyncssh.SSHClientChannel[bytes], ProbeSession]:
    """Run ``command`` without a terminal and send ``first`` to its input."""
    session = ProbeSession(sink, where, host)
    channel, _ = await ssh.create_session(
        lambda: session,
        command or None,
        env={},
        send_env=[],
        request_pty=False,
        x11_forwarding=False,
        encoding=None,
        window=WINDOW,
    )
    if first:
        channel.write(first)
    return channel, session
