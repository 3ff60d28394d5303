"""What one connection may cost: bytes, processor time, and memory for what the host does not read.

The pace of frames is judged above, but a host can speak SSH without a frame: messages to be
ignored, requests that must be answered, channels that are refused. The library takes and answers
all of them. So what the transport delivers passes here first.
"""

import asyncio
import time
from collections.abc import Callable

import asyncssh

from console.errors import ProtocolError

BYTES_A_SECOND = 2 << 20
CPU_SHARE = 0.05
"""Of one core, for long; a focused probe costs a tenth of this."""
BURST_S = 40.0
"""Seconds of allowance that are saved up: 2 s of processor time at once, or 80 MiB."""
CHANNELS_A_SHARE = 64
"""A jump host gets as much again for each so many hosts behind it."""
PIECE = 4 * 1024
"""Bytes between two looks at the clock: a hundred of the smallest packets."""
SLICE_S = 0.01
WAIT_S = 0.1
GIVE_UP_S = 30.0
KEY_EXCHANGE_S = 0.01
"""Processor time that a key exchange is charged with; the library does it in a task of its own."""
UNREAD_BYTES = 1 << 20
UNREAD_PACKETS = 4_096
"""Answers that wait for the host to read, or to end a key exchange that it began."""


class _Nested:
    """Processor time of connections whose data came through the one that is being read."""

    seconds = 0.0


class Guard:
    """Stands between a transport and its connection; pauses the transport of a greedy host."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        transport: asyncio.Transport,
        where: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._where = where
        self._clock = clock
        self._take = connection.data_received
        self._left = BURST_S
        self._at = clock()
        self._over_since: float | None = None
        self._held = bytearray()
        self._turn: asyncio.Handle | None = None
        self._done = False

    def data_received(self, data: bytes, datatype: asyncssh.DataType = None) -> None:
        """Take what came, or hold it until the host may go on; there are no kinds of data here."""
        if self._turn is not None:
            self._held += data
        elif not self._done:
            self._pass(data)

    def key_exchange(self) -> None:
        """Charge for a key exchange, which a host may ask for as often as it likes."""
        self._left -= KEY_EXCHANGE_S / CPU_SHARE / self._shares()

    def _pass(self, data: bytes | bytearray) -> None:
        """Hand ``data`` on in pieces, as far as the allowance and this turn of the loop go."""
        spent = 0.0
        for start in range(0, len(data), PIECE):
            if self._transport.is_closing():
                return
            wait = 0.0 if spent > SLICE_S else self._owed()
            if self._done:
                return
            if wait is not None:
                self._hold(data[start:], wait)
                return
            spent += self._read(bytes(data[start : start + PIECE]))
            self._check_unread()

    def _read(self, piece: bytes) -> float:
        """Let the library read; returns the processor time that it cost, in seconds."""
        outer, _Nested.seconds = _Nested.seconds, 0.0
        began = time.thread_time()
        try:
            self._take(piece)
        finally:
            took = time.thread_time() - began
            own = took - _Nested.seconds
            _Nested.seconds = outer + took
        self._left -= (own / CPU_SHARE + len(piece) / BYTES_A_SECOND) / self._shares()
        return took

    def _shares(self) -> float:
        return 1.0 + len(getattr(self._connection, "_channels", ())) / CHANNELS_A_SHARE

    def _owed(self) -> float | None:
        """None when the host may go on, else seconds to wait; gives the host up in the end."""
        now = self._clock()
        self._left = min(BURST_S, self._left + max(0.0, now - self._at))
        self._at = now
        if self._left > 0:
            if self._left > BURST_S / 4:
                self._over_since = None
            return None
        if self._over_since is None:
            self._over_since = now
        elif now - self._over_since > GIVE_UP_S:
            self._end(
                "sends more, or costs more to read, than a probe ever does, "
                f"for {GIVE_UP_S:.0f} s: the host was dropped"
            )
        return WAIT_S

    def _hold(self, rest: bytes | bytearray, seconds: float) -> None:
        self._held = bytearray(rest)
        self._transport.pause_reading()
        loop = asyncio.get_running_loop()
        again = self._again
        self._turn = loop.call_later(seconds, again) if seconds else loop.call_soon(again)

    def _again(self) -> None:
        self._turn = None
        held, self._held = self._held, bytearray()
        if self._done or self._transport.is_closing():
            return
        self._pass(held)
        if self._turn is None and not self._done:
            self._transport.resume_reading()

    def _check_unread(self) -> None:
        packets = len(getattr(self._connection, "_deferred_packets", ()))
        size = self._transport.get_write_buffer_size()
        if size > UNREAD_BYTES * self._shares() or packets > UNREAD_PACKETS * self._shares():
            self._end("asks and does not read the answers: the host was dropped")

    def _end(self, why: str) -> None:
        if self._done:
            return
        self._done = True
        hint = "No sshd does that: look at what answers there."
        try:
            raise ProtocolError(why, where=self._where, hint=hint)
        except ProtocolError:
            self._connection.internal_error()  # closes by force, with the error that is at hand


def guard(connection: asyncssh.SSHClientConnection, where: str) -> Guard:
    """Let all that a new connection receives pass a guard; call it from ``connection_made``."""
    transport: asyncio.Transport | None = getattr(connection, "_transport", None)
    if transport is None:  # closed again, or the library has changed: nothing is read unguarded
        raise ProtocolError("the connection has no transport to guard", where=where)
    made = Guard(connection, transport, where)
    connection.data_received = made.data_received  # type: ignore[method-assign]
    return made
