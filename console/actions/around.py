"""What all of this room needs to know of the console it runs in."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from console.clock import Clock
from console.hostside.guard.trust.people import Roster
from console.hostside.guard.trust.policy import Policy
from console.model.host import Host
from console.ssh.guardcall import Answer
from console.trust.sign import Signing


class Caller(Protocol):
    """Calls a host's guard, each time over a connection of its own."""

    async def call(self, host: Host, envelope: bytes) -> Answer:
        """One envelope, one answer, over a new connection. Raises LinkError or KeyFileError."""
        ...

    async def send(self, host: Host, envelope: bytes) -> Answer:
        """The same, over the connection that was prepared for it where there is one."""
        ...

    def prepare(self, host: Host) -> asyncio.Future[Any] | None:
        """Begin to connect for a ``send`` that may follow; returns at once what ends when it is
        done, well or not. None: there is nothing to begin."""
        ...

    async def close(self) -> None:
        """Close what was prepared and not used."""
        ...


class Trusted(Protocol):
    """This console's own roster and policy, whose signatures were verified when they were read."""

    @property
    def roster(self) -> Roster:
        """Who may do what."""
        ...

    @property
    def policy(self) -> Policy:
        """The rules of all hosts."""
        ...

    @property
    def roster_sha256(self) -> str:
        """Digest of the roster's bytes."""
        ...

    @property
    def policy_sha256(self) -> str:
        """Digest of the policy's bytes."""
        ...

    def known(self, both: str) -> "Trusted | None":
        """The pair of these digests (128 hex digits) where both were once in force here."""
        ...


TAKES_OVER = ("install-roster", "install-policy")
"""Actions that bring a host up to what this console has: made by the rules that the host has."""


def rules_for(trusted: Trusted, action: str, both: str) -> Trusted | None:
    """By which roster and policy a request of a host is made and judged; None where they are not
    this console's, or, for an action that brings new ones, not one of its earlier ones."""
    if both == trusted.roster_sha256 + trusted.policy_sha256:
        return trusted
    return trusted.known(both) if action in TAKES_OVER else None


class Witness(Protocol):
    """Keeps evidence of what is sent and answered (``store.witness``)."""

    def sent(self, host: str, kind: str, rid: str, data: bytes, signature: bytes) -> int:
        """Keep a document before it is sent. Raises StoreError: then it must not be sent."""
        ...

    def pinned(self, host: str) -> tuple[bytes, str] | None:
        """The host's audit key (an SSH blob) and how it came here. Raises StoreError."""
        ...

    def all_sent(self, host: str) -> Sequence[Any]:
        """What was sent to a host: ``kind rid at data signature answer``. Raises StoreError."""
        ...

    def answered(self, sent: int, answer: bytes) -> None:
        """Keep the host's answer, without tokens. Raises StoreError."""
        ...


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What all of this room needs to know of the console it runs in."""

    caller: Caller
    trusted: Trusted
    builds: Mapping[str, str]  # sha256 of a guard's file -> its effector
    clock: Clock
    person: str
    signing: Signing
    workstation: str
    witness: Witness | None = None
