"""A row of the fleet that does not come over a link: this workstation."""

from collections.abc import Callable
from typing import Protocol

from console.model.view import HostView


class RowSource(Protocol):
    """Makes one row by itself. One instance, started and cancelled by the engine."""

    def view(self) -> HostView:
        """The newest view: the same object until something changed. Must not block."""
        ...

    async def run(self, changed: Callable[[], None]) -> None:
        """Measure until cancelled; call ``changed`` (from the event loop) after each change."""
        ...
