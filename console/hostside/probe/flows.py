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
    from collections.abc import Callable, Iterable
    from typing import Any

    from .denied import Denied
    from .listeners import Listeners
    from .owners import Holdings
    from .proctable import ProcessTable

    Group = tuple[str, int, int | None, int, str, bool]

MAX_FLOWS = 4096
MAX_NETWORKS = 65_536
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

    __slots__ = ("count", "peers", "rx", "rx_then", "seen", "tx", "tx_then")

    def __init__(self, now: float) -> None:
        self.peers: set[str] = set()  # one, or more when it is folded (then at most two are kept)
        self.count = 0
        self.tx = self.rx = 0
        self.tx_then = self.rx_then = 0
        self.seen = now


class _Connection:
    """One known connection and the counters of its last sample."""

    __slots__ = ("acked", "flow", "received")

    def __init__(self, flow: _Flow, acked: int, received: int) -> None:
        self.flow = flow
        self.acked = acked
        self.received = received


class Flows:
    """Table ``flows``, sampled each slow tick."""

    def __init__(
        self,
        place: Place,
        diag: SockDiag,
        table: ProcessTable,
        owners: Callable[[Iterable[int] | None], Holdings],
        denied: Denied,
    ) -> None:
        self._denied = denied
        self._place = place
        self._diag = diag
        self._table = table
        self._owners = owners
        self._connections: dict[bytes, _Connection] = {}
        self._networks: dict[str, str] = {}
        self._flows: dict[Group, _Flow] = {}
        self._at: float | None = None
        self.folded = 0  # flows that did not fit into the table

    def sample(self, listeners: Listeners) -> dict[int | str, list[Any]]:
        """Rows by key; ``listeners`` decide the direction, and own what comes in."""
        now = self._place.mono()
        passed = now - self._at if self._at is not None else 0.0
        known = self._connections
        fresh: list[tuple[bytes, Socket, int, int]] = []
        current: dict[bytes, _Connection] = {}
        for name, one, acked, received in self._diag.established(known):
            old = known.get(name)
            if old is None:
                if one is not None:
                    fresh.append((name, one, acked, received))
                continue
            current[name] = old
            if acked != old.acked or received != old.received:
                old.flow.tx += max(0, acked - old.acked)
                old.flow.rx += max(0, received - old.received)
                old.acked, old.received = acked, received
        for name, old in known.items():
            if name not in current:
                old.flow.count -= 1
                old.flow.seen = now
        self._connections = current
        self._admit(fresh, listeners, now)
        for group in [g for g, flow in self._flows.items() if self._over(flow, now)]:
            del self._flows[group]
        self._at = now
        return self._rows(passed)

    @staticmethod
    def _over(flow: _Flow, now: float) -> bool:
        return not flow.count and now - flow.seen > KEEP_S

    def _admit(
        self, fresh: list[tuple[bytes, Socket, int, int]], listeners: Listeners, now: float
    ) -> None:
        """Take in connections that were not there at the last sample.

        Before the first sample nothing is known of what they moved; afterwards all is new.
        """
        owners = self._find_owners([one for _, one, _, _ in fresh], listeners)
        for name, one, acked, received in fresh:
            if not one.inode:
                continue  # not accepted yet: it belongs to nobody, and is met again
            flow = self._flow(one, one.port in listeners.ports, owners.get(one.inode), now)
            flow.count += 1
            if self._at is not None:
                flow.tx += acked
                flow.rx += received
            self._connections[name] = _Connection(flow, acked, received)

    def _find_owners(self, sockets: list[Socket], listeners: Listeners) -> dict[int, int | None]:
        """Owner of each connection by inode.

        What comes in belongs to the listener's owner. For the rest, those who already have
        connections are asked first: looking through all processes costs most of this lane.
        """
        owner: dict[int, int | None] = {}
        unknown = []
        served: dict[tuple[str, int], int | None] = {}
        for one in sockets:
            pid = None
            if one.port in listeners.ports:
                door = (one.local, one.port)
                if door not in served:
                    served[door] = listeners.owner(*door)
                pid = served[door]
            owner[one.inode] = pid
            if pid is None and one.inode:
                unknown.append(one.inode)
        if unknown:
            self._look_for(unknown, owner)
        return owner

    def _look_for(self, unknown: list[int], owner: dict[int, int | None]) -> None:
        few = sorted({group[2] for group in self._flows if group[2] is not None})
        if few:
            held = self._owners(few).sockets
            for inode in unknown:
                owner[inode] = held.get(inode)
            unknown = [inode for inode in unknown if owner[inode] is None]
            if not unknown:
                return
        everyone = self._owners(None)
        for inode in unknown:
            owner[inode] = everyone.sockets.get(inode)
        if everyone.complete:
            self._denied.set("flows.owner", None)
        elif any(owner[inode] is None for inode in unknown):
            self._denied.set("flows.owner", self._denied.ptrace)

    def _flow(self, one: Socket, inward: bool, pid: int | None, now: float) -> _Flow:
        net = self._networks.get(one.peer)
        if net is None:
            if len(self._networks) > MAX_NETWORKS:
                self._networks.clear()
            net = self._networks[one.peer] = network(one.peer)
        port = one.port if inward else one.peer_port
        group = ("in" if inward else "out", one.uid, pid, port, net, _loopback(one.peer))
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
