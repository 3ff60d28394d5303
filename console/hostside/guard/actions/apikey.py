"""``block-api-key`` and ``limit-api-key``: a client of the model's API, by its id.

A key itself is never in a document: the gateway's own configuration says which id a key has
(``docs/gateway.md``).
"""

from __future__ import annotations

from ..host import names
from ..refused import Refused
from ..world import World
from .base import CONTAIN, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _plan(op: str, key: str, per_minute: int, policy: dict[str, Any]) -> dict[str, Any]:
    gateway = policy["gateway"]
    if not gateway:
        raise Refused(
            "policy", "the policy declares no gateway", "docs/gateway.md says how to have one"
        )
    args = {"op": op, "key": key, "per_minute": per_minute}
    args.update((name, gateway[name]) for name in ("kind", "keys_file", "limits_file", "unit"))
    from ..steps.gateway import Gateway

    Gateway().check(args)
    return {"steps": [{"kind": "gateway", "args": args}], "confirm_s": 0, "ttl_s": 0}


def _preview(plan: dict[str, Any], world: World) -> dict[str, list[str]]:
    from ..host import nginx
    from ..steps.base import StepFailed

    args = plan["steps"][0]["args"]
    key = args["key"]
    what = "403" if args["op"] == "block" else f"429 beyond {args['per_minute']} a minute"
    effect = [f"{args['unit']} answers {what} to {key}", f"{args['unit']} reads its files again"]
    try:
        stands = nginx.read(args["keys_file"], world)
        if key not in nginx.declared(args, world):
            effect.append(f"it would be refused: the gateway knows no client {key}")
        if key in stands.blocked:
            effect.append(f"{key} is blocked already")
        if key in stands.limited:
            effect.append(f"{key} has a limit of {stands.limited[key]} a minute now")
    except StepFailed as failed:
        effect.append(f"it would be refused: {failed}")
    return {
        "effect": effect,
        "residual": [
            "answers that are streaming now go on, until worker_shutdown_timeout where it is set",
            "whoever reaches the model server past the gateway is not stopped",
            "the same client under another id is not stopped",
        ],
        "cut_off": [f"{key}, and nobody else"],
        "remains": [],
    }


class BlockApiKey(Action):
    """``key``: the id of a client, as the gateway's configuration has it."""

    name = "block-api-key"
    words = "refuse one client of the model's API"
    direction = CONTAIN
    ratify = True
    break_glass = True
    inverse = "release"
    dead_man = "timer"

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, key=str)
        names.text(names.CLIENT, params["key"], "a client's id")

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step. Raises Refused."""
        self.check(params)
        return _plan("block", params["key"], 0, policy)

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What the gateway would answer."""
        return _preview(plan, world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The client."""
        return [("client", params["key"])]


class LimitApiKey(Action):
    """``key`` as above, ``per_minute``: requests, 1 to 100000."""

    name = "limit-api-key"
    words = "slow down one client of the model's API"
    direction = CONTAIN
    ratify = True
    break_glass = True
    inverse = "release"
    dead_man = "timer"

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        from ..steps.gateway import MAX_PER_MINUTE

        exactly(params, key=str, per_minute=int)
        names.text(names.CLIENT, params["key"], "a client's id")
        names.number(params["per_minute"], 1, MAX_PER_MINUTE, "per_minute")

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step. Raises Refused."""
        self.check(params)
        return _plan("limit", params["key"], params["per_minute"], policy)

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What the gateway would answer."""
        return _preview(plan, world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The client and its rate."""
        return [("client", params["key"]), ("requests a minute", str(params["per_minute"]))]
