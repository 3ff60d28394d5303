"""One simulated host over time: load, temperatures, tables and events, repeatable by seed."""

import random
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, NamedTuple

import msgspec

from console.demo import facts, processes
from console.demo.fleet import SimHost, as_uuid, catalog, digest
from console.demo.gpus import GpuSim
from console.model.frame import Fast, InterfaceRate, ProbeEvent, ProcessBrief, ProcessSummary
from console.model.inventory import Inventory
from console.model.tables import Flow, Process

STEP_S = 1.0
WORK_S = 10.0
LOG_KEPT = 2_000

JOURNAL = ("auth.", "kernel.", "log.")
"""Kinds of events that come from the journal: only these carry a cursor and are sent again."""


class Logged(NamedTuple):
    """An event and its place in the host's log, from 1."""

    number: int
    event: ProbeEvent


class SimState:
    """The state of one host. Everything that changes it is called from one event loop.

    ``clock`` gives the wall time in seconds. ``advance`` moves the simulation to ``t`` seconds of
    its own time; the same seed and the same calls give the same state.
    """

    def __init__(self, host: SimHost, seed: int, clock: Callable[[], float]) -> None:
        self.host = host
        self.seed = seed
        self.clock = clock
        self.t = 0.0
        self.host_id = digest("watchfloor", seed, host.name)
        self.boot_id = as_uuid("boot", seed, host.name)
        uptime = 200_000.0 + int(digest("uptime", seed, host.name, length=6), 16) % 9_000_000
        self.booted = clock() - uptime
        self.silent = False
        self.leaving: set[str] = set()  # flows that come on top of the host's usual traffic
        self.bells: set[Callable[[], None]] = set()  # called after each event, to send it at once
        self.log: list[Logged] = []
        self.spool: dict[str, tuple[str, bytes]] = {}  # what the guard published: kind, bytes
        self.turned: set[Callable[[], None]] = set()  # called after a guard changed something
        self.bars: dict[str, Callable[[Flow], bool]] = {}  # what ends a flow, by action's id
        self.isolated: set[str] = set()  # ids of the isolations that hold
        self.machine = catalog().machines[host.machine]
        self._random = random.Random(f"{seed}/{host.name}")
        self._numbers = count(1)
        self.pids = processes.Pids(host, seed)
        self.gpus = self._make_gpus()
        self.tables = self._make_tables()
        self._cpu = host.cpu_pct
        self._rate = 1.0
        self._read_bps = 0.0

    def _make_gpus(self) -> list[GpuSim]:
        if not self.host.gpu:
            return []
        kind = catalog().gpus[self.host.gpu]
        out = [GpuSim(index, kind, self._random) for index in range(self.host.gpus)]
        for service in self.host.services:
            for index in service.gpus:
                out[index].serve(service.gpu_util, service.gpu_mem)
        return out

    def _make_tables(self) -> dict[str, dict[int | str, Any]]:
        host = self.host
        procs: dict[int | str, Any] = _keyed(processes.processes(host, self.booted, self.pids))
        return {
            "procs": procs,
            "listen": _keyed(processes.listeners(host, procs)),
            "flows": _keyed(processes.flows(host, procs)),
            "gpuprocs": _keyed(processes.gpu_processes(host, procs)),
            "openers": _keyed(processes.openers(host, procs)),
            "sessions": _keyed(processes.sessions(self.clock())),
            "packages": _keyed(facts.packages(host)),
            "pydists": _keyed(facts.python(host)),
            "containers": _keyed(facts.containers(host, self.seed)),
            "accounts": _keyed(facts.accounts(host, self.seed)),
            "mounts": _keyed(facts.mounts(host)),
            "models": _keyed(facts.models(host)),
        }

    def permits(self, flow: Flow) -> bool:
        """Whether no standing action of the guard keeps this flow out."""
        return not any(bar(flow) for bar in self.bars.values())

    # --- time ---

    def advance(self, t: float) -> None:
        """Move to ``t`` seconds; the past stays as it was."""
        while self.t + STEP_S <= t:
            self.t += STEP_S
            self._step()

    def _step(self) -> None:
        noise = self._random.gauss
        self._cpu += 0.2 * (self.host.cpu_pct - self._cpu) + noise(0, 0.6)
        self._cpu = min(100.0, max(0.2, self._cpu))
        self._rate = min(2.0, max(0.2, self._rate + 0.15 * (1 - self._rate) + noise(0, 0.05)))
        self._read_bps = max(0.0, 0.6 * self._read_bps + abs(noise(0, 4e5)))
        for gpu in self.gpus:
            gpu.step()
        flows = self.tables["flows"]
        for key, row in list(flows.items()):
            flows[key] = self._talk(row)
        if self.t % WORK_S < STEP_S:
            self.work()

    def _talk(self, row: Flow) -> Flow:
        factor = self._random.uniform(0.9, 1.1)
        return msgspec.structs.replace(
            row,
            tx_bytes=row.tx_bytes + int(row.tx_bps * factor * STEP_S),
            rx_bytes=row.rx_bytes + int(row.rx_bps * factor * STEP_S),
        )

    def work(self) -> None:
        """Let the process table live: the loads of busy processes move."""
        procs = self.tables["procs"]
        for pid, row in list(procs.items()):
            if row.cpu_pct >= 1.0:
                cpu = round(max(1.0, row.cpu_pct * self._random.uniform(0.93, 1.075)), 1)
                procs[pid] = msgspec.structs.replace(row, cpu_pct=cpu)

    # --- what a probe would read ---

    @property
    def uptime(self) -> float:
        """Seconds since boot."""
        return self.clock() - self.booted

    def inventory(self) -> Inventory:
        """All inventory sections."""
        return facts.inventory(self.host, self.seed, self.booted)

    def fast(self, dt: float) -> Fast:
        """The fast lane, with rates over ``dt`` seconds."""
        total = self.machine.mem_gib << 20
        procs = self.tables["procs"]
        used = sum(row.rss_kib for row in procs.values())
        rx, tx = self._rates()
        load = self.machine.cpus * self._cpu / 100
        return Fast(
            dt=round(dt, 3),
            cpus=self.machine.cpus,
            cpu_pct=round(self._cpu, 1),
            iowait_pct=0.1,
            steal_pct=0.0,
            load=(round(load, 2), round(load * 0.97, 2), round(load * 0.95, 2)),
            mem_total_kib=total,
            mem_avail_kib=max(0, int(total * 0.93) - used),
            swap_total_kib=0,
            swap_used_kib=0,
            psi_cpu=round(self._cpu / 40, 2),
            psi_mem=0.0,
            psi_io=round(self._read_bps / 1e7, 2),
            rx_bps=round(rx),
            tx_bps=round(tx),
            nics=(InterfaceRate(self.host.nic.name, round(rx), round(tx)),),
            disk_read_bps=round(self._read_bps),
            disk_write_bps=round(self._read_bps / 3),
            procs=len(procs),
            running=1 + int(load),
            gpu=tuple(gpu.fast() for gpu in self.gpus),
            uptime_s=round(self.uptime, 1),
        )

    def _rates(self) -> tuple[float, float]:
        if self.isolated:
            return 210.0 * self._rate, 1_400.0 * self._rate  # the operators' own sessions
        rx = self.host.rx_mbps * 125_000 * self._rate
        tx = self.host.tx_mbps * 125_000 * self._rate
        flows = self.tables["flows"]
        return rx, tx + sum(flows[key].tx_bps for key in self.leaving if key in flows)

    def summary(self) -> ProcessSummary:
        """The process table in a few lines."""
        rows: list[Process] = list(self.tables["procs"].values())
        users: dict[str, int] = {}
        for row in rows:
            users[row.user] = users.get(row.user, 0) + 1
        most = sorted(users.items(), key=lambda item: (-item[1], item[0]))
        return ProcessSummary(
            total=len(rows),
            running=sum(row.state == "R" for row in rows),
            by_user=dict(most[:16]),
            top_cpu=_brief(sorted(rows, key=lambda row: -row.cpu_pct)),
            top_rss=_brief(sorted(rows, key=lambda row: -row.rss_kib)),
        )

    # --- what happens ---

    def emit(self, kind: str, key: str = "", **known: Any) -> None:
        """Something happened now."""
        number = next(self._numbers)
        cursor = f"sim-{number}" if kind.startswith(JOURNAL) else ""
        event = ProbeEvent(kind=kind, at=self.clock(), key=key, facts=known, cursor=cursor)
        self.log.append(Logged(number, event))
        del self.log[:-LOG_KEPT]
        for ring in list(self.bells):
            ring()

    def since(self, number: int, *, journal_only: bool = False) -> list[Logged]:
        """Events after ``number``, oldest first."""
        first = len(self.log)
        while first and self.log[first - 1].number > number:
            first -= 1
        return [item for item in self.log[first:] if not journal_only or item.event.cursor]

    def last(self) -> int:
        """Number of the newest event, 0 when there is none."""
        return self.log[-1].number if self.log else 0


def _keyed(rows: Iterable[Any]) -> dict[int | str, Any]:
    return {row.pid if isinstance(row, Process) else row.key: row for row in rows}


def _brief(rows: list[Process]) -> tuple[ProcessBrief, ...]:
    return tuple(ProcessBrief(r.pid, r.user, r.name, r.cpu_pct, r.rss_kib) for r in rows[:5])
