"""Which connections an action ends, and which it never does."""

from __future__ import annotations

from . import diag as net_diag
from . import net

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_LINES = 40


def chosen(args: dict[str, Any]) -> Callable[[net_diag.Flow], bool]:
    """A test for connections that are to end. Raises Refused for arguments that are not whole.

    ``keep``: networks whose connections stay, as those on lo do. ``ports``: local ports, and
    ``peers``: networks; empty means all.
    """
    keep = masks(net.networks(args["keep"], "keep"))
    peers = masks(net.networks(args["peers"], "peers")) if args["peers"] else []
    ports = set(net.ports(args["ports"], "ports")) if args["ports"] else set()

    def test(flow: net_diag.Flow) -> bool:
        if net_diag.is_loopback(flow) or within(flow.peer, keep):
            return False
        return (not ports or flow.port in ports) and (not peers or within(flow.peer, peers))

    return test


def masks(those: list[net.Network]) -> list[tuple[int, int, int]]:
    """Length in bytes, mask and value of networks: comparing 100,000 addresses must not build as
    many objects."""
    return [(n.max_prefixlen // 8, int(n.netmask), int(n.network_address)) for n in those]


def within(raw: bytes, those: list[tuple[int, int, int]]) -> bool:
    """Whether an address lies in one of the networks."""
    number = int.from_bytes(raw, "big")
    return any(len(raw) == size and number & mask == value for size, mask, value in those)


def by_peer(flows: list[net_diag.Flow], ports: bool = True) -> list[str]:
    """Connections counted by peer and local port, the most first, in at most 41 lines."""
    counts: dict[tuple[bytes, int], int] = {}
    for flow in flows:
        # A connection that this host opened has a port of the moment: it says nothing.
        name = (flow.peer, flow.port if ports and flow.port < 32_768 else 0)
        counts[name] = counts.get(name, 0) + 1
    lines = []
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for (peer, port), count in ranked[:MAX_LINES]:
        what = "connection" if count == 1 else "connections"
        where = f" to port {port}" if port else ""
        lines.append(f"{net_diag.address(peer)}: {count} {what}{where}")
    rest = sum(count for _, count in ranked[MAX_LINES:])
    if rest:
        lines.append(f"{len(ranked) - MAX_LINES} more, {rest} connections")
    return lines
