"""A faster clock for a whole program: an event loop that never waits.

Where a loop would sleep until its next timer, this one moves the clock there. Every timer, pause
and period of the program then keeps its order and its length in seconds of that clock, and hours
pass as fast as the work in them can be done. ``asyncio`` and whatever asks ``time.time`` or
``time.monotonic`` see the same clock; ``time.perf_counter`` and ``time.process_time`` stay real,
so what is measured with them is what the work really costs.
"""

from __future__ import annotations

import asyncio
import queue  # noqa: F401  # keeps the real clock, as threads do: imported before it is replaced
import selectors
import threading  # noqa: F401
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

from console.clock import ManualClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
SLICE_S = 0.001
"""Real seconds that the loop waits for a thread before it looks again."""


class FastSelector(selectors.DefaultSelector):
    """Moves the clock instead of waiting, unless a thread is at work."""

    def __init__(self, clock: ManualClock, busy: Callable[[], bool]) -> None:
        super().__init__()
        self._clock = clock
        self._busy = busy

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; where nothing is, ``timeout`` seconds of the clock have passed."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self._busy():
            return super().select(SLICE_S)
        self._clock.advance(timeout)
        return []


class FastLoop(asyncio.SelectorEventLoop):
    """The event loop. ``busy`` may name more that time must wait for, besides threads."""

    def __init__(self, clock: ManualClock, busy: Callable[[], bool] = lambda: False) -> None:
        self._fast_clock = clock
        self._in_threads = 0
        super().__init__(FastSelector(clock, lambda: self._in_threads > 0 or busy()))

    def time(self) -> float:
        """Seconds of the fast clock."""
        return self._fast_clock.mono()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As the library's; time stands still until ``func`` has returned."""
        future = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._returned)
        return future

    def _returned(self, future: asyncio.Future[T]) -> None:
        self._in_threads -= 1


def replace_clocks(clock: ManualClock) -> None:
    """Let the whole process see ``clock``; before anything that takes ``time.monotonic`` itself."""
    time.time = clock.wall
    time.monotonic = clock.mono
