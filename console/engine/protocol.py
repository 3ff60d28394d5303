"""What a face (terminal, headless verb, test) may ask of an engine."""

from typing import Protocol

from console.model.event import Event
from console.model.history import Series
from console.model.view import FleetSnapshot


class Engine(Protocol):
    """One running session over a fleet.

    Faces pull: they look at ``snapshot().version`` at their own pace. Nothing is pushed into them.
    """

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        ...

    async def stop(self) -> None:
        """Close every link and the store, within five seconds."""
        ...

    def snapshot(self) -> FleetSnapshot:
        """The newest picture. Cheap: the same object until something changed."""
        ...

    def events(self, after: int = 0, limit: int = 1000, host: str = "") -> list[Event]:
        """Events with ``seq`` greater than ``after``, oldest first; of one host where it is named.

        Memory is shared out evenly: a noisy host never hides the events of another.
        """
        ...

    def forgotten(self, host: str) -> int:
        """How many events of that host are no longer held."""
        ...

    def history(self, host: str, name: str, seconds: float) -> Series:
        """One number of one host over the last ``seconds``."""
        ...

    def focus(self, *hosts: str) -> None:
        """Full process tables for these hosts only; all others go back to summaries."""
        ...

    def series(self, host: str) -> list[str]:
        """Names of the numbers that ``history`` has of that host; none for an unknown host."""
        ...

    def retry(self, host: str) -> None:
        """Connect now: ends a wait, and leaves REFUSED. NEW-KEY only once a person has
        stored another key: the host's entry is read anew.
        """
        ...
