"""Opens links to probes; the library that speaks SSH is loaded with the first connection."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from console.errors import ConnectError
from console.model.host import Host
from console.model.link import AskPassphrase, Inventory, LineSink, Link, Transport
from console.text import clean

if TYPE_CHECKING:
    import asyncssh

    from console.ssh.connect import Connection, Timing
    from console.ssh.keys import KeyRing


class Start(msgspec.Struct, frozen=True):
    """What to run on a host, and the bytes that its input begins with."""

    command: str
    first: bytes = b""


Starter = Callable[[Host], Start]


def probe_start(host: Host) -> Start:
    """The probe, by the host's tier: at tier 0 its source travels as length and bytes."""
    from console.ssh.payload import command, payload

    if host.tier > 0:
        return Start(command(host))
    source = payload().source
    return Start(command(host), b"%d\n" % len(source) + source)


class LoggedIn(msgspec.Struct, frozen=True):
    """A connection to ``host`` on which nothing runs yet. ``release`` frees its jump hosts."""

    host: Host
    connection: "Connection"
    release: Callable[[], None]


class AsyncsshTransport:
    """Links over this process's own SSH connections, one for each host, jump hosts shared."""

    def __init__(
        self,
        inventory: Inventory,
        *,
        keys: "KeyRing",
        timing: "Timing | None" = None,
        starter: Starter = probe_start,
    ) -> None:
        """``inventory`` is where jump hosts are looked up, by name."""
        from console.ssh.connect import Timing
        from console.ssh.jump import JumpPool

        self._inventory = inventory
        self._keys = keys
        self._timing = timing or Timing()
        self._starter = starter
        self._jumps: JumpPool = JumpPool(self._dial, close_s=self._timing.close)

    async def _dial(
        self, host: Host, tunnel: "asyncssh.SSHClientConnection | None", hops: tuple[str, ...]
    ) -> "Connection":
        from console.ssh.connect import connect
        from console.ssh.hostkeys import Trust

        Trust(host)  # before anybody is asked for a passphrase
        pairs = await self._keys.pairs(host)
        return await connect(host, pairs, tunnel=tunnel, hops=hops, timing=self._timing)

    async def log_in(self, host: Host) -> LoggedIn:
        """Connect, check the host key, log in; nothing runs there yet.

        Raises LinkError or KeyFileError.
        """
        import asyncssh

        from console.ssh.errors import place, told
        from console.ssh.jump import route

        hops = route(host, self._inventory)
        tunnel, release = await self._jumps.acquire(hops)
        try:
            connection = await self._dial(host, tunnel, tuple(hop.name for hop in hops))
        except BaseException as exc:
            release()
            if isinstance(exc, OSError | asyncssh.Error | TimeoutError):
                raise told(exc, place(host.name, host.address, host.port)) from exc
            raise
        return LoggedIn(host, connection, release)

    async def begin(
        self, made: LoggedIn, what: Start, sink: LineSink, within: float | None = None
    ) -> Link:
        """Run something over a connection that is logged in, which ends with it.

        ``within``: seconds for the start, another limit than the usual one. Where this raises, the
        connection is closed, nothing of ``what.first`` was sent, and ``sink.closed`` is not called.
        """
        import asyncssh

        from console.ssh.channel import SshLink, start
        from console.ssh.errors import place, told

        host = made.host
        where = place(host.name, host.address, host.port)
        try:
            async with asyncio.timeout(within or self._timing.command):
                channel, session = await start(
                    made.connection.ssh, what.command, what.first, sink, where, host
                )
        except BaseException as exc:
            await self.hang_up(made)
            if isinstance(exc, OSError | asyncssh.Error | TimeoutError):
                raise told(exc, where) from exc
            raise
        return SshLink(
            made.connection.ssh,
            channel,
            session,
            sink,
            made.connection.facts,
            release=made.release,
            close_s=self._timing.close,
        )

    async def hang_up(self, made: LoggedIn) -> None:
        """Close a connection on which nothing runs."""
        from console.ssh.connect import hang_up

        try:
            await hang_up(made.connection.ssh, self._timing.close)
        finally:
            made.release()

    async def open(self, host: Host, sink: LineSink) -> Link:
        """Connect, check the host key, log in, start the probe.

        The sink may be given data before this returns. If this raises, ``sink.closed`` is not
        called.
        """
        what = self._starter(host)
        return await self.begin(await self.log_in(host), what, sink)

    async def close(self) -> None:
        """Close the shared connections to jump hosts, and the key ring."""
        await self._jumps.close()
        await self._keys.close()


class Transports:
    """Chooses by ``host.transport``; each kind is made when first needed."""

    def __init__(
        self,
        inventory: Inventory,
        ask_passphrase: AskPassphrase | None = None,
        *,
        timing: "Timing | None" = None,
        starter: Starter = probe_start,
    ) -> None:
        self._inventory = inventory
        self._ask = ask_passphrase
        self._timing = timing
        self._starter = starter
        self._made: dict[str, Transport] = {}

    def _get(self, host: Host) -> Transport:
        made = self._made.get(host.transport)
        if made is not None:
            return made
        if host.transport == "asyncssh":
            from console.ssh.keys import KeyRing

            made = AsyncsshTransport(
                self._inventory,
                keys=KeyRing(self._ask),
                timing=self._timing,
                starter=self._starter,
            )
        elif host.transport == "openssh":
            from console.ssh.openssh import OpensshTransport

            made = OpensshTransport(self._inventory, timing=self._timing, starter=self._starter)
        else:
            raise ConnectError(
                f"no transport is called {clean(host.transport, 40)}",
                where=clean(host.name, 80),
                hint='Use "asyncssh" or "openssh".',
            )
        self._made[host.transport] = made
        return made

    async def open(self, host: Host, sink: LineSink) -> Link:
        """Open a link by the transport that the inventory names for ``host``."""
        return await self._get(host).open(host, sink)

    async def close(self) -> None:
        """Close what the transports share."""
        for made in self._made.values():
            await made.close()
        self._made.clear()
