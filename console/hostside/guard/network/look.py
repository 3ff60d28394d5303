"""What an isolation has to know of this host: stable things, by reading only."""

from __future__ import annotations

import os
import sys

from ..refused import Refused
from ..world import World

NET = "/sys/class/net"
_KINDS = ("1", "32")  # ARPHRD_ETHER, ARPHRD_INFINIBAND (include/uapi/linux/if_arp.h)
_PERMANENT = 0x80  # IFA_F_PERMANENT: no lease


def real(world: World) -> bool:
    """False below a base folder, where files stand for a host and there is no kernel to ask."""
    return not world.place.base


def first(path: str) -> str:
    """What is in a small file of sysfs, without the newline; empty where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(256).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def interfaces(world: World) -> list[str]:
    """Interfaces that frames leave this host by, sorted.

    Those of a device; where there is none (a container, a test host), those of Ethernet kind that
    are neither built upon another nor part of a bridge.
    """
    folder = world.path(NET)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    usable = [n for n in names if n != "lo" and first(f"{folder}/{n}/type") in _KINDS]
    devices = [n for n in usable if os.path.exists(f"{folder}/{n}/device")]
    return devices or [n for n in usable if _stands_alone(f"{folder}/{n}")]


def _stands_alone(base: str) -> bool:
    parts = os.listdir(base) if os.path.isdir(base) else []
    return not any(
        part.startswith("lower_") or part in ("bridge", "bonding", "master", "tun_flags")
        for part in parts
    )


def families(world: World) -> list[int]:
    """4, and 6 where the host has IPv6."""
    return [4, 6] if first(world.path("/proc/net/if_inet6")) else [4]


def sshd_port(world: World) -> int:
    """The port that this host's SSH server really listens on.

    Sockets of root's processes that run a program of that name; with several, the one that is in
    use now, for the caller came by it. Raises Refused where none is found.
    """
    if not real(world):
        return 22
    from . import diag as net_diag

    inodes = _sshd_sockets(world)
    with net_diag.Diag() as diag:
        states = 1 << net_diag.LISTEN | 1 << net_diag.ESTABLISHED
        mine = [flow for flow in diag.listed(states, udp=False) if flow.inode in inodes]
    listening = {flow.port for flow in mine if flow.state == net_diag.LISTEN}
    used: dict[int, int] = {}
    for flow in mine:
        if flow.state == net_diag.ESTABLISHED:
            used[flow.port] = used.get(flow.port, 0) + 1
    # Under socket activation it is systemd that listens, and only sessions belong to sshd.
    ports = listening or set(used)
    if not ports:
        raise Refused(
            "sshd-port",
            "no SSH server listens on this host, so nobody could come back after an isolation",
            "look at it on the host: ss -ltnp",
        )
    return min(ports, key=lambda port: (-used.get(port, 0), port != 22, port))


def _sshd_sockets(world: World) -> set[int]:
    from ..host import names

    found: set[int] = set()
    folder = world.path("/proc")
    for pid in os.listdir(folder):
        if not pid.isdigit():
            continue
        base = f"{folder}/{pid}"
        try:
            program = os.readlink(base + "/exe").replace(" (deleted)", "")
            if os.path.basename(program) not in names.SSHD or not _of_root(base):
                continue
            for number in os.listdir(base + "/fd"):
                target = os.readlink(f"{base}/fd/{number}")
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
        except OSError:
            continue
    return found


def _of_root(base: str) -> bool:
    # Without privilege separation's child: what a session's own user runs is not the server.
    return os.stat(base).st_uid == 0


def leased(world: World) -> bool:
    """Whether an IPv4 address of this host is a lease (it has an end)."""
    return lease_s(world) is not None


def lease_s(world: World) -> int | None:
    """Seconds until the first lease of an IPv4 address ends; None where there is none."""
    if not real(world):
        return None
    ends = []
    for message in dump(22, 2):  # RTM_GETADDR, AF_INET
        flags = message[2]  # struct ifaddrmsg: family, length, flags, scope, index
        known = attributes(message[8:])
        if 8 in known and len(known[8]) >= 4:  # IFA_FLAGS holds those that did not fit
            flags = int.from_bytes(known[8][:4], sys.byteorder)
        if not flags & _PERMANENT and 6 in known:  # IFA_CACHEINFO: preferred, valid
            ends.append(int.from_bytes(known[6][4:8], sys.byteorder))
    return min(ends) if ends else None


def translated(world: World) -> bool:
    """Whether connections are forwarded and may be translated (published ports of containers)."""
    forwards = first(world.path("/proc/sys/net/ipv4/ip_forward")) == "1"
    return forwards and os.path.exists(world.path("/proc/sys/net/netfilter/nf_conntrack_count"))


def can_end(world: World) -> bool:
    """Whether the kernel ends sockets for others (INET_DIAG_DESTROY)."""
    if not real(world):
        return True
    from . import diag as net_diag

    try:
        with net_diag.Diag() as diag:
            return diag.can_end()
    except OSError:
        return False


def egress(world: World, names: list[str]) -> bool:
    """Whether the kernel and nft have the egress hook (Linux 5.16): asked, not guessed."""
    if not names:
        return False
    if not real(world):
        return True
    from . import nft
    from . import rules as net_rules

    hook = "type filter hook egress devices = { %s } priority 0; policy accept;"
    quoted = ", ".join(f'"{net_rules.interface(name)}"' for name in names)
    text = f"table netdev watchfloor_try {{ chain egress {{ {hook % quoted}\n }}\n}}\n"
    return not nft.wrong(text, world)


def needs_nft(world: World) -> None:
    """Raise Refused where nft is not installed."""
    if real(world) and not world.has("nft"):
        raise Refused(
            "nft-missing",
            "nft is not installed on this host, so its network cannot be acted on",
            "install the package nftables",
        )


def dump(kind: int, family: int) -> list[bytes]:
    """The bodies of one rtnetlink dump. Raises OSError."""
    import errno
    import socket
    import struct

    head = struct.Struct("=IHHII")
    found: list[bytes] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as sock:
        sock.settimeout(2.0)
        sock.send(head.pack(32, kind, 0x301, 1, 0) + bytes([family]) + b"\0" * 15)
        while len(found) < 100_000:
            data = sock.recv(262_144)
            at = 0
            while at + 16 <= len(data):
                size, said, _, _, _ = head.unpack_from(data, at)
                if said == 3:  # NLMSG_DONE
                    return found
                if said == 2 or size < 16 or at + size > len(data):
                    raise OSError(errno.EIO, "rtnetlink does not answer")
                found.append(data[at + 16 : at + size])
                at += (size + 3) & ~3
    return found


def attributes(data: bytes) -> dict[int, bytes]:
    """Netlink attributes by number."""
    import struct

    out: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4 or at + size > len(data):
            break
        out[kind & 0x3FFF] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return out
