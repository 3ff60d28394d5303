"""Programs whose output is a fact: started, looked at again, bounded in time and size."""

from __future__ import annotations

import os
import signal
import subprocess
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any

SECONDS = 20.0
LIMIT = 32 << 20
KILLED = -9
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    argv: Sequence[str], seconds: float = SECONDS, limit: int = LIMIT
) -> Generator[tuple[Any, ...], None, tuple[int, bytes, bytes] | None]:
    """Run ``argv`` and yield ``("step",)`` until it ends.

    Returns (exit status, output, errors), or None where the program is not there. A program that
    takes too long or writes too much is killed and its status is -9.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": PATH, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError:
        return None
    try:
        return (yield from _watch(child, time.monotonic() + seconds, limit))
    finally:
        if child.poll() is None:
            _kill(child)
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the program and what it started. Its id is still its own: it has not been waited for."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except OSError:
        pass


def _watch(
    child: subprocess.Popen[bytes], end: float, limit: int
) -> Generator[tuple[Any, ...], None, tuple[int, bytes, bytes] | None]:
    pipes = [pipe for pipe in (child.stdout, child.stderr) if pipe is not None]
    parts: list[list[bytes]] = [[] for _ in pipes]
    still = list(range(len(pipes)))
    size = 0
    for pipe in pipes:
        os.set_blocking(pipe.fileno(), False)
    while still:
        if time.monotonic() > end or size > limit:
            _kill(child)
            break
        for index in list(still):
            try:
                data = os.read(pipes[index].fileno(), 262_144)
            except BlockingIOError:
                continue
            size += len(data)
            parts[index].append(data)
            if not data:
                still.remove(index)
        yield ("step",)
    while child.poll() is None:
        if time.monotonic() > end:
            _kill(child)
            child.wait()
            break
        yield ("step",)
    return child.returncode, b"".join(parts[0]), b"".join(parts[1])
