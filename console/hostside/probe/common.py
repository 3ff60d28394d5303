"""What every lane uses: the host, the queue, the board, and one way to survive a failure."""

from __future__ import annotations

from .denied import SANDBOX, Denied, makes_nothing
from .frames import Board
from .happen import Events, Troubles
from .place import Place
from .selfcost import SelfCost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Result = TypeVar("Result")


class Common:
    """Shared by the lanes of one probe. ``focused`` and ``late`` are set by the loop."""

    def __init__(self, place: Place, tier: int, hello: dict[str, Any]) -> None:
        self.place = place
        self.tier = tier
        self.events = Events(place)
        self.denied = Denied(hello.get("caps", ""))
        if tier == 2 and not makes_nothing():
            self.denied.set("sandbox", SANDBOX)
        self.troubles = Troubles(place, self.events)
        self.cost = SelfCost(place)
        self.board = Board(place, self.events, self.denied, hello)
        self.focused = False
        self.late = 0  # fast ticks that came late

    def event(self, kind: str, key: str, facts: dict[str, Any]) -> None:
        """Queue an event of a reader."""
        self.events.put(kind, key, facts)

    def attempt(self, lane: str, work: Callable[[], Result]) -> Result | None:
        """Run ``work``; a failure is reported as ``probe.error`` of ``lane`` and gives None."""
        began = self.place.mono()
        try:
            return work()
        except Exception as error:  # one failing source must not hide the others
            self.troubles.report(lane, error)
            return None
        finally:
            self.cost.ran(lane, self.place.mono() - began)
