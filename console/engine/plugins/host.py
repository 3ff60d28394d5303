"""All plugins of a session."""

import asyncio
from collections.abc import Mapping, Sequence

from console.config.document import Plugin as Settings
from console.config.select import select
from console.engine.plugins.supervise import Around, Supervised
from console.errors import UsageError
from console.model.history import Series
from console.model.host import Host
from console.model.panel import Panel


class PluginHost:
    """Runs what the configuration enables; nothing that a plugin does comes out but its panels."""

    def __init__(
        self, plugins: Mapping[str, Settings], hosts: Sequence[Host], around: Around
    ) -> None:
        """``hosts`` are all rows of the fleet, this workstation's too where it is shown."""
        self._plugins = [
            Supervised(name, settings, _chosen(hosts, settings.hosts), around)
            for name, settings in plugins.items()
            if settings.enabled
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start every plugin; returns at once."""
        self._tasks = [
            asyncio.create_task(plugin.run(), name=f"plugin {plugin.name}")
            for plugin in self._plugins
        ]

    async def stop(self) -> None:
        """End every plugin's process. What they showed last stays to be read."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def crashed(self) -> list[tuple[str, BaseException]]:
        """Tasks that ended by a defect of the console."""
        ended = [task for task in self._tasks if task.done() and not task.cancelled()]
        return [(t.get_name(), error) for t in ended if (error := t.exception()) is not None]

    def panels(self, host: str) -> tuple[Panel, ...]:
        """The panels of a host, in the order of the configuration."""
        return tuple(panel for plugin in self._plugins for panel in plugin.panels(host))

    def series(self, host: str) -> list[str]:
        """Names of the numbers of a host that ``history`` has."""
        return [name for plugin in self._plugins for name in plugin.series(host)]

    def history(self, host: str, name: str, seconds: float) -> Series:
        """A plugin's number over time; empty for an unknown one."""
        for plugin in self._plugins:
            if name.startswith(f"plugin.{plugin.name}."):
                return plugin.history(host, name, seconds)
        return Series(host=host, name=name, step_s=0.0)


def _chosen(hosts: Sequence[Host], pattern: str) -> list[str]:
    """Hosts of a pattern; none where it names none of those that are watched now."""
    try:
        return [host.name for host in select(hosts, pattern)]
    except UsageError:
        return []
