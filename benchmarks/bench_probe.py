"""What the probe costs a host: beside psutil for the same facts, and as a running whole.

The load is what the budget names: 500 processes and 2,000 established sockets (a tenth of that
with ``quick``). Every figure of processor time is user and system time of the measuring process,
so that other work on the machine counts little.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psutil

from console.hostside.probe.denied import Denied
from console.hostside.probe.listeners import Listeners
from console.hostside.probe.owners import Holdings, look
from console.hostside.probe.place import Place
from console.hostside.probe.proctable import ProcessTable
from console.hostside.probe.sockdiag import SockDiag
from console.hostside.probe.users import Users
from console.ssh.payload import payload

FACTS = ("pid", "ppid", "name", "username", "cmdline", "status", "cpu_times", "memory_info")
HOLDER = """
import socket, sys
count = int(sys.argv[1])
server = socket.create_server(("127.0.0.1", 0), backlog=4096)
held = []
for _ in range(count):
    held += [socket.create_connection(server.getsockname()), server.accept()[0]]
print(flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def load(processes: int, sockets: int) -> Iterator[None]:
    """So many sleeping processes, and so many ends of connections on loopback."""
    sleeping = [subprocess.Popen(["sleep", "3600"]) for _ in range(processes)]
    per_holder = sockets // 2 // 4
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(per_holder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    try:
        for holder in holders:
            assert holder.stdout is not None
            holder.stdout.readline()
        yield
    finally:
        for child in [*sleeping, *holders]:
            child.kill()
        for child in [*sleeping, *holders]:
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()


def cost(work: Callable[[], object], times: int) -> float:
    """Milliseconds of processor time for one run: the median of ``times``."""
    work()
    gc.collect()
    taken = []
    for _ in range(times):
        began = time.process_time()
        work()
        taken.append((time.process_time() - began) * 1000)
    return sorted(taken)[len(taken) // 2]


def row(
    name: str, ours: float, other: float, versus: str, reach: str, limit: float
) -> dict[str, Any]:
    """A ratio of two costs in milliseconds."""
    return {
        "name": name,
        "ours": ours,
        "unit": "ms",
        "other": other,
        "versus": versus,
        "ratio": ours / other,
        "reach": reach,
        "ok": ours / other <= limit,
    }


def against_psutil(times: int) -> list[dict[str, Any]]:
    """The same facts by the probe's readers and by psutil."""
    place = Place()
    denied = Denied()
    table = ProcessTable(place, Users(place), denied, "salt")
    diag = SockDiag(place)

    def everyone() -> list[Any]:
        return list(table.by_pid.values())

    def owners(few: Iterable[int] | None = None) -> Holdings:
        return look(place, everyone())

    listeners = Listeners(place, diag, table, owners, lambda *_: None, denied)

    def processes() -> None:
        table.scan()
        table.rows()

    def their_processes() -> None:
        list(psutil.process_iter(list(FACTS)))

    def connections() -> None:
        table.look()
        diag.established()
        look(place, everyone())

    ours = cost(processes, times)
    results = [
        row(
            "probe: process table, static facts kept",
            ours,
            cost(their_processes, times),
            "ms, psutil",
            "under 1/10",
            0.1,
        ),
        row(
            "probe: listeners with owners",
            cost(lambda: listeners.sample(), times),
            cost(lambda: psutil.net_connections("inet"), times),
            "ms, psutil",
            "under 1/10",
            0.1,
        ),
        row(
            "probe: connections with bytes and owners",
            cost(connections, times),
            cost(lambda: psutil.net_connections("tcp"), times),
            "ms, psutil (no bytes)",
            "no more",
            1.0,
        ),
    ]
    diag.close()
    return results


class Running:
    """The probe as it is sent to a host, in an isolated interpreter."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        sent = payload()
        self.began = time.perf_counter()
        self.child = subprocess.Popen(
            [os.path.realpath(sys.executable), "-I", "-S", "-u", "-c", sent.loader],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert self.child.stdin is not None
        self.child.stdin.write(b"%d\n" % len(sent.source) + sent.source)
        self.child.stdin.flush()
        self.rest = b""
        self.bytes = 0

    def read(self, seconds: float, until: Callable[[dict[str, Any]], bool]) -> None:
        """Read frames for so long, or until one is wanted."""
        assert self.child.stdout is not None
        fd = self.child.stdout.fileno()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([fd], [], [], max(0.0, end - time.monotonic()))[0]:
                return
            data = os.read(fd, 1 << 18)
            self.bytes += len(data)
            *lines, self.rest = (self.rest + data).split(b"\n")
            if any(until(json.loads(line)) for line in lines):
                return

    def seconds(self) -> float:
        """Processor time of the probe and its children so far."""
        with contextlib.suppress(psutil.NoSuchProcess):
            me = psutil.Process(self.child.pid)
            everyone = [me, *me.children(recursive=True)]
            return sum(sum(one.cpu_times()[:4]) for one in everyone)
        return 0.0

    def close(self) -> None:
        """End it."""
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                pipe.close()
        self.child.wait(10)


def empty_interpreter() -> tuple[float, float]:
    """Milliseconds and MiB of an isolated interpreter that does nothing."""
    code = "import sys; sys.stdout.write(open('/proc/self/status').read())"
    began = time.perf_counter()
    argv = [os.path.realpath(sys.executable), "-I", "-S", "-c", code]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    taken = (time.perf_counter() - began) * 1000
    line = next(line for line in done.stdout.splitlines() if line.startswith("VmRSS"))
    return taken, int(line.split()[1]) / 1024


def running(warm: float, seconds: float, processes: int) -> list[dict[str, Any]]:
    """The whole probe: its first frame, its share of a core, its memory."""
    starts = []
    for _ in range(3):
        probe = Running()
        probe.read(30, lambda frame: bool(frame.get("k")))
        starts.append((time.perf_counter() - probe.began) * 1000)
        probe.close()
    empty_ms, empty_mib = min(empty_interpreter() for _ in range(3))
    probe = Running()
    try:
        # A start costs once, and who is idle is known after a minute: what is asked for is the
        # share of a probe that runs for days.
        probe.read(warm, lambda frame: False)
        before, at, received = probe.seconds(), time.monotonic(), probe.bytes
        probe.read(seconds, lambda frame: False)
        passed = time.monotonic() - at
        share = (probe.seconds() - before) / passed * 100
        memory = psutil.Process(probe.child.pid).memory_info().rss / (1 << 20)
        rate = (probe.bytes - received) / passed
    finally:
        probe.close()
    began, at = time.process_time(), time.monotonic()
    list(psutil.process_iter(list(FACTS)))
    psutil.net_connections("inet")
    theirs = (time.process_time() - began) / 10.0 * 100
    return [
        {
            "name": f"probe: start to first frame, {processes} processes",
            "ours": min(starts),
            "unit": "ms",
            "other": empty_ms,
            "versus": "ms, empty interpreter",
            "ratio": min(starts) / empty_ms,
            "reach": "under 100 ms",
            "ok": min(starts) < 100,
        },
        {
            "name": f"probe: share of a core, {processes} processes, not focused",
            "ours": share,
            "unit": "%",
            "other": theirs,
            "versus": "%, psutil once in 10 s",
            "ratio": share / theirs,
            "reach": "under 0.5%",
            "ok": share < 0.5,
        },
        {
            "name": "probe: memory",
            "ours": memory,
            "unit": "MiB",
            "other": empty_mib,
            "versus": "MiB, empty interpreter",
            "ratio": memory / empty_mib,
            "reach": "under 32 MiB",
            "ok": memory < 32,
        },
        {
            "name": "probe: stream, not focused",
            "ours": rate / 1024,
            "unit": "KiB/s",
            "other": None,
            "versus": "",
            "ratio": None,
            "reach": "",
            "ok": None,
        },
    ]


def run(quick: bool) -> list[dict[str, Any]]:
    """All rows of the probe."""
    processes, sockets = (50, 200) if quick else (500, 2000)
    with load(processes, sockets):
        return [
            *against_psutil(5 if quick else 30),
            *running(12.0 if quick else 75.0, 20.0 if quick else 60.0, processes),
        ]
