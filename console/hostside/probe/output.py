"""Writes frames to a descriptor that may not be read for a long time."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .frames import Lines

PIECE = 65_536


class Output:
    """Never blocks. One frame at a time is encoded and waits here, at most 1 MiB.

    The next frame is encoded when this one has left, so that a console that does not read finds
    the newest state and not a queue of old ones, and sequence numbers have no gap.
    """

    def __init__(self, fd: int, lines: Lines) -> None:
        self._fd = fd
        self._lines = lines
        self._waiting: memoryview = memoryview(b"")
        self._bodies: Iterator[str] | None = None
        self._was_blocking = os.get_blocking(fd)
        os.set_blocking(fd, False)

    def restore(self) -> None:
        """Give the descriptor back as it was: a terminal is shared with the shell."""
        try:
            os.set_blocking(self._fd, self._was_blocking)
        except OSError:
            pass

    @property
    def blocked(self) -> bool:
        """True while something waits that the other end has not taken."""
        return len(self._waiting) > 0

    def send(self, bodies: Callable[[], Iterator[str]]) -> None:
        """Write what is on its way, then what ``bodies`` gives, as far as the other end takes it.

        Raises OSError (EPIPE, ECONNRESET) when the other end is gone.
        """
        if self._bodies is None and not self.blocked:
            self._bodies = bodies()
        self.flush()

    def flush(self) -> None:
        """Write as much as goes."""
        while True:
            while len(self._waiting):
                try:
                    count = os.write(self._fd, self._waiting[:PIECE])
                except (BlockingIOError, InterruptedError):
                    return
                self._waiting = self._waiting[count:]
            if self._bodies is None:
                return
            body = next(self._bodies, None)
            if body is None:
                self._bodies = None
                return
            self._waiting = memoryview(self._lines.line(body))
