"""What goes to a command and comes from it, with bounds on time and on what is kept or shown.

What comes is a host's: it is shown line by line, without anything that a terminal obeys, and with
a mark at the beginning of each line, so that no line of it passes for one of ours.
"""

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TextIO

from console.text import clean

MAX_KEPT = 64 << 10
MAX_SHOWN = 1 << 20
MAX_LINE = 2000
_PART = 16 << 10

Takes = Callable[[bytes], None]


class TooMuch(Exception):
    """More came than is kept."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until this ends, and never reaches processes that are started meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Kept:
    """Output as a value; ``take`` raises TooMuch past ``limit`` bytes."""

    def __init__(self, limit: int = MAX_KEPT) -> None:
        self._limit = limit
        self._parts = bytearray()

    def take(self, part: bytes) -> None:
        """The next bytes."""
        if len(self._parts) + len(part) > self._limit:
            raise TooMuch
        self._parts += part

    @property
    def text(self) -> str:
        """All of it."""
        return self._parts.decode("utf-8", "replace")


class Shown:
    """Output as a host's lines on ``where``, at most ``MAX_SHOWN`` bytes of it."""

    def __init__(self, host: str, where: TextIO) -> None:
        self._mark = f"{clean(host, 80)}| "
        self._where = where
        self._rest = b""
        self._left = MAX_SHOWN

    def take(self, part: bytes) -> None:
        """The next bytes. What is past the bound is read and dropped: the sender goes on."""
        if self._left <= 0:
            return
        lines = (self._rest + part[: self._left]).split(b"\n")
        self._left -= len(part)
        self._rest = lines.pop()
        while len(self._rest) > MAX_LINE:
            lines.append(self._rest[:MAX_LINE])
            self._rest = self._rest[MAX_LINE:]
        self._write(lines)
        if self._left <= 0:
            self.end()
            self._write([f"[more than {MAX_SHOWN >> 20} MiB came; the rest is not shown]".encode()])

    def end(self) -> None:
        """Show a last line that did not end."""
        if self._rest:
            self._write([self._rest])
            self._rest = b""

    def _write(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r").replace("\t", "    ")
            self._where.write(f"{self._mark}{clean(text, MAX_LINE)}\n")
        self._where.flush()


def pump(
    pipes: tuple[IO[bytes], IO[bytes], IO[bytes]],
    data: bytes,
    seconds: float,
    out: Takes,
    err: Takes,
) -> None:
    """Write ``data`` to a command, and give on what it prints, until it prints no more.

    ``pipes`` are its input, output and error output. Raises TimeoutError after ``seconds``, and
    what ``out`` and ``err`` raise.
    """
    into, said, told = pipes
    until = time.monotonic() + seconds
    takes: dict[IO[bytes], Takes] = {said: out, told: err}
    left = memoryview(data)
    os.set_blocking(into.fileno(), False)
    with selectors.DefaultSelector() as waits:
        for pipe in takes:
            waits.register(pipe, selectors.EVENT_READ, pipe)
        waits.register(into, selectors.EVENT_WRITE)
        while any(pipe in waits.get_map() for pipe in takes):
            rest = until - time.monotonic()
            if rest <= 0:
                raise TimeoutError
            for key, _ in waits.select(rest):
                if key.data is None:
                    left = _written(into, left)
                    if into.closed:
                        waits.unregister(into)
                elif part := os.read(key.fd, _PART):
                    takes[key.data](part)
                else:
                    waits.unregister(key.data)


def _written(into: IO[bytes], left: memoryview) -> memoryview:
    """What is left to write; closed where that is nothing or nobody reads it."""
    try:
        left = left[os.write(into.fileno(), left[:_PART]) :] if left else left
    except BlockingIOError:
        return left
    except BrokenPipeError:
        left = left[:0]
    if not left:
        into.close()
    return left
