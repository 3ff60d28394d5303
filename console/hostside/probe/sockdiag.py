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
    from collections.abc import Iterator, Mapping
    from typing import NamedTuple, Optional, Tuple

    class Socket(NamedTuple):
        """One socket."""

        local: str
        port: int
        peer: str
        peer_port: int
        uid: int
        inode: int

    Connection = Tuple[bytes, Optional[Socket], int, int]
    """Identity; the socket, or None when it was known; acknowledged and received bytes."""
else:
    from collections import namedtuple

    Socket = namedtuple("Socket", "local port peer peer_port uid inode")

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
_START = struct.Struct("=IH")
_MESSAGE_FORM = struct.Struct("=B3x2s2s16s16s24xII")  # family, ports, addresses, user, inode
_ATTRIBUTE = struct.Struct("=HH")
_BYTES = struct.Struct("=QQ")
_MESSAGE = 72
MAX_SOCKETS = 200_000
NOTHING: dict[bytes, object] = {}


class Refused(OSError):
    """The kernel does not answer this question (old kernel, module missing, sandbox)."""


def address(family: int, raw: bytes) -> str:
    """Text of a 16 byte address; an IPv4 address inside IPv6 is given as IPv4."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    if raw[:12] == b"\0" * 10 + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, raw[12:16])
    return socket.inet_ntop(socket.AF_INET6, raw[:16])


def messages(data: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each socket's message in one datagram, then (-1, -1) if it was the last.

    Raises Refused for an error message and for what does not fit together.
    """
    at = 0
    end = len(data)
    start = _START.unpack_from
    while at + 16 <= end:
        length, kind = start(data, at)
        if kind == _DONE:
            yield -1, -1
            return
        if kind == _ERROR:
            code = struct.unpack_from("=i", data, at + 16)[0] if at + 20 <= end else -errno.EIO
            raise Refused(-code if code < 0 else errno.EIO, "sock_diag")
        if length < 16 or at + length > end:
            raise Refused(errno.EBADMSG, "sock_diag: a message that does not fit")
        if kind == _SOCK_DIAG_BY_FAMILY and length >= 16 + _MESSAGE:
            yield at + 16, at + length
        at += (length + 3) & ~3


def identity(data: bytes, at: int) -> bytes:
    """What names the socket of the message at ``at``: ports, addresses, cookie, user, inode."""
    return data[at + 4 : at + 52] + data[at + 64 : at + 72]


class Counts:
    """Reads byte counters; remembers where they lie, for that is the same in all messages."""

    def __init__(self) -> None:
        self._place = 0

    def read(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """Acknowledged and received bytes in the message at ``at``; zeros when it has none."""
        attributes = at + _MESSAGE
        if attributes >= end:
            return 0, 0
        place = self._place
        if not _is_info(data, attributes + place, end):
            place = _find_info(data, attributes, end)
            if place < 0:
                return 0, 0
            self._place = place
        acked, received = _BYTES.unpack_from(data, attributes + place + 4 + _ACKED_AT)
        return acked, received


def read_socket(data: bytes, at: int, names: dict[bytes, str]) -> Socket:
    """The socket of the message at ``at``, without counters.

    ``names`` remembers addresses of one family: the bytes of ``0.0.0.0`` and ``::`` are the same.
    """
    family, port, peer_port, local, peer, uid, inode = _MESSAGE_FORM.unpack_from(data, at)
    mine = names.get(local)
    if mine is None:
        mine = names[local] = address(family, local)
    theirs = names.get(peer)
    if theirs is None:
        theirs = names[peer] = address(family, peer)
    ports = int.from_bytes(port, "big"), int.from_bytes(peer_port, "big")
    return Socket(mine, ports[0], theirs, ports[1], uid, inode)


def _is_info(data: bytes, at: int, end: int) -> bool:
    """True when a whole INET_DIAG_INFO with byte counters lies at ``at``."""
    if at + 4 + _ACKED_AT + 16 > end:
        return False
    length, kind = _ATTRIBUTE.unpack_from(data, at)
    return bool(kind == _INFO and length >= 4 + _ACKED_AT + 16 and at + length <= end)


def _find_info(data: bytes, at: int, end: int) -> int:
    """Distance from ``at`` to INET_DIAG_INFO, or -1."""
    began = at
    while at + 4 <= end:
        if _is_info(data, at, end):
            return at - began
        length = _ATTRIBUTE.unpack_from(data, at)[0]
        if length < 4:
            break
        at += (length + 3) & ~3
    return -1


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

    def established(self, known: Mapping[bytes, object] = NOTHING) -> list[Connection]:
        """TCP connections with byte counters (0 where only ``/proc/net`` answers).

        Of those in ``known``, by identity, only the counters are read: addresses cost the most.
        """
        found: list[Connection] = []
        counts = Counts()
        for family in (socket.AF_INET, socket.AF_INET6):
            names: dict[bytes, str] = {}
            answers = self._answers(family, socket.IPPROTO_TCP, 1 << ESTABLISHED, info=True)
            for data, at, end in answers:
                name = identity(data, at)
                acked, received = counts.read(data, at, end)
                one = None if name in known else read_socket(data, at, names)
                found.append((name, one, acked, received))
            if (family, socket.IPPROTO_TCP) in self._refused or self._files_only:
                for one in self._files(family, socket.IPPROTO_TCP, 1 << ESTABLISHED):
                    found.append((repr(one).encode(), one, 0, 0))
        return found

    @property
    def counts_bytes(self) -> bool:
        """False when connections come without byte counters."""
        tcp = (socket.AF_INET, socket.IPPROTO_TCP)
        return not self._files_only and tcp not in self._refused

    def _both(self, protocol: int, states: int) -> list[Socket]:
        found: list[Socket] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            names: dict[bytes, str] = {}
            for data, at, _ in self._answers(family, protocol, states, info=False):
                found.append(read_socket(data, at, names))
            if (family, protocol) in self._refused or self._files_only:
                found += self._files(family, protocol, states)
        return found

    def _answers(
        self, family: int, protocol: int, states: int, info: bool
    ) -> list[tuple[bytes, int, int]]:
        """Messages of one dump; none when the kernel refuses, which is remembered."""
        if self._files_only or (family, protocol) in self._refused:
            return []
        try:
            return self._dump(family, protocol, states, info)
        except OSError as error:
            self.close()
            if error.errno in (errno.EAGAIN, errno.ENOBUFS, errno.EINTR):
                raise  # a passing state: the next tick asks again
            self._refused.add((family, protocol))
            return []

    def _dump(
        self, family: int, protocol: int, states: int, info: bool
    ) -> list[tuple[bytes, int, int]]:
        if self._socket is None:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG)
            self._socket.settimeout(2.0)
        extension = 1 << (_INFO - 1) if info else 0
        body = struct.pack("=BBBxI48x", family, protocol, extension, states)
        self._socket.send(
            _HEAD.pack(16 + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + body
        )
        found: list[tuple[bytes, int, int]] = []
        while True:
            data = self._socket.recv(65_536)
            found += [(data, at, end) for at, end in messages(data)]
            if found and found[-1][1] < 0:
                found.pop()
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
            yield Socket(local, port, peer, peer_port, int(fields[7]), int(fields[9]))
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
