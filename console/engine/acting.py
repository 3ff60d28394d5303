"""The part of an engine that faces ask for guarded actions (``protocol.Guarding``)."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from console.actions.around import Trusted
from console.actions.gate import Situation
from console.engine.actions import Actions, Parts
from console.errors import ActionError
from console.model.guard import ActionAbout, Ask, Custody, Draft, Outcome, Preview, RequestView
from console.model.host import Host
from console.ssh.guardcall import Answer
from console.text import clean
from console.trust.sign import KeyFileSigning


class Acting:
    """What ``Guarding`` asks for, by an ``Actions``."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions

    def may_act(self) -> str:
        """Empty, or why nothing can be signed here."""
        return self._actions.may_act()

    def person(self) -> str:
        """Who signs at this console now; empty where nobody does."""
        return self._actions.person()

    def people(self) -> tuple[str, ...]:
        """Who may sit at this console; the first does now."""
        return self._actions.people()

    def act_as(self, name: str) -> str:
        """Let that person sign from now on; why not, or empty."""
        return self._actions.act_as(name)

    def actions(self, host: str) -> tuple[ActionAbout, ...]:
        """Every action there is."""
        return self._actions.actions(host)

    async def preview(
        self, hosts: Sequence[str], action: str, params: Mapping[str, Any]
    ) -> Preview:
        """Ask each host for a challenge and work out the effect."""
        return await self._actions.preview(hosts, action, params)

    def prepare(self, hosts: Sequence[str]) -> None:
        """Connect to these hosts while a person reads."""
        self._actions.prepare(hosts)

    def draft(self, preview: Preview, reason: str, mode: str) -> Draft:
        """The bytes that ``submit`` will have signed."""
        return self._actions.draft(preview, reason, mode)

    async def submit(self, preview: Preview, reason: str, mode: str, ask: Ask) -> list[Outcome]:
        """Sign once and send to every usable target."""
        return await self._actions.submit(preview, reason, mode, ask)

    async def decide(
        self, hosts: Sequence[str], request: str, approve: bool, comment: str, ask: Ask,
        unseen: Sequence[str] = (),
    ) -> list[Outcome]:  # fmt: skip
        """Approve or deny by one signature."""
        return await self._actions.decide(hosts, request, approve, comment, ask, unseen)

    async def cancel(
        self, hosts: Sequence[str], request: str, comment: str, ask: Ask
    ) -> list[Outcome]:
        """Withdraw a request of one's own."""
        return await self._actions.cancel(hosts, request, comment, ask)

    async def begin(self, hosts: Sequence[str], request: str, ask: Ask) -> list[Outcome]:
        """Start an approved request of one's own."""
        return await self._actions.begin(hosts, request, ask)

    async def review(
        self, hosts: Sequence[str], request: str, comment: str, ask: Ask
    ) -> list[Outcome]:
        """Sign that one has looked at somebody else's break-glass."""
        return await self._actions.review(hosts, request, comment, ask)

    async def release(
        self, hosts: Sequence[str], request: str, reason: str, ask: Ask
    ) -> list[Outcome]:
        """Ask for the end of what stands."""
        return await self._actions.release(hosts, request, reason, ask)

    async def fetch(self, host: str, request: str, folder: Path, ask: Ask) -> Custody:
        """Take evidence into a folder."""
        return await self._actions.fetch(host, request, folder, ask)

    @property
    def acting(self) -> Actions:
        """For verbs: files of requests and decisions, and waiting for what was begun."""
        return self._actions

    def requests(self) -> tuple[RequestView, ...]:
        """All that waits on all hosts."""
        return self._actions.requests()


class _NoCaller:
    async def call(self, host: Host, envelope: bytes) -> Answer:
        """Refuse: there is no operator."""
        raise ActionError("no operator is configured here", rule="operator")

    send = call

    def prepare(self, host: Host) -> None:
        """Nobody will sign anything."""

    async def close(self) -> None:
        """There is nothing to close."""


def _no_chain() -> Trusted:
    _no_operator()


def _no_operator() -> NoReturn:
    raise ActionError("this console has no roster and policy of its own", rule="chain")


def nobody() -> Parts:
    """The parts of a console at which nobody signs: it still shows what guards say."""
    return Parts(
        person="",
        signing=KeyFileSigning(""),
        caller=_NoCaller(),
        builds={},
        load_trusted=_no_chain,
        situation=Situation(),
        environ=dict(os.environ),
        workstation=workstation(),
    )


def workstation() -> str:
    """The name of this machine, as it stands in what is signed here."""
    plain = "".join(char for char in platform.node() if char.isascii() and char.isprintable())
    return clean(plain.strip(), 64) or "unnamed"
