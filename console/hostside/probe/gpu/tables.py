"""The table ``gpuprocs``: vendor lists, DRM clients and holders of device nodes in one."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict

from . import amd, drm, holders, kernel
from .fields_fast import mib
from .processes import Use
from .slot import Slot

Facts = Dict[str, Any]
MAX_ROWS = 4096


class Table:
    """Makes rows and remembers which ones were there before."""

    def __init__(
        self,
        event: Callable[[str, str, Facts], None],
        describe: Callable[[int], Facts],
        proc: str,
        sys: str,
    ) -> None:
        self._event = event
        self._describe = describe
        self._proc = proc
        self._sys = sys
        self._seen: dict[str, float] = {}
        self._first = True
        self.blind = False  # some processes' descriptors may not be read

    def look(self, slots: list[Slot]) -> list[holders.Open]:
        """Who has a GPU's node open; an empty list without GPUs."""
        if not slots:
            return []
        found = holders.scan(self._proc)
        self.blind = found.blind
        return found.opens

    def rows(self, slots: list[Slot], opens: list[holders.Open]) -> list[list[Any]]:
        """All rows, by key, after ``gpu.process.new`` for those that are new."""
        minors: dict[int, str] | None = None
        found: dict[str, list[Any]] = {}
        new: list[list[Any]] = []
        for index, slot in enumerate(slots):
            if slot.vendor == "nvidia":
                if slot.minor is None and minors is None:
                    minors = kernel.minors(self._proc, self._sys)
                uses = self._nvidia(slot, opens, minors or {})
            else:
                uses = self._drm(slot, opens)
            for use in uses[:MAX_ROWS]:
                row = self._row(index, use)
                found[row[0]] = row
                if self._is_new(slot, row):
                    new.append(row)
            if slot.worker is None or "processes" in slot.worker.results:
                slot.listed = True
        self._seen = {key: row[9] for key, row in found.items()}
        self._first = False
        for row in new:
            self._event(
                "gpu.process.new",
                row[0],
                {"gpu": row[1], "pid": row[2], "name": row[4], "user": row[5], "mem_mib": row[6]},
            )
        return [found[key] for key in sorted(found)]

    def _is_new(self, slot: Slot, row: list[Any]) -> bool:
        """What runs when the probe starts is not new; nor is a list that comes late for once."""
        if self._first or (row[11] == "nvml" and not slot.listed):
            return False
        return row[0] not in self._seen or self._seen[row[0]] != row[9]

    def _nvidia(self, slot: Slot, opens: list[holders.Open], minors: dict[int, str]) -> list[Use]:
        listed: list[Use] = []
        if slot.worker is not None:
            listed = list(slot.worker.result("processes") or [])
        minor = slot.minor
        if minor is None:
            minor = next((number for number, pci in minors.items() if pci == slot.pci), None)
        known = {use.pid for use in listed}
        node = f"nvidia{minor}"
        held = {one.pid for one in opens if one.node == node} - known
        return listed + [Use(pid, "holder", None, "fd") for pid in sorted(held)]

    def _drm(self, slot: Slot, opens: list[holders.Open]) -> list[Use]:
        mine = [one for one in opens if one.node in slot.nodes]
        clients: dict[int, dict[str, drm.Client]] = {}
        for one in mine:
            client = drm.read_client(self._proc, one.pid, one.fd)
            if client is not None and client.pci in ("", slot.pci):
                clients.setdefault(one.pid, {})[client.client or one.fd] = client
        if hasattr(slot.card, "watch"):
            slot.card.watch([(one.pid, one.fd) for one in mine], self.blind)
        compute = {one.pid for one in opens if one.node == "kfd"}
        kfd = amd.kfd_use(self._sys, slot.pci) if slot.vendor == "amd" else {}
        uses: list[Use] = []
        for pid in sorted({one.pid for one in mine} | set(kfd)):
            own = list(clients.get(pid, {}).values())
            used = sum(drm.vram_bytes(client) for client in own)
            amount = max(used, kfd.get(pid, 0)) if own or pid in kfd else None
            if amount is None:
                uses.append(Use(pid, "holder", None, "fd"))
            else:
                kind = "compute" if pid in compute or pid in kfd or _computes(own) else "graphics"
                uses.append(Use(pid, kind, mib(amount), "fdinfo"))
        return uses

    def _row(self, index: int, use: Use) -> list[Any]:
        facts = self._describe(use.pid) or {}
        known = os.path.exists(os.path.join(self._proc, str(use.pid)))
        return [
            f"{index}/{use.pid}/{use.kind}",
            index,
            use.pid,
            use.kind,
            facts.get("name"),
            facts.get("user"),
            use.mem_mib,
            facts.get("container") or "",
            facts.get("cmdline") or "",
            facts.get("started") or 0.0,
            facts.get("tracer") or 0,
            use.source,
            use.reliable and known,
            use.sm_pct,
        ]


def _computes(clients: list[drm.Client]) -> bool:
    """Whether the clients used compute engines and no render engine."""
    spent: dict[str, int] = {}
    for client in clients:
        for engine, amount in {**client.engines, **client.cycles}.items():
            spent[engine] = spent.get(engine, 0) + amount
    compute = sum(n for e, n in spent.items() if e in ("compute", "ccs"))
    render = sum(n for e, n in spent.items() if e in ("gfx", "render", "rcs"))
    return compute > render
