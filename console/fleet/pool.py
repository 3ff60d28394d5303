"""All sessions of a fleet: started together, connected a few at a time, looked at as one."""

import asyncio
import contextlib
import random
import resource
from collections.abc import Callable, Iterable, Mapping, Sequence

from console.clock import Clock
from console.fleet.pace import backoff
from console.fleet.session import Session, Surroundings
from console.fleet.source import RowSource
from console.fleet.trusted import Trusted
from console.model.event import Event
from console.model.guard import GuardDocs
from console.model.history import Series
from console.model.host import Host
from console.model.link import Transport
from console.model.view import FleetSnapshot, HostView
from console.text import clean

CONNECTS = 20
"""Attempts under way at once; more only make the event loop late (each costs 2 ms of it)."""
LOOK_S = 1.0


class Pool:
    """Every host of an inventory, and rows that come from elsewhere."""

    def __init__(
        self,
        hosts: Sequence[Host],
        transport: Transport,
        clock: Clock,
        *,
        emit: Callable[[Event], None],
        full: Callable[[], bool] = lambda: False,
        cursors: Mapping[str, str] | None = None,
        cursor: Callable[[str, str], None] = lambda host, cursor: None,
        sources: Iterable[RowSource] = (),
        rng: random.Random | None = None,
        trusted: Trusted | None = None,
    ) -> None:
        self._clock = clock
        self._transport = transport
        self._sources = tuple(sources)
        self._version = 1
        self._made: FleetSnapshot | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._runs: dict[str, asyncio.Task[None]] = {}  # of the sessions, by host
        self._deaths: dict[str, tuple[int, BaseException]] = {}
        self._rng = rng or random.Random()  # noqa: S311  # spreads attempts, guards nothing
        self._sharing: set[tuple[str, str]] = set()  # machine ids and hosts that were told of
        around = Surroundings(
            transport=transport,
            clock=clock,
            places=asyncio.Semaphore(CONNECTS),
            emit=emit,
            full=full,
            changed=self.changed,
            cursor=cursor,
            rng=self._rng,
            trusted=trusted or Trusted({}),
        )
        known = cursors or {}
        self.sessions = {
            host.name: Session(host, around, known.get(host.name, "")) for host in hosts
        }

    def changed(self) -> None:
        """Something in the picture is new."""
        self._version += 1

    async def start(self) -> None:
        """Begin to connect to every host; returns at once."""
        _raise_file_limit()
        for session in self.sessions.values():
            name = session.spec.name
            self._runs[name] = asyncio.create_task(session.run(), name=name)
        for source in self._sources:
            self._tasks.append(asyncio.create_task(source.run(self.changed), name="workstation"))
        self._tasks.append(asyncio.create_task(self._look(), name="look"))

    async def stop(self) -> None:
        """Close every link."""
        tasks = [*self._tasks, *self._runs.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=4)
        self._tasks.clear()
        self._runs.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._transport.close()

    def crashed(self) -> list[tuple[str, BaseException]]:
        """Which tasks ended that should run on, and by what: defects, to be shown, not hidden."""
        done = [task for task in self._tasks if task.done() and not task.cancelled()]
        told = [(task.get_name(), task.exception()) for task in done]
        ended = [(name, error) for name, error in told if error is not None]
        return ended + [(name, error) for name, (_, error) in self._deaths.items()]

    def _revive(self) -> None:
        """Go on with sessions whose task ended by a defect: no host stays without one."""
        for name, task in self._runs.items():
            if not task.done() or task.cancelled():
                continue
            error = task.exception()
            if error is not None:
                count = self._deaths.get(name, (0, error))[0] + 1
                self._deaths[name] = (count, error)
                again = self._again(self.sessions[name], error, count)
                self._runs[name] = asyncio.create_task(again, name=name)

    async def _again(self, session: Session, error: BaseException, count: int) -> None:
        session.died(error)
        await asyncio.sleep(backoff(count, self._rng))
        await session.run()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for session in self.sessions.values():
                session.look()
            self._revive()
            self._compare_ids()

    def _compare_ids(self) -> None:
        """Tell once of hosts with one machine id: a cloned image, one host twice, or a lie."""
        names: dict[str, list[str]] = {}
        for name, session in self.sessions.items():
            if session.data.host_id:
                names.setdefault(session.data.host_id, []).append(name)
        for host_id in [host_id for host_id, sharing in names.items() if len(sharing) > 1]:
            for name in names[host_id]:
                if (host_id, name) not in self._sharing:
                    self._sharing.add((host_id, name))
                    others = [other for other in names[host_id] if other != name]
                    self.sessions[name].same_id(clean(", ".join(others), 200))

    def snapshot(self, dropped: int = 0) -> FleetSnapshot:
        """The newest picture: the same object until something changed."""
        if self._made is None or self._made.version != self._version:
            rows: list[HostView] = [source.view() for source in self._sources]
            rows += [session.view() for session in self.sessions.values()]
            self._made = FleetSnapshot(
                version=self._version,
                at=self._clock.wall(),
                hosts=tuple(rows),
                connecting=sum(session.connecting for session in self.sessions.values()),
                dropped_events=dropped,
            )
        return self._made

    def history(self, host: str, name: str, seconds: float) -> Series:
        """The last hour of one number, from memory."""
        session = self.sessions.get(host)
        if session is None:
            return Series(host=host, name=name, step_s=0.0)
        step, points = session.history.series(name, self._clock.wall() - seconds)
        return Series(host=host, name=name, step_s=step, points=points)

    def series(self, host: str) -> list[str]:
        """Names of the numbers of one host that memory has."""
        session = self.sessions.get(host)
        return session.history.names() if session else []

    def focus(self, hosts: Iterable[str]) -> None:
        """Full tables for these hosts and for no others."""
        wanted = set(hosts)
        for name, session in self.sessions.items():
            session.focus(name in wanted)

    def guard_docs(self, host: str) -> GuardDocs | None:
        """Raw documents of that host's guard; None where none is seen."""
        session = self.sessions.get(host)
        return session.guard_docs() if session else None

    def retry(self, host: str) -> None:
        """Connect to ``host`` now."""
        if host in self.sessions:
            self.sessions[host].retry()


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
