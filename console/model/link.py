"""What a connection to a host's probe looks like from above, whoever makes it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from console.model.host import Host


class LinkFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How a host is connected, as negotiated."""

    transport: str = ""  # "asyncssh", "openssh", "local"
    host_key: str = ""  # fingerprint that was accepted, SHA256:...
    host_key_by: str = ""  # "pin" or "ca"
    kex: str = ""
    cipher: str = ""
    mac: str = ""
    server: str = ""  # version string of the SSH server, cleaned
    auth: str = ""  # method and key fingerprint that logged in
    post_quantum: bool | None = None
    jump: tuple[str, ...] = ()


class LineSink(Protocol):
    """Where a link delivers what it reads. Called from the event loop, must not block."""

    def data(self, chunk: bytes) -> None:
        """Take bytes of the stream, in order, of any length."""
        ...

    def narration(self, text: str) -> None:
        """Take cleaned text that came on standard error; for the reason of a failure."""
        ...

    def closed(self, error: Exception | None) -> None:
        """The link ended; ``error`` is a LinkError or None for an orderly end. Called once."""
        ...


class Link(Protocol):
    """A running probe on a host."""

    facts: LinkFacts

    def send(self, line: str) -> None:
        """Send one verb (no line feed). Silently nothing after the end."""
        ...

    def pause(self) -> None:
        """Stop reading: the host is slowed down by the channel window."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...

    async def close(self) -> None:
        """End the probe and the connection, within two seconds."""
        ...


class Transport(Protocol):
    """Opens links. One instance serves the whole fleet."""

    async def open(self, host: Host, sink: LineSink) -> Link:
        """Connect, check the host key, log in, start the probe.

        Raises ConnectError, AuthError, HostKeyError, ProbeError or KeyFileError.
        """
        ...

    async def close(self) -> None:
        """Close shared connections (jump hosts)."""
        ...


Inventory = Mapping[str, Host]
AskPassphrase = Callable[[str], Awaitable[str | None]]
"""Given the path of a key file, returns its passphrase, or None to give up.

After a wrong passphrase the path is followed by words that say so, to be shown as they are.
"""
