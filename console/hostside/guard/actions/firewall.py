"""``restore-firewall``: the host's own rules become those that the policy approves."""

from __future__ import annotations

from ..refused import Refused
from ..world import World
from .base import OPEN, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RestoreFirewall(Action):
    """``sha256``: the digest that the policy has in ``firewall``. Nothing stands afterwards that
    is watched: later changes are drift, which the probe tells."""

    name = "restore-firewall"
    words = "put the host's own firewall rules back to the approved ones"
    direction = OPEN
    dead_man = "timer"

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, sha256=str)
        digest = params["sha256"]
        if len(digest) != 64 or digest.strip("0123456789abcdef"):
            raise Refused("parameters", "sha256 is not a digest of 64 hex digits")

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step, with the time of the policy to confirm it."""
        self.check(params)
        if policy["firewall"] != params["sha256"]:
            raise Refused(
                "firewall",
                "this digest is not the one that the policy approves",
                "the policy has: " + (policy["firewall"] or "none"),
            )
        steps = [{"kind": "firewall", "args": {"sha256": params["sha256"]}}]
        return {"steps": steps, "confirm_s": policy["confirm_s"], "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """Table by table what would change, after trying the rules in an empty namespace."""
        from ..network import look as net_look

        if not net_look.real(world):
            effect = ["the rules become those of the approved digest"]
        else:
            effect = _effect(params["sha256"], world)
        effect.append(f"reverts unless confirmed within {plan['confirm_s']} s")
        residual = ["connections that are open stay open", "our own tables stay as they are"]
        return {"effect": effect, "residual": residual, "cut_off": [], "remains": []}

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The digest."""
        return [("approved rules", params["sha256"])]


def _effect(digest: str, world: World) -> list[str]:
    from ..network import nft
    from ..network import ruleset as net_ruleset
    from ..steps.base import StepFailed

    try:
        old = net_ruleset.now(world)
        new, text = net_ruleset.approved(world)
        if nft.digest(new) != digest:
            return [f"cannot be done: {net_ruleset.APPROVED} has the digest {nft.digest(new)}"]
        back = nft.wrong(net_ruleset.change(old, net_ruleset.written(world)), world)
        if back:
            return [f"cannot be done: the rules of now could not be put back: {back}"]
        why = nft.wrong(net_ruleset.change(old, text), world)
    except StepFailed as error:
        return [f"cannot be done: {error}"]
    if why:
        return [f"nft does not take these rules: {why}"]
    return net_ruleset.difference(old, new) or ["nothing changes: the rules are the approved ones"]
