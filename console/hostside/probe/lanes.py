"""The lanes: what is read in a fast and in a slow tick, and the first frame before all that."""

from __future__ import annotations

import os

from .common import Common
from .counters import Counters
from .frames import argv_salt
from .place import Place, first_line, slurp, words
from .users import Users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .readers import Readers

FAST_S = 2.0
FOCUSED_S = 1.0
SLOW_S = 10.0
PROCS_S = 2.0  # the process table of a focused host: one that is looked at
CLOCK_S = 2.0


class Lanes:
    """``first`` is enough for a first frame; ``rest`` opens what takes longer to load."""

    def __init__(self, place: Place, tier: int, hello: dict[str, Any]) -> None:
        self.users = Users(place)
        uid = os.geteuid()
        hello.update(
            uid=uid,
            user=self.users.name(uid),
            hostname=first_line(place.proc + "/sys/kernel/hostname"),
            caps=own_caps(place),
            fast_s=FAST_S,
            slow_s=SLOW_S,
            focused=False,
        )
        self.common = Common(place, tier, hello)
        self.counters = Counters(place)
        self.readers: Readers | None = None
        self._drift: float | None = None
        self._procs_at = 0.0

    def first(self) -> None:
        """The counters alone."""
        common = self.common
        part = common.attempt("counters", self.counters.sample) or {}
        part["procs"] = sum(map(str.isdigit, os.listdir(common.place.proc)))
        common.board.put("f", part)

    def rest(self) -> None:
        """Load and open all readers, and look once."""
        from .readers import Readers

        salt = argv_salt(self.common.place)
        self.readers = Readers(self.common, self.users, self.counters.btime, salt)
        self.fast()

    def stop(self) -> None:
        """End children and threads, close what is open."""
        if self.readers is not None:
            self.readers.stop()

    def fast(self) -> None:
        """Lane F: counters, GPUs, new processes, listeners, the guard's spool, the clock."""
        common, readers = self.common, self.readers
        part = common.attempt("counters", self.counters.sample) or {}
        if readers is not None:
            readers.table.btime = self.counters.btime or readers.table.btime
            readers.fast(part)
            due = common.place.mono() - self._procs_at >= PROCS_S - 0.1
            if common.focused and due:
                self._processes(readers)
        common.board.put("f", part)
        self._clock()

    def slow(self) -> None:
        """Lane S: tables, and the probe's own cost each minute."""
        common, readers = self.common, self.readers
        children = 0.0
        if readers is not None:
            self._procs_at = common.place.mono()
            readers.slow()
            children = readers.logs.child_seconds()
        report = common.cost.report(common.late, common.events.dropped, children)
        if report is not None:
            common.board.put("self", report)

    def _processes(self, readers: Readers) -> None:
        self._procs_at = self.common.place.mono()
        self.common.attempt("procs", readers.processes)

    def _clock(self) -> None:
        place = self.common.place
        drift = place.wall() - place.boot()
        if self._drift is not None and abs(drift - self._drift) > CLOCK_S:
            self.common.event("clock.jump", "", {"seconds": round(drift - self._drift, 3)})
        self._drift = drift

    def focus(self, on: bool) -> None:
        """Full process table, or summaries."""
        common = self.common
        common.focused = on
        common.board.hello["focused"] = on
        common.board.hello["fast_s"] = FOCUSED_S if on else FAST_S
        if not on:
            common.board.table("procs").drop()
        if self.readers is not None:
            self._processes(self.readers)


def own_caps(place: Place) -> str:
    """Effective capabilities of this process, hexadecimal."""
    try:
        for line in slurp(place.proc + "/self/status", 8192).split(b"\n"):
            if line.startswith(b"CapEff:"):
                return words(line[7:].strip(), 32)
    except OSError:
        pass
    return ""
