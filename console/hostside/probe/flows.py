"""Established TCP by owner, direction, peer network and port, with bytes and rates.

Bytes are counted since the probe started. What a connection moves between its last sample and its
end is not seen; the interface counters of the fast lane hold it.
"""

from __future__ import annotations

import socket

from .place import Place
from .sockdiag import SockDiag, Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .denied import Denied
    from .owners import Holdings
    from .proctable import ProcessTable

    Group = tuple[str, int, int | None, int, str, bool]

MAX_FLOWS = 4096
KEEP_S = 300.0  # how long a flow without connections stays, so that its bytes can be read


def network(address: str) -> str:
    """The /24 or /48 that holds ``address``."""
    if ":" not in address:
        return address.rsplit(".", 1)[0] + ".0/24"
    packed = socket.inet_pton(socket.AF_INET6, address)
    return socket.inet_ntop(socket.AF_INET6, packed[:6] + b"\0" * 10) + "/48"


def _loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


class _Flow:
    """Counts of one group of connections."""

    __slots__ = ("count", "key", "last", "peers", "rx", "rx_then", "seen", "tx", "tx_then")

    def __init__(self, now: float) -> None:
        self.peers: set[str] = set()  # one, or more when it is folded (then at most two are kept)
        self.count = 0
        self.tx = self.rx = 0
        self.tx_then = self.rx_then = 0
        self.seen = now


class Flows:
    """Table ``flows``, sampled each slow tick."""

    def __init__(
        self,
        place: Place,
        diag: SockDiag,
        table: ProcessTable,
        holdings: Callable[[], Holdings],
        denied: Denied,
    ) -> None:
        self._denied = denied
        self._place = place
        self._diag = diag
        self._table = table
        self._holdings = holdings
        self._connections: dict[tuple[int, str, int, str, int], tuple[int, int]] = {}
        self._owner: dict[int, int | None] = {}
        self._networks: dict[str, str] = {}
        self._flows: dict[Group, _Flow] = {}
        self._at: float | None = None
        self.folded = 0  # flows that did not fit into the table

    def sample(self, ports: frozenset[int]) -> dict[int | str, list[Any]]:
        """Rows by key; ``ports`` are those of local listeners, which decide the direction."""
        now = self._place.mono()
        passed = now - self._at if self._at is not None else 0.0
        sockets = self._diag.established()
        self._owners(sockets)
        for flow in self._flows.values():
            flow.count = 0
        known = self._connections
        current: dict[tuple[int, str, int, str, int], tuple[int, int]] = {}
        for one in sockets:
            connection = (one.inode, one.local, one.port, one.peer, one.peer_port)
            current[connection] = (one.acked, one.received)
            flow = self._flow(one, ports, now)
            flow.count += 1
            flow.seen = now
            before = known.get(connection)
            if before is not None:
                flow.tx += max(0, one.acked - before[0])
                flow.rx += max(0, one.received - before[1])
            elif self._at is not None:  # opened since the last sample: all its bytes are new
                flow.tx += one.acked
                flow.rx += one.received
        self._connections = current
        for group in [g for g, flow in self._flows.items() if now - flow.seen > KEEP_S]:
            del self._flows[group]
        self._networks = {}
        self._at = now
        return self._rows(passed)

    def _owners(self, sockets: list[Socket]) -> None:
        inodes = {one.inode for one in sockets}
        self._owner = {inode: pid for inode, pid in self._owner.items() if inode in inodes}
        unknown = [inode for inode in inodes if inode not in self._owner]
        if unknown:
            held = self._holdings()
            for inode in unknown:
                self._owner[inode] = held.sockets.get(inode)
            if held.complete:
                self._denied.set("flows.owner", None)
            elif any(self._owner[inode] is None for inode in unknown):
                self._denied.set("flows.owner", self._denied.ptrace)

    def _flow(self, one: Socket, ports: frozenset[int], now: float) -> _Flow:
        inward = one.port in ports
        net = self._networks.get(one.peer)
        if net is None:
            net = self._networks[one.peer] = network(one.peer)
        port = one.port if inward else one.peer_port
        local = _loopback(one.peer)
        pid = self._owner.get(one.inode)
        group = ("in" if inward else "out", one.uid, pid, port, net, local)
        flow = self._flows.get(group)
        if flow is None:
            flow = self._flows[group] = _Flow(now)
        if len(flow.peers) < 2:
            flow.peers.add(one.peer)
        return flow

    def _rows(self, passed: float) -> dict[int | str, list[Any]]:
        rows: dict[int | str, list[Any]] = {}
        groups = list(self._flows.items())
        if len(groups) > MAX_FLOWS:
            groups.sort(key=lambda item: -(item[1].tx + item[1].rx))
            self.folded = len(groups) - MAX_FLOWS
        for (direction, uid, pid, port, net, local), flow in groups[:MAX_FLOWS]:
            peer = next(iter(flow.peers)) if len(flow.peers) == 1 else net
            owner = f"{pid}" if pid is not None else f"uid{uid}"
            key = f"{direction}/{owner}/{peer}/{port}"
            process = self._table.by_pid.get(pid) if pid is not None else None
            rates = [0.0, 0.0]
            if passed > 0:
                rates = [
                    round((flow.tx - flow.tx_then) / passed, 1),
                    round((flow.rx - flow.rx_then) / passed, 1),
                ]
            flow.tx_then, flow.rx_then = flow.tx, flow.rx
            name = process.name if process is not None else None
            row = [key, direction, peer, port, uid, pid, name, flow.count, flow.tx, flow.rx]
            rows[key] = [*row, *rates, local]
        return rows
