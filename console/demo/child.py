"""The process in which the demo's hosts live: ``python -m console.demo.child``.

Why a process: the servers encrypt, encode and simulate for eight hosts or two hundred. In the
console's process that work would hold up the screen, and the console's own cost could not be told
from the fleet's. Standard input carries one line (``Order``) and then nothing: its end, however the
console died, ends this process. Standard output carries one JSON object a line: ``ready``, then one
for each ``stage``.
"""

import asyncio
import contextlib
import logging
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from console.demo.fleet import SimHost, fleet, swarm
from console.demo.metrics import MetricsPort, ModelPage
from console.demo.processes import declared
from console.demo.simulate import SimState
from console.demo.timeline import Stage, Timeline, stages
from console.model.host import Host

if TYPE_CHECKING:
    from console.demo.drilling import Drilling
    from console.demo.misbehave import BadHost
    from console.demo.server import HostPort

TICK_S = 0.25
REST_S = 0.8
"""After the first connection: until then the console paints its first picture."""
LOCAL = "local"


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to serve. ``count`` 0 means the demo's fleet, else that many small hosts."""

    folder: str
    seed: int = 1
    speed: float = 1.0
    count: int = 0
    bad: tuple[str, ...] = ()  # kinds of misbehave.py; they are the last hosts of the fleet
    local: bool = True  # one host more that runs the real probe
    incident: bool = True
    python: str = sys.executable
    keep: bool = False


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The hosts that can be connected to now, and the pages of their model servers by host."""

    hosts: tuple[Host, ...]
    metrics: dict[str, str] = {}


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of standard output."""

    ready: Ready | None = None
    stage: str = ""
    at: float = 0.0
    error: str = ""


class World:
    """All hosts of one demo: states, servers, and the timeline."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.ports: dict[str, HostPort | BadHost] = {}
        self._doors: dict[str, HostPort] = {}
        self._pages: list[ModelPage] = []
        self.metrics: dict[str, MetricsPort] = {}
        self.states: dict[str, SimState] = {}
        self.fast_s = max(0.5, 2.0 / order.speed)
        self.slow_s = max(1.0, 10.0 / order.speed)
        self._begun: float | None = None
        self._key = Path(order.folder) / "id_demo"
        self._timeline: Timeline | None = None
        self._drill: Drilling | None = None

    async def open(self) -> tuple[Host, ...]:
        """Make keys and servers; the hosts as the inventory must name them."""
        public = self._make_key()
        sims = swarm(self.order.count) if self.order.count else fleet()
        good = sims[: len(sims) - len(self.order.bad)]
        out = [await self._simulated(sim, public) for sim in good]
        for sim, kind in zip(sims[len(good) :], self.order.bad, strict=True):
            out.append(await self._bad(sim, kind, public))
        if self.order.local:
            out.append(await self._local(public))
        if self.order.incident and not self.order.count:
            self._timeline = Timeline(stages(), self.states, self._doors, self._tell)
        return tuple(out)

    def _make_key(self) -> bytes:
        import asyncssh

        key = asyncssh.generate_private_key("ssh-ed25519", comment="watchfloor-demo")
        self._key.touch(mode=0o600)
        self._key.write_bytes(key.export_private_key())
        return key.public_data

    def _host(self, sim: SimHost | None, name: str, port: int, key: str, tier: int) -> Host:
        return Host(
            name=name,
            address="127.0.0.1",
            port=port,
            user="wfmon",
            key=str(self._key),
            host_key=(key,),
            tier=tier,
            python=self.order.python if sim is None else "python3",
            groups=sim.groups if sim else ("this-machine",),
            site="fra" if sim else "here",
            zone=sim.zone if sim else "",
            environment="demo",
            risk=sim.risk if sim else "low",
            owner=sim.owner if sim else "",
            tags=(sim.role,) if sim else ("real",),
            listeners=declared(sim) if sim else (),
            guard_id=self.states[sim.name].host_id if sim and sim.name in self.states else "",
        )

    async def _simulated(self, sim: SimHost, public: bytes) -> Host:
        from console.demo.server import HostPort, SimSession

        state = self.states[sim.name] = SimState(sim, self.order.seed, time.time)
        port = HostPort(
            sim.name, public, lambda: SimSession(state, self.fast_s, self.slow_s, self._first)
        )
        self.ports[sim.name] = self._doors[sim.name] = port
        await port.open()
        for service in sim.services:
            if not self.order.count and service.model is not None and service.model.kind == "vllm":
                await self._serve_metrics(sim.name, ModelPage(state, service))
        return self._host(sim, sim.name, port.port, port.host_key, sim.tier)

    async def _serve_metrics(self, host: str, page: ModelPage) -> None:
        self._pages.append(page)
        self.metrics[host] = MetricsPort(page)
        await self.metrics[host].open()

    async def _bad(self, sim: SimHost, kind: str, public: bytes) -> Host:
        from console.demo.misbehave import BadHost

        state = SimState(sim, self.order.seed, time.time)
        port = self.ports[sim.name] = BadHost(kind, state, public, self.fast_s)
        await port.open()
        return self._host(sim, sim.name, port.port, port.host_key, 1)

    async def _local(self, public: bytes) -> Host:
        from console.demo.realprobe import RealProbeSession
        from console.demo.server import HostPort

        # The command depends on the host's interpreter only, so the port may come later.
        half = self._host(None, LOCAL, 0, "", 0)
        port = HostPort(LOCAL, public, lambda: RealProbeSession(half))
        self.ports[LOCAL] = port
        await port.open()
        return self._host(None, LOCAL, port.port, port.host_key, 0)

    def _first(self) -> None:
        """A console has connected: from now on time passes."""
        if self._begun is None:
            self._begun = time.monotonic()

    def _tell(self, stage: Stage) -> None:
        say(Said(stage=stage.id, at=time.time()))

    async def live(self) -> None:
        """Let time pass, until cancelled."""
        if not self.order.count:
            from console.demo.drilling import Drilling

            self._drill = Drilling(Path(self.order.folder), self.states, self._doors)
        while True:
            await asyncio.sleep(TICK_S)
            if self._drill is not None:
                self._drill.look()
                if self._begun is not None and time.monotonic() > self._begun + REST_S:
                    self._drill.begin()
            if self._begun is None:
                continue
            t = (time.monotonic() - self._begun) * self.order.speed
            for state in self.states.values():
                state.advance(t)
            for page in self._pages:
                page.advance(t)
            if self._timeline is not None:
                self._timeline.advance(t)

    async def close(self) -> None:
        """End every session and server."""
        if self._drill is not None:
            await self._drill.close()
        ports = [*self.ports.values(), *self.metrics.values()]
        await asyncio.gather(*(port.close() for port in ports))


def say(what: Said) -> None:
    """One line to the console; a console that is gone ends us by the end of input."""
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
        sys.stdout.buffer.flush()


async def _ended() -> None:
    """Wait for the end of standard input, or for a polite signal."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)

    class Watch(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            over.set()

    transport, _ = await loop.connect_read_pipe(Watch, sys.stdin.buffer)
    try:
        await over.wait()
    finally:
        transport.close()


async def serve(order: Order) -> None:
    """Serve until the console is gone."""
    world = World(order)
    living: asyncio.Task[Any] | None = None
    try:
        hosts = await world.open()
        pages = {host: port.url for host, port in world.metrics.items()}
        say(Said(ready=Ready(hosts=hosts, metrics=pages)))
        living = asyncio.create_task(world.live())
        ended = asyncio.create_task(_ended())
        await asyncio.wait({living, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if living.done():
            living.result()
    finally:
        if living is not None:
            living.cancel()
        async with asyncio.timeout(10):
            await world.close()


def main() -> int:
    """Read the order, serve, remove the folder unless it is to be kept."""
    logging.basicConfig(level=logging.ERROR)  # a lost connection is daily life here
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    status = 0
    try:
        asyncio.run(serve(order))
    except Exception as exc:
        say(Said(error=f"{type(exc).__name__}: {exc}"))
        status = 1
    finally:
        if not order.keep:
            shutil.rmtree(order.folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
