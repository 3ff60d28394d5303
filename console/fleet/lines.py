"""Cuts a byte stream into lines without ever holding more than a bound."""

from console.errors import ProtocolError
from console.model.frame import MAX_LINE

BACKLOG = 4 * MAX_LINE
"""Bytes of complete lines that may wait while a host is slowed down: two channel windows."""


class LineBuffer:
    """Takes chunks of any length, gives lines without their line feed, in order.

    Raises ProtocolError for a line longer than ``limit`` (before it is buffered whole) and for
    more than ``backlog`` bytes that nobody has taken.
    """

    __slots__ = ("_backlog", "_buffer", "_limit", "_partial")

    def __init__(self, limit: int = MAX_LINE, backlog: int = BACKLOG) -> None:
        self._limit = limit
        self._backlog = backlog
        self._buffer = bytearray()
        self._partial = 0  # bytes since the last line feed

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def half(self) -> bool:
        """True while only the beginning of a line is here."""
        return bool(self._partial) and self._partial == len(self._buffer)

    def feed(self, chunk: bytes) -> None:
        """Append ``chunk``."""
        first = chunk.find(b"\n")
        if first < 0:
            partial = begun = self._partial + len(chunk)
        else:
            begun = self._partial + first
            partial = len(chunk) - chunk.rfind(b"\n") - 1
        if begun > self._limit or partial > self._limit:
            raise too_long(self._limit)
        if len(self._buffer) + len(chunk) > self._backlog:
            raise ProtocolError(
                f"sent more than {_size(self._backlog)} after it was told to wait",
                hint="look at what writes to the probe's standard output on that host",
            )
        self._partial = partial
        self._buffer += chunk

    def take(self) -> bytes | None:
        """The next complete line, or None."""
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        if end > self._limit:
            raise too_long(self._limit)
        line = bytes(memoryview(self._buffer)[:end])
        del self._buffer[: end + 1]
        return line


def too_long(limit: int) -> ProtocolError:
    """The error for a line over ``limit`` bytes."""
    return ProtocolError(
        f"sent a line longer than {_size(limit)}",
        hint="no probe does that: look at what the login on that host really starts",
    )


def _size(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size} bytes"
