"""An action: its place in the table, typed parameters, a pure plan, and a preview."""

from __future__ import annotations

from ..refused import Refused
from ..world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONTAIN, OPEN, DESTROY, NEUTRAL = "contain", "open", "destroy", "neutral"


class Action:
    """Base of all actions. Instances hold nothing. ``render`` and ``words`` are pure, so that the
    console gets the same plan and the same words from the same parameters and facts."""

    name = ""
    words = ""  # what it does, in one line, without parameters
    direction = NEUTRAL
    people = 2  # floor: policy may ask for more, never for fewer
    ratify = False  # may run on one signature and then wait for the second (policy opts in)
    break_glass = False
    inverse = ""  # action that undoes it, "release", or "" for none
    dead_man = "none"  # "kernel": nft time-out, "timer": the guard reverts, "none"
    high_risk = False  # the host's name is typed
    starter = "approver"  # "requester": the second person approves, the first starts it
    long = False  # runs in a process of its own, with progress in telemetry

    def check(self, params: dict[str, Any]) -> None:
        """Raise Refused where parameters are not exactly what this action takes."""
        raise NotImplementedError

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """What the plan needs to know of this host: stable things only, handed out by the
        challenge and bound by the signature."""
        return {}

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """The plan, by parameters, facts and policy alone. Raises Refused.

        ``{"steps": [{"kind": ..., "args": {...}}, ...], "confirm_s": int, "ttl_s": int}``:
        ``confirm_s`` 0 where nothing has to be confirmed, ``ttl_s`` 0 where it stands until
        released.
        """
        raise NotImplementedError

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What the host says would happen: lists of lines under ``effect``, ``residual`` (paths it
        cannot close), ``cut_off`` (who loses what) and ``remains`` (what a destruction leaves)."""
        return {"effect": [], "residual": [], "cut_off": [], "remains": []}

    def reachable(self, params: dict[str, Any], address: str) -> None:
        """Raise Refused (rule ``lockout``) where carrying this out would cut off the caller.

        ``address`` is the peer of the caller's own SSH session (``World.caller_address``), or empty
        where it is not known, which refuses nothing. The guard asks whenever somebody requests or
        approves: parameters alone do not say who is on the other end of the line.
        """

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The parameters for a person: label and value, the most important first."""
        return [(name, str(params[name])) for name in sorted(params)]


def exactly(params: dict[str, Any], **types: Any) -> None:
    """Raise Refused unless ``params`` has exactly these keys with values of exactly these types
    (``bool`` is no ``int``)."""
    for name in params:
        if name not in types:
            raise Refused("parameters", f"the parameter {name} is not known here")
    for name, kind in types.items():
        if name not in params:
            raise Refused("parameters", f"the parameter {name} is missing")
        if type(params[name]) is not kind:
            raise Refused("parameters", f"the parameter {name} is not {kind.__name__}")
