"""All GPUs of this host as the probe's lanes ask for them."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Dict

from ..denied import PTRACE
from . import amd, drm, intel, kernel
from .events import Queue
from .files import link, read
from .nvidia import Nvidia
from .slot import Slot
from .tables import Table
from .worker import HUNG_S, Worker, join, settle

Facts = Dict[str, Any]

FAST_WAIT_S = 0.05
SLOW_WAIT_S = 0.15
FIRST_WAIT_S = 0.5  # once, at the start, so that the names are there when the first GPUs are
STATIC_S = 300.0
STOP_S = 0.3


class Gpus:
    """All GPUs of this host.

    ``event(kind, key, facts)`` is called from the methods below, in the caller's thread.
    ``describe(pid)`` gives ``name user container cmdline started tracer`` of a process, or an
    empty mapping. ``proc`` and ``sys`` are the roots of procfs and sysfs. No GPU is a normal
    state: everything is then empty and nothing is denied.
    """

    def __init__(
        self,
        event: Callable[[str, str, Facts], None],
        describe: Callable[[int], Facts],
        proc: str = "/proc",
        sys: str = "/sys",
    ) -> None:
        self._event = event
        self._proc = proc
        self._sys = sys
        self._queue = Queue()
        self._nvidia = Nvidia(self._queue, proc, sys)
        self._drm: list[Slot] = []
        self._cards: list[drm.Card] = []
        self._table = Table(event, describe, proc, sys)
        self._tick = 0
        self._static_at: float | None = None
        self._static: tuple[list[Facts], Facts] = ([], {})
        self._revision = 0
        self._active = False

    def start(self) -> None:
        """Look for devices and start their threads; waits for the driver, but at most 0.5 s."""
        self._cards = drm.cards(self._sys)
        self._drm = [self._drm_slot(card) for card in self._cards]
        opening = self._nvidia.start()
        self._active = opening or bool(self._drm) or bool(self._nvidia.known)
        if not self._active:
            self._queue.close()
        self._nvidia.wait(FIRST_WAIT_S)

    def _drm_slot(self, card: drm.Card) -> Slot:
        reader: Any
        if drm.DRIVERS[card.driver] == "amd":
            reader = amd.AmdCard(card, self._sys)
        else:
            reader = intel.IntelCard(card, self._proc)
        jobs: dict[str, Callable[[], Any]] = {
            "fast": reader.fast,
            "counters": reader.counters,
            "static": reader.static,
        }
        worker = Worker(f"gpu-{card.pci}", jobs)
        worker.start()
        return Slot(reader.vendor, worker=worker, card=reader, nodes=card.nodes)

    def _slots(self) -> list[Slot]:
        """All GPUs by index: NVIDIA first, so that the index is NVML's own there."""
        nvidia = self._nvidia.listed()
        if not nvidia and not self._nvidia.settled():
            return []  # the others' numbers are not known yet
        return nvidia + self._drm

    def fast(self) -> list[list[Any]]:
        """The fast lane: one array in the order of ``GpuFast`` for each GPU, by index.

        Waits at most 50 ms. A GPU whose driver does not answer keeps its last sample with a
        growing ``age_s``, and ``lost`` says why; ``gpu.slow`` and ``gpu.lost`` are emitted once
        for each time that it happens, ``gpu.back`` when it is over.
        """
        if not self._active:
            return []
        self._tick += 1
        slots = self._slots()
        for index, slot in enumerate(slots):
            worker = slot.worker
            if worker is not None and self._tick % worker.stride == index % worker.stride:
                worker.ask("fast")
        self._settle(slots, FAST_WAIT_S)
        rows = [slot.row(index) for index, slot in enumerate(slots)]
        hanging = self._nvidia.opening_for()
        for slot, row in zip(slots, rows):
            if slot.vendor == "nvidia" and slot.worker is None and hanging > HUNG_S:
                row[-1] = f"opening the driver hung {hanging:.0f} s"
                row[-2] = round(hanging, 1)
        for index, (slot, row) in enumerate(zip(slots, rows)):
            self._tell(index, slot, row)
        return rows

    def _settle(self, slots: list[Slot], seconds: float) -> None:
        settle([slot.worker for slot in slots if slot.worker is not None], seconds)

    def _tell(self, index: int, slot: Slot, row: list[Any]) -> None:
        worker, lost = slot.worker, row[-1]
        state, error, seconds = "", lost, float(row[-2])
        if lost:
            state = "slow" if lost.startswith(("call hung", "opening")) else "lost"
            if state == "slow" and seconds > 5 * HUNG_S:
                state = "lost"
        elif worker is not None and worker.stride > 1:
            state, seconds = "slow", round(worker.took.get("fast", 0.0), 2)
            error = f"a sample took {seconds:g} s: each {worker.stride}. tick is sampled"
        if state and state != slot.told and not (state == "slow" and slot.told == "lost"):
            self._event(f"gpu.{state}", str(index), {"error": error, "seconds": seconds})
            slot.told = state
        elif not state and slot.told:
            self._event("gpu.back", str(index), {"error": "", "seconds": seconds})
            slot.told = ""
        if worker is not None and worker.failure:
            failure, worker.failure = worker.failure, ""
            self._event("probe.error", "gpu", {"error": f"GPU {index}: {failure}"[:400]})

    def counters(self) -> list[Facts]:
        """The slow lane: ``GpuCounters`` of the GPUs where one changed since the last call."""
        slots = self._slots() if self._active else []
        for slot in slots:
            if slot.worker is not None:
                slot.worker.ask("counters")
        self._settle(slots, SLOW_WAIT_S)
        changed: list[Facts] = []
        for index, slot in enumerate(slots):
            found = slot.worker.result("counters") if slot.worker is not None else None
            if found is not None and found != slot.sent:
                slot.sent = found
                changed.append({"index": index, **found})
        return changed

    def processes(self) -> list[list[Any]]:
        """Rows of the table ``gpuprocs``; emits ``gpu.process.new`` for rows not seen before.

        Waits at most 150 ms for the drivers; a GPU that is late keeps its last list.
        """
        if not self._active:
            return []
        slots = self._slots()
        for slot in slots:
            if slot.worker is not None and slot.vendor == "nvidia":
                slot.worker.ask("processes")
        opens = self._table.look(slots)  # while the drivers work
        self._settle(slots, SLOW_WAIT_S)
        return self._table.rows(slots, opens)

    def static(self) -> list[Facts]:
        """``GpuStatic`` of each GPU, from memory: cheap, call it at every slow tick.

        It is read again by itself every 300 s and after driver events. Early after the start it
        is short; compare ``revision()`` to see whether it (or ``driver()``) has changed.
        """
        self._refresh()
        return self._static[0]

    def driver(self) -> Facts:
        """``GpuDriver``, from memory like ``static()``."""
        self._refresh()
        return self._static[1]

    def revision(self) -> int:
        """A number that grows when ``static()`` or ``driver()`` changes."""
        self._refresh()
        return self._revision

    def _refresh(self) -> None:
        if not self._active:
            return
        slots = self._slots()
        now = time.monotonic()
        due = self._static_at is None or now - self._static_at > STATIC_S or self._nvidia.reread
        if due and self._nvidia.settled():
            self._static_at, self._nvidia.reread = now, False
        for slot in slots:
            worker = slot.worker
            if worker is not None and (due or "static" not in worker.results):
                worker.ask("static")
        if due:
            first = not self._revision
            self._settle(slots, FIRST_WAIT_S if first else SLOW_WAIT_S)
        newest = ([slot.static(n) for n, slot in enumerate(slots)], self._driver())
        if newest != self._static:
            self._static = newest
            self._revision += 1

    def _driver(self) -> Facts:
        nvidia = self._nvidia
        if nvidia.slots or nvidia.error:
            facts = {"vendor": "nvidia", **kernel.driver(self._proc, self._sys), **nvidia.system}
            error = nvidia.error
            if not error and nvidia.opening_for() > HUNG_S:
                error = "the driver does not answer: it hangs when it is opened"
            if error:
                facts["error"] = error
            return facts
        for card in self._cards:
            vendor = drm.DRIVERS[card.driver]
            module = link(card.folder, "driver")
            version = read(self._sys, "module", module, "version") or ""
            name = f"{module} {version}".strip()
            return {"vendor": vendor, "version": version, "kernel_module": name}
        return {}

    def denied(self) -> dict[str, str]:
        """What may not be read, to the right that would unlock it; keys begin with ``gpu.``."""
        if not self._active or not self._slots():
            return {}
        found = dict(self._nvidia.nvml.denied)
        if self._table.blind:
            found["gpu.holders"] = PTRACE
        params = os.path.join(self._proc, "driver/nvidia/params")
        if os.path.exists(params) and not os.access(params, os.R_OK):
            found["gpu.profiling-admin-only"] = "root"
        return found

    def take_events(self) -> list[tuple[str, str, Facts, float]]:
        """Events of the driver since the last call: (kind, key, facts, seconds since the epoch)."""
        return self._queue.take()

    def fileno(self) -> int:
        """A descriptor that is readable while ``take_events`` has something; -1 without GPUs."""
        return self._queue.fileno() if self._active else -1

    def stop(self) -> None:
        """End the threads that end in a moment, and close the descriptor."""
        workers = [slot.worker for slot in self._drm if slot.worker is not None]
        for worker in workers:
            worker.end()
        self._nvidia.stop(STOP_S)
        join(workers, STOP_S)
        self._queue.close()
        self._active = False
