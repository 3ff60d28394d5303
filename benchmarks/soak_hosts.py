"""The demo's fleet inside the process of the console, for ``bench_soak``: no SSH, all the rest.

The same simulated hosts, sessions and stages of the incident as the demo's. Lines go from a
simulated probe straight to the session that reads them, so that hours of them fit into minutes.
The incident comes each ten minutes, and every host has news all the time, as hosts on the Internet
do: refused logins, and processes that come, listen, take a GPU and go.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, cast

import asyncssh

from console.clock import ManualClock
from console.demo.fleet import SimHost, fleet
from console.demo.processes import declared
from console.demo.server import SimSession
from console.demo.simulate import SimState
from console.demo.stages import KINDS, Lasting
from console.demo.timeline import Stage, Timeline, stages
from console.errors import ConnectError, HostKeyError
from console.model.host import Host
from console.model.link import LineSink, LinkFacts

FAST_S = 2.0
SLOW_S = 10.0
INCIDENT_S, OVER_S = 600, 150
"""The incident begins anew so often; so many seconds later every host is as it was before it."""
LOGINS_A_MINUTE = 40
COME_S = 4
STAY = 15
"""A process comes each ``COME_S`` seconds and goes when so many others have come.

So often that the events that the console holds are as many as they may be within the first hour,
and the share of each kind among them what it stays within the second.
"""
SENT = 50
"""Events that a simulated host remembers once they are sent."""


class Door:
    """The way to a host, which stages of the incident close."""

    def __init__(self) -> None:
        self.links: set[SimLink] = set()
        self.closed = False
        self.turn = 0  # how often the host key was changed

    @property
    def host_key(self) -> str:
        """The key that the host shows now."""
        return f"ssh-ed25519 key{self.turn}"

    def hush(self) -> None:
        """The sessions look at ``SimState.silent``."""

    def vanish(self) -> None:
        """Break all links and open no new ones."""
        self.closed = True
        self.cut()

    def change_key(self) -> None:
        """Break all links; another key from now on."""
        self.turn += 1
        self.cut()

    def cut(self) -> None:
        """Break all links."""
        for link in list(self.links):
            link.lost()


class SimLink:
    """A ``Link``, and the channel that a simulated session writes to."""

    def __init__(self, session: SimSession, sink: LineSink, door: Door) -> None:
        self.facts = LinkFacts(transport="simulated", server="none")
        self._session = session
        self._sink = sink
        self._door = door
        self._over = False
        door.links.add(self)
        session.connection_made(cast("asyncssh.SSHServerChannel[bytes]", self))
        asyncio.get_running_loop().call_soon(session.session_started)

    # -- as the console sees it

    def send(self, line: str) -> None:
        """One verb."""
        if not self._over:
            asyncio.get_running_loop().call_soon(self._session.verb, line)

    def pause(self) -> None:
        """The session makes nothing while nobody reads."""
        self._session.pause_writing()

    def resume(self) -> None:
        """It goes on."""
        self._session.resume_writing()

    async def close(self) -> None:
        """End the session."""
        self._end(None)

    def lost(self) -> None:
        """The host is gone."""
        self._end(ConnectError("the connection was lost"))

    def _end(self, error: Exception | None) -> None:
        if self._over:
            return
        self._over = True
        self._door.links.discard(self)
        self._session.connection_lost(None)
        self._sink.closed(error)

    # -- as the session sees it

    def write(self, data: bytes) -> None:
        """Bytes for the console."""
        self._sink.data(data)

    def is_closing(self) -> bool:
        """True after the end."""
        return self._over

    def get_write_buffer_size(self) -> int:
        """Nothing waits here."""
        return 0

    def exit(self, status: int) -> None:
        """The session has ended by itself."""
        self.lost()


class World:
    """All hosts, and what happens to them. It is also the ``Transport`` to them."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._sims = {sim.name: sim for sim in fleet()}
        self.doors: dict[str, Door] = {name: Door() for name in self._sims}
        self._states: dict[str, SimState] = {}
        self._news: dict[str, Iterator[None]] = {}
        self._timeline: Timeline
        self._begin()

    def host(self, name: str) -> Host:
        """The entry of a host as an inventory has it now: with its newest key."""
        sim = self._sims[name]
        return Host(
            name=name, address="192.0.2.1", user="wfmon", host_key=(self.doors[name].host_key,),
            tier=sim.tier, groups=sim.groups, site="fra", zone=sim.zone, environment="demo",
            risk=sim.risk, owner=sim.owner, tags=(sim.role,), listeners=declared(sim),
        )  # fmt: skip

    def hosts(self) -> list[Host]:
        """The inventory."""
        return [self.host(name) for name in self._sims]

    async def open(self, host: Host, sink: LineSink) -> SimLink:
        """Connect, as far as the incident allows."""
        door = self.doors[host.name]
        if door.closed:
            raise ConnectError("connection refused")
        if door.host_key not in host.host_key:
            raise HostKeyError("another host key", offered=f"SHA256:{door.turn}")
        session = SimSession(self._states[host.name], FAST_S, SLOW_S, lambda: None)
        return SimLink(session, sink, door)

    async def close(self) -> None:
        """Nothing is shared."""

    async def live(self) -> None:
        """Let time pass, until cancelled."""
        for second in itertools.count():
            await asyncio.sleep(1.0)
            at = second % INCIDENT_S
            if at == OVER_S:
                self._begin()
            for name, state in self._states.items():
                state.advance(state.t + 1.0)
                next(self._news[name])
                del state.log[:-SENT]
            if at < OVER_S:
                self._timeline.advance(at)

    def _begin(self) -> None:
        """Every host as it was before the incident; only its process ids go on."""
        for name, sim in self._sims.items():
            state = SimState(sim, 1, self._clock.wall)
            before = self._states.get(name)
            if before is not None:
                state.pids = before.pids
            self._states[name] = state
            self._news[name] = news(state, sim, self.doors[name])
            self.doors[name].closed = False
            self.doors[name].cut()
        self._timeline = Timeline(stages(), self._states, self.doors, _begun)


def _begun(stage: Stage) -> None:
    """The operator finds out by the screens."""


def news(state: SimState, sim: SimHost, door: Door) -> Iterator[None]:
    """What happens on every host all the time; one step a second, without end."""
    numbers = itertools.count(int(state.clock()))
    guests: deque[tuple[str, int]] = deque()
    refused: Lasting = iter(())
    for second in itertools.count():
        if next(refused, True) is not None:
            refused = _refused(state, door, next(numbers))
        if second % COME_S == 0:
            guests.append(_come(state, sim, door, next(numbers)))
            if len(guests) > STAY:
                _go(state, *guests.popleft())
        yield


def _refused(state: SimState, door: Door, number: int) -> Lasting:
    """A minute of refused logins from an address of its own."""
    params = {
        "source": f"198.51.{number // 250 % 250}.{number % 250}",
        "users": ["root", "admin", f"guest{number}"],
        "count": LOGINS_A_MINUTE,
        "over_s": 60,
    }
    lasting = KINDS["brute-force"](state, door, params)
    assert lasting is not None
    return lasting


def _come(state: SimState, sim: SimHost, door: Door, number: int) -> tuple[str, int]:
    """A process that listens, and where there are GPUs one that uses one; key and process id."""
    params: dict[str, Any] = {
        "address": "127.0.0.1", "port": 10_000 + number % 50_000, "name": f"job{number}",
        "user": "batch", "uid": 1_200, "cmdline": f"/opt/jobs/run --job {number}",
        "gpus": [number % sim.gpus] if sim.gpus else [], "util_pct": 1.0, "mem_mib": 64,
    }  # fmt: skip
    KINDS["new-listener"](state, door, params)
    if sim.gpus:
        KINDS["gpu-process"](state, door, params)
    return f"tcp/127.0.0.1:{params['port']}", number


def _go(state: SimState, key: str, number: int) -> None:
    """What ``_come`` brought is gone."""
    gone = {pid for pid, row in _rows(state, "procs").items() if row.name == f"job{number}"[:15]}
    for pid in gone:
        del state.tables["procs"][pid]
    held = state.tables["gpuprocs"]
    for place in [place for place, row in held.items() if row.pid in gone]:
        del held[place]
    listener = state.tables["listen"].pop(key, None)
    if listener is not None:
        state.emit("listener.gone", key, proto="tcp", address=listener.address, port=listener.port)


def _rows(state: SimState, table: str) -> Mapping[int | str, Any]:
    return state.tables[table]
