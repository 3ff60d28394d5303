"""``install-roster``, ``install-policy``, ``install-guard``: what is trusted, replaced as a whole.

The parameters name the new file by its digest; the bytes come beside the request as its payload.
"""

from __future__ import annotations

from ..refused import Refused
from ..world import World
from .base import NEUTRAL, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEX = "0123456789abcdef"


class Install(Action):
    """What the three have in common; ``what`` is the one that is replaced."""

    what = ""
    direction = NEUTRAL
    people = 2
    high_risk = True

    def check(self, params: dict[str, Any]) -> None:
        """``sha256`` of the new one."""
        exactly(params, sha256=str)
        if len(params["sha256"]) != 64 or params["sha256"].strip(HEX):
            raise Refused("parameters", "sha256 is not a SHA-256 of 64 hexadecimal digits")

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """The digest of the one in force, which the new one follows."""
        from ..steps.trust import present

        return {"former": present(self.what, world)}

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step."""
        former = facts.get("former")
        if set(facts) != {"former"} or type(former) is not str or len(former) != 64:
            raise Refused("facts", f"the {self.what} in force is not named")
        if former == params["sha256"]:
            raise Refused("parameters", f"this {self.what} is in force already")
        args = {"what": self.what, "sha256": params["sha256"], "former": former}
        return {"steps": [{"kind": "trust", "args": args}], "confirm_s": 0, "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What changes for those who wait."""
        former = plan["steps"][0]["args"]["former"]
        effect = [f"replaces the {self.what} {former[:16]} by {params['sha256'][:16]}"]
        return {
            "effect": effect,
            "residual": [],
            "cut_off": ["every request that waits on this host is closed"],
            "remains": [],
        }


class InstallRoster(Install):
    """People, keys and roles."""

    name = "install-roster"
    words = "replace the roster: people, keys and roles"
    what = "roster"


class InstallPolicy(Install):
    """Rules."""

    name = "install-policy"
    words = "replace the policy: what needs how many people"
    what = "policy"


class InstallGuard(Install):
    """The program that does all this."""

    name = "install-guard"
    words = "replace the guard on the host by another build"
    what = "guard"
