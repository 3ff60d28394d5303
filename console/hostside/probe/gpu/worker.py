"""A thread for each device, so that a driver call that hangs stops nothing but itself."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Iterable

from .nvml import Lost

SLOW_S = 0.25
HUNG_S = 2.0
MAX_STRIDE = 16


class Worker(threading.Thread):
    """Runs named jobs of one device when asked to and keeps the newest result of each.

    Public attributes are written by one thread and read by the other, each in one step.
    """

    def __init__(self, name: str, jobs: dict[str, Callable[[], Any]]) -> None:
        super().__init__(name=name, daemon=True)
        self._jobs = jobs
        self._wanted: list[str] = []
        self._wake = threading.Condition()
        self._ended = False
        self.idle = threading.Event()
        self.idle.set()
        self.results: dict[str, tuple[Any, float]] = {}
        self.took: dict[str, float] = {}
        self.lost = ""  # why the device gave no answer the last time
        self.lost_since = 0.0
        self.reopen = False
        self.failure = ""  # an error in our own code, to be reported once
        self.stride = 1  # sample each n-th tick only; grows while the device is slow
        self.born = time.monotonic()
        self._since: float | None = None

    def ask(self, job: str) -> None:
        """Let ``job`` run soon; asking twice before it has run is asking once."""
        with self._wake:
            if job not in self._wanted:
                self._wanted.append(job)
                self.idle.clear()
                self._wake.notify()

    def result(self, job: str) -> Any:
        """The newest result of ``job``; None before the first."""
        held = self.results.get(job)
        return held[0] if held else None

    def age(self, job: str) -> float:
        """Seconds since ``job`` last gave a result, or since the start."""
        held = self.results.get(job)
        return max(0.0, time.monotonic() - (held[1] if held else self.born))

    def hung(self) -> float:
        """For how many seconds the call now running has run; 0 while that is normal."""
        since = self._since
        busy = time.monotonic() - since if since is not None else 0.0
        return busy if busy >= HUNG_S else 0.0

    def stuck(self) -> bool:
        """Whether waiting for this worker is not worth it: it is over time with what it does."""
        since = self._since
        return since is not None and time.monotonic() - since > SLOW_S

    def run(self) -> None:
        """Do what was asked, in the order it was asked."""
        while True:
            with self._wake:
                while not self._wanted and not self._ended:
                    self.idle.set()
                    self._wake.wait()
                if self._ended:
                    self.idle.set()
                    return
                job = self._wanted[0]
            self._since = time.monotonic()
            self._do(job)
            took = time.monotonic() - self._since
            self._since = None
            self.took[job] = took
            if job == "fast":
                self._pace(took)
            with self._wake:
                self._wanted.remove(job)

    def _do(self, job: str) -> None:
        try:
            value = self._jobs[job]()
        except Lost as lost:
            self.reopen = lost.reopen
            if not self.lost:
                self.lost_since = time.monotonic()
            self.lost = str(lost)
        except Exception as error:
            # One broken reader must not end the thread: the other jobs still have a use.
            self.failure = f"{job}: {type(error).__name__}: {error}"
        else:
            self.results[job] = (value, time.monotonic())
            if job == "fast":
                self.lost = ""

    def _pace(self, took: float) -> None:
        if took > SLOW_S:
            self.stride = min(MAX_STRIDE, self.stride * 2)
        elif took < SLOW_S / 2 and self.stride > 1:
            self.stride //= 2

    def end(self) -> None:
        """Ask the thread to end after the call it is in."""
        with self._wake:
            self._ended = True
            self._wake.notify()


def settle(workers: Iterable[Worker], seconds: float) -> None:
    """Wait until the workers have done what they were asked, at most ``seconds`` in all.

    A worker that is stuck in a call is not waited for.
    """
    deadline = time.monotonic() + seconds
    for worker in workers:
        left = deadline - time.monotonic()
        if left > 0 and not worker.stuck():
            worker.idle.wait(left)


def join(threads: Iterable[threading.Thread], seconds: float) -> bool:
    """Wait for threads to end, at most ``seconds`` in all; whether all of them did."""
    deadline = time.monotonic() + seconds
    alive = False
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
        alive = alive or thread.is_alive()
    return not alive
