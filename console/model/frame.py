"""The frame protocol, version 1: one JSON object a line from the probe. See docs/protocol.md."""

from typing import Any

import msgspec

from console.model.gpu import GpuCounters, GpuFast
from console.model.inventory import Inventory

PROTOCOL = 1
MAX_LINE = 1 << 20
MAX_ROWS = 65_536
MAX_TEXT = 512


class Hello(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who is speaking; in every keyframe."""

    probe: str  # version of the probe
    sha256: str = ""  # of the probe's own source
    tier: int = 0
    pid: int = 0
    uid: int = 0
    user: str = ""
    python: str = ""
    hostname: str = ""
    caps: str = ""  # CapEff of the process that reads, hexadecimal
    fast_s: float = 2.0
    slow_s: float = 10.0
    inventory_s: float = 300.0
    focused: bool = False


class InterfaceRate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Bytes a second of one network interface over the last fast period."""

    name: str
    rx_bps: float
    tx_bps: float
    errors: int = 0  # rx and tx errors and drops since boot


class Fast(msgspec.Struct, frozen=True, kw_only=True):
    """The fast lane (part ``f``): always complete."""

    dt: float = 0.0  # seconds that the rates cover; 0 in the first sample
    cpus: int = 0
    cpu_pct: float | None = None  # all cores together: 0..100
    iowait_pct: float | None = None
    steal_pct: float | None = None
    load: tuple[float, float, float] | None = None
    mem_total_kib: int | None = None
    mem_avail_kib: int | None = None
    swap_total_kib: int | None = None
    swap_used_kib: int | None = None
    psi_cpu: float | None = None  # "some avg10", percent
    psi_mem: float | None = None
    psi_io: float | None = None
    rx_bps: float | None = None  # sum over interfaces that are not loopback or virtual pairs
    tx_bps: float | None = None
    nics: tuple[InterfaceRate, ...] = ()
    disk_read_bps: float | None = None
    disk_write_bps: float | None = None
    procs: int | None = None
    running: int | None = None
    gpu: tuple[GpuFast, ...] = ()
    uptime_s: float | None = None


class ProcessBrief(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A process in the summary."""

    pid: int
    user: str
    name: str
    cpu_pct: float
    rss_kib: int


class ProcessSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The process table of a host that is not focused, in a few lines (part ``ps``)."""

    total: int = 0
    running: int = 0
    zombies: int = 0
    by_user: dict[str, int] = {}  # at most 16, the most first
    top_cpu: tuple[ProcessBrief, ...] = ()  # at most 5
    top_rss: tuple[ProcessBrief, ...] = ()


class TableDelta(msgspec.Struct, frozen=True, kw_only=True):
    """Change of one table. ``n`` and ``x`` describe the table after this frame is applied.

    ``x`` is the exclusive or of ``crc32`` over the UTF-8 text of every key; both are absent while
    more chunks of the same change follow. ``off`` empties the table because it is no longer sent.
    """

    set: list[msgspec.Raw] = []
    gone: list[int | str] = []
    n: int | None = None
    x: int | None = None
    off: bool = False


class ProbeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the probe sends it (part ``e``)."""

    kind: str
    at: float
    key: str = ""
    facts: dict[str, Any] = {}
    cursor: str = ""  # journal cursor after this event; kept and sent again by `resync CURSOR`


class SelfCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the probe itself costs (part ``self``), each minute."""

    cpu_pct: float = 0.0  # of one core since the last report, children included
    rss_kib: int = 0
    late: int = 0  # fast ticks that came more than half a period late
    dropped: int = 0  # events that a full queue dropped
    lanes_ms: dict[str, float] = {}  # mean milliseconds a run, by lane


class GuardDoc(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to the verb ``guard-doc`` (part ``doc``); ``b64`` is never cleaned or cut."""

    sha256: str
    b64: str = ""
    error: str = ""


class PendingDoc(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document that the host's guard has published (part ``guard``)."""

    sha256: str
    size: int
    kind: str = "request"  # request, state, checkpoint or tail; others are of a newer guard


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the stream."""

    v: int
    seq: int
    host: str
    boot: str
    wall: float
    mono: float
    k: int = 0  # 1: keyframe, the receiver forgets what it had
    hello: Hello | None = None
    f: Fast | None = None
    g: tuple[GpuCounters, ...] = ()
    ps: ProcessSummary | None = None
    t: dict[str, TableDelta] = {}
    i: Inventory | None = None  # only the sections that changed
    denied: dict[str, str] | None = None  # the whole map: what may not be read -> what unlocks it
    e: tuple[ProbeEvent, ...] = ()
    self: SelfCost | None = None
    guard: tuple[PendingDoc, ...] | None = None
    doc: GuardDoc | None = None
