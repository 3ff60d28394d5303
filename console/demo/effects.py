"""What the steps of a simulated guard change on its simulated host, so that a drill is seen.

A guard publishes what is applied; this makes the host's tables follow it, and go back when it ends.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from console.demo.simulate import SimState
from console.model.tables import Flow, Process

HOLDING = ("EXECUTING", "APPLIED", "STANDING")
"""States of an entry in which its steps are done; while it reverts, they are being undone."""

Rows = dict[str, dict[int | str, Any]]


def inside(address: str, networks: Iterable[str]) -> bool:
    """Whether an address or prefix lies in one of these networks; False where it is neither."""
    try:
        one = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return False
    for text in networks:
        other = ipaddress.ip_network(text, strict=False)
        if one.version == other.version and int(other[0]) <= int(one[0]) <= int(other[-1]):
            return True
    return False


def bar_of(action: str, params: Mapping[str, Any]) -> Callable[[Flow], bool] | None:
    """What tells the flows that an action ends and lets no more in; None where it bars none."""
    if action == "isolate":
        mgmt = tuple(params["mgmt"])
        return lambda flow: (
            not (flow.direction == "in" and flow.port == 22 and inside(flow.peer, mgmt))
        )
    if action == "disconnect-inbound":
        ports = frozenset(params["ports"])
        return lambda flow: flow.direction == "in" and flow.port in ports
    if action == "block-source":
        source = (params["source"],)
        return lambda flow: inside(flow.peer, source)
    return None


class Effects:
    """Makes one host follow what its guard says of itself."""

    def __init__(self, state: SimState) -> None:
        self._state = state
        self._usual = frozenset(state.tables["flows"])
        self._held: dict[str, Rows] = {}  # what each standing action took away, by its id
        self._done: set[str] = set()  # actions that leave nothing to undo

    def follow(self, doc: Mapping[str, Any]) -> bool:
        """Do and undo what changed in the guard's state document; whether anything did."""
        holding = {
            item["id"]: item
            for item in doc["active"]
            if item["state"] in HOLDING and item.get("holds", True)
        }
        changed = False
        for rid in [rid for rid in self._held if rid not in holding]:
            self._undo(rid)
            changed = True
        for rid, item in holding.items():
            if rid not in self._held and item["state"] != "EXECUTING":
                self._held[rid] = self._do(rid, item["action"], item["params"])
                changed = True
        for item in doc["closed"]:
            if item["state"] == "DONE" and item["id"] not in self._done:
                self._done.add(item["id"])
                self._do(item["id"], item["action"], item["params"])
                changed = True
        return changed

    def _do(self, rid: str, action: str, params: Mapping[str, Any]) -> Rows:
        bar = bar_of(action, params)
        if bar is not None:
            self._state.bars[rid] = bar
            if action == "isolate":
                self._state.isolated.add(rid)
            return self._take("flows", bar)
        if action == "kill-process":
            pid, start = params["pid"], params["start_time"]
            return self._end(lambda row: row.pid == pid and ticks(self._state, row) == start)
        if action == "stop-service":
            unit = "/" + params["service"]
            return self._end(lambda row: row.cgroup.endswith(unit))
        if action == "block-user":
            user = params["user"]
            gone = self._end(lambda row: row.user == user)
            return gone | self._take("sessions", lambda row: bool(row.user == user))
        if action == "quarantine-model":
            return self._away(params["model"], params["version"])
        if action == "rollback-model":
            self._serve(params["model"], params["to"])
        return {}

    def _serve(self, model: str, version: str) -> None:
        rows = self._state.tables["models"]
        for key, row in list(rows.items()):
            if row.source == model:
                rows[key] = msgspec.structs.replace(row, current=row.version == version)

    def _away(self, model: str, version: str) -> Rows:
        """A version, and the service that serves it."""
        gone = self._take("models", lambda row: row.source == model and row.version == version)
        units = tuple(f"/{row.unit}" for row in gone["models"].values() if row.current)
        return gone | self._end(lambda row: bool(row.cgroup.endswith(units))) if units else gone

    def _take(self, table: str, which: Callable[[Any], bool]) -> Rows:
        rows = self._state.tables[table]
        gone = {key: row for key, row in rows.items() if which(row)}
        for key in gone:
            del rows[key]
        return {table: gone}

    def _end(self, which: Callable[[Any], bool]) -> Rows:
        """Processes, with all that they hold."""
        gone = self._take("procs", which)
        pids = set(gone["procs"])
        for table in ("listen", "flows", "openers", "gpuprocs"):
            gone |= self._take(table, lambda row: row.pid in pids)
        for row in gone["gpuprocs"].values():
            self._state.gpus[row.gpu].rest(row.mem_mib)
        return gone

    def _undo(self, rid: str) -> None:
        """Give back what was usual here; a stranger's connections do not come back."""
        self._state.bars.pop(rid, None)
        self._state.isolated.discard(rid)
        for name, rows in self._held.pop(rid).items():
            for key, row in rows.items():
                if name == "flows" and (key not in self._usual or not self._state.permits(row)):
                    continue
                self._state.tables[name].setdefault(key, row)
                if name == "gpuprocs":
                    self._state.gpus[row.gpu].load(self._share(row.gpu), row.mem_mib)

    def _share(self, gpu: int) -> float:
        found = (s.gpu_util for s in self._state.host.services if gpu in s.gpus)
        return next(found, 0.0)


TICKS = 100
"""Clock ticks of a second, as Linux counts the start of a process."""


def ticks(state: SimState, process: Process) -> int:
    """When it began, in clock ticks since boot."""
    return round((process.started - state.booted) * TICKS)


def judged(state: SimState) -> dict[str, tuple[int, str, str]]:
    """Processes by id, as the simulated guard knows them: start in ticks, program, and why it is
    never ended."""
    return {
        str(row.pid): (ticks(state, row), row.exe or f"[{row.name}]", _never(row))
        for row in state.tables["procs"].values()
    }


def _never(row: Process) -> str:
    if not row.exe:
        return "it is a thread of the kernel"
    if row.pid == 1 or row.name in ("systemd", "sshd"):
        return "the host, or the way into it, would be gone"
    return ""


def versions(state: SimState) -> dict[str, Any]:
    """Models by name: which version is served, and of each version its files and bytes."""
    out: dict[str, Any] = {}
    for row in state.tables["models"].values():
        about = out.setdefault(row.source, {"current": "", "versions": {}})
        about["versions"][row.version] = (row.files, row.size_bytes)
        if row.current:
            about["current"] = row.version
    return out


def leaves(state: SimState, mgmt: Iterable[str] | None = None) -> tuple[list[str], list[str]]:
    """What isolating the host would end, as lines, and who would still reach it."""
    bar = bar_of("isolate", {"mgmt": list(mgmt or ())})
    ends: list[str] = []
    stays: list[str] = []
    flows: list[Flow] = sorted(state.tables["flows"].values(), key=lambda row: -row.tx_bps)
    for row in flows:
        way = f"{'to' if row.direction == 'out' else 'from'} {row.peer}, port {row.port}"
        text = (
            f"{row.count} {way}, {row.name or 'owner not known'}, {row.tx_bps / 1e6:.1f} MB/s out"
        )
        (ends if bar is None or bar(row) else stays).append(text)
    return ends, stays
