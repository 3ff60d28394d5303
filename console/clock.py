"""Time, as a thing that can be handed in.

Everything that decides by time takes a ``Clock``; tests and replay hand in a ``ManualClock``.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for people, monotonic time for decisions; both in seconds."""

    def wall(self) -> float:
        """Seconds since the epoch (UTC)."""
        ...

    def mono(self) -> float:
        """Seconds that never go back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> float:
        """Seconds since the epoch (UTC)."""
        return time.time()

    def mono(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until ``advance`` is called."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._wall = wall
        self._mono = 1_000.0

    def wall(self) -> float:
        """Seconds since the epoch (UTC)."""
        return self._wall

    def mono(self) -> float:
        """Seconds that never go back."""
        return self._mono

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._wall += seconds
        self._mono += seconds
