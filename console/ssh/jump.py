"""Jump hosts: each strictly checked like any host, one shared connection for each."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncssh

from console.errors import AuthError, ConnectError, HostKeyError, WatchfloorError
from console.model.host import Host
from console.model.link import Inventory
from console.ssh.connect import Connection, hang_up
from console.text import clean

FAILED_HOLD_S = 30.0  # so that a hundred hosts behind one jump host do not log in a hundred times
MAX_HOPS = 8

Dial = Callable[[Host, asyncssh.SSHClientConnection | None, tuple[str, ...]], Awaitable[Connection]]
"""Connects to a host through a tunnel (None: directly); the names are the hops on the way."""


def route(host: Host, inventory: Inventory) -> tuple[Host, ...]:
    """The jump hosts on the way to ``host``, outermost first.

    The first one's own ``jump`` is followed too. Raises ConnectError for an unknown name, a loop,
    or more than ``MAX_HOPS``.
    """
    names = list(host.jump)
    seen = {host.name, *names}
    if len(seen) != len(names) + 1:
        raise _loop(host, names)
    while names:
        first = _find(names[0], host, inventory)
        if not first.jump:
            break
        if not seen.isdisjoint(first.jump):
            raise _loop(host, [*first.jump, *names])
        names = [*first.jump, *names]
        seen.update(first.jump)
        if len(names) > MAX_HOPS:
            raise ConnectError(f"more than {MAX_HOPS} jump hosts", where=clean(host.name, 80))
    return tuple(_find(name, host, inventory) for name in names)


def _find(name: str, host: Host, inventory: Inventory) -> Host:
    found = inventory.get(name)
    if found is None:
        raise ConnectError(
            f"jump host {clean(name, 80)} is not in the inventory",
            where=clean(host.name, 80),
            hint="Add it as a host, or correct `jump`.",
        )
    return found


def _loop(host: Host, names: list[str]) -> ConnectError:
    way = " -> ".join(clean(name, 80) for name in [*names[:MAX_HOPS], host.name])
    return ConnectError(
        f"the jump hosts form a loop: {way}", where=clean(host.name, 80), hint="Correct `jump`."
    )


class _Shared:
    """One connection to a jump host, with the number of those who use it."""

    def __init__(self, task: asyncio.Task[Connection]) -> None:
        self.task = task
        self.users = 0
        task.add_done_callback(_seen)


def _seen(task: asyncio.Task[Connection]) -> None:
    """Take note of a failure whose waiters have all gone."""
    if not task.cancelled():
        task.exception()


def _nothing() -> None:
    """Release nothing."""


class JumpPool:
    """Shared connections to jump hosts, opened when first used, closed when the last user left."""

    def __init__(self, dial: Dial, *, close_s: float) -> None:
        self._dial = dial
        self._close_s = close_s
        self._shared: dict[tuple[str, ...], _Shared] = {}
        self._failed: dict[tuple[Host, ...], tuple[float, WatchfloorError]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def acquire(
        self, hops: tuple[Host, ...]
    ) -> tuple[asyncssh.SSHClientConnection | None, Callable[[], None]]:
        """A connection to the last of ``hops`` and what to call when it is no longer used."""
        if not hops:
            return None, _nothing
        way = tuple(hop.name for hop in hops)
        until, error = self._failed.get(hops, (0.0, None))  # another pin is another way
        if error is not None and time.monotonic() < until:
            raise error
        shared = self._shared.get(way)
        if shared is None or (shared.task.done() and _is_dead(shared.task)):
            shared = _Shared(asyncio.create_task(self._open(hops, way), name=f"jump {way[-1]}"))
            self._shared[way] = shared
        shared.users += 1
        try:
            connection = await asyncio.shield(shared.task)
        except BaseException as exc:
            self._leave(way, shared)
            if isinstance(exc, AuthError | HostKeyError):
                self._failed[hops] = (time.monotonic() + FAILED_HOLD_S, exc)
            raise
        left = False

        def release() -> None:
            nonlocal left
            if not left:
                left = True
                self._leave(way, shared)

        return connection.ssh, release

    async def _open(self, hops: tuple[Host, ...], way: tuple[str, ...]) -> Connection:
        tunnel, release = await self.acquire(hops[:-1])
        try:
            connection = await self._dial(hops[-1], tunnel, way[:-1])
        except BaseException:
            release()
            raise
        task = asyncio.create_task(self._watch(connection, release), name=f"jump {way[-1]} end")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return connection

    async def _watch(self, connection: Connection, release: Callable[[], None]) -> None:
        """When the connection ends, for whatever reason, the one that it goes through is free."""
        await connection.client.lost.wait()
        release()
        await connection.ssh.wait_closed()

    def _leave(self, way: tuple[str, ...], shared: _Shared) -> None:
        shared.users -= 1
        if shared.users > 0:
            return
        if self._shared.get(way) is shared:
            del self._shared[way]
        if not shared.task.done():
            shared.task.cancel()
        elif not shared.task.cancelled() and shared.task.exception() is None:
            shared.task.result().ssh.close()

    async def close(self) -> None:
        """Close all that is open."""
        for shared in list(self._shared.values()):
            if not shared.task.done():
                shared.task.cancel()
            await asyncio.gather(shared.task, return_exceptions=True)
            if not shared.task.cancelled() and shared.task.exception() is None:
                await hang_up(shared.task.result().ssh, self._close_s)
        self._shared.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)


def _is_dead(task: asyncio.Task[Connection]) -> bool:
    if task.cancelled() or task.exception() is not None:
        return True
    return task.result().client.lost.is_set()
