"""The real probe, as it runs on a host, against the stub library."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from console.model.frame import Frame
from console.model.tables import GpuProcess
from tests.support.nvml import ROOT, Stub

Build = Callable[..., Stub]


class Probe:
    """A running probe; ``until`` gives the first frame that is as wanted."""

    def __init__(self, stub: Stub) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "console.hostside.probe.main", "--tier", "1"],
            cwd=ROOT,
            env=stub.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, wanted: Callable[[Frame], Any], seconds: float = 40) -> Any:
        """What ``wanted`` gives for the first frame for which that is true."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError("no such frame") from None
            json.loads(line)  # a line is one JSON text, whatever msgspec makes of it
            found = wanted(msgspec.json.decode(line, type=Frame))
            if found:
                return found

    def close(self) -> None:
        """End its input and wait for its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            assert self.process.wait(20) == 0
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join(10)
            self.process.stdout.close()


@pytest.fixture
def probe(build: Build) -> Iterator[Callable[[Stub], Probe]]:
    with contextlib.ExitStack() as stack:

        def run(stub: Stub) -> Probe:
            started = Probe(stub)
            stack.callback(started.close)
            return started

        yield run


def test_gpus_in_frames(build: Build, probe: Callable[[Stub], Probe]) -> None:
    stub = build(gpus=8)
    pid = os.getpid()
    stub.put({"3.compute": f"{pid}:{6 << 30}"})
    running = probe(stub)

    def inventory(frame: Frame) -> Any:
        return frame.i if frame.i is not None and frame.i.gpus else None

    rows: list[GpuProcess] = []
    counted: set[int] = set()

    def first(frame: Frame) -> Any:
        if "gpuprocs" in frame.t:
            rows.extend(msgspec.json.decode(r, type=GpuProcess) for r in frame.t["gpuprocs"].set)
        counted.update(one.index for one in frame.g)
        return inventory(frame)

    found = running.until(first)
    assert [gpu.uuid[-1] for gpu in found.gpus] == list("01234567")
    assert found.driver.version == "570.86.15"
    assert found.driver.cc_environment == "production"
    running.until(lambda frame: first(frame) or (rows and len(counted) == 8))
    assert (rows[0].key, rows[0].mem_mib) == (f"3/{pid}/compute", 6144.0)
    assert rows[0].name
    assert rows[0].cmdline
    gpus = running.until(lambda f: f.f.gpu if f.f and len(f.f.gpu) == 8 else None)
    assert [gpu.util_pct for gpu in gpus] == [40 + n for n in range(8)]
    stub.put({"event.1": "2 8 79"})
    event = running.until(lambda f: next((e for e in f.e if e.kind == "kernel.xid"), None))
    assert (event.key, event.facts["xid"]) == ("0000:12:00/79", 79)


def test_frames_go_on_while_the_driver_hangs(build: Build, probe: Callable[[Stub], Probe]) -> None:
    stub = build(gpus=2)
    block = stub.folder / "block"
    block.touch()
    stub.put({"1.hang": str(block)})
    running = probe(stub)
    gpus = running.until(lambda f: f.f.gpu if f.f and any(g.lost for g in f.f.gpu) else None)
    assert [bool(gpu.lost) for gpu in gpus] == [False, True]
    later = running.until(lambda f: f.f.gpu if f.f and f.f.gpu else None)
    assert later[1].age_s > gpus[1].age_s
    assert (later[0].age_s, later[0].util_pct) == (0, 40)
