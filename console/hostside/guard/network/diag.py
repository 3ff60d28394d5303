"""Sockets by NETLINK_SOCK_DIAG: listed, and ended where the kernel can (INET_DIAG_DESTROY).

Ending one socket costs some microseconds here; ``ss -K`` would be another process, another package
on the host, and a filter language with text in it.
"""

from __future__ import annotations

import _socket as socket  # all that is needed, without 2 ms of the rest
import errno
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Flow(NamedTuple):
        """One connection, with the kernel's own name of it (``key``) to end it by."""

        family: int
        protocol: int
        state: int
        port: int
        peer_port: int
        local: bytes
        peer: bytes
        key: bytes
        inode: int
else:
    from collections import namedtuple

    Flow = namedtuple("Flow", "family protocol state port peer_port local peer key inode")

ESTABLISHED, LISTEN = 1, 10
_BY_FAMILY, _DESTROY = 20, 21
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_DONE, _ERROR = 3, 2
_HEAD = struct.Struct("=IHHII")
_ASK = struct.Struct("=BBBxI")
_SOCKET = struct.Struct("=BB2x2s2s16s16s4x8s12xII")  # struct inet_diag_msg
_MESSAGE = 72
# Closed and listening sockets are no connection, and one in TIME_WAIT has nothing left to send.
CONNECTED = 0xFFF & ~(1 << 6 | 1 << 7 | 1 << LISTEN | 1)
_MAPPED = b"\0" * 10 + b"\xff\xff"
MAX_FLOWS = 200_000


class Diag:
    """A netlink socket, in the network namespace of this process."""

    def __init__(self) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, 4)
        self._socket.settimeout(5.0)
        self._number = 0

    def __enter__(self) -> Diag:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def listed(self, states: int = CONNECTED, udp: bool = True) -> list[Flow]:
        """Sockets of TCP and of connected UDP in these states, of both families. Raises OSError."""
        found: list[Flow] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            found += self._dump(family, socket.IPPROTO_TCP, states)
            if udp:
                found += self._dump(family, socket.IPPROTO_UDP, 1 << ESTABLISHED)
        return found

    def end(self, flow: Flow) -> int:
        """End one socket: 0, or the number of the error (ENOENT: it is gone already)."""
        body = _ASK.pack(flow.family, flow.protocol, 0, 0) + flow.key
        return self._asked(_DESTROY, _REQUEST | _ACK, body)

    def can_end(self) -> bool:
        """Whether this kernel ends sockets for others; asked with a socket that cannot be."""
        nobody = struct.pack("!HH", 1, 1) + b"\x7f\0\0\1" + b"\0" * 12
        nobody += b"\x7f\0\0\1" + b"\0" * 16 + b"\xff" * 8
        body = _ASK.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0) + nobody
        return self._asked(_DESTROY, _REQUEST | _ACK, body) in (0, errno.ENOENT)

    def _asked(self, kind: int, flags: int, body: bytes) -> int:
        self._send(kind, flags, body)
        while True:
            data = self._socket.recv(65_536)
            if len(data) >= 20:
                _, said, _, number, _ = _HEAD.unpack_from(data)
                if said == _ERROR and number == self._number:
                    code: int = struct.unpack_from("=i", data, 16)[0]
                    return -code

    def _dump(self, family: int, protocol: int, states: int) -> list[Flow]:
        self._send(
            _BY_FAMILY, _REQUEST | _DUMP, _ASK.pack(family, protocol, 0, states) + b"\0" * 48
        )
        found: list[Flow] = []
        while True:
            data = self._socket.recv(131_072)
            done, error = parse(data, self._number, protocol, found)
            if error == errno.ENOENT:  # a kernel without that protocol or family
                return []
            if error:
                raise OSError(error, "the kernel does not list its sockets")
            if done:
                return found
            if len(found) > MAX_FLOWS:
                raise OSError(errno.EFBIG, f"more than {MAX_FLOWS} sockets")

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._number += 1
        head = _HEAD.pack(16 + len(body), kind, flags, self._number, 0)
        self._socket.send(head + body)


def parse(data: bytes, number: int, protocol: int, found: list[Flow]) -> tuple[bool, int]:
    """Take the sockets out of one datagram: whether it was the last, and an error or 0."""
    at = 0
    while at + 16 <= len(data):
        length, kind, _, sequence, _ = _HEAD.unpack_from(data, at)
        if length < 16 or at + length > len(data):
            return True, errno.EBADMSG
        if sequence == number:
            if kind == _DONE:
                return True, 0
            if kind == _ERROR:
                code = struct.unpack_from("=i", data, at + 16)[0] if length >= 20 else -errno.EIO
                return True, -code
            if kind == _BY_FAMILY and length >= 16 + _MESSAGE:
                found.append(_flow(data, at + 16, protocol))
        at += (length + 3) & ~3
    return False, 0


def _flow(data: bytes, at: int, protocol: int) -> Flow:
    family, state, port, peer_port, local, peer, _, _, inode = _SOCKET.unpack_from(data, at)
    size = 4 if family == socket.AF_INET else 16
    local, peer = local[:size], peer[:size]
    if size == 16 and local[:12] == _MAPPED and peer[:12] == _MAPPED:
        local, peer = local[12:], peer[12:]
    key = data[at + 4 : at + 52]  # ports, addresses, interface, cookie: struct inet_diag_sockid
    numbers = int.from_bytes(port, "big"), int.from_bytes(peer_port, "big")
    return Flow(family, protocol, state, *numbers, local, peer, key, inode)


def address(raw: bytes) -> str:
    """Text of an address of 4 or 16 bytes."""
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def is_loopback(flow: Flow) -> bool:
    """Whether it never leaves the host: loopback addresses, or one address on both ends."""
    if flow.local == flow.peer:
        return True
    if len(flow.peer) == 4:
        return flow.peer[0] == 127
    return flow.peer == b"\0" * 15 + b"\1"
