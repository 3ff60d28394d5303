"""From a configuration to an engine over its hosts."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from console.config.document import Colleague, Operator, Plugin
from console.engine.actions import Parts
from console.engine.session import LocalEngine
from console.fleet.source import RowSource
from console.fleet.trusted import Reload, Trusted
from console.model.event import Event
from console.model.host import Host
from console.model.link import AskPassphrase


class EngineConfig(Protocol):
    """What an engine needs to know of a configuration."""

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The hosts to watch, in the order in which they are shown."""
        ...

    @property
    def known(self) -> Mapping[str, Host]:
        """All hosts by name, also those that are not watched but may be jump hosts."""
        ...

    @property
    def workstation(self) -> bool:
        """Whether this machine is a row of its own."""
        ...

    @property
    def state_dir(self) -> Path:
        """Where the local database is kept."""
        ...

    @property
    def history(self) -> bool:
        """Whether anything is kept on disk."""
        ...

    @property
    def operator(self) -> Operator:
        """Who signs guarded actions at this console."""
        ...

    @property
    def operators(self) -> Mapping[str, Colleague]:
        """Who else may sit down at this console, by person."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether nothing may be signed from here, whoever the operator is."""
        ...

    @property
    def plugins(self) -> Mapping[str, Plugin]:
        """Plugins by name."""
        ...


def local_engine(
    config: EngineConfig,
    *,
    ask_passphrase: AskPassphrase | None = None,
    focus: Iterable[str] = (),
    reload: Reload | None = None,
    others: Callable[[], Iterable[Event]] = tuple,
    acting: Parts | None = None,
) -> LocalEngine:
    """An engine in this process; nothing is connected before ``start``.

    ``ask_passphrase`` None means that encrypted keys cannot be used. ``reload`` reads one host's
    entry anew, for a host in NEW-KEY; without it such a host stays so until the next start.
    ``others`` gives events that come from elsewhere, once a second. ``acting`` stands for what
    ``[operator]`` says.
    """
    from console.engine.operator import parts
    from console.ssh.transport import Transports

    sources: list[RowSource] = []
    if config.workstation:
        from console.fleet.workstation.row import Workstation

        sources.append(Workstation())
    known = dict(config.known)
    return LocalEngine(
        config.hosts,
        Transports(known, ask_passphrase),
        state_dir=config.state_dir if config.history else None,
        evidence=config.state_dir,
        sources=sources,
        focus=focus,
        trusted=Trusted(known, reload),
        others=others,
        plugins=config.plugins,
        acting=acting
        or parts(
            config.operator,
            known,
            config.state_dir,
            read_only=config.read_only,
            ask_passphrase=ask_passphrase,
            colleagues=config.operators,
        ),
    )
