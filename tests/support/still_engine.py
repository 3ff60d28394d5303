"""An engine that stands still: it shows the snapshots and events that a test hands it."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from console.model.event import Event
from console.model.frame import Fast, Hello
from console.model.gpu import Gpu, GpuCounters, GpuFast, GpuStatic
from console.model.history import Point, Series
from console.model.host import Host, HostState
from console.model.inventory import Inventory, KernelFacts, OsFacts
from console.model.link import LinkFacts
from console.model.panel import Panel
from console.model.tables import Flow, GpuProcess, Listener, Package, Process
from console.model.view import FleetSnapshot, HostView

SERIES = ("cpu_pct", "mem_pct", "tx_bps", "gpu_util_pct", "gpu.0.util_pct", "gpu.0.temp_c")


class StillEngine:
    """Implements ``Engine``; remembers what was asked of it."""

    def __init__(self, *hosts: HostView) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.running = False
        self.shown_panels: tuple[Panel, ...] = ()
        self.gone: dict[str, int] = {}  # events no longer held, by host
        self._hosts = hosts
        self._events: list[Event] = []
        self._snapshot = FleetSnapshot(version=1, at=time.time(), hosts=hosts)

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def show(self, *hosts: HostView) -> None:
        """Another picture."""
        version = self._snapshot.version + 1
        self._snapshot = FleetSnapshot(version=version, at=time.time(), hosts=hosts)

    def tell(self, kind: str, host: str, key: str = "", **facts: Any) -> None:
        """Another event."""
        seq = len(self._events) + 1
        self._events.append(
            Event(kind=kind, host=host, at=1_700_000_000.0 + seq, key=key, facts=facts, seq=seq)
        )

    def snapshot(self) -> FleetSnapshot:
        return self._snapshot

    def now(self) -> float:
        return time.time()

    def events(self, after: int = 0, limit: int = 1000, host: str = "") -> list[Event]:
        found = [e for e in self._events if e.seq > after and (not host or e.host == host)]
        return found[:limit]

    def forgotten(self, host: str) -> int:
        return self.gone.get(host, 0)

    def history(self, host: str, name: str, seconds: float) -> Series:
        now = time.time()
        points = tuple(
            Point(now - 600 + 10 * n, 5.0, 10.0 + n % 7 * 10, 10.0 + n % 7 * 10) for n in range(60)
        )
        return Series(host=host, name=name, step_s=10.0, points=points)

    def series(self, host: str) -> list[str]:
        return [*SERIES] if any(view.name == host for view in self._hosts) else []

    def panels(self, host: str) -> tuple[Panel, ...]:
        return tuple(panel for panel in self.shown_panels if panel.host == host)

    def focus(self, *hosts: str) -> None:
        self.asked.append(("focus", *hosts))

    def retry(self, host: str) -> None:
        self.asked.append(("retry", host))


def gpu(index: int, load: float, **more: Any) -> Gpu:
    """A GPU of 80 GiB that is so busy."""
    fast: dict[str, Any] = {
        "util_pct": load, "mem_used_mib": 40_960.0, "mem_total_mib": 81_920.0,
        "temp_c": 40.0 + load / 3, "power_w": 5.0 * load,
    }  # fmt: skip
    counters = {k: v for k, v in more.items() if k in GpuCounters.__struct_fields__}
    fast |= {k: v for k, v in more.items() if k in GpuFast.__struct_fields__}
    return Gpu(
        index=index,
        static=GpuStatic(index=index, name="NVIDIA H100 80GB HBM3", uuid=f"GPU-{index}"),
        fast=GpuFast(index, **fast),
        counters=GpuCounters(index=index, **counters),
    )


def process(pid: int, name: str, cpu: float = 1.0, **more: Any) -> Process:
    """A row of the process table."""
    fields: dict[str, Any] = {
        "pid": pid, "ppid": 1, "uid": 0, "user": "root", "started": 1_700_000_000.0, "name": name,
        "cmdline": f"/usr/bin/{name} --serve", "state": "S", "cpu_pct": cpu, "rss_kib": 2048,
    }  # fmt: skip
    return Process(**(fields | more))


def listener(port: int, **more: Any) -> Listener:
    """A row of the listeners."""
    fields: dict[str, Any] = {
        "key": f"tcp/0.0.0.0:{port}", "proto": "tcp", "address": "0.0.0.0", "port": port,  # noqa: S104
        "uid": 0, "pid": 100, "name": "sshd", "unit": "ssh.service",
    }  # fmt: skip
    return Listener(**(fields | more))


def view(name: str, state: HostState = HostState.LIVE, **more: Any) -> HostView:
    """A host with a little of everything."""
    spec = more.pop("spec", None) or Host(
        name=name, address="192.0.2.1", site="fra", environment="prod", listeners=("tcp/22",)
    )
    now = time.time()
    whole: dict[str, Any] = {
        "spec": spec, "state": state, "since": now, "frame_at": now,
        "hello": Hello(probe="1.0", sha256="ab" * 32, tier=2, user="wfmon", python="3.11.2"),
        "link": LinkFacts(host_key="SHA256:abc", host_key_by="pin", kex="mlkem768x25519-sha256",
                          cipher="aes128-gcm@openssh.com", post_quantum=True),
        "fast": Fast(cpus=64, cpu_pct=12.0, mem_total_kib=1 << 30, mem_avail_kib=1 << 29,
                     tx_bps=1_500_000.0, rx_bps=900_000.0, load=(1.0, 2.0, 3.0), uptime_s=86_400.0),
        "gpus": tuple(gpu(n, 12.0 * n) for n in range(8)),
        "processes": (process(1, "systemd"), process(7, "vllm", 97.0)),
        "listeners": (listener(22), listener(4444, name="nc", unit=None)),
        "flows": (Flow(key="f", direction="out", peer="203.0.113.9", port=443, uid=0, pid=7,
                       name="vllm", count=2, tx_bytes=10**9, rx_bytes=10**6, tx_bps=5e6,
                       rx_bps=1e3),),
        "gpu_processes": (GpuProcess(key="0/7/compute", gpu=0, pid=7, kind="compute", name="vllm",
                                     user="svc", mem_mib=40_000.0),),
        "packages": (Package(key="deb/bash/amd64", kind="deb", name="bash", version="5.2-1"),),
        "inventory": Inventory(os=OsFacts(id="debian", pretty="Debian 12"),
                               kernel=KernelFacts(release="6.1.0")),
    }  # fmt: skip
    return HostView(**(whole | more))


def poisoned(item: Any, poison: str) -> Any:
    """A copy of a struct in which every text, however deep, begins with ``poison``."""
    if isinstance(item, HostState) or item is None or isinstance(item, bool | int | float):
        return item
    if isinstance(item, str):
        return poison + item
    if isinstance(item, msgspec.Struct):
        fields = {name: poisoned(getattr(item, name), poison) for name in item.__struct_fields__}
        return type(item)(**fields)
    if isinstance(item, tuple | list):
        return type(item)(poisoned(inner, poison) for inner in item)
    if isinstance(item, dict):
        return {poison + key: poisoned(inner, poison) for key, inner in item.items()}
    return item
