"""The step of a release: the steps of a standing request, undone from its journal."""

from __future__ import annotations

from ..refused import Refused
from ..world import World
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# What comes back, by the kind of step that is undone.
_BACK = {
    "nft": "Watchfloor's packet rules of that request are removed",
    "flows": "connections that it ended stay ended",
    "firewall": "the host's own firewall rules become those from before",
    "unit": "the unit runs again if it ran before, without what was put beside it",
    "file": "the file holds again what it held",
    "account": "the account is as it was; sessions that ended stay ended",
    "gateway": "the client of the gateway is answered as before",
    "rename": "the folder is moved back",
    "link": "the version from before is served again, and its service restarted",
    "trust": "what was trusted before is trusted again",
}
MAX_KINDS = 64


class Undo(Step):
    """``id``: the request that stands, with its ``action`` and the ``kinds`` of its steps. Undone
    itself, it puts back what stood."""

    kind = "undo"

    def check(self, args: dict[str, Any]) -> None:
        """An id, an action and kinds that there are."""
        from ..actions import NAMES
        from ..state.spool import is_id
        from . import KINDS

        if set(args) != {"action", "id", "kinds"} or not is_id(args["id"]):
            raise Refused("step", "the step undo takes the id of a request, its action and kinds")
        kinds = args["kinds"]
        if args["action"] not in NAMES or type(kinds) is not list or len(kinds) > MAX_KINDS:
            raise Refused("step", "the step undo takes an action and a list of kinds of steps")
        if any(kind not in KINDS for kind in kinds):
            raise Refused("step", "a kind of step to undo is not known here")

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which request, and what comes back, in the order in which it is undone."""
        return [
            f"what {args['action']} did by the request {args['id']} is undone:",
            *(
                f"  {_BACK.get(kind, f'nothing is undone of the step {kind}')}"
                for kind in reversed(args["kinds"])
            ),
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """The steps to undo, with what was there before them."""
        from ..actions.release import standing

        entry = standing(args["id"], world)
        steps = entry["steps"]
        if entry["action"] != args["action"] or [s["kind"] for s in steps] != args["kinds"]:
            raise StepFailed("what stands by that request is not what was signed for")
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
