"""What time it is for what is shown: now, or then in a replay.

One clock for everything that is drawn, because ages appear in columns, filters and pages that know
only the row they draw. The application sets it to that of its engine when it begins.
"""

import time
from collections.abc import Callable

_clock: Callable[[], float] | None = None


def now() -> float:
    """Seconds since the epoch."""
    return time.time() if _clock is None else _clock()


def follow(clock: Callable[[], float] | None) -> None:
    """Tell ages by this clock from here on; None: by this machine's."""
    global _clock
    _clock = clock
