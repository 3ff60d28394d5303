"""Step ``nft`` for one blocked source: an element of a table that several requests share."""

from __future__ import annotations

import time

from ..network import net, nft
from ..network import rules as net_rules
from ..network import source as net_source
from ..world import World
from .base import StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _listing(world: World) -> list[Any]:
    return nft.table(world, "inet", net_rules.SOURCE)


def look(args: dict[str, Any], world: World) -> dict[str, Any]:
    """``there`` and ``until``, the end by the host's clock: what is put back after a restart of the
    firewall must not begin to count anew."""
    one = net.network(args["source"], "source")
    there = str(one) in net_source.elements(_listing(world))
    return {"there": there, "until": int(time.time()) + args["expires_s"]}


def _left(before: dict[str, Any]) -> int:
    return int(before["until"]) - int(time.time())


def do(args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
    """Block it until it is confirmed, or until its end where nothing is armed."""
    left = _left(before)
    if left <= 0:
        return {}
    armed = args["armed_s"] + net_rules.GRACE_S if args["armed_s"] else left
    _apply(args, min(left, armed), world)
    return {}


def _apply(args: dict[str, Any], seconds: int, world: World) -> None:
    one = net.network(args["source"], "source")
    world.mark("nft before")
    nft.apply(net_source.block(one, seconds, _listing(world)), world)
    world.mark("nft applied")


def undo(args: dict[str, Any], world: World) -> None:
    """Let it in again; what others asked for stays."""
    change = net_source.unblock(net.network(args["source"], "source"), _listing(world))
    world.mark("nft before undo")
    if change:
        nft.apply(change, world)


def holds(args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
    """Whether it is blocked at every hook, or was to be blocked no longer."""
    if _left(before) <= 0:
        return True
    one = net.network(args["source"], "source")
    try:
        items = _listing(world)
    except StepFailed:
        return False
    return str(one) in net_source.elements(items) and net_source.complete(items, one)


def hold(args: dict[str, Any], before: dict[str, Any], seconds: int, world: World) -> None:
    """Let it stand for so many seconds, 0 for until its end, which is never passed."""
    left = _left(before)
    if left <= 0:
        return
    one = net.network(args["source"], "source")
    if str(one) not in net_source.elements(_listing(world)):
        raise StepFailed("already reverted: nobody confirmed in time, the source was let in again")
    _apply(args, min(left, seconds + net_rules.GRACE_S) if seconds else left, world)
