"""LocalEngine: a fleet, a store and the stream of events, wired together in this process."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from console.clock import Clock, SystemClock
from console.config.document import Plugin
from console.engine.acting import Acting, nobody
from console.engine.actions import Actions, Parts
from console.engine.guards import Sight
from console.engine.keeper import MINUTE, QUARTER, Keeper
from console.engine.log import EventLog
from console.engine.plugins.host import PluginHost
from console.engine.plugins.supervise import Around
from console.engine.witnessing import Witnessing
from console.fleet.history import KEEP_S
from console.fleet.pool import Pool
from console.fleet.source import RowSource
from console.fleet.trusted import Trusted
from console.model.event import Event
from console.model.history import Series
from console.model.host import Host, HostState
from console.model.link import Transport
from console.model.panel import Panel
from console.model.view import FleetSnapshot, HostView
from console.store.writer import EventRow, Store
from console.text import clean

LONG_S = 6 * 3600.0
LOOK_S = 1.0
AGAIN_S = 2.0
"""A part of the engine that ended by a defect starts again after that time."""
MANY = 100
"""Live hosts from which on the garbage collector is spared what they hold."""


class LocalEngine(Acting):
    """An ``Engine`` whose hosts are connected from this process."""

    def __init__(
        self,
        hosts: Sequence[Host],
        transport: Transport,
        *,
        state_dir: Path | None = None,
        evidence: Path | None = None,
        sources: Iterable[RowSource] = (),
        focus: Iterable[str] = (),
        clock: Clock | None = None,
        trusted: Trusted | None = None,
        others: Callable[[], Iterable[Event]] = tuple,
        plugins: Mapping[str, Plugin] | None = None,
        plugin_folders: Sequence[Path] | None = None,
        acting: Parts | None = None,
    ) -> None:
        """``state_dir`` None keeps everything in memory; ``evidence`` is the folder where what
        guards publish is kept, None for nowhere.

        ``trusted`` lets a host leave NEW-KEY once a person has stored another key. ``others`` is
        asked once a second for events that come from elsewhere; each is told once. ``plugins`` are
        looked for in ``plugin_folders``, or in the usual places. ``acting`` None: nobody signs.
        """
        self._others = others
        self._trusted = trusted
        self._hosts = hosts
        self._transport = transport
        self._state_dir = state_dir
        self._evidence = evidence
        self._sources = tuple(sources)
        self._focus = tuple(focus)
        self._clock = clock or SystemClock()
        self._log = EventLog()
        self._store: Store | None = None
        self._pool = self._make_pool({})
        self._plugins = self._make_plugins(plugins or {}, plugin_folders)
        sight = Sight(lambda: self._pool.sessions.values(), self._emit)  # the pool is made anew
        super().__init__(Actions(acting or nobody(), sight, self._clock))
        self._tasks: list[asyncio.Task[None]] = []
        self._fold: Keeper | None = None
        self._trouble = ""  # of the store, as last told
        self._spared = False
        self._crashed: set[str] = set()  # tasks whose defect was told

    def _make_pool(self, cursors: dict[str, str]) -> Pool:
        return Pool(
            self._hosts,
            self._transport,
            self._clock,
            emit=self._emit,
            full=self._full,
            cursors=cursors,
            cursor=self._cursor,
            sources=self._sources,
            trusted=self._trusted,
        )

    def _make_plugins(
        self, plugins: Mapping[str, Plugin], folders: Sequence[Path] | None
    ) -> PluginHost:
        def views() -> dict[str, HostView]:
            return {view.name: view for view in self.snapshot().hosts}

        def changed() -> None:  # the pool is made anew at the start
            self._pool.changed()

        rows = [source.view().spec for source in self._sources]
        around = Around(self._clock, views, self._emit, changed, folders)
        return PluginHost(plugins, [*rows, *self._hosts], around)

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._state_dir is not None:
            self._store = await asyncio.to_thread(Store, self._state_dir)
            self._tell_of_store(self._store)
            self._pool = self._make_pool(self._store.cursors())
        self._pool.focus(self._focus)
        await self._pool.start()
        if self._store is not None and self._store.usable:
            self._fold = Keeper(list(self._pool.sessions.values()), self._store, self._clock)
            self._begin("keeper", self._fold.run)
        self._plugins.start()
        self._begin("engine", self._look)
        self._begin("guards", self._actions.run)
        if self._evidence is not None:
            names = [host.name for host in self._hosts]
            keeping = Witnessing(
                self._evidence, self._clock, lambda: names, self._pool.guard_docs, self._emit
            )
            self._begin("witness", keeping.run)

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Let a part of the engine work until the engine stops."""
        self._tasks.append(asyncio.create_task(self._kept_up(name, work), name=name))

    async def _kept_up(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """A part that ends by a defect is told of, and started again: without it the console would
        look well and see nothing any more."""
        while True:
            try:
                await work()
                defect: Exception | None = None
            except Exception as error:  # noqa: BLE001,RUF100  # told, never silent
                defect = error
            self._tell_defect(name, defect)
            await asyncio.sleep(AGAIN_S)

    def _tell_defect(self, name: str, error: BaseException | None) -> None:
        what = f"{name}: {type(error).__name__}"
        if what not in self._crashed:
            self._crashed.add(what)
            told = {"what": clean(name), "error": clean(repr(error)) if error else "it ended"}
            self._own_event("console.defect", told)

    async def _look(self) -> None:
        """Notice what goes wrong inside: a store that fails, a task that ended by a defect."""
        while True:
            await asyncio.sleep(LOOK_S)
            for event in self._others():
                self._emit(event)
            if self._store is not None:
                self._tell_trouble(self._store)
            if not self._spared:
                self._spared = self._spare_collector()
            for name, error in [*self._pool.crashed(), *self._plugins.crashed()]:
                self._tell_defect(name, error)

    def _spare_collector(self) -> bool:
        """Once, when the fleet is connected: take what it holds out of later collections.

        A thousand connections and their tables are a quarter of a million objects that stay.
        Looking through them stops the screen for a fifth of a second each time.
        """
        snapshot = self.snapshot()
        live = sum(view.state is HostState.LIVE for view in snapshot.hosts)
        if snapshot.connecting or live < MANY:
            return False
        gc.collect()
        gc.freeze()
        return True

    def _tell_trouble(self, store: Store) -> None:
        trouble = store.trouble()
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            self._own_event("store.unavailable", {"reason": clean(trouble)})
        else:
            self._own_event("store.back", {"lost": store.lost})

    def _tell_of_store(self, store: Store) -> None:
        self._tell_trouble(store)
        if store.moved is not None:
            reason = "the database could not be read; it was moved aside and a new one made"
            self._own_event("store.moved", {"reason": reason, "to": clean(str(store.moved))})

    def _own_event(self, kind: str, facts: dict[str, Any]) -> None:
        self._emit(Event(kind=kind, host="", at=self._clock.wall(), facts=facts))

    async def stop(self) -> None:
        """Close every link and the store, within five seconds or so."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._actions.stop()
        await self._plugins.stop()
        await self._pool.stop()
        if self._store is not None:
            if self._fold is not None:
                self._fold.rest()
            await asyncio.to_thread(self._store.close)

    def snapshot(self) -> FleetSnapshot:
        """The newest picture: the same object until something changed."""
        lost = self._store.lost if self._store else 0
        return self._pool.snapshot(self._log.dropped + lost)

    def now(self) -> float:
        """This machine's clock."""
        return self._clock.wall()

    def events(self, after: int = 0, limit: int = 1000, host: str = "") -> list[Event]:
        """Events with a greater ``seq``, oldest first; of one host where it is named."""
        return self._log.after(after, limit, host)

    def forgotten(self, host: str) -> int:
        """How many events of that host are no longer held."""
        return self._log.gone(host)

    def history(self, host: str, name: str, seconds: float) -> Series:
        """One number over time: two seconds a step within the hour, then minutes or quarters.

        What is newer than the last kept step comes from memory, and all where nothing is kept.
        """
        if name.startswith("plugin."):
            return self._plugins.history(host, name, seconds)
        recent = self._pool.history(host, name, min(seconds, KEEP_S))
        if seconds <= KEEP_S or self._store is None:
            return recent
        step = MINUTE if seconds <= LONG_S * 4 else QUARTER
        since = self._clock.wall() - seconds
        points = self._store.history(host, name, step, since)
        if not points:
            return recent
        newer = [point for point in recent.points if point.at >= points[-1].at + step]
        return Series(host=host, name=name, step_s=float(step), points=(*points, *newer))

    def series(self, host: str) -> list[str]:
        """Names of the numbers that ``history`` has of that host."""
        return [*self._pool.series(host), *self._plugins.series(host)]

    def panels(self, host: str) -> tuple[Panel, ...]:
        """What plugins show of that host."""
        return self._plugins.panels(host)

    def focus(self, *hosts: str) -> None:
        """Full process tables for these hosts only."""
        self._focus = hosts
        self._pool.focus(hosts)

    def retry(self, host: str) -> None:
        """Connect now; a NEW-KEY host only where another key was stored."""
        self._pool.retry(host)

    def _emit(self, event: Event) -> None:
        event = self._log.add(event)
        if self._store is not None and event.host:
            self._store.put(EventRow(event))
        self._pool.changed()

    def _full(self) -> bool:
        return self._store is not None and self._store.full()

    def _cursor(self, host: str, cursor: str) -> None:
        if self._store is not None:
            self._store.put(EventRow(None, host, cursor))
