"""From a configuration to an engine over its hosts."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from console.engine.session import LocalEngine
from console.fleet.source import RowSource
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


def local_engine(
    config: EngineConfig,
    *,
    ask_passphrase: AskPassphrase | None = None,
    focus: Iterable[str] = (),
) -> LocalEngine:
    """An engine in this process; nothing is connected before ``start``.

    ``ask_passphrase`` None means that encrypted keys cannot be used.
    """
    from console.ssh.transport import Transports

    sources: list[RowSource] = []
    if config.workstation:
        from console.fleet.workstation.row import Workstation

        sources.append(Workstation())
    return LocalEngine(
        config.hosts,
        Transports(config.known, ask_passphrase),
        state_dir=config.state_dir if config.history else None,
        sources=sources,
        focus=focus,
    )
