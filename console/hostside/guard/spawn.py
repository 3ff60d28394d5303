"""A program at work beside the guard, which goes on meanwhile.

The library's own way (``subprocess``) costs more to import than most programs here take to run.
Input and outputs are files of memory: nothing has to be pumped, and no size blocks anybody.
"""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LATE = 124  # exit status of one that ran too long


class Running:
    """One that was started. ``result`` is called once."""

    def __init__(self, pid: int, out: int, err: int) -> None:
        self.pid = pid
        self.out = out
        self.err = err
        self.since = time.monotonic()

    def result(self, timeout: float, most: int) -> tuple[int, bytes, bytes]:
        """How it ended (below 0: by that signal), and at most so many bytes of its outputs; it is
        killed ``timeout`` seconds after its start."""
        try:
            code = self._wait(timeout)
            return code, os.pread(self.out, most, 0), os.pread(self.err, most, 0)
        finally:
            os.close(self.out)
            os.close(self.err)

    def _wait(self, timeout: float) -> int:
        pause, late = 0.0002, False
        while True:
            ended, status = os.waitpid(self.pid, 0 if late else os.WNOHANG)
            if late:
                return LATE
            if ended:
                if os.WIFSIGNALED(status):
                    return -os.WTERMSIG(status)
                return os.WEXITSTATUS(status)
            if time.monotonic() > self.since + timeout:
                os.kill(self.pid, signal.SIGKILL)
                late = True
                continue
            time.sleep(pause)
            pause = min(pause * 1.2, 0.02)


def memory(name: str, data: bytes) -> int:
    """A file of memory with ``data`` in it, read from its start, to be closed by the caller."""
    handle = os.memfd_create(name)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.lseek(handle, 0, os.SEEK_SET)
    except OSError:
        os.close(handle)
        raise
    return handle


def start(
    program: str, argv: Sequence[str], stdin: bytes, env: dict[str, str], fds: Sequence[int]
) -> Running:
    """Start ``program``, with ``fds`` open under the same numbers. Raises OSError."""
    handles: list[int] = []
    try:
        for name, data in (("stdin", stdin), ("stdout", b""), ("stderr", b"")):
            handles.append(memory(name, data))
        actions = [(os.POSIX_SPAWN_DUP2, handle, at) for at, handle in enumerate(handles)]
        for handle in fds:
            os.set_inheritable(handle, True)
        try:
            pid = os.posix_spawn(
                program, list(argv), env, file_actions=actions,
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            )  # fmt: skip
        finally:
            for handle in fds:
                os.set_inheritable(handle, False)
    except OSError:
        for handle in handles:
            os.close(handle)
        raise
    os.close(handles[0])
    return Running(pid, handles[1], handles[2])
