"""A transport whose hosts do what a test tells them, and frames as a probe would write them.

It stands where an SSH transport stands, below the fleet: what is tested above it is the real thing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any
from zlib import crc32

import msgspec

from console.model.host import Host
from console.model.link import LineSink, LinkFacts

HOST_ID = "0123456789abcdef" * 2
PIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA"


def host(name: str = "gpu01", **fields: Any) -> Host:
    """A host that the inventory trusts."""
    return Host(name=name, address="192.0.2.1", host_key=(PIN,), **fields)


def xor(keys: list[Any]) -> int:
    """Checksum of a table with these keys (docs/protocol.md)."""
    total = 0
    for key in keys:
        total ^= crc32(str(key).encode())
    return total


def frame(seq: int, *, key: bool = False, **parts: Any) -> bytes:
    """One line with its line feed; ``parts`` are added as they are, or replace what is there."""
    whole: dict[str, Any] = {
        "v": 1,
        "seq": seq,
        "host": HOST_ID,
        "boot": "b0",
        "wall": 1_700_000_000.0 + 2 * seq,
        "mono": 100.0 + 2 * seq,
        "f": {"dt": 2.0, "cpus": 4, "cpu_pct": 12.5, "mem_total_kib": 100, "mem_avail_kib": 25},
    }
    if key:
        whole |= {"k": 1, "hello": {"probe": "1", "fast_s": 2.0}, "denied": {}}
    whole |= parts
    return msgspec.json.encode({k: v for k, v in whole.items() if v is not None}) + b"\n"


def table(name: str, rows: list[list[Any]], **delta: Any) -> dict[str, Any]:
    """Part ``t`` that sets ``rows``; number and checksum hold for a table that was empty."""
    keys = [row[0] for row in rows]
    return {"t": {name: {"set": rows, "n": len(rows), "x": xor(keys), **delta}}}


def listener(port: int) -> list[Any]:
    """A row of table ``listen``."""
    return [f"tcp/0.0.0.0:{port}", "tcp", "0.0.0.0", port, 0]  # noqa: S104  # a row, no socket


class ScriptedLink:
    """An open link; the test writes to ``sink`` and reads what was asked in ``verbs``."""

    def __init__(self, sink: LineSink) -> None:
        self.facts = LinkFacts(transport="scripted")
        self.sink = sink
        self.verbs: list[str] = []
        self.paused = False
        self.pauses = 0
        self.is_closed = False
        self.flow = asyncio.Event()
        self.flow.set()

    def send(self, line: str) -> None:
        if not self.is_closed:
            self.verbs.append(line)

    def pause(self) -> None:
        self.paused = True
        self.pauses += 1
        self.flow.clear()

    def resume(self) -> None:
        self.paused = False
        self.flow.set()

    async def close(self) -> None:
        self.is_closed = True
        self.flow.set()


class ScriptedTransport:
    """Opens scripted links; what is queued in ``fail`` for a host is raised first, in order."""

    def __init__(self) -> None:
        self.links: dict[str, list[ScriptedLink]] = {}
        self.fail: dict[str, deque[Exception]] = {}
        self.attempts: dict[str, int] = {}
        self.greet = True  # send a keyframe with the opening
        self.closed = False
        self.at_once = 0
        self.most_at_once = 0
        self.hold: asyncio.Event | None = None  # opening waits for it

    async def open(self, host: Host, sink: LineSink) -> ScriptedLink:
        self.attempts[host.name] = self.attempts.get(host.name, 0) + 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hold is not None:
                await self.hold.wait()
            else:
                await asyncio.sleep(0)
        finally:
            self.at_once -= 1
        if self.fail.get(host.name):
            raise self.fail[host.name].popleft()
        link = ScriptedLink(sink)
        self.links.setdefault(host.name, []).append(link)
        if self.greet:
            sink.data(frame(1, key=True))
        return link

    async def close(self) -> None:
        self.closed = True

    def link(self, name: str) -> ScriptedLink:
        """The newest link of a host."""
        return self.links[name][-1]
