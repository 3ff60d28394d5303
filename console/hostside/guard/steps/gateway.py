"""A client of the model's API refused or slowed down, by the gateway that policy declares."""

from __future__ import annotations

import re

from ..host import names, nginx
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

MAX_PER_MINUTE = 100000
# Where a gateway keeps its configuration: a policy cannot point these files anywhere else.
_PLACE = re.compile(
    r"(/etc|/usr/local)/(nginx|openresty)(/(?!\.)[A-Za-z0-9._-]+){0,6}/(?!\.)[A-Za-z0-9._-]+\.conf\Z"
)


class Gateway(Step):
    """``{"op", "key", "per_minute", "kind", "keys_file", "limits_file", "unit"}``: ``op`` is
    ``block`` (``per_minute`` is 0) or ``limit``."""

    kind = "gateway"

    def check(self, args: dict[str, Any]) -> None:
        """An id of a client, never a key, and the files and unit that policy declares."""
        texts = {"op", "key", "kind", "keys_file", "limits_file", "unit"}
        if set(args) != texts | {"per_minute"} or args["op"] not in ("block", "limit"):
            raise Refused("step", "the step gateway takes op, key, per_minute and the gateway")
        if args["kind"] != "nginx":
            raise Refused("gateway", "nginx is the only gateway that is known here")
        names.text(names.CLIENT, args["key"], "a client's id")
        names.number(args["per_minute"], int(args["op"] == "limit"), MAX_PER_MINUTE, "per_minute")
        for field in ("keys_file", "limits_file"):
            names.text(_PLACE, args[field], "an include file (/etc/nginx/…/NAME.conf)")
        nginx.unit_name(args)

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which client, what it is answered, and where that is written."""
        key, unit = args["key"], args["unit"]
        if args["op"] == "block":
            what = f"{unit} ({args['kind']}) refuses every request of the client {key}"
        else:
            what = (
                f"{unit} ({args['kind']}) lets the client {key} ask {args['per_minute']} times a "
                "minute, and refuses what is beyond"
            )
        return [
            what + "; other clients are left alone",
            f"written to {args['keys_file']} and {args['limits_file']}, which {unit} reads again",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """Whether that client is blocked, and its limit (0: none)."""
        stands = nginx.read(args["keys_file"], world)
        return {
            "blocked": args["key"] in stands.blocked,
            "per_minute": stands.limited.get(args["key"], 0),
        }

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Write both files and have the gateway read them."""
        if args["key"] not in nginx.declared(args, world):
            raise StepFailed(f"the gateway knows no client {args['key']}: see docs/gateway.md")
        stands = nginx.read(args["keys_file"], world)  # the other of block and limit stays
        blocked, rate = args["key"] in stands.blocked, stands.limited.get(args["key"], 0)
        if args["op"] == "block":
            blocked = True
        else:
            rate = args["per_minute"]
        nginx.apply(_with(args, blocked, rate, world), args, world)
        return {"state": "blocked" if args["op"] == "block" else f"{rate} a minute"}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """That client as it was; other clients are left as they are now."""
        stands = nginx.read(args["keys_file"], world)
        blocked, rate = args["key"] in stands.blocked, stands.limited.get(args["key"], 0)
        if args["op"] == "block":
            blocked = before["blocked"]
        else:
            rate = before["per_minute"]
        nginx.apply(_with(args, blocked, rate, world), args, world)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether our files still say so, to the byte."""
        from . import file

        stands = nginx.read(args["keys_file"], world)
        held = (
            args["key"] in stands.blocked
            if args["op"] == "block"
            else stands.limited.get(args["key"]) == args["per_minute"]
        )
        files = [file.read(world.path(args[field])) for field in ("keys_file", "limits_file")]
        return held and tuple(files) == nginx.render(stands)


def _with(args: dict[str, Any], blocked: bool, rate: int, world: World) -> nginx.Limits:
    """What stands, with this one client as said."""
    stands = nginx.read(args["keys_file"], world)
    key = args["key"]
    limited = {name: value for name, value in stands.limited.items() if name != key}
    if rate:
        limited[key] = rate
    names_blocked = stands.blocked - {key} | ({key} if blocked else set())
    return nginx.Limits(frozenset(names_blocked), limited)
