"""One envelope to a host's guard and its one answer, over an SSH connection of its own.

The login of operators starts the guard and nothing else (a forced command), so nothing is named
here that should run. The connection is judged like any other: pinned host keys, our keys only.
"""

import asyncio
from typing import Any, Protocol

import msgspec

from console.errors import LinkError, ProbeError, ProtocolError
from console.model.host import Host
from console.model.link import AskPassphrase, Inventory, Link
from console.ssh.prepared import Prepared
from console.ssh.transport import Start, Transports
from console.text import clean

MAX_ANSWER = 2 << 20
"""Bytes of an answer: 512 KiB of audit records, or of evidence, as JSON text."""
MAX_ENVELOPE = 256 << 10
ANSWER_S = 60.0
"""From the login to the whole answer; long actions answer before they are done."""


class Answer(msgspec.Struct, frozen=True):
    """What came back, unread, and the host key that this very connection verified."""

    data: bytes
    host_key: str


class EndsInput(Link, Protocol):
    """A link whose input can be ended while its output is still read; both transports' links."""

    def end_input(self) -> None:
        """Nothing more will be sent."""
        ...


class _Collect:
    """A LineSink that keeps what comes, up to a bound."""

    def __init__(self) -> None:
        self.data_ = bytearray()
        self.said = ""
        self.full = False
        self.over: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data(self, chunk: bytes) -> None:
        if len(self.data_) + len(chunk) > MAX_ANSWER:
            self.full = True
            self.closed(None)
        elif not self.over.done():
            self.data_ += chunk

    def narration(self, text: str) -> None:
        self.said = clean(text, 300)

    def closed(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(error)


class GuardCaller:
    """Calls guards by the operator's login. One instance serves the whole fleet."""

    def __init__(
        self,
        inventory: Inventory,
        *,
        user: str,
        key: str,
        ask_passphrase: AskPassphrase | None = None,
        agent: bool = False,
    ) -> None:
        """``user`` and ``key`` replace those of each host; ``agent`` also offers an agent's keys.

        ``inventory`` is where jump hosts are looked up; these keep their own login.
        """
        self._user = user
        self._key = key
        self._agent = agent
        self._inventory = inventory
        self._ask = ask_passphrase
        self._prepared = Prepared(inventory)

    def login(self, host: Host) -> Host:
        """``host`` as it is called: the same address and pins, the operator's login."""
        return msgspec.structs.replace(
            host, user=self._user, key=self._key, certificate="", agent=self._agent
        )

    def prepare(self, host: Host) -> asyncio.Future[Any] | None:
        """Begin to log in for a ``send`` that may follow within ``prepared.KEPT_S`` seconds.

        Returns at once what ends when it is done, well or not; None where nothing is prepared.
        """
        return self._prepared.prepare(self.login(host))

    async def send(self, host: Host, envelope: bytes) -> Answer:
        """As ``call``, but over the connection that was prepared for it, where there is one."""
        _fits(host, envelope)
        ready = await self._prepared.take(self.login(host))
        if ready is None:
            return await self.call(host, envelope)
        sink = _Collect()
        try:
            link = await ready.begin(Start("", envelope), sink)
        except LinkError:  # it died while it waited; the guard has not been given anything
            link = None
        try:
            if link is not None:
                return await _answer(host, link, sink)
        finally:
            await ready.close()
        return await self.call(host, envelope)

    async def close(self) -> None:
        """Close what was prepared and not used."""
        await self._prepared.close()

    async def call(self, host: Host, envelope: bytes) -> Answer:
        """Send one envelope over a new connection.

        Raises LinkError (ConnectError, AuthError, HostKeyError, ProbeError, ProtocolError) or
        KeyFileError. A guard that refuses has answered.
        """
        _fits(host, envelope)
        sink = _Collect()
        transports = Transports(
            self._inventory, self._ask, starter=lambda _host: Start("", envelope)
        )
        try:
            try:
                link = await transports.open(self.login(host), sink)
            except ProbeError as refused:
                raise _of_guard(refused) from None
            return await _answer(host, link, sink)
        finally:
            await transports.close()


def _fits(host: Host, envelope: bytes) -> None:
    if len(envelope) > MAX_ENVELOPE:
        raise ProtocolError(
            f"the envelope is larger than {MAX_ENVELOPE >> 10} KiB", where=host.name
        )


async def _answer(host: Host, link: Link, sink: _Collect) -> Answer:
    """What the guard says to the envelope that it was sent; ends the link."""
    try:
        _end_input(link)
        async with asyncio.timeout(ANSWER_S):
            error = await sink.over
    except TimeoutError:
        why = f"its guard did not answer within {ANSWER_S:.0f} s"
        raise ProbeError(why, where=host.name, hint="Look at that host.") from None
    finally:
        await link.close()
    if sink.full:
        raise ProtocolError(f"its guard answered more than {MAX_ANSWER} bytes", where=host.name)
    if not sink.data_.strip():
        raise _silent(host, error, sink.said)
    return Answer(bytes(sink.data_), link.facts.host_key)


def _end_input(link: Link) -> None:
    end = getattr(link, "end_input", None)
    if end is None:
        raise ProbeError("this transport cannot call a guard", hint="Use asyncssh or openssh.")
    end()


def _silent(host: Host, error: Exception | None, said: str) -> LinkError:
    if isinstance(error, ProbeError):
        return _of_guard(error)
    if isinstance(error, LinkError):
        return error
    return ProbeError(
        f"its guard said nothing{': ' + said if said else ''}",
        where=host.name,
        hint=f"Is it installed, and does the operators' login start it? See `watchfloor enroll "
        f"{host.name} --check`.",
    )


def _of_guard(error: ProbeError) -> ProbeError:
    """The transport speaks of what it usually starts."""
    message = error.message.replace("the probe", "the guard", 1)
    hint = error.hint or "Is the guard installed there, for this login key?"
    return ProbeError(message, where=error.where, hint=hint)
