"""``block-user`` and ``unblock-user``: local accounts."""

from __future__ import annotations

from ..host import names
from ..refused import Refused
from ..world import World
from .base import CONTAIN, OPEN, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LEAST_UID = 1000
NOBODY = 65534


def _facts(params: dict[str, Any], world: World) -> dict[str, Any]:
    """Its number, so that no account that gets the name later is meant. Raises Refused."""
    from ..host import shadow

    user = names.user(params["user"])
    try:
        found = shadow.account(user, world)
    except OSError:
        raise Refused("no-account", "/etc/shadow cannot be read on this host") from None
    if found is None:
        raise Refused(
            "no-account", f"{user} is no local account of this host",
            "block it where it is kept, such as the directory service",
        )  # fmt: skip
    return {"uid": found.uid}


def _plan(params: dict[str, Any], facts: dict[str, Any], op: str) -> dict[str, Any]:
    user = names.user(params["user"])
    uid = facts["uid"]
    if type(uid) is not int or not LEAST_UID <= uid < 1 << 32 or uid == NOBODY:
        raise Refused("floor", f"{user} is an account of the system (its number is below 1000)")
    args = {"op": op, "uid": uid, "user": user}
    return {"steps": [{"kind": "account", "args": args}], "confirm_s": 0, "ttl_s": 0}


class BlockUser(Action):
    """``user``: a local account from number 1000 on."""

    name = "block-user"
    words = "lock an account, refuse its keys and end its sessions"
    direction = CONTAIN
    ratify = True
    break_glass = True
    inverse = "release"
    dead_man = "timer"

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, user=str)
        names.user(params["user"])

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """``uid``."""
        return _facts(params, world)

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step. Raises Refused."""
        self.check(params)
        return _plan(params, facts, "block")

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """Sessions and processes that end, and what acts for it later."""
        from ..host import logins

        return logins.block(params["user"], plan["steps"][0]["args"]["uid"], world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The account."""
        return [("account", params["user"])]


class UnblockUser(Action):
    """``user``: a local account from number 1000 on. A standing ``block-user`` of it is ended."""

    name = "unblock-user"
    words = "open an account that is blocked, locked or has expired"
    direction = OPEN

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, user=str)
        names.user(params["user"])

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """``uid``."""
        return _facts(params, world)

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step. Raises Refused."""
        self.check(params)
        return _plan(params, facts, "open")

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What is open afterwards."""
        from ..host import logins

        return logins.unblock(params["user"], world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The account."""
        return [("account", params["user"])]
