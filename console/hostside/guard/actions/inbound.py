"""``disconnect-inbound``: nobody reaches the model services; the rest is left alone."""

from __future__ import annotations

from ..network import net
from ..refused import Refused
from ..world import World
from .base import CONTAIN, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class DisconnectInbound(Action):
    """``ports``: some of the policy's ``api_ports``; ``confirm_s``: 30 to 600.

    Connections on lo stay, and those of management networks, which no action blocks.
    """

    name = "disconnect-inbound"
    words = "end every connection to the model services and let none in"
    direction = CONTAIN
    ratify = True
    break_glass = True
    inverse = "release"
    dead_man = "kernel"

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, confirm_s=int, ports=list)
        net.whole(params["confirm_s"], 30, 600, "confirm_s")
        net.ports(params["ports"], "ports")

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """The port of sshd, and whether containers' ports are published."""
        from ..network import look as net_look

        net_look.needs_nft(world)
        return {
            "destroy": net_look.can_end(world),
            "sshd_port": net_look.sshd_port(world),
            "translated": net_look.translated(world),
        }

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """Rules first, in one transaction, then the connections that are open."""
        self.check(params)
        ports = net.ports(params["ports"], "ports")
        for port in ports:
            if port == facts["sshd_port"]:
                raise Refused("floor", f"port {port} is the one of sshd, which is never blocked")
            if port not in policy["api_ports"]:
                raise Refused(
                    "ports",
                    f"port {port} is none of the model services of the policy",
                    "the policy has: " + ", ".join(str(p) for p in policy["api_ports"]),
                )
        mgmt = net.written(net.management(policy))
        rules = {
            "armed_s": net.armed_s(params["confirm_s"], policy),
            "mgmt": mgmt,
            "ports": ports,
            "table": "inbound",
            "translated": facts["translated"],
        }
        steps: list[dict[str, Any]] = [{"kind": "nft", "args": rules}]
        if facts["destroy"]:
            flows = {"keep": mgmt, "peers": [], "ports": ports}
            steps.append({"kind": "flows", "args": flows})
        return {"steps": steps, "confirm_s": params["confirm_s"], "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """Rules tried by nft, and who is connected now."""
        from ..network import preview as net_preview

        return net_preview.inbound(params, plan, world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The ports first."""
        return [
            ("model services at", "ports " + ", ".join(str(port) for port in params["ports"])),
            ("reverts unless confirmed within", f"{params['confirm_s']} s"),
        ]
