"""What actions on the network would do, looked at on the host before anybody signs."""

from __future__ import annotations

from ..steps.base import StepFailed
from ..steps.nft import text
from ..world import World
from . import (
    diag as net_diag,
)
from . import (
    flows as net_flows,
)
from . import (
    look as net_look,
)
from . import (
    net,
    nft,
)
from . import (
    rules as net_rules,
)
from . import (
    source as net_source,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _args(plan: dict[str, Any], kind: str) -> dict[str, Any] | None:
    for step in plan["steps"]:
        if step["kind"] == kind:
            args: dict[str, Any] = step["args"]
            return args
    return None


def _tried(change: str, world: World) -> list[str]:
    """A line where nft would not take the rules."""
    if not net_look.real(world):
        return []
    why = nft.wrong(change, world)
    return [f"nft does not take these rules: {why}"] if why else []


def _dead_man(armed_s: int, confirm_s: int) -> str:
    if armed_s:
        return f"the kernel takes it back after {armed_s} s unless the console confirms it"
    return f"it stays even if nobody confirms it within {confirm_s} s, as the policy says"


def _flows(args: dict[str, Any] | None, world: World) -> tuple[list[str], str]:
    """Connections that would end, by peer, and how many stay."""
    if args is None or not net_look.real(world):
        return [], ""
    wanted = net_flows.chosen(args)
    try:
        with net_diag.Diag() as diag:
            flows = diag.listed()
    except OSError as error:
        return [f"connections cannot be listed: {error.strerror}"], ""
    end = [flow for flow in flows if wanted(flow)]
    stay = sum(not net_diag.is_loopback(flow) for flow in flows) - len(end)
    return net_flows.by_peer(end), f"{len(end)} connections end, {stay} stay"


def isolate(params: dict[str, Any], plan: dict[str, Any], world: World) -> dict[str, list[str]]:
    """Preview of ``isolate``."""
    from . import residual as net_residual

    args = _args(plan, "nft") or {}
    cut_off, count = _flows(_args(plan, "flows"), world)
    effect = [
        f"all traffic is dropped but SSH (port {args['port']}) with {', '.join(args['mgmt'])}",
        "loopback, neighbour discovery and ARP stay; no DNS, no NTP",
        _dead_man(args["armed_s"], params["confirm_s"]),
    ]
    if args["dhcp"] != "none":
        effect.append(f"the lease may be renewed with {args['dhcp']}")
    if args["interfaces"]:
        effect.append("raw frames are stopped at " + ", ".join(args["interfaces"]))
    if not args["destroy"]:
        effect.append("the kernel cannot end connections: they are reset when they next send")
    facts = {
        "interfaces": net_look.interfaces(world),
        "egress": bool(args["interfaces"]),
    }
    residual = net_residual.residual(world, facts)
    lease = net_look.lease_s(world)
    if lease is not None and args["dhcp"] == "none":
        residual.append(
            f"the address is a lease that ends in {lease} s, and the policy names no DHCP server:"
            " after that the host cannot be reached"
        )
    residual += [
        "who may send raw frames reaches hosts on the same link by about 32 bytes in each frame of"
        " ARP or neighbour discovery, and management by packets that look like those of sshd",
        "resets to anywhere: 1000, then one each second, with about 30 bytes in each header",
    ]
    lost = net_residual.tunnels(world, args["mgmt"])
    change = text(args, args["interfaces"], args["armed_s"])
    return {
        "effect": [*_tried(change, world), *lost, *effect, *_list(count)],
        "residual": residual,
        "cut_off": cut_off,
        "remains": [],
    }


def inbound(params: dict[str, Any], plan: dict[str, Any], world: World) -> dict[str, list[str]]:
    """Preview of ``disconnect-inbound``."""
    args = _args(plan, "nft") or {}
    cut_off, count = _flows(_args(plan, "flows"), world)
    listed = ", ".join(str(port) for port in args["ports"])
    effect = [
        f"connections to ports {listed} end and none is let in; all else is left alone",
        "loopback and the management networks stay connected",
        _dead_man(args["armed_s"], params["confirm_s"]),
    ]
    residual = []
    if args["translated"]:
        residual.append("connections to containers are dropped and not reset: clients hang a while")
    residual.append("a proxy on this host that is not among the ports still reaches the services")
    return {
        "effect": [*_tried(text(args, [], args["armed_s"]), world), *effect, *_list(count)],
        "residual": residual,
        "cut_off": cut_off,
        "remains": [],
    }


def source(params: dict[str, Any], plan: dict[str, Any], world: World) -> dict[str, list[str]]:
    """Preview of ``block-source``."""
    args = _args(plan, "nft") or {}
    one = net.network(args["source"], "source")
    cut_off, count = _flows(_args(plan, "flows"), world)
    problems = []
    if net_look.real(world):
        try:
            there = nft.table(world, "inet", net_rules.SOURCE)
            problems = _tried(net_source.block(one, args["expires_s"], there), world)
            if str(one) in net_source.elements(there):
                problems.append("it is blocked already by another request")
        except StepFailed as error:
            problems.append(str(error))
    effect = [
        f"nothing comes from {one} and nothing goes there, for {args['expires_s']} s",
        _dead_man(args["armed_s"], params["confirm_s"]),
        f"{one.num_addresses} addresses" if one.num_addresses > 1 else "one address",
    ]
    return {
        "effect": [*problems, *effect, *_list(count)],
        "residual": ["who attacks may come back from another address"],
        "cut_off": cut_off,
        "remains": [],
    }


def _list(line: str) -> list[str]:
    return [line] if line else []
