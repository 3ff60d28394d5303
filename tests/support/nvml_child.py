"""A process with a ``Gpus`` in it: reads method names from standard input, answers with JSON.

Run as ``python -m tests.support.nvml_child PROC SYS``. Its own verbs: ``emitted`` gives what the
``event`` callback got since the last time, ``readable`` whether the descriptor is readable,
``timed fast`` the seconds that a method took, ``modules`` which bindings are loaded.
"""

from __future__ import annotations

import json
import select
import sys
import time
from typing import Any

from console.hostside.probe.gpu import Gpus

TRACED = 7777  # a pid that a debugger is attached to


def describe(pid: int) -> dict[str, Any]:
    """A process table in which every pid is known."""
    return {
        "name": f"name-{pid}",
        "user": "svc",
        "container": "abcdef012345",
        "cmdline": f"serve --pid {pid}",
        "started": 1_700_000_000.5,
        "tracer": 99 if pid == TRACED else 0,
    }


def main() -> None:
    """Serve until the end of the input."""
    emitted: list[Any] = []
    gpus = Gpus(lambda *event: emitted.append(event), describe, proc=sys.argv[1], sys=sys.argv[2])
    gpus.start()
    for line in sys.stdin:
        verb, _, argument = line.strip().partition(" ")
        answer: Any
        if verb == "emitted":
            answer = list(emitted)
            emitted.clear()
        elif verb == "readable":
            fd = gpus.fileno()
            answer = bool(select.select([fd], [], [], 0.0)[0]) if fd >= 0 else None
        elif verb == "modules":
            answer = "pynvml" in sys.modules
        elif verb == "timed":
            start = time.monotonic()
            getattr(gpus, argument)()
            answer = time.monotonic() - start
        else:
            answer = getattr(gpus, verb)()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    gpus.stop()


if __name__ == "__main__":
    main()
