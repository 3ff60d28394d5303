"""Who listens and who talks on one host: listeners, peers and connections as tables."""

from collections.abc import Iterable, Sequence

import msgspec

from console.model.tables import Flow
from console.model.view import HostView
from console.model.words import span
from console.tui.meaning import facts, present
from console.tui.meaning.newcomers import Newcomers
from console.tui.screens.host_tables import Section, column, rated, sized
from console.tui.style.look import Cell, Look
from console.tui.tables.table_model import Column

LONG_S = 1e9
"""Longer than anything listens: between the groups of listeners when they are sorted."""


class Heard(msgspec.Struct, frozen=True, gc=False):
    """A listening socket with what the inventory and other tables say about it."""

    key: str
    proto: str
    address: str
    port: int
    declared: str  # "yes", "no", "-" where the inventory names no listener of the host
    name: str | None
    pid: int | None
    uid: int
    user: str  # the number where no table names it
    unit: str | None
    since: float | None = None  # by this machine's clock
    told: bool = False  # an event said when; else it is when the program started: not before that


class Peer(msgspec.Struct, frozen=True, gc=False):
    """Everything that one peer has to do with this host."""

    key: str
    direction: str  # "in", "out", "both"
    peer: str
    ports: str
    names: str
    count: int
    tx_bps: float
    rx_bps: float
    tx_bytes: int
    rx_bytes: int
    loopback: bool


def heard(view: HostView, newcomers: Newcomers) -> list[Heard]:
    """The listeners of a host, joined with users, the inventory and when they opened."""
    users = {row.uid: row.key for row in view.accounts}
    users |= {row.uid: row.user for row in view.processes}
    started = {row.pid: row.started for row in view.processes}
    opened, skew = newcomers.opened(view.name), view.clock_skew_s or 0.0
    out = []
    for row in view.listeners:
        told = opened.get(row.key)
        since = told if told is not None else started.get(row.pid or 0)
        out.append(
            Heard(
                row.key, row.proto, row.address, row.port,
                _DECLARED[facts.declared(view.spec, row)], row.name, row.pid, row.uid,
                users.get(row.uid) or str(row.uid), row.unit,
                None if since is None else since - skew, told is not None,
            )
        )  # fmt: skip
    return out


_DECLARED = {True: "yes", False: "no", None: "-"}
_GROUPS = {"no": 0, "-": 1, "yes": 2}


def _age(row: Heard) -> float | None:
    return None if row.since is None else max(0.0, present.now() - row.since)


def _long(row: Heard) -> float:
    """How long it has listened; what was there before this console looked is the oldest."""
    age = _age(row)
    return LONG_S if age is None else age


def _rank(row: Heard) -> float:
    """Undeclared first, the newest of them first."""
    age = _age(row)
    return _GROUPS[row.declared] * LONG_S + (LONG_S / 2 if age is None else min(age, LONG_S / 2))


def _since(row: Heard, look: Look) -> Cell:
    age = _age(row)
    if age is None:
        return [("before", "dim")]  # it was there when this console began
    if row.told:
        return [(span(age), "warn" if age < 3600 else "")]
    return [(f"<{span(age)}", "dim")]


def _declared(row: Heard, look: Look) -> Cell:
    if row.declared == "no":
        return [(f"{look.mark('warn')} not declared", "warn")]
    return [("declared", "ok") if row.declared == "yes" else ("-", "dim")]


def listeners(newcomers: Newcomers) -> Section:
    """The table of listeners, which reads from ``newcomers`` since when each is there."""
    return Section(
        "listeners",
        (
            column("proto", "PROTO", 5),
            column("address", "ADDRESS", 15, most=40),
            column("port", "PORT", 5, right=True),
            Column("declared", "DECLARED", 14, _declared, lambda row: row.declared, order=_rank),
            Column("since", "SINCE", 6, _since, _age, right=True, unit="s", order=_long),
            column("name", "PROGRAM", 15),
            column("pid", "PID", 7, right=True, drop=2),
            column("user", "USER", 10, drop=4),
            column("uid", "UID", 6, right=True, drop=5),
            column("unit", "UNIT", 24, drop=3, most=48),
        ),
        lambda view: heard(view, newcomers),
        "nothing listens",
        sort="declared",
        denied=("listen",),
        name=lambda row: row.name or row.key,
        copied=lambda row: row.key,
        needs=lambda row: row.declared == "no",
    )


def _direction(row: Flow | Peer, look: Look) -> Cell:
    return [(row.direction, "" if row.direction == "in" else "accent")]


def peers(rows: Iterable[Flow]) -> list[Peer]:
    """Connections by peer, whatever the port and the program."""
    by_peer: dict[str, list[Flow]] = {}
    for row in rows:
        by_peer.setdefault(row.peer, []).append(row)
    out = []
    for peer, flows in by_peer.items():
        ways = {flow.direction for flow in flows}
        out.append(
            Peer(
                peer, ways.pop() if len(ways) == 1 else "both", peer,
                _list(str(port) for port in sorted({flow.port for flow in flows})),
                _list(sorted({flow.name or "?" for flow in flows})),
                sum(flow.count for flow in flows), sum(flow.tx_bps for flow in flows),
                sum(flow.rx_bps for flow in flows), sum(flow.tx_bytes for flow in flows),
                sum(flow.rx_bytes for flow in flows), all(flow.loopback for flow in flows),
            )
        )  # fmt: skip
    return out


def _list(words: Iterable[str]) -> str:
    every = list(words)
    more = f" +{len(every) - 4}" if len(every) > 4 else ""
    return ",".join(every[:4]) + more


def _rates() -> Sequence[Column[Flow | Peer]]:
    return (
        column("count", "OPEN", 5, right=True),
        rated("tx_bps", "OUT/S"),
        rated("rx_bps", "IN/S"),
        sized("tx_bytes", "SENT", 7, "B"),
        sized("rx_bytes", "RECEIVED", 8, "B", drop=1),
    )


PEERS = Section(
    "peers",
    (
        column("peer", "PEER", 20, most=40),
        Column("direction", "DIR", 4, _direction, lambda row: row.direction),
        column("ports", "PORTS", 10, most=24),
        column("names", "PROGRAMS", 14, drop=2, most=40),
        *_rates(),
    ),
    lambda view: peers(view.flows),
    "no established connections",
    sort="tx_bps",
    down=True,
    denied=("flows",),
)

FLOWS = Section(
    "connections",
    (
        Column("direction", "DIR", 3, _direction, lambda row: row.direction),
        column("peer", "PEER", 20, most=40),
        column("port", "PORT", 5, right=True),
        column("name", "PROGRAM", 15, most=20),
        column("pid", "PID", 7, right=True, drop=2),
        *_rates(),
    ),
    lambda view: view.flows,
    "no established connections",
    sort="tx_bps",
    down=True,
    denied=("flows",),
    name=lambda row: row.peer,
    copied=lambda row: f"[{row.peer}]:{row.port}" if ":" in row.peer else f"{row.peer}:{row.port}",
)


def firewall(view: HostView) -> Cell:
    """The firewall of a host in a line: backend, rules and digest, or why it is not known."""
    digests = view.inventory.digests
    needs = view.denied.get("digests.firewall")
    if digests is None or not digests.firewall:
        if needs:
            return [(" firewall  ", "dim"), (f"not visible: needs {needs}", "warn")]
        return [(" firewall  ", "dim"), ("none is known", "warn" if digests else "dim")]
    rules = "?" if digests.firewall_rules is None else digests.firewall_rules
    words = f"{digests.firewall_backend or '?'}, {rules} rules, sha256 {digests.firewall[:16]}"
    return [(" firewall  ", "dim"), (words, "" if digests.firewall_rules else "warn")]
