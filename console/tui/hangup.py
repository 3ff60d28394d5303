"""A terminal that is no longer there.

The library reads on from it, as fast as it can. A closed window is told by a signal as well, but
not to a process that is not of the terminal's session, or that was started to ignore it.
"""

import os
import select
import sys

LOOK_AT_TERMINAL_S = 0.5
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


def terminal() -> int | None:
    """File number of the terminal that is typed on; None where standard input is none."""
    try:
        fileno = sys.__stdin__.fileno() if sys.__stdin__ is not None else -1
    except (OSError, ValueError):  # closed, or not a file
        return None
    return fileno if fileno >= 0 and os.isatty(fileno) else None


def gone(fileno: int) -> bool:
    """True when the terminal behind ``fileno`` was closed."""
    look = select.poll()
    look.register(fileno, 0)  # only what needs no asking: hung up, or in error
    return any(events & _GONE for _, events in look.poll(0))
