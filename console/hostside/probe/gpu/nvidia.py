"""The NVIDIA GPUs of this host: one thread that opens NVML and hears its events, one a device.

NVML is opened once and kept: opening it for each sample takes tens of milliseconds a GPU where
persistence mode is off, and stalls other programs meanwhile. All threads are daemons, because one
that hangs in the driver cannot be ended.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable, Dict

from . import kernel
from .events import Listener, Queue, xid_text
from .fields_counters import CounterReader
from .fields_fast import FastReader
from .fields_static import StaticReader, pci_address, system_facts
from .nvml import UNKNOWN, Lost, Nvml, loadable
from .processes import ProcessReader, Use
from .slot import Slot
from .worker import HUNG_S, Worker, join

Facts = Dict[str, Any]
RETRY_S = 60.0  # between two tries to open a driver that does not answer
REOPEN_S = 300.0  # a device lost for this long is looked for anew; doubled each time, up to:
REOPEN_MAX_S = 3600.0
UNLOADED_S = 5.0  # between two opens when the driver itself was unloaded


class NvidiaCard:
    """One GPU as NVML knows it; its methods run in the worker of the device."""

    vendor = "nvidia"

    def __init__(self, nvml: Nvml, index: int, exists: Callable[[int], bool]) -> None:
        self._nvml = nvml
        self._index = index
        self._exists = exists
        self._readers: _Readers | None = None
        self._refused = ""
        self._xid: Facts = {}
        self.handle: Any = None
        self.pci = ""
        self.minor: int | None = None

    def _ready(self) -> _Readers:
        """Open the device on first use, in its own worker: this too may hang."""
        if self._readers is None:
            nvml, index = self._nvml, self._index
            handle, code = nvml.attempt("nvmlDeviceGetHandleByIndex", index)
            if handle is None:
                self._refused = self._refused or f"cannot be opened: {nvml.text(code or UNKNOWN)}"
                raise Lost(self._refused)
            pci = nvml.call("nvmlDeviceGetPciInfo", handle, index=index)
            self.pci = (pci_address(pci.busId) if pci is not None else None) or ""
            self.minor = nvml.call("nvmlDeviceGetMinorNumber", handle, index=index)
            self._readers = _Readers(nvml, handle, index, self._exists)
            self.handle = handle
        return self._readers

    def fast(self) -> list[Any]:
        """``GpuFast`` from ``util_pct`` to ``throttle``."""
        return self._ready().fast.read()

    def counters(self) -> Facts:
        """Fields of ``GpuCounters``."""
        found = self._ready().counters.read()
        found.update(self._xid)
        return found

    def static(self) -> Facts:
        """Fields of ``GpuStatic``."""
        return self._ready().static.read()

    def processes(self) -> list[Use]:
        """Processes on this GPU by the driver's own lists."""
        readers = self._ready()
        return readers.processes.read(readers.fast.total_mib, readers.fast.used_mib)

    def saw_xid(self, xid: int, at: float) -> None:
        """Keep the newest Xid for the counters."""
        self._xid = {"last_xid": xid, "last_xid_at": at}


class _Readers:
    def __init__(self, nvml: Nvml, handle: Any, index: int, exists: Callable[[int], bool]) -> None:
        self.fast = FastReader(nvml, handle, index)
        self.counters = CounterReader(nvml, handle, index)
        self.static = StaticReader(nvml, handle, index)
        self.processes = ProcessReader(nvml, handle, index, exists)


class Nvidia:
    """Opens the library in a thread of its own and keeps ``slots`` and ``error`` up to date."""

    def __init__(self, queue: Queue, proc: str, sys: str) -> None:
        self.nvml = Nvml()
        self.error = ""
        self.system: Facts = {}
        self.known = kernel.gpus(proc, sys)
        self.slots: list[Slot] = []
        self._unlisted: list[Slot] = []
        self._seen: set[str] = set()
        self.reread = False  # an event says that static facts may have changed
        self._queue = queue
        self._proc = proc
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._started = time.monotonic()
        self._opening = False
        self._opened = threading.Event()
        self._patience = REOPEN_S
        self._placeholders()

    def start(self) -> bool:
        """Begin to open the driver; False where there is nothing to open."""
        if not loadable():
            if self.known and any("name" in gpu for gpu in self.known):
                self.error = "libnvidia-ml.so.1 does not load"
                self._placeholders(self.error)
            else:
                self.known = []
                self.slots = []
            return False
        self._opening = True
        self._thread = threading.Thread(target=self._run, name="gpu-nvml", daemon=True)
        self._thread.start()
        return True

    def _placeholders(self, reason: str = "") -> None:
        self.slots = [Slot("nvidia", lost=reason, static=_fallback(gpu)) for gpu in self.known]

    def wait(self, seconds: float) -> None:
        """Until the driver has opened or failed for the first time, at most ``seconds``."""
        if self._thread is not None:
            self._opened.wait(seconds)

    def opening_for(self) -> float:
        """For how many seconds the driver has been opening; 0 when it is open or has failed."""
        return time.monotonic() - self._started if self._opening else 0.0

    def settled(self) -> bool:
        """Whether the number of GPUs will not change soon."""
        return not self._opening or self.opening_for() > HUNG_S

    def _run(self) -> None:
        while not self._stop.is_set():
            self._started = time.monotonic()
            self._opening = True
            try:
                self.error = self._open()
            except Lost as lost:
                self.error = str(lost)
            except Exception as error:
                self.error = f"{type(error).__name__}: {error}"
            self._opening = False
            self._opened.set()
            if self.error:
                self._fail()
                self._stop.wait(RETRY_S)
            else:
                self._listen()
            self._close()

    def _fail(self) -> None:
        if not self.known:
            # A library without a device is normal: an image made for several machines.
            self.error = ""
        self._placeholders(self.error)

    def _open(self) -> str:
        error = self.nvml.open()
        if error:
            return error
        count = self.nvml.call("nvmlDeviceGetCount") or 0
        self.system = system_facts(self.nvml)
        slots = [self._slot(index, count) for index in range(count)]
        for slot, before in zip(slots, self.slots):
            slot.told, slot.listed = before.told, before.listed
        self.slots = slots
        return ""

    def _slot(self, index: int, count: int) -> Slot:
        card = NvidiaCard(self.nvml, index, self._exists)
        worker = Worker(
            f"gpu-{index}",
            {
                "fast": card.fast,
                "counters": card.counters,
                "processes": card.processes,
                "static": card.static,
            },
        )
        worker.start()
        # NVML counts devices by PCI address, as the kernel's folder is ordered.
        known = self.known[index] if len(self.known) == count else {}
        return Slot("nvidia", worker=worker, card=card, static=_fallback(known))

    def listed(self) -> list[Slot]:
        """The devices of the library, then those that only the kernel knows."""
        slots = self.slots
        if len(self.known) <= len(slots) or not all(slot.pci for slot in slots):
            return slots
        seen = {slot.pci for slot in slots}
        if seen != self._seen:
            self._seen = seen
            reason = "the driver library does not list it"
            missing = [gpu for gpu in self.known if gpu["pci"] not in seen]
            self._unlisted = [Slot("nvidia", lost=reason, static=_fallback(gpu)) for gpu in missing]
        return slots + self._unlisted

    def _exists(self, pid: int) -> bool:
        return os.path.exists(os.path.join(self._proc, str(pid)))

    def _listen(self) -> None:
        listener = Listener(self.nvml, self._found)
        try:
            listener.open()
        except Lost:
            pass  # then there are no events, and the devices say themselves what is wrong
        while not self._stop.is_set() and not self._must_reopen():
            try:
                self._register(listener)
                useful = listener.wait()
            except Lost:
                useful = False
            if not useful:
                self._stop.wait(1.0)
        listener.close()

    def _register(self, listener: Listener) -> None:
        """Hear the devices that have answered once: one that hangs must not stop this thread."""
        for index, slot in enumerate(self.slots):
            if slot.worker is not None and slot.worker.result("fast") is not None:
                listener.add(index, slot.card.handle)

    def _must_reopen(self) -> bool:
        """Whether a device is gone that only a new start of NVML can bring back."""
        workers = [slot.worker for slot in self.slots if slot.worker is not None]
        if any(worker.hung() for worker in workers):
            return False
        now = time.monotonic()
        if any(w.lost and w.reopen for w in workers) and now - self._started > UNLOADED_S:
            return True
        gone = not self.slots or any(slot.lost() for slot in self.listed())
        if not gone or now - self._started < self._patience:
            return False
        self._patience = min(REOPEN_MAX_S, self._patience * 2)
        return True

    def _found(self, index: int, name: str, data: int) -> None:
        slot = self.slots[index] if 0 <= index < len(self.slots) else None
        pci = slot.pci if slot is not None else ""
        if name == "xid":
            if slot is not None and isinstance(slot.card, NvidiaCard):
                slot.card.saw_xid(data, round(time.time(), 3))
            facts = {"xid": data, "pci": pci, "pid": None, "message": xid_text(data)}
            # The kernel's log names the device without its function: the same key folds both.
            self._queue.put("kernel.xid", f"{pci.rsplit('.', 1)[0]}/{data}", facts)
        elif name == "unavailable":
            error = "the driver reports the GPU as unavailable"
            self._queue.put("gpu.lost", str(index), {"error": error, "seconds": 0.0})
        else:
            self._queue.put("gpu.event", f"{index}/{name}", {"event": name, "data": data})
        self.reread = True

    def _close(self) -> None:
        workers = [slot.worker for slot in self.slots if slot.worker is not None]
        for worker in workers:
            worker.end()
        if join(workers, HUNG_S):
            self.nvml.close()
        if not self._stop.is_set() and workers:
            self._stop.wait(1.0)

    def stop(self, seconds: float) -> bool:
        """End all threads; False when one of them is in the driver and was left to itself."""
        self._stop.set()
        for slot in self.slots:
            if slot.worker is not None:
                slot.worker.end()
        return join([self._thread] if self._thread is not None else [], seconds)


def _fallback(gpu: Facts) -> Facts:
    keep = ("pci", "name", "uuid", "vbios", "gsp_firmware")
    return {"vendor": "nvidia", **{key: gpu[key] for key in keep if key in gpu}}
