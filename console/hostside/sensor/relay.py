"""The forced command of tier 2: copies bytes between SSH and the sensor's socket, nothing else.

It runs as the account that the console logs in to, which may do nothing but open that socket.
"""

from __future__ import annotations

import os
import select
import socket
import sys

SOCKET = "/run/watchfloor/sensor.sock"
CHUNK = 65_536
FAILED = 69  # EX_UNAVAILABLE
SILENT = (
    "the sensor ended at once: all its connections are taken, or it cannot start; "
    "see journalctl -u 'watchfloor-sensor*' on the host"
)


class Pipe:
    """One direction: at most one piece of ``CHUNK`` bytes on its way from one end to the other."""

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self.sink = sink
        self.waiting = memoryview(b"")
        self.ended = False  # the source gives no more
        self.spoke = False  # the source gave something

    @property
    def done(self) -> bool:
        """True when all that the source gave has been passed on."""
        return self.ended and not self.waiting

    def read(self) -> None:
        """Take what the source has."""
        try:
            data = os.read(self.source, CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            data = b""
        self.waiting = memoryview(data)
        self.ended = not data
        self.spoke = self.spoke or not self.ended

    def write(self) -> None:
        """Give the sink what it takes now; BrokenPipeError when it is gone."""
        try:
            count = os.write(self.sink, self.waiting)
        except (BlockingIOError, InterruptedError):
            return
        self.waiting = self.waiting[count:]

    def step(self, ready: dict[int, int]) -> None:
        """Go on by one read or write, when its end is in ``ready``."""
        if self.waiting:
            if self.sink in ready:
                self.write()
        elif not self.ended and self.source in ready:
            self.read()


def relay(sock: socket.socket, stdin_fd: int, stdout_fd: int) -> bool:
    """Copy both ways until the sensor ends; the end of input is passed on.

    False when the sensor ended without a word.

    Neither direction waits for the other: a console that writes without reading is held back, and
    its leaving is noticed, because nobody may keep a sensor that nobody listens to.
    Raises BrokenPipeError when the console is gone.
    """
    for fd in (sock.fileno(), stdin_fd, stdout_fd):
        os.set_blocking(fd, False)
    up, down = Pipe(stdin_fd, sock.fileno()), Pipe(sock.fileno(), stdout_fd)
    passed_on = False
    while not down.done:
        ready = _ready(up, down)
        if ready.get(stdout_fd, 0) & (select.POLLERR | select.POLLHUP):
            raise BrokenPipeError
        down.step(ready)
        try:
            up.step(ready)
            if up.done and not passed_on:
                passed_on = True
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            # The sensor reads no more; what it has said still goes to the console.
            up.waiting, up.ended, passed_on = memoryview(b""), True, True
    return down.spoke


def _ready(up: Pipe, down: Pipe) -> dict[int, int]:
    """Wait until a direction can go on, or the console has gone; poll(2) masks by descriptor.

    The sensor's socket is watched only for what is wanted of it: its end would else wake us again
    and again while the console does not take the last bytes.
    """
    wanted = {down.sink: select.POLLOUT if down.waiting else 0}
    if not down.waiting and not down.ended:
        wanted[down.source] = select.POLLIN
    if up.waiting:
        wanted[up.sink] = wanted.get(up.sink, 0) | select.POLLOUT
    elif not up.ended:
        wanted[up.source] = select.POLLIN
    poll = select.poll()
    for fd, mask in wanted.items():
        poll.register(fd, mask)
    return dict(poll.poll())


def main() -> int:
    """Connect and relay; the reason of a failure goes to standard error."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(SOCKET)
        if not relay(sock, 0, 1):
            sys.stderr.write(SILENT + "\n")
            return FAILED
    except BrokenPipeError:
        return 0
    except OSError as error:
        sys.stderr.write(f"the sensor does not answer on {SOCKET}: {error.strerror}\n")
        return FAILED
    finally:
        sock.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
