"""The step of a release: the steps of a standing request, undone from its journal."""

from __future__ import annotations

from ..refused import Refused
from ..world import World
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Undo(Step):
    """``id``: the request that stands. Undone itself, it puts back what stood."""

    kind = "undo"

    def check(self, args: dict[str, Any]) -> None:
        """Exactly an id."""
        from ..state.spool import is_id

        if set(args) != {"id"} or not is_id(args["id"]):
            raise Refused("step", "the step undo takes the id of a request")

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """The steps to undo, with what was there before them."""
        from ..actions.release import standing

        steps = standing(args["id"], world)["steps"]
        kept = ("kind", "args", "before")
        return {"steps": [{key: item[key] for key in kept} for item in steps if item.get("done")]}

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Undo them, the last first."""
        from . import step

        for item in reversed(before["steps"]):
            each = step(item["kind"])
            if each.undoable:
                world.mark("release " + item["kind"])
                each.undo(item["args"], item["before"], world)
        return {}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Do again what the release had undone."""
        from . import step

        for item in before["steps"]:
            each = step(item["kind"])
            try:
                if not each.holds(item["args"], item["before"], world):
                    each.do(item["args"], item["before"], world)
                    each.hold(item["args"], item["before"], 0, world)
            except Refused as error:
                raise StepFailed(error.words) from None

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """It leaves nothing that could be lost."""
        return True
