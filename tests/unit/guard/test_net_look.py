"""What is read of a host, and which connections are chosen."""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.network import (
    diag as net_diag,
)
from console.hostside.guard.network import (
    flows as net_flows,
)
from console.hostside.guard.network import (
    look as net_look,
)
from console.hostside.guard.network import (
    residual as net_residual,
)
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import step
from console.hostside.guard.world import World


def host(base: Path, *paths: str) -> World:
    """A picture of a host: ``path=text`` makes a file, ``path/`` a folder."""
    for one in paths:
        path, _, text = one.partition("=")
        target = base / path.strip("/")
        if one.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    return World(Place(str(base)))


def flow(peer: str, port: int = 8000, local: str = "192.0.2.1") -> net_diag.Flow:
    """An established connection."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    here = socket.inet_pton(socket.AF_INET6, "fd00::1") if ":" in peer else None
    raw = here or socket.inet_pton(socket.AF_INET, local)
    return net_diag.Flow(family, 6, 1, port, 40_000, raw, socket.inet_pton(family, peer), b"", 1)


def test_interfaces_of_devices_come_first(tmp_path: Path) -> None:
    """Bridges, their ports, tunnels and loopback are no way out by themselves."""
    net = "/sys/class/net"
    world = host(
        tmp_path,
        f"{net}/lo/type=772",
        f"{net}/eth1/type=1",
        f"{net}/docker0/type=1",
        f"{net}/docker0/bridge/",
        f"{net}/veth1/type=1",
        f"{net}/veth1/master/",
        f"{net}/eth1.7/type=1",
        f"{net}/eth1.7/lower_eth1/",
        f"{net}/tun0/type=65534",
        f"{net}/tap0/type=1",
        f"{net}/tap0/tun_flags=0x1",
        f"{net}/host0/type=1",
    )
    assert net_look.interfaces(world) == ["eth1", "host0"]
    host(tmp_path, f"{net}/eth1/device/", f"{net}/ib0/type=32", f"{net}/ib0/device/")
    assert net_look.interfaces(world) == ["eth1", "ib0"]
    assert net_look.interfaces(World(Place(str(tmp_path / "nothing")))) == []


def test_families_and_translation_are_read(tmp_path: Path) -> None:
    """From /proc."""
    world = host(tmp_path, "/proc/net/if_inet6=", "/proc/sys/net/ipv4/ip_forward=1\n")
    assert net_look.families(world) == [4]
    assert not net_look.translated(world)
    host(tmp_path, "/proc/net/if_inet6=fe80 02 40 20 80 eth0\n")
    host(tmp_path, "/proc/sys/net/netfilter/nf_conntrack_count=3")
    assert net_look.families(world) == [4, 6]
    assert net_look.translated(world)


def test_paths_that_rules_do_not_close_are_named(tmp_path: Path) -> None:
    """RDMA, virtual functions, vfio, user-space drivers, a BMC, an old kernel. Threats: 87."""
    world = host(
        tmp_path,
        "/sys/class/infiniband/mlx5_0/",
        "/sys/class/net/eth0/device/sriov_numvfs=8\n",
        "/sys/class/net/eth1/device/sriov_numvfs=0\n",
        "/dev/vfio/vfio=",
        "/dev/vfio/12=",
        "/sys/class/uio/uio0/",
        "/dev/ipmi0=",
    )
    text = "\n".join(net_residual.residual(world, {"interfaces": ["eth0"], "egress": False}))
    for part in ("mlx5_0", "8 virtual functions (SR-IOV) of eth0", "(vfio): 1", "uio0", "BMC"):
        assert part in text
    assert "no egress hook (Linux before 5.16" in text
    assert "eth1" not in text
    empty = World(Place(str(tmp_path / "nothing")))
    assert net_residual.residual(empty, {"interfaces": ["eth0"], "egress": True}) == []
    none = net_residual.residual(empty, {"interfaces": [], "egress": False})
    assert "no interface to guard was found" in none[0]


def test_lo_and_management_are_never_ended() -> None:
    """Whatever else is asked for."""
    args: dict[str, Any] = {"keep": ["10.9.1.0/24", "fd00:9::/64"], "peers": [], "ports": []}
    every = net_flows.chosen(args)
    for peer in ("10.9.1.2", "fd00:9::2", "127.0.0.1", "::1", "192.0.2.1"):
        assert not every(flow(peer)), peer
    for peer in ("10.9.2.2", "198.51.100.1", "fd00:a::2", "2001:db8::1"):
        assert every(flow(peer)), peer
    named = net_flows.chosen({**args, "peers": ["10.0.0.0/8", "::/16"], "ports": []})
    assert not named(flow("10.9.1.2"))
    assert named(flow("10.9.2.2"))
    assert not named(flow("198.51.100.1"))
    ports = net_flows.chosen({**args, "ports": [8000]})
    assert ports(flow("198.51.100.1"))
    assert not ports(flow("198.51.100.1", 8001))
    with pytest.raises(Refused):
        net_flows.chosen({**args, "keep": []})


def test_connections_are_counted_by_peer() -> None:
    """The most first, in a bounded number of lines."""
    flows = [flow("198.51.100.1")] * 3 + [flow("2001:db8::1", 22), flow("203.0.113.9", 50_000)]
    assert net_flows.by_peer(flows) == [
        "198.51.100.1: 3 connections to port 8000",
        "2001:db8::1: 1 connection to port 22",
        "203.0.113.9: 1 connection",
    ]
    many = [flow(f"198.51.{n // 250}.{n % 250}") for n in range(1000)]
    assert net_flows.by_peer(many)[-1] == "960 more, 960 connections"


@given(st.binary(max_size=400))
def test_any_bytes_of_netlink_are_read_or_are_an_error(data: bytes) -> None:
    """Nothing else is raised."""
    found: list[net_diag.Flow] = []
    done, error = net_diag.parse(data, 1, 6, found)
    assert isinstance(done, bool)
    assert error >= 0 or found == []


def test_messages_of_another_question_are_passed_over() -> None:
    """By the sequence number; an error ends it."""
    head = struct.Struct("=IHHII")
    body = b"\2\1\0\0" + struct.pack("!HH", 80, 90) + b"\x0a\0\0\1" + b"\0" * 12
    body += b"\x0a\0\0\2" + b"\0" * 12 + b"\0" * 32
    assert len(body) == 72
    found: list[net_diag.Flow] = []
    message = head.pack(16 + 72, 20, 2, 5, 0) + body
    assert net_diag.parse(message, 4, 6, found) == (False, 0)
    assert found == []
    assert net_diag.parse(message, 5, 6, found) == (False, 0)
    assert (found[0].port, found[0].peer_port) == (80, 90)
    assert net_diag.address(found[0].peer) == "10.0.0.2"
    failed = head.pack(20, 2, 0, 5, 0) + struct.pack("=i", -errno.EPERM)
    assert net_diag.parse(failed, 5, 6, found) == (True, errno.EPERM)


def test_own_connections_are_found_in_the_kernel() -> None:
    """Both ends on loopback, of both families, and none of them would be ended."""
    with net_diag.Diag() as diag:
        for address in ("127.0.0.1", "::1"):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.create_server((address, 0), family=family) as server:
                port = server.getsockname()[1]
                with socket.create_connection(server.getsockname()[:2]) as one:
                    inode = os.fstat(one.fileno()).st_ino
                    mine = [f for f in diag.listed() if f.inode == inode]
                    assert [f.peer_port for f in mine] == [port]
                    assert net_diag.is_loopback(mine[0])
        listening = diag.listed(1 << net_diag.LISTEN, udp=False)
        assert all(f.state == net_diag.LISTEN for f in listening)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root ends sockets of others")
def test_one_socket_is_ended_by_its_own_name() -> None:
    """Where the kernel can; another with the same port is not."""
    with net_diag.Diag() as diag, socket.create_server(("127.0.0.1", 0)) as server:
        if not diag.can_end():
            pytest.skip("this kernel ends no sockets")
        one = socket.create_connection(server.getsockname())
        other = socket.create_connection(server.getsockname())
        inode = os.fstat(one.fileno()).st_ino
        (mine,) = [f for f in diag.listed() if f.inode == inode]
        assert diag.end(mine) == 0
        assert diag.end(mine) == errno.ENOENT
        one.settimeout(5)
        with one, pytest.raises(OSError, match="abort"):
            one.recv(1)
        with other:
            other.send(b"x")


def test_the_step_for_connections_says_that_it_cannot_be_undone() -> None:
    """And undoes nothing."""
    one = step("flows")
    assert not one.undoable
    args = {"keep": ["10.9.1.0/24"], "peers": ["198.51.100.250/32"], "ports": [9]}
    world = World(Place())
    assert one.do(args, {}, world) == {"ended": 0, "not_ended": 0}
    one.undo(args, {}, world)
    assert one.holds(args, {}, world)
