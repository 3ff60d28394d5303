"""``restart-hardened``: a service under the sandbox profile that policy declares for it."""

from __future__ import annotations

from ..host import names, units
from ..refused import Refused
from ..world import World
from .base import NEUTRAL, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RestartHardened(Action):
    """``service``: a unit that ``policy.profiles`` has directives for."""

    name = "restart-hardened"
    words = "restart a service under its declared sandbox profile"
    direction = NEUTRAL

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, service=str)
        names.unit(params["service"])

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """Nothing is bound; a unit that is not here or may not be restarted is refused."""
        name = params["service"]
        units.falling(name, units.loaded(name, world), world)
        return {}

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step with the directives themselves. Raises Refused."""
        from ..steps import sandbox

        self.check(params)
        name = params["service"]
        lines = policy["profiles"].get(name)
        if lines is None:
            raise Refused(
                "policy", f"the policy has no profile for {name}",
                "have policy.profiles declare one, by two people",
            )  # fmt: skip
        sandbox.check(lines)
        args = {"lines": list(lines), "name": name, "op": "harden"}
        return {"steps": [{"kind": "unit", "args": args}], "confirm_s": 0, "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """The directives, and who waits while it restarts."""
        from ..model import serving

        return serving.restart(params["service"], plan["steps"][0]["args"]["lines"], world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The service."""
        return [("service", params["service"])]
