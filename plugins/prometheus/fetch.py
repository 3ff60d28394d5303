"""One page over HTTP, from the address that was granted, within a time and a size.

Its own small client: no proxy of the environment, no redirect to somewhere else, and the time is
for the whole answer, not for each piece of it.
"""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from urllib.parse import urlsplit

from .exposition import MAX_PAGE

TIMEOUT_S = 2.0
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_SIZE_LINE = 256


class FetchError(Exception):
    """A page could not be had; says why in a few words."""


def split(url: str) -> tuple[str, int, str]:
    """Address, port and path of an ``http://ADDRESS:PORT/PATH``. Raises FetchError."""
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as exc:
        raise FetchError(f"{url[:80]!r} is no address of a page: {exc}") from exc
    if parts.scheme != "http" or not parts.hostname or parts.username is not None:
        raise FetchError(f"{url[:80]!r} is not http://ADDRESS:PORT/metrics")
    path = parts.path or "/metrics"
    return parts.hostname, port, f"{path}?{parts.query}" if parts.query else path


def fetch(url: str, seconds: float = TIMEOUT_S) -> str:
    """The page as text. Raises FetchError."""
    address, port, path = split(url)
    end = time.monotonic() + seconds
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    # The timeout of a socket is for each piece; a server that drips never meets it.
    watch: threading.Timer | None = None
    try:
        connection.connect()
        watch = threading.Timer(seconds, _cut, (connection.sock,))
        watch.daemon = True
        watch.start()
        connection.request("GET", path, headers={"Accept": "text/plain;version=0.0.4"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise FetchError(f"answers {answer.status}")
        raw = _body(answer)
        if time.monotonic() >= end:
            raise TimeoutError
    except ConnectionRefusedError:
        raise FetchError(f"nothing listens at {address} port {port}") from None
    except PermissionError:
        raise FetchError(
            f"{address} port {port} is not granted: add it to connect in [plugins.prometheus]"
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as exc:
        if time.monotonic() >= end:
            raise FetchError(f"no whole answer within {seconds:g} s") from None
        raise FetchError(f"{type(exc).__name__}: {exc}"[:120]) from exc
    finally:
        if watch is not None:
            watch.cancel()
        connection.close()
    if len(raw) > MAX_PAGE:
        raise FetchError(f"is larger than {MAX_PAGE >> 20} MiB")
    return raw.decode("utf-8", "replace")


def _body(answer: http.client.HTTPResponse) -> bytes:
    """What follows the head, one byte more than ``MAX_PAGE`` at most.

    HTTPException where it is not whole. Chunks are read here: http.client takes a size of -1 and
    then reads without end.
    """
    if not answer.chunked:
        return answer.read(MAX_PAGE + 1)
    read = bytearray()
    while len(read) <= MAX_PAGE:
        found = _SIZE.fullmatch(answer.fp.readline(_SIZE_LINE))
        if found is None:
            raise http.client.HTTPException("a piece of the page has no size")
        size = int(found[1], 16)
        if size == 0:
            break
        piece = answer.fp.read(min(size, MAX_PAGE + 1 - len(read)))
        read += piece
        if len(piece) < size and len(read) <= MAX_PAGE:
            raise http.client.HTTPException("the page is cut off")
        answer.fp.readline(3)
    return bytes(read)


def _cut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
