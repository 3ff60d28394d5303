"""From ``[operator]`` to the parts of guarded actions."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from console.actions.around import Trusted
from console.actions.builds import Builds
from console.actions.gate import Situation
from console.config.document import Colleague
from console.engine.acting import workstation
from console.engine.actions import Parts
from console.model.host import Host
from console.model.link import AskPassphrase
from console.ssh.guardcall import GuardCaller
from console.store.witness import Sent, Witness
from console.trust import kept
from console.trust.chain import Chain
from console.trust.sign import KeyFileSigning


class OperatorConfig(Protocol):
    """What ``[operator]`` says (``config.document.Operator``)."""

    @property
    def person(self) -> str:
        """Name in the roster."""
        ...

    @property
    def signing_key(self) -> str:
        """File of the key that signs."""
        ...

    @property
    def login_key(self) -> str:
        """File of the key that logs in to guards."""
        ...

    @property
    def login_user(self) -> str:
        """Account of the guards."""
        ...

    @property
    def allow_ssh(self) -> bool:
        """Whether this console signs although it runs over SSH."""
        ...


class LateWitness:
    """The store of evidence, opened when something is first sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store: Witness | None = None

    @property
    def store(self) -> Witness:
        """The store. Raises StoreError."""
        if self._store is None:
            self._store = Witness(self._folder)
        return self._store

    def sent(self, host: str, kind: str, rid: str, data: bytes, signature: bytes) -> int:
        """Keep a document before it is sent."""
        return self.store.sent(host, kind, rid, data, signature)

    def pinned(self, host: str) -> tuple[bytes, str] | None:
        """The host's audit key and how it came here."""
        return self.store.pinned(host)

    def all_sent(self, host: str) -> list[Sent]:
        """Everything that was sent to a host, oldest first."""
        return self.store.all_sent(host)

    def answered(self, sent: int, answer: bytes) -> None:
        """Keep the host's answer."""
        self.store.answered(sent, answer)

    def close(self) -> None:
        """Let go of the file."""
        if self._store is not None:
            self._store.close()
            self._store = None


class Reread:
    """Reads a chain again only where its folder changed: verifying all of it takes a while."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._stamp: object = None
        self._found: Trusted | None = None

    def __call__(self) -> Trusted:
        """Roster and policy in force. Raises ConfigError."""
        stamp = self._look()
        if self._found is None or stamp != self._stamp:
            self._found = kept.load(self._chain)
            self._stamp = stamp
        return self._found

    def _look(self) -> object:
        try:
            return sorted(
                (entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(self._chain.folder)
            )
        except OSError:
            return None


def parts(
    operator: OperatorConfig,
    known: Mapping[str, Host],
    state_dir: Path,
    *,
    read_only: bool,
    ask_passphrase: AskPassphrase | None = None,
    colleagues: Mapping[str, Colleague] = MappingProxyType({}),
) -> Parts:
    """The parts of guarded actions by one operator of this machine, at whose console
    ``colleagues`` may sit down too."""
    return Parts(
        person=operator.person,
        signing=KeyFileSigning(operator.signing_key),
        caller=GuardCaller(
            known,
            user=operator.login_user,
            key=operator.login_key,
            ask_passphrase=ask_passphrase,
        ),
        builds=Builds(),
        load_trusted=Reread(Chain.own()),
        situation=Situation(
            read_only=read_only,
            person=operator.person,
            signing_key=operator.signing_key,
            login_key=operator.login_key,
            allow_ssh=operator.allow_ssh,
        ),
        environ=dict(os.environ),
        workstation=workstation(),
        witness=LateWitness(state_dir),
        others={
            name: KeyFileSigning(each.signing_key)
            for name, each in colleagues.items()
            if name != operator.person
        },
    )
