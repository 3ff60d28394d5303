"""The immutable picture that screens and verbs draw from."""

import msgspec

from console.model.frame import Fast, Hello, ProcessSummary, SelfCost
from console.model.gpu import Gpu
from console.model.guard import GuardView
from console.model.host import Host, HostState
from console.model.inventory import Inventory
from console.model.link import LinkFacts
from console.model.tables import (
    Account,
    Container,
    Flow,
    GpuProcess,
    Listener,
    ModelVersion,
    Mount,
    Opener,
    Package,
    Process,
    PyDist,
    Session,
)


class LinkCount(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Counters of one session since the console started."""

    frames: int = 0
    bytes: int = 0
    connects: int = 0  # connections that were opened
    failures: int = 0  # attempts that ended before the first frame
    resyncs: int = 0  # keyframes asked for after a gap or a wrong checksum
    refused_lines: int = 0  # lines outside the protocol
    dropped_rows: int = 0  # rows that a bound cut off
    dropped_events: int = 0


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known about one host at one moment. Empty tuples until the probe has spoken.

    What was known stays when a host goes away; ``state`` and ``frame_at`` say how old it is.
    """

    spec: Host
    state: HostState = HostState.CONNECTING
    reason: str = ""  # why it is in this state, and the next step; cleaned
    since: float = 0.0  # when it entered the state, seconds since the epoch
    frame_at: float | None = None  # when the last good frame arrived, by the console's clock
    retry_at: float | None = None  # when the next attempt is due
    clock_skew_s: float | None = None  # host's clock minus the console's
    workstation: bool = False  # the row of this machine
    hello: Hello | None = None
    link: LinkFacts | None = None
    counts: LinkCount = LinkCount()
    fast: Fast | None = None
    gpus: tuple[Gpu, ...] = ()
    summary: ProcessSummary | None = None
    focused: bool = False
    processes: tuple[Process, ...] = ()  # only while focused
    listeners: tuple[Listener, ...] = ()
    flows: tuple[Flow, ...] = ()
    gpu_processes: tuple[GpuProcess, ...] = ()
    openers: tuple[Opener, ...] = ()
    sessions: tuple[Session, ...] = ()
    packages: tuple[Package, ...] = ()
    python: tuple[PyDist, ...] = ()
    containers: tuple[Container, ...] = ()
    accounts: tuple[Account, ...] = ()
    mounts: tuple[Mount, ...] = ()
    models: tuple[ModelVersion, ...] = ()
    inventory: Inventory = Inventory()
    denied: dict[str, str] = {}
    cost: SelfCost | None = None
    facts: dict[str, str] = {}  # workstation posture, by short name
    guard: GuardView | None = None  # None where no guard is seen, or nobody judges what it says

    @property
    def name(self) -> str:
        """The inventory's name of the host."""
        return self.spec.name

    def age(self, now: float) -> float | None:
        """Seconds since the last good frame; None before the first."""
        return None if self.frame_at is None else max(0.0, now - self.frame_at)


class FleetSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All hosts at one moment, in inventory order, this workstation first where it is shown."""

    version: int = 0  # grows with every change; equal versions are the same picture
    at: float = 0.0  # seconds since the epoch
    hosts: tuple[HostView, ...] = ()
    connecting: int = 0  # attempts under way or waiting for a place
    dropped_events: int = 0  # events lost because nobody took them in time

    def host(self, name: str) -> HostView | None:
        """The host of that name."""
        return next((view for view in self.hosts if view.spec.name == name), None)
