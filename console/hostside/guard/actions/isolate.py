"""``isolate``: the host speaks with the management networks by SSH, and with nobody else."""

from __future__ import annotations

from ..network import net
from ..refused import Refused
from ..world import World
from .base import CONTAIN, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REMEDY = "name a management network that your own workstation is in"


class Isolate(Action):
    """``mgmt``: networks, each inside one of the policy's; ``confirm_s``: 30 to 600."""

    name = "isolate"
    words = "cut the host off from all networks but SSH from management"
    direction = CONTAIN
    ratify = True
    break_glass = True
    inverse = "release"
    dead_man = "kernel"
    high_risk = True

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, confirm_s=int, mgmt=list)
        net.whole(params["confirm_s"], 30, 600, "confirm_s")
        for one in net.networks(params["mgmt"], "mgmt"):
            if one.prefixlen == 0:
                raise Refused("parameters", f"mgmt holds every address: {one}", REMEDY)

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """Interfaces, port of sshd, families, whether there is a lease, what the kernel can."""
        from ..network import look as net_look

        net_look.needs_nft(world)
        names = net_look.interfaces(world)
        return {
            "destroy": net_look.can_end(world),
            "dhcp": net_look.leased(world),
            "egress": net_look.egress(world, names),
            "families": net_look.families(world),
            "interfaces": names,
            "sshd_port": net_look.sshd_port(world),
        }

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """Rules first, in one transaction, then the connections that are open."""
        self.check(params)
        mgmt = net.networks(params["mgmt"], "mgmt")
        allowed = net.management(policy)
        for one in mgmt:
            if not net.inside(one, allowed):
                raise Refused(
                    "management",
                    f"{one} is in none of the management networks of the policy",
                    "the policy has: " + ", ".join(net.written(allowed)),
                )
        if not any(one.version in facts["families"] for one in mgmt):
            raise Refused("lockout", "the host has no address of the kind that mgmt names", REMEDY)
        rules = {
            "armed_s": net.armed_s(params["confirm_s"], policy),
            "destroy": facts["destroy"],
            "dhcp": policy["dhcp"] if facts["dhcp"] else "none",
            "interfaces": facts["interfaces"] if facts["egress"] else [],
            "mgmt": net.written(mgmt),
            "port": facts["sshd_port"],
            "table": "isolate",
        }
        flows = {"keep": net.written(mgmt), "peers": [], "ports": []}
        steps = [{"kind": "nft", "args": rules}]
        if facts["destroy"]:
            steps.append({"kind": "flows", "args": flows})
        return {"steps": steps, "confirm_s": params["confirm_s"], "ttl_s": 0}

    def reachable(self, params: dict[str, Any], address: str) -> None:
        """The caller comes from one of ``mgmt``, or would cut off the branch they sit on."""
        caller = net.peer(address)
        if caller is not None and not net.inside(caller, net.networks(params["mgmt"], "mgmt")):
            raise Refused(
                "lockout",
                f"you come from {caller.network_address}, which is in none of: "
                + ", ".join(params["mgmt"]),
                REMEDY,
            )

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """Rules tried by nft, connections counted, and the paths that stay open."""
        from ..network import preview as net_preview

        return net_preview.isolate(params, plan, world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """Who may still come first."""
        return [
            ("stays reachable from", ", ".join(params["mgmt"])),
            ("reverts unless confirmed within", f"{params['confirm_s']} s"),
        ]
