"""How long a person waits before anything is there: ``watchfloor --version``."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any


def _best(argv: list[str], times: int) -> float:
    """Milliseconds of the fastest of ``times`` runs."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken)


def run(quick: bool) -> list[dict[str, Any]]:
    """One row; the empty interpreter is what no Python program can get below."""
    times = 5 if quick else 15
    empty = _best([sys.executable, "-c", "pass"], times)
    ours = _best([sys.executable, "-m", "console", "--version"], times)
    return [
        {
            "name": "`watchfloor --version`",
            "ours": ours,
            "unit": "ms",
            "other": empty,
            "versus": "ms, empty interpreter",
            "ratio": ours / empty,
            "reach": "under 80 ms",
            "ok": ours < 80,
        }
    ]
