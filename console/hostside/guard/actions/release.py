"""``release``: what stands by an earlier request is undone, from that request's own journal."""

from __future__ import annotations

from ..refused import Refused
from ..state.spool import STANDING, Store, is_id
from ..world import World
from .base import OPEN, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..state.spool import Entry


class Release(Action):
    """Two people again, whatever began it."""

    name = "release"
    words = "undo what stands on the host by an earlier request"
    direction = OPEN
    people = 2

    def check(self, params: dict[str, Any]) -> None:
        """``id`` of the request that stands."""
        exactly(params, id=str)
        if not is_id(params["id"]):
            raise Refused("parameters", "id is not the id of a request: 64 hexadecimal digits")

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """What stands by that id: its action, its kinds of steps, and since when."""
        entry = standing(params["id"], world)
        kinds = [item["kind"] for item in entry["steps"]]
        return {"action": entry["action"], "kinds": kinds, "since": entry["since"]}

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step, which undoes all of the request's."""
        if set(facts) != {"action", "kinds", "since"}:
            raise Refused("facts", "the facts of a release are not complete")
        from ..steps.undo import Undo

        args = {"action": facts["action"], "id": params["id"], "kinds": facts["kinds"]}
        Undo().check(args)
        return {"steps": [{"kind": "undo", "args": args}], "confirm_s": 0, "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What is given back."""
        entry = standing(params["id"], world)
        who = ", ".join(entry.get("people", [entry["requester"]]))
        kinds = ", ".join(item["kind"] for item in reversed(entry["steps"]))
        return {
            "effect": [f"undoes {entry['action']}, which {who} did: {kinds}"],
            "residual": [],
            "cut_off": [],
            "remains": [],
        }


def standing(rid: str, world: World) -> Entry:
    """The entry that stands by that id. Raises Refused."""
    from ..state.files import Files

    store = Store(Files(world.place, world.mark), world.place.state)
    try:
        entry = store.load(STANDING, rid)
    except Refused as error:
        if error.rule != "no-request":
            raise
        raise Refused(
            "not-standing", "nothing stands on this host by that request", "watchfloor actions list"
        ) from None
    if entry["state"] != "STANDING":
        raise Refused("not-standing", "it is being undone already")
    return entry
