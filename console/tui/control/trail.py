"""Where a person has been: back, forward, and the last view."""

from typing import NamedTuple

KEPT = 50


class Place(NamedTuple):
    """A view that can be opened again: its kind, and what it was opened with."""

    kind: str
    args: tuple[str, ...] = ()


class Trail:
    """Places in the order of visits. Going back and then elsewhere forgets what was ahead."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._at = -1

    def visit(self, place: Place) -> None:
        """Now at ``place``."""
        if self._places and self._places[self._at] == place:
            return
        self._places = [*self._places[: self._at + 1][-KEPT + 1 :], place]
        self._at = len(self._places) - 1

    def now(self, place: Place) -> None:
        """The view in front has changed by itself (another tab); no visit of its own."""
        if self._places:
            self._places[self._at] = place

    def step(self, by: int) -> Place | None:
        """Go back (-1) or forward (1); None at the end."""
        if not 0 <= self._at + by < len(self._places):
            return None
        self._at += by
        return self._places[self._at]

    def last(self) -> Place | None:
        """The view before this one, without going there."""
        return self._places[self._at - 1] if self._at > 0 else None
