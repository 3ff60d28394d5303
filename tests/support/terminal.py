"""A program on a terminal of its own, as a person runs it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0


class Terminal:
    """Runs ``argv`` on a pseudo terminal of 24 by 100; ``shown`` is what it wrote, as text."""

    def __init__(self, argv: list[str], env: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self._bytes = b""
        self._child = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=dict(env), cwd=ROOT,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    @property
    def shown(self) -> str:
        """Everything written so far, escape sequences included."""
        return self._bytes.decode("utf-8", "replace")

    def press(self, keys: str) -> None:
        """Type ``keys``."""
        os.write(self._master, keys.encode())

    def wait_for(self, words: str) -> None:
        """Read until ``words`` were written; fails after a while."""
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.shown:
            assert self._read(deadline), f"{words!r} was not shown: {self.shown[-400:]!r}"

    def rest(self) -> tuple[int, str]:
        """Wait for the end; exit status, and everything that was written."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(deadline):
            pass
        return self._child.wait(max(0.1, deadline - time.monotonic())), self.shown

    def go_away(self) -> None:
        """The terminal is closed, as when its window or the connection to it is."""
        os.close(self._master)
        self._master = -1

    def end_and_cost(self) -> float:
        """Wait for the end of the program; seconds of processor time that it took in all."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            pid, _, usage = os.wait4(self._child.pid, os.WNOHANG)
            if pid:
                self._child.returncode = -1  # it is no longer there to be waited for
                return usage.ru_utime + usage.ru_stime
            assert time.monotonic() < deadline, "it does not end"
            time.sleep(0.05)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        try:
            chunk = os.read(self._master, 65_536) if ready else b""
        except OSError:  # the other end is closed
            chunk = b""
        self._bytes += chunk
        return bool(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        if self._master >= 0:
            os.close(self._master)
