"""Section ``nics``: network interfaces with driver and firmware."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct

from ..place import first_line, listing, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..inventory_lane import Context

SIOCETHTOOL = 0x8946
ETHTOOL_GDRVINFO = 0x00000003
_DRVINFO = struct.Struct("I32s32s32s32s32s12sIIIII")
"""struct ethtool_drvinfo (include/uapi/linux/ethtool.h)."""
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTM_NEWADDR, RTM_GETADDR = 20, 22
NLM_F_REQUEST_DUMP = 0x1 | 0x300
NLMSG_DONE, NLMSG_ERROR = 3, 2
MAX_NICS = 128


def drvinfo(raw: bytes) -> dict[str, str]:
    """Driver, its version, firmware and bus out of a filled ``ethtool_drvinfo``."""
    _, driver, version, firmware, bus, *_ = _DRVINFO.unpack_from(raw)
    names = ("driver", "driver_version", "firmware", "bus")
    values = (driver, version, firmware, bus)
    return {n: words(v.split(b"\0", 1)[0].strip(), 64) for n, v in zip(names, values)}


def ask(name: str) -> dict[str, str]:
    """Ask the kernel for the driver of an interface; empty where it has none to tell."""
    buffer = array.array("B", _DRVINFO.pack(ETHTOOL_GDRVINFO, *(b"",) * 6, *(0,) * 5))
    request = struct.pack("16sP8x", os.fsencode(name)[:15], buffer.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            fcntl.ioctl(sock.fileno(), SIOCETHTOOL, request)
        except OSError:
            return {}
    return drvinfo(buffer.tobytes())


def addresses() -> dict[int, list[str]]:
    """IP addresses by interface index, from rtnetlink (RTM_GETADDR)."""
    found: dict[int, list[str]] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.settimeout(1)
        body = struct.pack("=BBBBI", 0, 0, 0, 0, 0)
        head = struct.pack("=IHHII", 16 + len(body), RTM_GETADDR, NLM_F_REQUEST_DUMP, 1, 0)
        sock.send(head + body)
        for _ in range(1000):
            data = sock.recv(65_536)
            if parse_addresses(data, found):
                break
    return found


def parse_addresses(data: bytes, found: dict[int, list[str]]) -> bool:
    """Take the addresses out of one netlink datagram; True at the end of the dump."""
    at = 0
    while at + 16 <= len(data):
        size, kind = struct.unpack_from("=IH", data, at)
        if kind in (NLMSG_DONE, NLMSG_ERROR) or size < 16:
            return True
        if kind == RTM_NEWADDR and size >= 24 and at + 24 <= len(data):
            family, prefix, _, _, index = struct.unpack_from("=BBBBI", data, at + 16)
            values = _attributes(data[at + 24 : at + size])
            raw = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS)
            if raw is not None and len(raw) == (4 if family == socket.AF_INET else 16):
                text = socket.inet_ntop(family, raw) if family in (2, 10) else ""
                if text:
                    found.setdefault(index, []).append(f"{text}/{prefix}")
        at += (size + 3) & ~3
    return False


def _attributes(data: bytes) -> dict[int, bytes]:
    out = {}
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4:
            break
        out[kind & 0x3FFF] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return out


def _index(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return -1


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """One section; loopback is left out."""
    place = context.place
    folder = place.path("/sys/class/net")
    try:
        names = listing(folder)
        # Real devices first: a host of many containers has more virtual ones than fit.
        names.sort(key=lambda name: not os.path.exists(f"{folder}/{name}/device"))
        names = names[:MAX_NICS]
    except OSError:
        names = []
    by_index: dict[int, list[str]] = {}
    if place.real:
        try:
            by_index = addresses()
        except OSError:
            by_index = {}
    nics = []
    for name in names:
        if name == "lo" or not os.path.isdir(f"{folder}/{name}"):
            continue
        base = f"{folder}/{name}/"
        speed = _index(first_line(base + "speed"))
        nic: dict[str, Any] = {
            "name": words(name, 32),
            "mac": first_line(base + "address"),
            "up": first_line(base + "operstate") in ("up", "unknown"),
            "addresses": by_index.get(_index(first_line(base + "ifindex")), []),
            **(ask(name) if place.real else {}),
        }
        if speed > 0:
            nic["speed_mbps"] = speed
        nics.append(nic)
        yield ("step",)
    yield ("section", "nics", nics)
