"""Sockets from the kernel by NETLINK_SOCK_DIAG, and from ``/proc/net`` where that is refused.

Listing the listeners this way costs 0.04 ms, reading all sockets of a general library 30 ms. No
privilege is needed; whom a socket belongs to is another matter (``owners``).
"""

from __future__ import annotations

import errno
import socket
import struct

from .place import Place, slurp_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple

    class Socket(NamedTuple):
        """One socket; ``acked`` and ``received`` are bytes, 0 when not asked for."""

        local: str
        port: int
        peer: str
        peer_port: int
        uid: int
        inode: int
        acked: int
        received: int
else:
    from collections import namedtuple

    Socket = namedtuple("Socket", "local port peer peer_port uid inode acked received")

ESTABLISHED = 1
CLOSE = 7  # how an unconnected UDP socket is listed
LISTEN = 10
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_DONE = 3
_ERROR = 2
_INFO = 2  # attribute INET_DIAG_INFO: struct tcp_info
_ACKED_AT = 120  # offset of tcpi_bytes_acked in struct tcp_info; tcpi_bytes_received follows
_HEAD = struct.Struct("=IHHII")
_ID = struct.Struct("!BBBBHH16s16s")
_TAIL = struct.Struct("=IIIII")
_ATTRIBUTE = struct.Struct("=HH")
_BYTES = struct.Struct("=QQ")
_MESSAGE = 72
MAX_SOCKETS = 200_000


class Refused(OSError):
    """The kernel does not answer this question (old kernel, module missing, sandbox)."""


def address(family: int, raw: bytes) -> str:
    """Text of a 16 byte address; an IPv4 address inside IPv6 is given as IPv4."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    if raw[:12] == b"\0" * 10 + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, raw[12:16])
    return socket.inet_ntop(socket.AF_INET6, raw[:16])


def parse(data: bytes, names: dict[bytes, str]) -> tuple[list[Socket], bool]:
    """Sockets in one datagram, and whether it was the last. Raises Refused for an error message.

    ``names`` remembers texts of addresses; it may be an empty dictionary.
    """
    found: list[Socket] = []
    at = 0
    end = len(data)
    while at + 16 <= end:
        length, kind = _HEAD.unpack_from(data, at)[:2]
        if kind == _DONE:
            return found, True
        if kind == _ERROR:
            code = struct.unpack_from("=i", data, at + 16)[0] if at + 20 <= end else -errno.EIO
            raise Refused(-code if code < 0 else errno.EIO, "sock_diag")
        if length < 16 or at + length > end:
            raise Refused(errno.EBADMSG, "sock_diag: a message that does not fit")
        if kind == _SOCK_DIAG_BY_FAMILY and length >= 16 + _MESSAGE:
            found.append(_socket(data, at + 16, at + length, names))
        at += (length + 3) & ~3
    return found, False


def _socket(data: bytes, at: int, end: int, names: dict[bytes, str]) -> Socket:
    family, _, _, _, port, peer_port, local, peer = _ID.unpack_from(data, at)
    _, _, _, uid, inode = _TAIL.unpack_from(data, at + 52)
    acked = received = 0
    at += _MESSAGE
    while at + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4:
            break
        if kind == _INFO and length >= 4 + _ACKED_AT + 16 and at + length <= end:
            acked, received = _BYTES.unpack_from(data, at + 4 + _ACKED_AT)
        at += (length + 3) & ~3
    mine = names.get(local)
    if mine is None:
        mine = names[local] = address(family, local)
    theirs = names.get(peer)
    if theirs is None:
        theirs = names[peer] = address(family, peer)
    return Socket(mine, port, theirs, peer_port, uid, inode, acked, received)


class SockDiag:
    """Asks the kernel; remembers what it refused and reads ``/proc/net`` instead."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._refused: set[tuple[int, int]] = set()
        self._socket: socket.socket | None = None
        # A picture of another host has no kernel that could be asked.
        self._files_only = not place.real

    def close(self) -> None:
        """Give the netlink socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def listeners(self) -> list[Socket]:
        """TCP sockets that listen."""
        return self._both(socket.IPPROTO_TCP, 1 << LISTEN)

    def udp(self) -> list[Socket]:
        """UDP sockets that are bound and not connected."""
        return [s for s in self._both(socket.IPPROTO_UDP, 1 << CLOSE) if s.port]

    def established(self) -> list[Socket]:
        """TCP connections with their byte counters (0 where only ``/proc/net`` answers)."""
        return self._both(socket.IPPROTO_TCP, 1 << ESTABLISHED, info=True)

    @property
    def counts_bytes(self) -> bool:
        """False when connections come without byte counters."""
        tcp = (socket.AF_INET, socket.IPPROTO_TCP)
        return not self._files_only and tcp not in self._refused

    def _both(self, protocol: int, states: int, info: bool = False) -> list[Socket]:
        found: list[Socket] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            if not self._files_only and (family, protocol) not in self._refused:
                try:
                    found += self._dump(family, protocol, states, info)
                    continue
                except OSError as error:
                    self.close()
                    if error.errno in (errno.EAGAIN, errno.ENOBUFS, errno.EINTR):
                        raise  # a passing state: the next tick asks again
                    self._refused.add((family, protocol))
            found += self._files(family, protocol, states)
        return found

    def _dump(self, family: int, protocol: int, states: int, info: bool) -> list[Socket]:
        if self._socket is None:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)
            self._socket.settimeout(2.0)
        extension = 1 << (_INFO - 1) if info else 0
        body = struct.pack("=BBBxI48x", family, protocol, extension, states)
        self._socket.send(
            _HEAD.pack(16 + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + body
        )
        found: list[Socket] = []
        names: dict[bytes, str] = {}
        while True:
            part, last = parse(self._socket.recv(262_144), names)
            found += part
            if last:
                return found
            if len(found) > MAX_SOCKETS:
                self.close()  # what else the kernel would say belongs to no later question
                return found

    def _files(self, family: int, protocol: int, states: int) -> list[Socket]:
        name = "tcp" if protocol == socket.IPPROTO_TCP else "udp"
        path = self._place.proc + "/net/" + name + ("6" if family == socket.AF_INET6 else "")
        try:
            text = slurp_all(path)
        except OSError:
            return []
        return list(parse_proc_net(text, states))


def parse_proc_net(text: bytes, states: int) -> Iterator[Socket]:
    """Sockets of ``/proc/net/tcp`` and its siblings whose state is in the bit mask ``states``."""
    for line in text.split(b"\n")[1:]:
        fields = line.split()
        if len(fields) < 10:
            continue
        try:
            if not states >> int(fields[3], 16) & 1:
                continue
            local, port = _hex_address(fields[1])
            peer, peer_port = _hex_address(fields[2])
            yield Socket(local, port, peer, peer_port, int(fields[7]), int(fields[9]), 0, 0)
        except ValueError:
            continue


def _hex_address(field: bytes) -> tuple[str, int]:
    """``0100007F:1F90``: words of the machine's byte order, then the port."""
    where, _, port = field.partition(b":")
    raw = bytes.fromhex(where.decode("ascii"))
    if len(raw) not in (4, 16):
        raise ValueError("not an address")
    count = len(raw) // 4
    raw = struct.pack(f"!{count}I", *struct.unpack(f"={count}I", raw))
    number = int(port, 16)
    if number > 65_535:
        raise ValueError("not a port")
    return address(socket.AF_INET if count == 1 else socket.AF_INET6, raw), number
