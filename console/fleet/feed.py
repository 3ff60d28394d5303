"""Bytes of one link to decoded lines, at a pace that is fair to all other links."""

import asyncio
import time
from typing import Protocol

from console.clock import Clock
from console.errors import LinkError, ProtocolError, WatchfloorError
from console.fleet.decode import Decoded, decode
from console.fleet.lines import LineBuffer
from console.fleet.pace import GIVE_UP_S, TokenBucket, frame_cost
from console.model.link import Link
from console.text import clean

SLICE_S = 0.004
"""Seconds that one host may hold the event loop before the others get their turn."""
WAIT_S = 0.1
NARRATION = 400


class Receiver(Protocol):
    """Who takes what a feed has read."""

    def frame(self, decoded: Decoded, size: int) -> None:
        """One decoded line. May raise ProtocolError."""
        ...

    def full(self) -> bool:
        """True while nothing more may be taken, because events wait to be written."""
        ...

    def ended(self, error: Exception | None) -> None:
        """The link is over, or must be."""
        ...


class Feed:
    """A LineSink. Slows a host down by pausing its link; gives up on one that goes on anyway."""

    def __init__(self, receiver: Receiver, clock: Clock) -> None:
        self._receiver = receiver
        self._clock = clock
        self._lines = LineBuffer()
        self._bucket = TokenBucket(clock.mono())
        self._link: Link | None = None
        self._turn: asyncio.Handle | None = None
        self._paused = False
        self._over_since: float | None = None
        self._end: tuple[Exception | None] | None = None
        self.done = False
        self.bytes = 0
        self.said = ""  # the end of what came on standard error, cleaned

    def attach(self, link: Link) -> None:
        """The link is open; data may have come before."""
        self._link = link
        if self._paused:
            link.pause()

    def data(self, chunk: bytes) -> None:
        """Take bytes of the stream."""
        if self.done:
            return
        self.bytes += len(chunk)
        try:
            self._lines.feed(chunk)
        except ProtocolError as error:
            self.stop(error)
            return
        if self._turn is None:
            self._drain()

    def narration(self, text: str) -> None:
        """Keep the end of what the host says on standard error."""
        self.said = clean((self.said + " " + text).strip()[-NARRATION:], NARRATION)

    def closed(self, error: Exception | None) -> None:
        """The link ended; what came before is still read."""
        self._end = (error,)
        if self._turn is None and not self.done:
            self._drain()

    def stop(self, error: Exception | None) -> None:
        """Read nothing more, and say why."""
        if self.done:
            return
        self.done = True
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._receiver.ended(error)

    def _drain(self) -> None:
        """Read lines until there are none, time is up, or the host must wait."""
        self._turn = None
        until = time.perf_counter() + SLICE_S
        try:
            while not self.done:
                if not self._may_read():
                    return
                line = self._lines.take()
                if line is None:
                    break
                if line:
                    self._read(line)
                if time.perf_counter() > until:
                    self._again(0.0)
                    return
        except WatchfloorError as error:
            self.stop(error)
            return
        except Exception as defect:  # noqa: BLE001,RUF100  # one host's row, never the console
            why = f"sent what this console failed on: {type(defect).__name__}: {defect}"
            self.stop(ProtocolError(clean(why, 300), hint="that is a defect of Watchfloor"))
            return
        self._flow()
        if self._end is not None and not self.done:
            self.stop(self._end[0])

    def _read(self, line: bytes) -> None:
        began = time.perf_counter()
        decoded = decode(line)
        self._receiver.frame(decoded, len(line))
        spent = time.perf_counter() - began
        self._bucket.pay(frame_cost(len(line), len(decoded.frame.e), spent))

    def _may_read(self) -> bool:
        now = self._clock.mono()
        if self._receiver.full():
            self._wait()
            return False
        if self._bucket.ready(now):
            # Not when the buffer is empty: a flood empties it with every window that we open.
            if self._bucket.tokens > self._bucket.burst / 4:
                self._over_since = None
            return True
        if self._over_since is None:
            self._over_since = now
        elif now - self._over_since > GIVE_UP_S:
            raise ProtocolError(
                f"sends more than {self._bucket.rate:.0f} frames a second, or frames that cost as "
                f"much, for {GIVE_UP_S:.0f} s",
                hint="no probe does that: look at what the login on that host really starts",
            )
        self._wait()
        return False

    def _wait(self) -> None:
        if not self._paused:
            self._paused = True
            if self._link is not None:
                self._link.pause()
        self._again(WAIT_S)

    def _flow(self) -> None:
        if self._paused:
            self._paused = False
            if self._link is not None:
                self._link.resume()

    def _again(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._turn = (
            loop.call_later(seconds, self._drain) if seconds else loop.call_soon(self._drain)
        )


def said_why(error: Exception | None, said: str) -> Exception | None:
    """``error`` with the host's last words, where it says less than they do."""
    if said and isinstance(error, LinkError) and said not in error.message:
        error.message = f"{error.message} (the host said: {said})"
    return error
