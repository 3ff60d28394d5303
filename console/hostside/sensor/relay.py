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


def relay(sock: socket.socket, stdin_fd: int, stdout_fd: int) -> None:
    """Copy both ways until the sensor ends; the end of input is passed on."""
    sources = [sock.fileno(), stdin_fd]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if stdin_fd in ready:
            data = os.read(stdin_fd, CHUNK)
            if data:
                sock.sendall(data)
            else:
                sources.remove(stdin_fd)
                sock.shutdown(socket.SHUT_WR)
        if sock.fileno() in ready:
            data = sock.recv(CHUNK)
            if not data:
                return
            while data:
                data = data[os.write(stdout_fd, data) :]


def main() -> int:
    """Connect and relay; the reason of a failure goes to standard error."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(SOCKET)
        relay(sock, 0, 1)
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
