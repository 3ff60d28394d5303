"""What the lanes do in one tick: every reader of facts, wired together.

A reader that fails is reported once and does not stop the others.
"""

from __future__ import annotations

import os

from .counters import Counters
from .denied import Denied
from .frames import Board, argv_salt
from .happen import Events, Troubles
from .listeners import Listeners
from .owners import Holdings, look
from .place import Place, first_line
from .proctable import ProcessTable, own_caps
from .selfcost import SelfCost
from .sockdiag import SockDiag
from .spool import Spool
from .users import Users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .declared import Declared
    from .flows import Flows
    from .gpu import Gpus
    from .inventory_lane import InventoryLane
    from .logs import Logs
    from .openers import Openers, Weights
    from .procs import Process
    from .sessions import Sessions

FAST_S = 2.0
FOCUSED_S = 1.0
SLOW_S = 10.0
PROCS_S = 2.0  # the process table of a focused host: 3 ms a scan, for one host that is looked at
MAX_BIRTHS = 500  # events of new processes in one tick
CLOCK_S = 2.0


class Lanes:
    """All readers. ``fast`` is enough for a first frame; ``rest`` opens what takes longer."""

    def __init__(self, place: Place, tier: int, hello: dict[str, Any]) -> None:
        self.place = place
        self.tier = tier
        self.events = Events(place)
        caps = own_caps(place)
        self.denied = Denied(caps)
        self.troubles = Troubles(place, self.events)
        self.cost = SelfCost(place)
        users = Users(place)
        uid = os.geteuid()
        hello.update(
            uid=uid,
            user=users.name(uid),
            hostname=first_line(place.proc + "/sys/kernel/hostname"),
            caps=caps,
            fast_s=FAST_S,
            slow_s=SLOW_S,
            focused=False,
        )
        self.board = Board(place, self.events, self.denied, hello)
        self.focused = False
        self.users = users
        self.counters = Counters(place)
        self.table = ProcessTable(place, users, self.denied, argv_salt(place))
        self.diag = SockDiag(place)
        self.spool = Spool(place, self.denied)
        self._held: Holdings | None = None
        self._weights: Weights | None = None
        self.listeners = Listeners(
            place, self.diag, self.table, self.holdings, self.event, self.denied
        )
        self._drift: float | None = None
        self._procs_at = 0.0
        self._began = False
        self.flows: Flows | None = None
        self.sessions: Sessions | None = None
        self.openers: Openers | None = None
        self.gpus: Gpus | None = None
        self.logs: Logs | None = None
        self.inventory: InventoryLane | None = None
        self._revision = -1

    def rest(self) -> None:
        """Load and open what the first frame does not need; what fails is missing, and said so."""
        from .declared import Declared, load

        declared = self.attempt("declared", lambda: load(self.place)) or Declared()
        if declared.error:
            self.events.put("probe.error", "declared", {"error": declared.error})
        self.attempt("logs", lambda: self._open_logs(declared))
        self.attempt("flows", self._open_flows)
        self.attempt("openers", lambda: self._open_openers(declared))
        self.attempt("gpu", self._open_gpus)
        self.attempt("inventory", lambda: self._open_inventory(declared))

    def _open_logs(self, declared: Declared) -> None:
        from .logs import Logs

        self.logs = Logs(self.place, self.events, self.denied, declared.identifiers)

    def _open_flows(self) -> None:
        from .flows import Flows
        from .sessions import Sessions

        self.flows = Flows(self.place, self.diag, self.table, self.holdings, self.denied)
        self.sessions = Sessions(self.place)

    def _open_openers(self, declared: Declared) -> None:
        if declared.weights:
            from .openers import Openers, Weights

            self._weights = weights = Weights(self.place, declared.weights)
            self.openers = Openers(self.place, weights, self.table, self.denied, self.event)

    def _open_gpus(self) -> None:
        from .gpu import Gpus

        gpus = Gpus(self.event, self.table.describe, self.place.proc, self.place.path("/sys"))
        gpus.start()
        self.gpus = gpus

    def _open_inventory(self, declared: Declared) -> None:
        from .inventory import steps
        from .inventory_lane import Context, InventoryLane

        context = Context(
            self.place,
            declared,
            self.tier,
            self.gpus,
            lambda: list(self.listeners.rows.values()),
            self.table.everyone,
        )
        self.inventory = InventoryLane(
            self.place, self.board, self.denied, self.troubles, steps, context
        )

    def stop(self) -> None:
        """End children and threads, close what is open."""
        for close in (
            self.logs.stop if self.logs else None,
            self.gpus.stop if self.gpus else None,
            self.diag.close,
        ):
            if close is not None:
                self.attempt("stop", close)

    def event(self, kind: str, key: str, facts: dict[str, Any]) -> None:
        """Queue an event of a reader."""
        self.events.put(kind, key, facts)

    def attempt(self, lane: str, work: Callable[[], Any]) -> Any:
        """Run ``work``; a failure is reported as ``probe.error`` of ``lane`` and gives None."""
        began = self.place.mono()
        try:
            return work()
        except Exception as error:  # one failing source must not hide the others
            self.troubles.report(lane, error)
            return None
        finally:
            self.cost.ran(lane, self.place.mono() - began)

    def holdings(self) -> Holdings:
        """Holders of sockets and weights, read once in a tick however many ask."""
        if self._held is None:
            wanted = None
            if self._weights:
                self._weights.walk()
                wanted = self._weights.maybe
            everyone = list(self.table.by_pid.values())
            self._held = look(self.place, everyone, wanted)
        return self._held

    def fast(self) -> None:
        """Lane F: counters, GPUs, new processes, listeners, the guard's spool, the clock."""
        self._held = None
        part = self.attempt("counters", self.counters.sample) or {}
        self.table.btime = self.counters.btime or self.table.btime
        self.attempt("births", lambda: self._births(part))
        self.attempt("listeners", self._listen)
        if self.gpus is not None:
            part["gpu"] = self.attempt("gpu.fast", self.gpus.fast) or []
        self.board.put("f", part)
        self.attempt("guard", lambda: self.board.guard(self.spool.pending()))
        if self.logs is not None:
            self.attempt("logs", self.logs.tick)
        self._clock()
        if self.focused and self.place.mono() - self._procs_at >= PROCS_S - 0.1:
            self.attempt("procs", self._processes)
        self._began = True

    def _births(self, part: dict[str, Any]) -> None:
        new, part["procs"] = self.table.look()
        if self._began:
            self._announce(new)

    def _announce(self, new: list[Process]) -> None:
        new = [process for process in new if not process.kthread and not self.table.own(process)]
        for process in new[:MAX_BIRTHS]:
            facts = self.table.born(process)
            if facts:
                self.event("process.new", str(process.pid), facts)
            if self.inventory is not None:
                from .inventory_lane import TOOLS

                if process.name in TOOLS:
                    self.inventory.soon()
        if len(new) > MAX_BIRTHS:
            facts = {"reason": "too many new processes", "dropped": len(new) - MAX_BIRTHS}
            self.event("log.gap", "process.new", facts)

    def _listen(self) -> None:
        if self.listeners.sample():
            self.board.table("listen").put(self.listeners.rows)

    def _clock(self) -> None:
        drift = self.place.wall() - self.place.boot()
        if self._drift is not None and abs(drift - self._drift) > CLOCK_S:
            self.event("clock.jump", "", {"seconds": round(drift - self._drift, 3)})
        self._drift = drift

    def slow(self) -> None:
        """Lane S: processes, flows, openers, sessions, GPU processes and counters, own cost."""
        self._held = None
        self.users.refresh()
        self.table.refresh(self.focused)
        self.attempt("procs", self._processes)
        if self.openers is not None:
            openers = self.openers
            rows = self.attempt("openers", lambda: openers.sample(self.holdings))
            if rows is not None:
                self.board.table("openers").put(rows)
        if self.flows is not None:
            flows = self.flows
            rows = self.attempt("flows", lambda: flows.sample(self.listeners.ports))
            if rows is not None:
                self.board.table("flows").put(rows)
        if self.sessions is not None:
            rows = self.attempt("sessions", self.sessions.sample)
            if rows is not None:
                self.board.table("sessions").put(rows)
        self.attempt("gpu.slow", self._gpus)
        late_part = self.cost.report(self.late, self.events.dropped, self._children())
        if late_part is not None:
            self.board.put("self", late_part)

    late = 0  # fast ticks that came late; counted by the loop

    def _children(self) -> float:
        return self.logs.child_seconds() if self.logs is not None else 0.0

    def _processes(self) -> None:
        self._procs_at = self.place.mono()
        new = self.table.scan()
        if self._began:
            self._announce(new)
        if self.focused:
            self.board.table("procs").put(self.table.rows())
        else:
            self.board.put("ps", self.table.summary())

    def _gpus(self) -> None:
        gpus = self.gpus
        if gpus is None:
            return
        for counters in gpus.counters():
            self.board.gpu(counters)
        rows = gpus.processes()
        self.board.table("gpuprocs").put({row[0]: row for row in rows})
        self.denied.replace("gpu.", gpus.denied())
        if gpus.revision() != self._revision:
            self._revision = gpus.revision()
            self.board.section("gpus", gpus.static())
            self.board.section("driver", gpus.driver())
        self.gpu_events()

    def gpu_events(self) -> None:
        """Take what the driver reported by itself."""
        if self.gpus is not None:
            for kind, key, facts, at in self.gpus.take_events():
                self.events.put(kind, key, facts, at)

    def focus(self, on: bool) -> None:
        """Full process table, or summaries."""
        self.focused = on
        self.board.hello["focused"] = on
        self.board.hello["fast_s"] = FOCUSED_S if on else FAST_S
        if not on:
            self.board.table("procs").drop()
        self.attempt("procs", self._processes)
