"""Processes that took a GPU since the console began to watch."""

from collections.abc import Iterable, Sequence

from console.model.event import Event
from console.model.tables import GpuProcess
from console.model.view import HostView

MOST = 1000
"""Keys that are remembered of one host; the oldest are forgotten first."""


class Newcomers:
    """Remembers what events told, and finds it in a picture as long as it is there."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, None]] = {}

    def see(self, events: Iterable[Event]) -> None:
        """Take events of any host."""
        for event in events:
            if event.kind == "gpu.process.new":
                keys = self._keys.setdefault(event.host, {})
                keys[event.key] = None
                if len(keys) > MOST:
                    del keys[next(iter(keys))]

    def of(self, view: HostView) -> Sequence[GpuProcess]:
        """The rows of new processes that still hold a GPU of this host."""
        keys = self._keys.get(view.name)
        return [row for row in view.gpu_processes if row.key in keys] if keys else ()
