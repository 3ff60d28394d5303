"""What one host has told: frames applied in order, checked against each other."""

import msgspec

from console.errors import ProtocolError
from console.fleet.decode import Decoded
from console.fleet.tables import Change, Table, read
from console.model.frame import Fast, Frame, Hello, PendingDoc, ProbeEvent, ProcessSummary, SelfCost
from console.model.gpu import Gpu, GpuCounters, together
from console.model.inventory import Inventory

OLD_S = 90.0
"""How long rows from before a keyframe stand in for a table that has not come again yet."""
JUMP_S = 5.0
BACK_S = 0.5
MAX_TABLES = 48 << 20
"""Bytes of all tables of one host in memory, about. Five thousand processes take five MiB,
twice that while a keyframe stands beside what was there before it."""
WEIGH_EVERY = 2 << 20


class HostData:
    """State of one stream of frames, and what is kept of the one before it."""

    def __init__(self) -> None:
        self.hello: Hello | None = None
        self.fast: Fast | None = None
        self.counters: dict[int, GpuCounters] = {}
        self.summary: ProcessSummary | None = None
        self.tables: dict[str, Table] = {}
        self.inventory = Inventory()
        self.denied: dict[str, str] = {}
        self.cost: SelfCost | None = None
        self.guard: tuple[PendingDoc, ...] = ()
        self.host_id = ""
        self.boot = ""
        self.wall = 0.0
        self._mono = 0.0
        self._seq = 0
        self.waits = True  # for a keyframe
        self._old: dict[str, Table] = {}
        self._old_until = 0.0
        self._gpus: tuple[Gpu, ...] | None = None
        self._id_before = ""  # of the stream before this one
        self._unweighed = 0

    def begin(self) -> None:
        """A new stream starts: its first frame must be a keyframe."""
        self._seq = 0
        self._mono = 0.0
        self._id_before = self.host_id or self._id_before
        self.host_id = ""
        self.waits = True

    def weigh(self, size: int) -> None:
        """Take note of a line of ``size`` bytes. Raises ProtocolError when the tables got too big.

        Rows are not weighed one by one, which would cost every host memory and time.
        """
        self._unweighed += size
        if self._unweighed < WEIGH_EVERY:
            return
        self._unweighed = 0
        weight = sum(table.weight() for table in (*self.tables.values(), *self._old.values()))
        if weight > MAX_TABLES:
            self.tables, self._old = {}, {}
            raise ProtocolError(
                f"sent tables of {weight >> 20} MiB, more than {MAX_TABLES >> 20} MiB",
                hint="no probe does that: look at what the login on that host really starts",
            )

    def apply(self, decoded: Decoded, now: float) -> tuple[str, list[ProbeEvent]]:
        """Apply one frame as a whole; ``now`` is the console's monotonic time.

        Returns why a keyframe is needed (or ""), and the events: the host's own and those that
        the frame itself shows. Raises ProtocolError and then has changed nothing.
        """
        frame = decoded.frame
        self._check(frame)
        changes = [
            change
            for name, delta in frame.t.items()
            if (change := read(name, delta, plain=decoded.plain)) is not None
        ]
        events = [*frame.e, *self._seen(frame)]
        reason = self._order(frame, now)
        self._take(frame)
        if not self.waits:
            reason = self._tables(changes) or reason
        return reason, events

    def _check(self, frame: Frame) -> None:
        if self.host_id and frame.host != self.host_id:
            raise ProtocolError("changed its host id within one connection")
        if self._seq and frame.mono < self._mono - BACK_S:
            raise ProtocolError(
                "its clock since boot ran backwards",
                hint="a frame was repeated or invented: look at that host",
            )
        if not self._seq and not frame.k:
            raise ProtocolError("began without a keyframe")
        if self._seq and frame.seq <= self._seq and not frame.k:
            raise ProtocolError("repeated a sequence number")

    def _seen(self, frame: Frame) -> list[ProbeEvent]:
        """Events that the host did not send but that its frame shows."""
        if not self.wall:
            return []
        if not self._seq and self._id_before not in ("", frame.host):
            known = {"from": self._id_before, "to": frame.host}
            return [ProbeEvent(kind="host.id-changed", at=frame.wall, facts=known)]
        if self.boot and frame.boot != self.boot:
            return [ProbeEvent(kind="host.rebooted", at=frame.wall, facts={"boot": frame.boot})]
        moved = (frame.wall - self.wall) - (frame.mono - self._mono)
        told = any(event.kind == "clock.jump" for event in frame.e)
        if not self._seq or told or abs(moved) < JUMP_S:
            return []
        return [ProbeEvent(kind="clock.jump", at=frame.wall, facts={"seconds": round(moved, 1)})]

    def _order(self, frame: Frame, now: float) -> str:
        reason = ""
        if frame.k:
            if not self.waits or not self._old:
                self._old = {**self._old, **self.tables}
            self._old_until = now + OLD_S
            self.tables = {}
            self.waits = False
        elif frame.seq != self._seq + 1:
            self.waits = True
            reason = f"gap: {frame.seq - self._seq - 1} frames are missing"
        self._seq = frame.seq
        self._mono = frame.mono
        self.wall = frame.wall
        self.host_id = frame.host
        self.boot = frame.boot
        return reason

    def _take(self, frame: Frame) -> None:
        if frame.hello is not None:
            self.hello = frame.hello
        if frame.f is not None:
            self.fast = frame.f
            self._gpus = None
        if frame.g:
            self._gpus = None
            for counters in frame.g:
                if len(self.counters) < 64 or counters.index in self.counters:
                    self.counters[counters.index] = counters
        if frame.ps is not None:
            self.summary = frame.ps
        if frame.i is not None:
            sections = {
                name: value
                for name in frame.i.__struct_fields__
                if (value := getattr(frame.i, name)) is not None
            }
            self.inventory = msgspec.structs.replace(self.inventory, **sections)
            self._gpus = None
        if frame.denied is not None:
            self.denied = frame.denied
        if frame.self is not None:
            self.cost = frame.self
        if frame.guard is not None:
            self.guard = frame.guard

    def _tables(self, changes: list[Change]) -> str:
        wrong = []
        for change in changes:
            table = self.tables.setdefault(change.name, Table())
            if not table.apply(change):
                wrong.append(change.name)
            if change.delta.n is not None or change.delta.off:
                self._old.pop(change.name, None)
        if not wrong:
            return ""
        self.waits = True
        return f"checksum: {', '.join(wrong)} differs from what the host has"

    def rows(self, name: str, now: float) -> tuple[object, ...]:
        """All rows of a table, those from before a keyframe while they are all there is."""
        old = self._old.get(name)
        if old is not None and now < self._old_until:
            return old.shown()
        table = self.tables.get(name)
        return table.shown() if table else ()

    @property
    def cut_rows(self) -> int:
        """Rows that bounds refused."""
        return sum(table.cut for table in self.tables.values())

    def gpus(self) -> tuple[Gpu, ...]:
        """The newest of all three lanes of each GPU, by index."""
        if self._gpus is None:
            fast = self.fast.gpu if self.fast else ()
            self._gpus = together(self.inventory.gpus or (), fast, self.counters)
        return self._gpus
