"""What a wall board says: what is wrong in the fleet, since when, and who is busiest."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from console.model.host import HostState
from console.model.tables import GpuProcess
from console.model.view import FleetSnapshot, HostView
from console.model.words import BAD, WARN, share
from console.tui.meaning import facts
from console.tui.meaning.lately import Odd

SILENT_S = 10.0
"""Without a frame of any host for so long, the board says that it knows nothing."""
PATIENCE_S = 30.0
"""A host may connect for so long before that counts as wrong."""
XID_RANKS = frozenset({7, 12})
New = Callable[[HostView], Sequence[GpuProcess]]
Happened = Callable[[HostView], Sequence[Odd]]


def nothing(view: HostView) -> Sequence[Odd]:
    """Nothing happened lately."""
    return ()


class Wrong(NamedTuple):
    """One thing that somebody should know of."""

    host: str
    words: str  # few, for big letters
    detail: str
    severity: str  # "warn" or "bad"
    since: float  # seconds since the epoch
    rank: int  # greater is worse


class Busy(NamedTuple):
    """One host by how busy its GPUs are."""

    host: str
    load: float
    heat: float | None
    memory: float | None  # per cent of the GPUs' memory


class Board:
    """Remembers when it first saw what has no time of its own."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], float] = {}

    def wrong(
        self, snapshot: FleetSnapshot, now: float, new: New, lately: Happened = nothing
    ) -> list[Wrong]:
        """What is wrong, the worst first and then the newest."""
        found = [item for view in snapshot.hosts for item in self._of(view, now, new, lately(view))]
        kept = {(item.host, item.words) for item in found}
        self._first = {key: at for key, at in self._first.items() if key in kept}
        return sorted(found, key=lambda item: (item.severity != BAD, -item.rank, -item.since))

    def _of(self, view: HostView, now: float, new: New, lately: Sequence[Odd]) -> list[Wrong]:
        out = [
            Wrong(
                view.name, f"{view.name} {odd.words}", odd.sentence, WARN, odd.at, facts.LATELY_RANK
            )
            for odd in lately[:1]
        ]
        severity = state_severity(view, now)
        if severity:
            since = view.since or now
            words = f"{view.name} {view.state.value}"
            out.append(Wrong(view.name, words, facts.why(view), severity, since, 20))
            if view.state is not HostState.STALE:
                return out
        rank, severity, words = facts.trouble(view, new(view))
        if severity:
            since = self._first.setdefault((view.name, f"{view.name} {words}"), now)
            if rank in XID_RANKS:
                since = min(
                    [at for gpu in view.gpus if (at := gpu.counters.last_xid_at)] or [since]
                )
            said = facts.suspects(view, new(view))
            detail = said[0] if rank <= facts.NEW_RANK and said else ""
            out.append(Wrong(view.name, f"{view.name} {words}", detail, severity, since, rank))
        return out


def state_severity(view: HostView, now: float) -> str:
    """How bad a host's state is; "" for LIVE, and for a host that has just begun to connect."""
    if view.workstation or view.state is HostState.LIVE:
        return ""
    if view.state is HostState.CONNECTING:
        return WARN if view.since and now - view.since > PATIENCE_S else ""
    return WARN if view.state is HostState.STALE else BAD


def states(snapshot: FleetSnapshot) -> Counter[HostState]:
    """Hosts by state, without this workstation."""
    return Counter(view.state for view in snapshot.hosts if not view.workstation)


def busiest(snapshot: FleetSnapshot) -> list[Busy]:
    """Hosts with GPUs that are LIVE, the busiest first."""
    out = []
    for view in snapshot.hosts:
        load = facts.gpu_load(view)
        if load is None or view.state is not HostState.LIVE:
            continue
        memory = facts.gpu_memory(view)
        part = share(*memory) if memory else None
        out.append(Busy(view.name, load, facts.gpu_heat(view), part))
    return sorted(out, key=lambda item: -item.load)


def silence(snapshot: FleetSnapshot, now: float) -> float | None:
    """Seconds since any host said anything, where that is too long; None while all is well.

    Before the first frame it counts from when the hosts began to connect.
    """
    hosts = [view for view in snapshot.hosts if not view.workstation]
    if not hosts:
        return None
    newest = max((view.frame_at or view.since for view in hosts), default=0.0)
    gone = now - newest
    return gone if newest and gone > SILENT_S else None
