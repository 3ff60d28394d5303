"""``block-source``: nothing comes from an address or prefix, and nothing goes there, for a time."""

from __future__ import annotations

from ..network import net
from ..refused import Refused
from ..world import World
from .base import CONTAIN, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONFIRM_S = (30, 600)
EXPIRES_S = (60, 604_800)


class BlockSource(Action):
    """``source``: an address or prefix; ``expires_s``: 60 to 604,800; ``confirm_s``: 30 to 600."""

    name = "block-source"
    words = "block an address or prefix for a time"
    direction = CONTAIN
    ratify = True
    break_glass = True
    inverse = "release"
    dead_man = "kernel"

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        exactly(params, confirm_s=int, expires_s=int, source=str)
        net.whole(params["confirm_s"], *CONFIRM_S, "confirm_s")
        net.whole(params["expires_s"], *EXPIRES_S, "expires_s")
        self._source(params)

    def _source(self, params: dict[str, Any]) -> net.Network:
        one = net.network(params["source"], "source")
        if one.prefixlen < net.WIDEST[one.version]:
            raise Refused("floor", f"{one} is so wide that blocking it is an isolation")
        for kind in ("loopback", "link_local", "multicast", "unspecified"):
            if getattr(one, "is_" + kind) or net.overlaps(one, _special(kind)):
                raise Refused("floor", f"{one} holds {kind.replace('_', '-')} addresses")
        return one

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """What the kernel can."""
        from ..network import look as net_look

        net_look.needs_nft(world)
        return {"destroy": net_look.can_end(world)}

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """The block first, then the connections that are open."""
        self.check(params)
        one = self._source(params)
        mgmt = net.management(policy)
        if net.overlaps(one, mgmt):
            raise Refused(
                "floor",
                f"{one} overlaps a management network, which is never blocked",
                "the policy has: " + ", ".join(net.written(mgmt)),
            )
        rules = {
            "armed_s": net.armed_s(params["confirm_s"], policy),
            "expires_s": params["expires_s"],
            "source": str(one),
            "table": "source",
        }
        steps: list[dict[str, Any]] = [{"kind": "nft", "args": rules}]
        if facts["destroy"]:
            flows = {"keep": net.written(mgmt), "peers": [str(one)], "ports": []}
            steps.append({"kind": "flows", "args": flows})
        return {"steps": steps, "confirm_s": params["confirm_s"], "ttl_s": params["expires_s"]}

    def reachable(self, params: dict[str, Any], address: str) -> None:
        """The caller is not in what is blocked."""
        caller = net.peer(address)
        if caller is not None and net.inside(caller, [self._source(params)]):
            raise Refused("lockout", f"you come from {caller.network_address} yourself")

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """Rules tried by nft, and the connections of that source."""
        from ..network import preview as net_preview

        return net_preview.source(params, plan, world)

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The source first."""
        return [
            ("blocked source", params["source"]),
            ("ends by itself after", f"{params['expires_s']} s"),
            ("reverts unless confirmed within", f"{params['confirm_s']} s"),
        ]


def _special(kind: str) -> list[net.Network]:
    """The ranges of a kind: a wider prefix that holds one is not of that kind itself."""
    texts = {
        "loopback": ("127.0.0.0/8", "::1/128"),
        "link_local": ("169.254.0.0/16", "fe80::/10"),
        "multicast": ("224.0.0.0/4", "ff00::/8"),
        "unspecified": ("0.0.0.0/32", "::/128"),
    }[kind]
    return [net.network(text, kind) for text in texts]
