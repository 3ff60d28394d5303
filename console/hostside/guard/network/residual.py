"""Ways out that rules of nftables do not close, as far as a host shows them."""

from __future__ import annotations

import os

from ..world import World
from . import look as net_look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_NAMESPACES = 64
WIRES = ("", "veth", "vlan", "bond", "bridge", "team", "vrf", "macvlan", "ipvlan")
CHILDREN = ("macvlan", "macvtap", "ipvlan", "ipvtap")


def residual(world: World, facts: dict[str, Any]) -> list[str]:
    """One line for each path that stays open after an isolation."""
    lines = []
    if not facts["interfaces"]:
        lines.append("no interface to guard was found: frames by raw sockets are not stopped")
    elif not facts["egress"]:
        lines.append(
            "no egress hook (Linux before 5.16 or an older nft): frames by raw sockets, which"
            " containers with CAP_NET_RAW may send, still leave"
        )
    lines += _rdma(world) + _functions(world) + _bypass(world)
    lines += _children(world) + _namespaces(world) + _bmc(world)
    return lines


def _names(world: World, folder: str) -> list[str]:
    try:
        return sorted(os.listdir(world.path(folder)))
    except OSError:
        return []


def _rdma(world: World) -> list[str]:
    names = _names(world, "/sys/class/infiniband")
    if not names:
        return []
    return [f"RDMA past the kernel's network (InfiniBand, RoCE): {_some(names)}"]


def _functions(world: World) -> list[str]:
    lines = []
    for name in _names(world, net_look.NET):
        path = world.path(f"{net_look.NET}/{name}/device/sriov_numvfs")
        count = net_look.first(path)
        if count.isdigit() and int(count):
            lines.append(f"{count} virtual functions (SR-IOV) of {_shown(name)}")
    return lines


def _bypass(world: World) -> list[str]:
    lines = []
    groups = [name for name in _names(world, "/dev/vfio") if name.isdigit()]
    if groups:
        lines.append(f"devices handed to virtual machines or user space (vfio): {len(groups)}")
    uio = _names(world, "/sys/class/uio")
    if uio:
        lines.append(f"devices driven from user space (uio): {_some(uio)}")
    return lines


def _bmc(world: World) -> list[str]:
    if any(name.startswith("ipmi") for name in _names(world, "/sys/class/ipmi")) or any(
        os.path.exists(world.path(f"/dev/{name}")) for name in ("ipmi0", "ipmi/0", "ipmidev/0")
    ):
        return ["a management controller (BMC) with a network port of its own"]
    return []


def _children(world: World) -> list[str]:
    if not net_look.real(world):
        return []
    try:
        found = [name for name, kind, _ in links() if kind in CHILDREN]
    except OSError:
        return ["interfaces built upon others (macvlan, ipvlan): they could not be listed"]
    if not found:
        return []
    return [
        f"interfaces that take frames before the rules see them (macvlan, ipvlan): {_some(found)}"
    ]


def links() -> list[tuple[str, str, bool]]:
    """Name, kind (``""``: a device) and whether its lower end lies in another network namespace,
    of every interface in the namespace of this process. Raises OSError."""
    found = []
    for message in net_look.dump(18, 0):  # RTM_GETLINK
        known = net_look.attributes(message[16:])  # struct ifinfomsg
        name = known.get(3, b"").rstrip(b"\0").decode("ascii", "replace")  # IFLA_IFNAME
        inner = net_look.attributes(known.get(18, b""))  # IFLA_LINKINFO
        kind = inner.get(1, b"").rstrip(b"\0").decode("ascii", "replace")  # IFLA_INFO_KIND
        found.append((_shown(name), kind, 37 in known))  # IFLA_LINK_NETNSID
    return found


def tunnels(world: World, mgmt: list[str]) -> list[str]:
    """Management networks that are reached through a tunnel: its own packets would be dropped."""
    import json

    if not net_look.real(world):
        return []
    lines = []
    try:
        kinds = {name: kind for name, kind, _ in links()}
    except OSError:
        return []
    for one in mgmt:
        done = world.run(("ip", "-j", "route", "get", one.partition("/")[0]), timeout=5.0)
        try:
            device = str(json.loads(done.out)[0]["dev"])
        except (ValueError, LookupError, TypeError):
            lines.append(f"this host has no route to {one}: nobody there would reach it")
            continue
        if kinds.get(device, "") not in WIRES:
            lines.append(
                f"{one} is reached through the tunnel {_shown(device)}, whose own packets are"
                " dropped too: nobody there would reach this host"
            )
    return lines


def _namespaces(world: World) -> list[str]:
    """Other network namespaces with an uplink of their own, found by their processes."""
    if not net_look.real(world):
        return []
    pids = other_namespaces(world)
    lines = []
    for pid in pids[:MAX_NAMESPACES]:
        owned = _uplinks(pid, world)
        if owned is None:
            lines.append(f"the network namespace of process {pid} could not be looked into")
        elif owned:
            lines.append(
                f"the network namespace of process {pid} has uplinks of its own: {_some(owned)}"
            )
    if len(pids) > MAX_NAMESPACES:
        lines.append(f"{len(pids) - MAX_NAMESPACES} more network namespaces were not looked into")
    return lines


def other_namespaces(world: World) -> list[int]:
    """A process of each network namespace that is not this one."""
    folder = world.path("/proc")
    seen = {os.stat(f"{folder}/self/ns/net").st_ino}
    found = []
    for pid in sorted(int(name) for name in os.listdir(folder) if name.isdigit()):
        try:
            inode = os.stat(f"{folder}/{pid}/ns/net").st_ino
        except OSError:
            continue
        if inode not in seen:
            seen.add(inode)
            found.append(pid)
    return found


def _uplinks(pid: int, world: World) -> list[str] | None:
    """Devices, and children of interfaces of other namespaces, in the namespace of a process."""
    import json

    argv = ("nsenter", f"--net=/proc/{pid}/ns/net", "--", "ip", "-j", "-d", "link", "show")
    done = world.run(argv, timeout=5.0)
    if done.code:
        return None
    try:
        listed = json.loads(done.out)
    except ValueError:
        return None
    found = []
    for one in listed if isinstance(listed, list) else []:
        info = one.get("linkinfo") or {}
        kind = info.get("info_kind", "")
        wire = one.get("link_type") in ("ether", "infiniband") and not kind
        if wire or kind in CHILDREN or (kind == "vlan" and "link_netnsid" in one):
            found.append(_shown(str(one.get("ifname", ""))))
    return found


def _shown(name: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in name)[:15]


def _some(names: list[str]) -> str:
    shown = ", ".join(_shown(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
