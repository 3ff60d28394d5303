"""The end of the terminal: what is kept of a defect, and the exit status."""

import gc
import os
import sys
import tempfile

from console.text import clean_lines

CRASHED = 70


def keep(told: str) -> str:
    """Write a traceback into a new file that only this user may read; returns its path.

    Where no file can be written: words that say so, with the traceback.
    """
    try:
        handle, path = tempfile.mkstemp(prefix="watchfloor-crash-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(told)
    except OSError:
        return f"here, as no file can be written:\n{clean_lines(told)}"
    return path


def refuse_dumb_terminal() -> bool:
    """Say what to use instead where the terminal cannot draw; True when it cannot."""
    if os.environ.get("TERM", "dumb") != "dumb":
        return False
    sys.stderr.write(
        "watchfloor: this terminal cannot draw screens; use `watchfloor watch --plain`, "
        "for demo and replay their --plain\n"
    )
    return True


def rare_collections() -> None:
    """Let Python look for garbage in cycles seldom.

    Pictures of a fleet are trees of immutable values and hold no cycles, but there are so many
    of them that a full search stops the screens for tens of milliseconds, again and again.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
