"""What watching eight GPUs costs a host: the whole probe beside the whole of nvitop.

Both run as people run them, at the same period of two seconds, over the same stub of the driver's
library (``tests/nvmlstub``), with one real process on each GPU. Without a compiler there are no
rows. A real driver adds the same to both sides for each call; how many calls a tick makes is held
by ``tests/unit/gpu``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bench_probe import Running
from tests.support.nvml import NoCompiler, Stub

GPUS = 8
GIB = 1 << 30


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a machine with eight busy GPUs, while it lasts."""
    stub = Stub(folder, gpus=GPUS)
    busy = [subprocess.Popen(["sleep", "3600"]) for _ in range(GPUS)]
    try:
        for index, child in enumerate(busy):
            stub.put({f"{index}.compute": f"{child.pid}:{10 * GIB}"})
        environment = stub.environment()
        environment.pop("NVML_STUB_LOG")  # writing it would be most of the cost of both
        yield environment
    finally:
        for child in busy:
            child.kill()
            child.wait()


class Terminal:
    """nvitop in a terminal of its own, which is read and forgotten."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
        argv = [str(Path(sys.executable).with_name("nvitop")), "--monitor", "full"]
        self.child = subprocess.Popen(
            [*argv, "--interval", "2"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        os.close(theirs)
        self.written = 0

    def read(self, seconds: float) -> None:
        """Take what it draws for so long. Raises RuntimeError when it has ended."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.ours], [], [], left)[0]:
                try:
                    self.written += len(os.read(self.ours, 1 << 16))
                except OSError as error:
                    raise RuntimeError(f"nvitop ended with {self.child.wait(5)}") from error

    def seconds(self) -> float:
        """Processor time so far."""
        return sum(psutil.Process(self.child.pid).cpu_times()[:4])

    def close(self) -> None:
        """End it."""
        self.child.kill()
        self.child.wait()
        os.close(self.ours)


def measure(tool: Running | Terminal, warm: float, seconds: float) -> tuple[float, float]:
    """Share of a core in percent, and resident MiB, after ``warm`` seconds."""

    def wait(span: float) -> None:
        if isinstance(tool, Running):
            tool.read(span, lambda frame: False)
        else:
            tool.read(span)

    wait(warm)
    before, at = tool.seconds(), time.monotonic()
    wait(seconds)
    share = (tool.seconds() - before) / (time.monotonic() - at) * 100
    return share, psutil.Process(tool.child.pid).memory_info().rss / (1 << 20)


def run(quick: bool) -> list[dict[str, Any]]:
    """Two rows: processor and memory."""
    # Who is idle is known to the probe after a minute, see bench_probe.
    warm, seconds = (12.0, 20.0) if quick else (75.0, 60.0)
    with tempfile.TemporaryDirectory(prefix="watchfloor-bench-") as folder:
        try:
            with machine(Path(folder)) as environment:
                theirs = Terminal(environment)
                try:
                    their_share, their_mib = measure(theirs, 10.0, seconds)
                finally:
                    theirs.close()
                ours = Running(environment)
                try:
                    share, mib = measure(ours, warm, seconds)
                finally:
                    ours.close()
        except NoCompiler as why:
            print(f"bench_gpu: {why}", file=sys.stderr)
            return []
    return [
        {
            "name": f"probe with {GPUS} GPUs: share of a core",
            "ours": share,
            "unit": "%",
            "other": their_share,
            "versus": "%, nvitop",
            "ratio": share / their_share,
            "reach": "under 1/2",
            "ok": share / their_share < 0.5,
        },
        {
            "name": f"probe with {GPUS} GPUs: memory",
            "ours": mib,
            "unit": "MiB",
            "other": their_mib,
            "versus": "MiB, nvitop",
            "ratio": mib / their_mib,
            "reach": "under 48 MiB",
            "ok": mib < 48,
        },
    ]
