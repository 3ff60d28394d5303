"""The command line as a program of its own, in an environment without this user's files."""

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = (sys.executable, "-m", "console")


def watchfloor(
    *words: str,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    memory_mib: int = 0,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run ``watchfloor WORDS`` without any terminal and without input, and wait for its end.

    ``env`` is added to the test's environment; ``memory_mib`` bounds what it may allocate.
    """

    def bound() -> None:
        if memory_mib:
            resource.setrlimit(resource.RLIMIT_AS, (memory_mib << 20, memory_mib << 20))

    return subprocess.run(
        [*PYTHON, *words],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        timeout=timeout,
        start_new_session=True,
        preexec_fn=bound if memory_mib else None,  # noqa: PLW1509,RUF100  # one thread runs here
    )
