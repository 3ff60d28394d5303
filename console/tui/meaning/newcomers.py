"""What events told since the console began to watch: who took a GPU, who listens, what is odd."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from console.model.event import Event
from console.model.tables import GpuProcess
from console.model.view import HostView
from console.tui.meaning.lately import Lately, Odd

V = TypeVar("V")

MOST = 1000
"""Keys that are remembered of one host; the oldest are forgotten first."""


class Newcomers:
    """Remembers what events told, and finds it in a picture as long as it is there."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, None]] = {}
        self._opened: dict[str, dict[str, float]] = {}
        self._lately = Lately()

    def see(self, events: Iterable[Event]) -> None:
        """Take events of any host."""
        for event in events:
            self._lately.see(event)
            if event.kind == "gpu.process.new":
                _remember(self._keys.setdefault(event.host, {}), event.key, None)
            elif event.kind == "listener.new":
                _remember(self._opened.setdefault(event.host, {}), event.key, event.at)
            elif event.kind == "listener.gone":
                self._opened.get(event.host, {}).pop(event.key, None)

    def clear(self) -> None:
        """Forget everything: events are told anew from the beginning."""
        self._keys.clear()
        self._opened.clear()
        self._lately.clear()

    def lately(self, view: HostView) -> list[Odd]:
        """What happened on this host in the last half hour and needs a look, the worst first."""
        return self._lately.of(view)

    def of(self, view: HostView) -> Sequence[GpuProcess]:
        """The rows of new processes that still hold a GPU of this host."""
        keys = self._keys.get(view.name)
        return [row for row in view.gpu_processes if row.key in keys] if keys else ()

    def opened(self, host: str) -> Mapping[str, float]:
        """When listeners of a host opened, by key, as far as events told; by the host's clock."""
        return self._opened.get(host, {})


def _remember(held: dict[str, V], key: str, value: V) -> None:
    held.pop(key, None)
    held[key] = value
    if len(held) > MOST:
        del held[next(iter(held))]
