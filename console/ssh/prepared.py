"""Connections that are logged in before they are needed: while a person still reads and signs.

At most one for each host. It is used once, or closed after ``KEPT_S``. What goes wrong on the way
is told to nobody: whoever then needs a connection makes one, and learns it.
"""

import asyncio

import msgspec

from console.errors import LinkError, WatchfloorError
from console.model.host import Host
from console.model.link import Inventory, LineSink, Link
from console.ssh.quick import acknowledge_at_once
from console.ssh.transport import AsyncsshTransport, LoggedIn, Start

KEPT_S = 90.0
START_S = 3.0
"""For the start on a connection that may have died meanwhile without a word."""


class Ready:
    """A connection that waits, with all that belongs to it."""

    def __init__(self, transport: AsyncsshTransport, made: LoggedIn) -> None:
        self._transport = transport
        self._made = made

    @property
    def lost(self) -> bool:
        """Whether it has ended meanwhile."""
        return self._made.connection.client.lost.is_set()

    async def begin(self, what: Start, sink: LineSink) -> Link:
        """Run something over it. Raises LinkError, and then nothing of its input was sent."""
        return await self._transport.begin(self._made, what, sink, START_S)

    async def close(self) -> None:
        """Close it, and the jump hosts on its way."""
        try:
            await self._transport.hang_up(self._made)
        finally:
            await self._transport.close()


class _Kept(msgspec.Struct):
    host: Host
    task: asyncio.Task[Ready | WatchfloorError]
    timer: asyncio.TimerHandle

    @property
    def good(self) -> bool:
        """Whether it is there, or may still come."""
        if not self.task.done():
            return True
        if self.task.cancelled():
            return False
        found = self.task.result()
        return isinstance(found, Ready) and not found.lost


class Prepared:
    """Connections that wait, by host."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._kept: dict[str, _Kept] = {}
        self._ends: set[asyncio.Task[None]] = set()

    def prepare(self, host: Host) -> asyncio.Task[Ready | WatchfloorError] | None:
        """Begin to log in, unless that is under way or done. Returns at once.

        Only with connections of our own: the system's ssh starts what it is to run with the login.
        """
        if host.transport != "asyncssh":
            return None
        kept = self._kept.get(host.name)
        if kept is not None:
            if kept.host == host and kept.good:
                return kept.task
            self._drop(host.name)
        task = asyncio.create_task(self._log_in(host), name=f"prepare {host.name}")
        timer = asyncio.get_running_loop().call_later(KEPT_S, self._drop, host.name)
        self._kept[host.name] = _Kept(host, task, timer)
        return task

    async def _log_in(self, host: Host) -> Ready | WatchfloorError:
        from console.ssh.keys import KeyRing

        # Nobody is asked for a passphrase here: a person reads what they are about to sign.
        transport = AsyncsshTransport(self._inventory, keys=KeyRing(None))
        try:
            made = await transport.log_in(host)
            acknowledge_at_once(made.connection.ssh)
            return Ready(transport, made)
        except WatchfloorError as error:
            await transport.close()
            return error
        except BaseException:
            await transport.close()
            raise

    async def take(self, host: Host) -> Ready | None:
        """The connection for ``host``, exactly as it is now; the caller closes it. None: there is
        none. Raises LinkError where one was under way that has failed just now."""
        kept = self._kept.pop(host.name, None)
        if kept is None:
            return None
        if kept.host != host or not kept.good:
            self._end(kept)
            return None
        kept.timer.cancel()
        waits = not kept.task.done()
        try:
            found = await asyncio.shield(kept.task)
        except BaseException:
            self._end(kept)
            raise
        if isinstance(found, Ready):
            return found
        if waits and isinstance(found, LinkError):
            raise found
        return None

    def _drop(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._end(kept)

    def _end(self, kept: _Kept) -> None:
        kept.timer.cancel()
        kept.task.cancel()
        task = asyncio.create_task(_closed(kept.task), name=f"close {kept.host.name}")
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def close(self) -> None:
        """Close all that waits."""
        for name in list(self._kept):
            self._drop(name)
        await asyncio.gather(*self._ends, return_exceptions=True)


async def _closed(task: asyncio.Task[Ready | WatchfloorError]) -> None:
    (found,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(found, Ready):
        await found.close()
