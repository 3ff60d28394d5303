"""One GPU in the probe's list, whatever its vendor and whether or not it can be read."""

from __future__ import annotations

from typing import Any, Dict

from .worker import Worker

Facts = Dict[str, Any]
VALUES = 9  # of GpuFast between the index and the age
STALE_S = 1.0  # younger samples are shown as new


class Slot:
    """A GPU's worker and what is known without it."""

    def __init__(
        self,
        vendor: str,
        worker: Worker | None = None,
        card: Any = None,
        lost: str = "",
        static: Facts | None = None,
        nodes: tuple[str, ...] = (),
    ) -> None:
        self.vendor = vendor
        self.worker = worker
        self.card = card
        self.fallback: Facts = static or {"vendor": vendor}
        self.nodes = nodes  # names of its device nodes below /dev/dri
        self._lost = lost
        self.sent: Facts = {}  # counters as last reported
        self.told = ""  # "", "slow" or "lost": the last event about its state
        self.listed = False  # whether a process list has been seen

    @property
    def pci(self) -> str:
        """PCI address; empty while the device has not been opened and no file tells."""
        known = getattr(self.card, "pci", "") if self.card is not None else ""
        return known or str(self.fallback.get("pci", ""))

    @property
    def minor(self) -> int | None:
        """Number of the node ``/dev/nvidiaN``, where the library has told it."""
        return getattr(self.card, "minor", None)

    def lost(self) -> str:
        """Why the GPU cannot be read now; empty when it can."""
        if self.worker is None:
            return self._lost
        hung = self.worker.hung()
        if hung:
            return f"call hung {hung:.0f} s"
        return self.worker.lost

    def row(self, index: int) -> list[Any]:
        """The GPU as an array in the order of ``GpuFast``."""
        values = self.worker.result("fast") if self.worker is not None else None
        age = self.worker.age("fast") if self.worker is not None else 0.0
        shown = round(age, 1) if age >= STALE_S else 0.0
        return [index, *(values or [None] * VALUES), shown, self.lost()]

    def static(self, index: int) -> Facts:
        """``GpuStatic`` as last read, or what is known without the driver."""
        found = self.worker.result("static") if self.worker is not None else None
        return {"index": index, **(found or self.fallback)}
