"""``stop-service`` and ``start-service``: units that policy names."""

from __future__ import annotations

from ..host import names, units
from ..refused import Refused
from ..world import World
from .base import CONTAIN, OPEN, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def declared(params: dict[str, Any], policy: dict[str, Any]) -> str:
    """The service, where policy names it. Raises Refused."""
    name = names.unit(params["service"])
    if name not in policy["services"]:
        raise Refused(
            "policy", f"{name} is not among the services of the policy",
            "have policy.services name it, by two people",
        )  # fmt: skip
    return name


class StopService(Action):
    """``service``: a unit of ``policy.services``."""

    name = "stop-service"
    words = "stop a service and keep it stopped until it is released"
    direction = CONTAIN
    ratify = True
    break_glass = True
    inverse = "release"
    dead_man = "timer"

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, service=str)
        names.unit(params["service"])

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """Nothing is bound; a unit that is not here or may not be stopped is refused at once."""
        name = params["service"]
        units.falling(name, units.loaded(name, world), world)
        return {}

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step. Raises Refused."""
        self.check(params)
        args = {"name": declared(params, policy), "op": "stop"}
        return {"steps": [{"kind": "unit", "args": args}], "confirm_s": 0, "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """Its processes, and whose connections end."""
        from ..model import serving

        return serving.stop(params["service"], world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The service."""
        return [("service", params["service"])]


class StartService(Action):
    """``service``: a unit of ``policy.services``. A standing ``stop-service`` of it is ended."""

    name = "start-service"
    words = "start a service"
    direction = OPEN

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, service=str)
        names.unit(params["service"])

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """Nothing is bound; a unit that is not here is refused at once."""
        units.loaded(params["service"], world)
        return {}

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step. Raises Refused."""
        self.check(params)
        args = {"name": declared(params, policy), "op": "start"}
        return {"steps": [{"kind": "unit", "args": args}], "confirm_s": 0, "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What would be started."""
        from ..model import serving

        return serving.start(params["service"], world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The service."""
        return [("service", params["service"])]
