"""Step ``nft``: a table of ours as a whole, in one transaction, with or without a dead-man."""

from __future__ import annotations

import os

from ..network import look as net_look
from ..network import net, nft
from ..network import rules as net_rules
from ..refused import Refused
from ..world import World
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SEALS = "/run/watchfloor/guard"
_ARGS = {
    "isolate": {
        "armed_s": int, "destroy": bool, "dhcp": str, "interfaces": list, "mgmt": list,
        "port": int, "table": str,
    },
    "inbound": {
        "armed_s": int, "mgmt": list, "ports": list, "table": str, "translated": bool,
    },
    "source": {"armed_s": int, "expires_s": int, "source": str, "table": str},
}  # fmt: skip


class Nft(Step):
    """``args["table"]`` says which: ``isolate``, ``inbound`` or ``source``.

    ``armed_s``: seconds until the kernel takes it back by itself, 0 for never. The rules are
    written here from the other arguments, which are typed and parsed again.
    """

    kind = "nft"

    def check(self, args: dict[str, Any]) -> None:
        """Types, and that rules can be written from it. Raises Refused."""
        known = _ARGS.get(args.get("table", "")) if type(args.get("table")) is str else None
        if known is None or set(args) != set(known):
            raise Refused("step", "the step nft has not the arguments it takes")
        for name, kind in known.items():
            if type(args[name]) is not kind:
                raise Refused("step", f"the argument {name} of the step nft is not {kind.__name__}")
        net.whole(args["armed_s"], 0, 3600, "armed_s")
        if args["table"] == "source":
            net.whole(args["expires_s"], 60, 604_800, "expires_s")
            net.network(args["source"], "source")
        else:
            if len(args.get("interfaces", [])) > net_rules.MAX_INTERFACES:
                raise Refused("step", "more interfaces than rules are written for")
            text(args, list(args.get("interfaces", [])), 60)

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which table, who still comes through, what is dropped, and the kernel's dead-man."""
        if args["table"] == "source":
            lines = [
                f"the kernel drops all that comes from {args['source']} and all that goes there, "
                f"on every port (table inet {net_rules.SOURCE})",
                f"the kernel lets it in again by itself after {args['expires_s']} s",
            ]
        elif args["table"] == "inbound":
            lines = _inbound_words(args)
        else:
            lines = _isolation_words(args)
        if args["armed_s"]:
            after = args["armed_s"] + net_rules.GRACE_S
            lines.append(f"dead-man: the kernel undoes it {after} s later unless it is confirmed")
        else:
            lines.append("no dead-man in the kernel: it stays though nobody confirms it")
        return lines

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """``there``: somebody's work is in the place already. For a source also ``until``."""
        self.check(args)
        if args["table"] == "source":
            from . import nft_source

            return nft_source.look(args, world)
        main = _tables(args)[0]
        items = nft.table(world, *main)
        return {"there": bool(nft.set_elements(items, "armed"))}

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Apply it, the dead-man armed. Interfaces that are gone are left out and named."""
        self.check(args)
        if before["there"]:
            raise StepFailed(TAKEN[args["table"]])
        if args["table"] == "source":
            from . import nft_source

            return nft_source.do(args, before, world)
        present = _present(args, world)
        world.mark("nft before")
        nft.apply(text(args, present, args["armed_s"]), world)
        world.mark("nft applied")
        _seal(args, present, world)
        wanted = args.get("interfaces", [])
        return {"missing": [name for name in wanted if name not in present]}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Take our table away; that of another request stays."""
        self.check(args)
        if before["there"]:
            return
        if args["table"] == "source":
            from . import nft_source

            nft_source.undo(args, world)
            return
        mark = net_rules.marker(args)
        mine = [each for each in _tables(args) if mark in nft.chains(nft.table(world, *each))]
        world.mark("nft before undo")
        if mine:
            nft.apply(net_rules.removed(mine), world)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether the rules are as they were applied, and armed. False where they are not, or
        where an interface of the plan has come (back) that they do not guard."""
        self.check(args)
        if args["table"] == "source":
            from . import nft_source

            return nft_source.holds(args, before, world)
        try:
            now = _state(args, _present(args, world), world)
            with open(_seal_path(args, world), "rb") as file:
                return now != "" and file.read(256).decode("ascii", "replace") == now
        except (OSError, StepFailed):
            return False

    def confirm(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Take the time-outs away. Raises StepFailed where they have run out."""
        self.hold(args, before, 0, world)

    def hold(
        self, args: dict[str, Any], before: dict[str, Any], seconds: int, world: World
    ) -> None:
        """Let them run ``seconds`` from now, 0 for ever, in one transaction: no packet slips
        through. Raises StepFailed where they have run out."""
        self.check(args)
        if args["table"] == "source":
            from . import nft_source

            nft_source.hold(args, before, seconds, world)
            return
        (family, table), *more = _tables(args)
        items = nft.table(world, family, table)
        if not nft.set_elements(items, "armed") or net_rules.marker(args) not in nft.chains(items):
            raise StepFailed("already reverted: nobody confirmed in time, the host was let go")
        present = []
        if more:
            present = [name for name in _guarded(world) if name in _present(args, world)]
        world.mark("nft before confirm")
        nft.apply(net_rules.held(present, table, seconds), world)


def _isolation_words(args: dict[str, Any]) -> list[str]:
    tables = " and ".join(f"{family} {name}" for family, name in _tables(args))
    wires = ", ".join(args["interfaces"])
    lines = [
        f"this host is cut off: the kernel drops what comes in, goes out and is passed on, IPv4 "
        f"and IPv6 (table {tables})",
        f"stays reachable: SSH on port {args['port']} from {', '.join(args['mgmt'])}",
        "still passes: loopback, neighbour discovery, errors about packet sizes, empty resets",
        f"raw frames that leave by {wires} are dropped too, all but ARP"
        if wires
        else "raw frames are not dropped: no interface is named for them",
        "DHCP is dropped" if args["dhcp"] == "none" else f"DHCP with {args['dhcp']} still passes",
    ]
    if not args["destroy"]:
        lines.append(
            "open connections are not ended at once, as this kernel cannot: those of TCP are reset "
            "as soon as this host sends"
        )
    return lines


def _inbound_words(args: dict[str, Any]) -> list[str]:
    ports = ", ".join(str(port) for port in args["ports"])
    containers = "too" if args["translated"] else "not, as none are published"
    return [
        f"nobody reaches port {ports} of this host by TCP or UDP, and nothing is sent from there "
        f"(table inet {net_rules.INBOUND})",
        f"still comes through: loopback, and {', '.join(args['mgmt'])}",
        f"ports of containers that are published under these are cut off {containers}",
        "all other ports, and what this host opens itself, are left alone",
    ]


TAKEN = {
    "isolate": "this host is isolated already by another request: release that one first",
    "inbound": "the model services are cut off already by another request: release that one first",
    "source": "this source is blocked already by another request: release that one first",
}


def text(args: dict[str, Any], present: list[str], seconds: int) -> str:
    """The transaction of a table that is replaced as a whole."""
    if args["table"] == "isolate":
        return net_rules.isolation(args, present, seconds)
    return net_rules.inbound(args, seconds)


def _tables(args: dict[str, Any]) -> list[tuple[str, str]]:
    if args["table"] == "inbound":
        return [("inet", net_rules.INBOUND)]
    main = [("inet", net_rules.ISOLATE)]
    return main + ([("netdev", net_rules.L2)] if args["interfaces"] else [])


def _present(args: dict[str, Any], world: World) -> list[str]:
    """Interfaces of the plan that the host has now: at boot some come later."""
    folder = world.path(net_look.NET)
    return [name for name in args.get("interfaces", []) if os.path.exists(f"{folder}/{name}")]


def _guarded(world: World) -> list[str]:
    return nft.set_elements(nft.table(world, "netdev", net_rules.L2), "armed")


def _state(args: dict[str, Any], present: list[str], world: World) -> str:
    """Digest of our tables as they are; empty where they are not there, not armed or not ours."""
    parts = []
    for family, table in _tables(args):
        if family == "netdev" and not present:
            continue
        items = nft.table(world, family, table)
        armed = nft.set_elements(items, "armed")
        wanted = present if family == "netdev" else ["ipv4", "ipv6"]
        if set(armed) != set(wanted) or net_rules.marker(args) not in nft.chains(items):
            return ""
        parts.append(nft.digest(nft.without_elements(items)))
    return " ".join(parts)


def _seal_path(args: dict[str, Any], world: World) -> str:
    return world.path(f"{SEALS}/{_tables(args)[0][1]}")


def _seal(args: dict[str, Any], present: list[str], world: World) -> None:
    """Remember the digest of the rules as the kernel tells them, which differs between versions.

    In /run, because rules end with the boot as well; a lost file only has them applied again.
    """
    path = _seal_path(args, world)
    digest = _state(args, present, world)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path + ".new", flags, 0o600), "w") as file:
        file.write(digest)
    os.rename(path + ".new", path)
