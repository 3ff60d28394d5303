"""Every reader of facts that the first frame does not need, opened and wired together."""

from __future__ import annotations

from .common import Common
from .declared import Declared, load
from .flows import Flows
from .inventory_lane import TOOLS, Context, InventoryLane
from .listeners import Listeners
from .logs import Logs
from .openers import Openers, Weights
from .owners import Holdings, look
from .procs import Process
from .proctable import BUDGET_S, ProcessTable
from .sessions import Sessions
from .sockdiag import SockDiag
from .spool import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .gpu import Gpus
    from .users import Users

MAX_BIRTHS = 500  # events of new processes in one tick


class Readers:
    """Opened once. A reader that cannot be opened is missing, and that is said by an event."""

    def __init__(self, common: Common, users: Users, btime: int, salt: str) -> None:
        place = common.place
        self._common = common
        self._users = users
        self._held: Holdings | None = None
        self._began = False
        self._revision = -1
        self.spool = Spool(place, common.denied)
        self.table = ProcessTable(place, users, common.denied, salt)
        self.table.btime = btime
        self.diag = SockDiag(place)
        self.listeners = Listeners(
            place, self.diag, self.table, self.owners, common.event, common.denied
        )
        self.flows = Flows(place, self.diag, self.table, self.owners, common.denied)
        self.sessions = Sessions(place)
        declared = common.attempt("declared", lambda: load(place)) or Declared()
        if declared.error:
            common.event("probe.error", "declared", {"error": declared.error})
        self.logs = Logs(place, common.events, common.denied, declared.identifiers)
        self._weights: Weights | None = None
        self.openers: Openers | None = None
        if declared.weights:
            self._weights = Weights(place, declared.weights)
            self.openers = Openers(place, self._weights, self.table, common.denied, common.event)
        self.gpus: Gpus | None = None
        common.attempt("gpu", self._open_gpus)
        self.inventory: InventoryLane | None = None
        common.attempt("inventory", lambda: self._open_inventory(declared))

    def _open_gpus(self) -> None:
        from .gpu import Gpus

        common = self._common
        place = common.place
        gpus = Gpus(common.event, self.table.describe, place.proc, place.path("/sys"))
        gpus.start()
        self.gpus = gpus

    def _open_inventory(self, declared: Declared) -> None:
        from .inventory import steps

        common = self._common
        context = Context(
            common.place,
            declared,
            common.tier,
            self.gpus,
            lambda: list(self.listeners.rows.values()),
            self.table.everyone,
        )
        self.inventory = InventoryLane(
            common.place, common.board, common.denied, common.troubles, steps, context
        )

    def stop(self) -> None:
        """End children and threads, close what is open."""
        self._common.attempt("stop", self.logs.stop)
        if self.inventory is not None:
            self._common.attempt("stop", self.inventory.stop)
        if self.gpus is not None:
            self._common.attempt("stop", self.gpus.stop)
        self._common.attempt("stop", self.diag.close)

    def owners(self, few: Iterable[int] | None = None) -> Holdings:
        """Holders of sockets and weights: of ``few`` processes, or of all, once in a tick."""
        by_pid = self.table.by_pid
        if self._held is None and few is not None:
            return look(self._common.place, [by_pid[pid] for pid in few if pid in by_pid])
        if self._held is None:
            wanted = None
            inodes: set[int] = set()
            if self._weights is not None:
                self._weights.walk()
                wanted, inodes = self._weights.maybe, self._weights.inodes
            self._held = look(self._common.place, list(by_pid.values()), wanted, inodes)
            self._common.denied.set("owners.descriptors", _too_many(self._held.cut, by_pid))
        return self._held

    def fast(self, part: dict[str, Any]) -> None:
        """What the fast lane reads besides counters; completes the part ``f``."""
        common = self._common
        self._held = None
        common.attempt("births", lambda: self._births(part))
        common.attempt("listeners", self._listen)
        if self.gpus is not None:
            part["gpu"] = common.attempt("gpu.fast", self.gpus.fast) or []
        common.attempt("guard", lambda: common.board.guard(self.spool.listed()))
        common.attempt("logs", self.logs.tick)
        self._began = True

    def _births(self, part: dict[str, Any]) -> None:
        new, part["procs"] = self.table.look()
        self._announce(new)

    def _announce(self, new: list[Process]) -> None:
        if not self._began:
            return  # they were there before the probe
        new = [process for process in new if not process.kthread and not self.table.own(process)]
        until = self._common.place.mono() + BUDGET_S
        for process in new[:MAX_BIRTHS]:
            late = self._common.place.mono() > until
            facts = self.table.brief(process) if late else self.table.born(process)
            if facts:
                self._common.event("process.new", str(process.pid), facts)
            if process.name in TOOLS and self.inventory is not None:
                self.inventory.soon()
        if len(new) > MAX_BIRTHS:
            lost = {"reason": "too many new processes", "dropped": len(new) - MAX_BIRTHS}
            self._common.event("log.gap", "process.new", lost)

    def _listen(self) -> None:
        if self.listeners.sample():
            self._common.board.table("listen").put(self.listeners.rows)

    def slow(self) -> None:
        """The slow lane: processes, openers, flows, sessions, GPU processes and counters."""
        common = self._common
        self._held = None
        self._users.refresh()
        self.table.refresh(common.focused)
        common.attempt("procs", self.processes)
        openers = self.openers
        if openers is not None:
            self._put("openers", common.attempt("openers", lambda: openers.sample(self.owners)))
        rows = common.attempt("flows", lambda: self.flows.sample(self.listeners))
        self._put("flows", rows)
        self._put("sessions", common.attempt("sessions", self.sessions.sample))
        common.attempt("gpu.slow", self._gpus_slow)

    def _put(self, name: str, rows: dict[int | str, list[Any]] | None) -> None:
        if rows is not None:
            self._common.board.table(name).put(rows)

    def processes(self) -> None:
        """Scan all processes; rows for a focused host, else the summary."""
        self._announce(self.table.scan(everyone=self._common.focused))
        if self._common.focused:
            self._put("procs", self.table.rows())
        else:
            self._common.board.put("ps", self.table.summary())

    def _gpus_slow(self) -> None:
        gpus, board = self.gpus, self._common.board
        if gpus is None:
            return
        for counters in gpus.counters():
            board.gpu(counters)
        self._put("gpuprocs", {row[0]: row for row in gpus.processes()})
        self._common.denied.replace("gpu.", gpus.denied())
        if gpus.revision() != self._revision:
            self._revision = gpus.revision()
            board.section("gpus", gpus.static())
            board.section("driver", gpus.driver())
        self.gpu_events()

    def gpu_events(self) -> None:
        """Take what the driver reported by itself."""
        if self.gpus is not None:
            for kind, key, facts, at in self.gpus.take_events():
                self._common.events.put(kind, key, facts, at)


def _too_many(cut: list[int], by_pid: dict[int, Process]) -> str | None:
    """Whose descriptors were not all read, for ``denied``; None when all were."""
    if not cut:
        return None
    pid = min(cut)
    process = by_pid.get(pid)
    uid = "unknown" if process is None or process.uid is None else process.uid
    return f"fewer descriptors: process {pid} of uid {uid} has too many, {len(cut)} such in all"
