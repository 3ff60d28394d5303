"""What SSH costs this console: for a line, for a connect, for a connection that stays open.

The hosts are an asyncssh server in a child process, so only the client's side is counted. Beside
each figure, in the same run: a bare asyncio reader of plain TCP (no SSH at all) for the lines, and
one process of the system's ``ssh`` per host for connects and memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncssh
import msgspec

from console.model.host import Host
from console.model.link import Link
from console.ssh.connect import Timing
from console.ssh.openssh import environment
from console.ssh.openssh_config import TARGET, write_config
from console.ssh.transport import Start, Transports

PERIOD_S = 1.0


def frame() -> bytes:
    """One line of about 2 KB: JSON like a frame's, rows of a table."""
    rows = [[1_000 + n, f"worker-{n}", n * 0.125, "wfmon"] for n in range(58)]
    return json.dumps({"v": 1, "seq": 1, "t": {"procs": rows}}).encode() + b"\n"


LINE = frame()
AT_ONCE = 20


class Sender(asyncssh.SSHServerSession[bytes]):
    """A host that sends a line each period, or one line and the end."""

    def __init__(self) -> None:
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._command = ""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def session_started(self) -> None:
        assert self._channel is not None
        self._channel.write(LINE)
        if self._command == "once":
            self._channel.exit(0)
        else:
            self._task = asyncio.create_task(rhythm(self._channel.write))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()


class Server(asyncssh.SSHServer):
    """Lets in the keys of its authorized_keys and gives each session a sender."""

    def session_requested(self) -> Sender:
        return Sender()


async def rhythm(write: Callable[[bytes], None]) -> None:
    """Write a line each period, from a phase of its own: hosts do not beat in time."""
    await asyncio.sleep(random.random() * PERIOD_S)
    while True:
        write(LINE)
        await asyncio.sleep(PERIOD_S)


async def serve(folder: Path) -> None:
    """Be the hosts: an SSH server and a plain TCP one, sending lines in the same rhythm."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(rhythm(writer.write))
        with contextlib.suppress(ConnectionError):
            await reader.read()
        task.cancel()
        writer.close()

    ssh = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Server,
        encoding=None,
        backlog=512,
        server_host_keys=[str(folder / "host")],
        authorized_client_keys=str(folder / "user.pub"),
    )
    tcp = await asyncio.start_server(plain, "127.0.0.1", 0, backlog=512)
    ports = {"ssh": ssh.get_port(), "tcp": tcp.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until we are left


class Counter(asyncio.Protocol):
    """Counts and decodes lines; a sink for a link and a protocol for plain TCP alike."""

    def __init__(self, total: list[int]) -> None:
        self._total = total
        self._rest = b""
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            msgspec.json.decode(line)
        self._total[0] += len(lines)

    data = data_received

    def narration(self, text: str) -> None:
        """No host of this benchmark says anything there."""

    def closed(self, error: Exception | None) -> None:
        """The benchmark ends its links itself."""


def cpu_s(who: int = resource.RUSAGE_SELF) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def rss_kib(pid: str = "self") -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError("no Pss")


async def per_line(total: list[int], seconds: float) -> float:
    """Microseconds of this process's CPU for each line that arrives."""
    lines, used = total[0], cpu_s()
    await asyncio.sleep(seconds)
    return (cpu_s() - used) * 1e6 / max(1, total[0] - lines)


@contextlib.asynccontextmanager
async def hosts(folder: Path) -> AsyncIterator[tuple[Host, int]]:
    """The child process with the servers: a host of the inventory, and the plain port."""
    for name in ("host", "user"):
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / name)
        key = asyncssh.read_private_key(folder / name)
        key.write_public_key(folder / f"{name}.pub")
        (folder / name).chmod(0o600)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.bench_ssh", str(folder)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        ports = json.loads(await child.stdout.readline())
        pin = (folder / "host.pub").read_text(encoding="ascii").strip()
        yield (
            Host(
                name="bench",
                address="127.0.0.1",
                port=ports["ssh"],
                user="bench",
                key=str(folder / "user"),
                host_key=(pin,),
            ),
            ports["tcp"],
        )
    finally:
        child.kill()
        await child.communicate()


async def open_many(made: Transports, host: Host, count: int, total: list[int]) -> list[Link]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one() -> Link:
        async with limit:
            return await made.open(host, Counter(total))

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def steady(host: Host, tcp: int, count: int, seconds: float) -> list[dict[str, Any]]:
    """CPU for each line against plain TCP, and memory against an ssh process."""
    made = Transports({}, timing=Timing(), starter=lambda host: Start("lines"))
    total: list[int] = [0]
    warm = await open_many(made, host, 5, total)  # loads what the first connection loads
    gc.collect()
    before = rss_kib()
    links = await open_many(made, host, count, total)
    ours = await per_line(total, seconds)
    gc.collect()
    memory = (rss_kib() - before) / count
    process = await one_ssh_kib(host)
    await asyncio.gather(*(link.close() for link in [*warm, *links]))
    await made.close()
    plain: list[int] = [0]
    loop = asyncio.get_running_loop()
    readers = [
        (await loop.create_connection(lambda: Counter(plain), "127.0.0.1", tcp))[0]
        for _ in range(count + len(warm))
    ]
    floor = await per_line(plain, seconds)
    for transport in readers:
        transport.close()
    return [
        result(
            f"CPU for a line of 2 KB, {count} hosts", ours, floor, "us", "us, bare TCP", 3.0, "3x"
        ),
        result(
            f"memory for a connection, {count} hosts",
            memory,
            process,
            "KiB",
            "KiB, ssh process",
            64 / process,
            "under 64 KiB",
        ),
    ]


def result(
    name: str, ours: float, other: float, unit: str, versus: str, most: float, reach: str
) -> dict[str, Any]:
    """One row; ``most`` is the highest ratio that is good enough."""
    return {
        "name": name,
        "ours": ours,
        "unit": unit,
        "other": other,
        "versus": versus,
        "ratio": ours / other,
        "reach": reach,
        "ok": ours / other <= most,
    }


def ssh_argv(folder: Path, host: Host, command: str) -> list[str]:
    """The system's ssh with the same keys and ciphers, and a key exchange as cheap as ours."""
    config = folder / "config"
    if not config.exists():
        write_config(folder, host, (), Timing())
    exchange = "KexAlgorithms=curve25519-sha256"
    return ["ssh", "-T", "-F", str(config), "-o", exchange, "-o", "LogLevel=ERROR", TARGET, command]


async def one_ssh_kib(host: Host) -> float:
    """Proportional memory of one ``ssh`` process that is receiving lines."""
    with tempfile.TemporaryDirectory() as folder:
        child = await asyncio.create_subprocess_exec(
            *ssh_argv(Path(folder), host, "lines"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment(),
        )
        assert child.stdout is not None
        await child.stdout.readexactly(len(LINE))
        kib = rss_kib(str(child.pid))
        child.kill()
        await child.communicate()
    return float(kib)


async def connects(host: Host, count: int) -> dict[str, Any]:
    """CPU of a connect, a command and its output, beside an ``ssh`` process that does the same."""
    made = Transports({}, timing=Timing(), starter=lambda host: Start("once"))
    total: list[int] = [0]
    await close_all(await open_many(made, host, 5, total))
    used = cpu_s()
    await close_all(await open_many(made, host, count, total))
    ours = (cpu_s() - used) * 1000 / count
    await made.close()
    assert total[0] == count + 5
    few = max(5, count // 5)
    with tempfile.TemporaryDirectory() as folder:
        argv = ssh_argv(Path(folder), host, "once")
        used = cpu_s(resource.RUSAGE_CHILDREN)
        for _ in range(few):
            done = await asyncio.to_thread(
                subprocess.run, argv, stdin=subprocess.DEVNULL, capture_output=True, check=True
            )
            assert done.stdout == LINE
        other = (cpu_s(resource.RUSAGE_CHILDREN) - used) * 1000 / few
    return result(
        "CPU for a connect and a command", ours, other, "ms", "ms, ssh process", 0.5, "half"
    )


async def close_all(links: list[Link]) -> None:
    await asyncio.gather(*(link.close() for link in links))


async def measure(quick: bool) -> list[dict[str, Any]]:
    """All rows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard), hard))
    try:
        with tempfile.TemporaryDirectory() as name:
            async with hosts(Path(name)) as (host, tcp):
                rows = await steady(host, tcp, 200, 3 if quick else 15)
                return [*rows, await connects(host, 50 if quick else 200)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows for the table; ``ours`` over ``other`` is the ratio, lower is better."""
    return asyncio.run(measure(quick))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(serve(Path(sys.argv[1])))
    else:
        began = time.monotonic()
        for entry in run(True):
            print(entry)
        print(f"{time.monotonic() - began:.0f} s")
