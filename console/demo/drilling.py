"""The guards of all simulated hosts of a demo: made one after the other, once somebody looks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path

import asyncssh
import msgspec

from console.demo.drill import Drill, write
from console.demo.guardport import USER, GuardSession
from console.demo.guards import HostGuard
from console.demo.server import HostPort
from console.demo.simulate import SimState

_log = logging.getLogger(__name__)

BUILDS = "builds.json"
"""Below the demo's folder: sha256 of each guard's file to its effector, for the demo's consoles."""

FIRST = ("store-fra-1", "h100-fra-2", "gw-fra-1")
"""Hosts of the incident: their guards are there first."""


class _Operators:
    def __init__(self, drill: Drill, guard: HostGuard) -> None:
        self._drill = drill
        self._guard = guard

    def knows(self, user: str, key: bytes) -> bool:
        return user == USER and key in self._drill.logins

    def session(
        self, connection: asyncssh.SSHServerConnection, key: bytes
    ) -> asyncssh.SSHServerSession[bytes]:
        return GuardSession(self._guard, connection, self._drill.auth(self._drill.logins[key]))


class Drilling:
    """Makes the guards in the background, and does for them what a host's timers do."""

    def __init__(
        self, folder: Path, states: Mapping[str, SimState], doors: Mapping[str, HostPort]
    ) -> None:
        """Needs a running loop. Logins work at once: a call to a guard waits until it is made."""
        self._folder = folder
        drill = Drill(folder, [state.host for state in states.values()])
        order = [*(name for name in FIRST if name in states),
                 *(name for name in states if name not in FIRST)]  # fmt: skip
        self._known: dict[str, str] = {}
        self.guards: dict[str, HostGuard] = {}
        for name in order:
            guard = HostGuard(drill, states[name], doors[name].host_key, self._made)
            self.guards[name] = guard
            doors[name].operators = _Operators(drill, guard)
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = False

    def begin(self) -> None:
        """Make all guards in the background; once is enough."""
        if not self._begun:
            self._begun = True
            self._keep(self._make())

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="guards")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self) -> None:
        for guard in self.guards.values():
            try:
                await guard.make()
            except (OSError, TimeoutError) as error:
                _log.error("the guard of %s was not made: %s", guard.state.host.name, error)

    def _made(self, digest: str) -> None:
        self._known[digest] = "simulated"
        fresh = self._folder / f"{BUILDS}.new"
        write(fresh, msgspec.json.encode(self._known))
        fresh.rename(self._folder / BUILDS)

    async def _tick(self, guard: HostGuard) -> None:
        try:
            await guard.tick()
        except (OSError, TimeoutError) as error:
            _log.error("a tick on %s failed: %s", guard.state.host.name, error)

    def look(self) -> None:
        """Notice what long actions publish, and let time end what is overdue."""
        now = time.time()
        for guard in self.guards.values():
            guard.look()
            if guard.due(now):
                self._keep(self._tick(guard))

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
