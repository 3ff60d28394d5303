"""The table of blocked sources: one set for each prefix length, one element for each source.

Elements of several requests live beside each other; each has its own time-out in the kernel, which
is dead-man and expiry in one. Sets of single prefixes cannot overlap, unlike sets of intervals.
"""

from __future__ import annotations

from . import net
from .rules import SOURCE, resets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HOOKS = ("prerouting", "forward", "output")


def set_name(one: net.Network) -> str:
    """``v4_24``: the set that a prefix belongs to."""
    return f"v{one.version}_{one.prefixlen}"


def _sets(listing: list[Any]) -> dict[str, Any]:
    """Name -> set, of ``nft -j list table inet watchfloor_source``."""
    found = {}
    for item in listing:
        one = item.get("set") if isinstance(item, dict) else None
        if isinstance(one, dict) and _length(str(one.get("name"))) is not None:
            found[str(one["name"])] = one
    return found


def _length(name: str) -> tuple[int, int] | None:
    import re

    match = re.fullmatch(r"v([46])_([0-9]{1,3})", name)
    if match is None or int(match[2]) > (32 if match[1] == "4" else 128):
        return None
    return int(match[1]), int(match[2])


def elements(listing: list[Any]) -> dict[str, int]:
    """Source -> seconds until it expires (0: never), of a listing as JSON."""
    import ipaddress

    found = {}
    for name, one in _sets(listing).items():
        _, length = _length(name) or (0, 0)
        for entry in one.get("elem") or []:
            inner = entry.get("elem") if isinstance(entry, dict) else None
            told = inner if isinstance(inner, dict) else {"val": entry}
            try:
                source = ipaddress.ip_network(f"{told.get('val')}/{length}")
            except ValueError:
                continue
            found[str(source)] = int(told.get("expires") or 0)
    return found


def complete(listing: list[Any], one: net.Network) -> bool:
    """Whether every hook has its rule for the set of this source."""
    wanted = f'"@{set_name(one)}"'
    import json

    rules = [item["rule"] for item in listing if isinstance(item, dict) and "rule" in item]
    hooks = {str(rule.get("chain")) for rule in rules if wanted in json.dumps(rule)}
    return hooks >= set(_HOOKS)


def block(one: net.Network, seconds: int, listing: list[Any]) -> str:
    """The transaction that blocks a source for so many seconds.

    ``listing``: the table as it is. Added, deleted and added, because an element that is there
    keeps its time-out, and one that has just expired cannot be deleted.
    """
    names = sorted({*_sets(listing), set_name(one)})
    lines = [f"add table inet {SOURCE}"]
    for hook in _HOOKS:
        body = f"{{ type filter hook {hook} priority -311; policy accept; }}"
        lines += [f"add chain inet {SOURCE} {hook} {body}", f"flush chain inet {SOURCE} {hook}"]
    for name in names:
        kind = "ipv4_addr" if name.startswith("v4") else "ipv6_addr"
        lines.append(f"add set inet {SOURCE} {name} {{ type {kind}; flags timeout; }}")
    lines += [f"add rule inet {SOURCE} output {reset}" for reset in resets()]
    for name in names:
        for hook in _HOOKS:
            lines.append(f"add rule inet {SOURCE} {hook} {_match(name, hook)} drop")
    element = f"inet {SOURCE} {set_name(one)} {{ {one.network_address}"
    lines += [
        f"add element {element} timeout {seconds}s }}",
        f"delete element {element} }}",
        f"add element {element} timeout {seconds}s }}",
    ]
    return "\n".join(lines) + "\n"


def _match(name: str, hook: str) -> str:
    """The addresses of one set: where packets come from, and where they go when they leave."""
    import ipaddress

    version, length = _length(name) or (4, 32)
    word = "ip" if version == 4 else "ip6"
    side = "saddr" if hook == "prerouting" else "daddr"
    full = 32 if version == 4 else 128
    if length == full:
        return f"{word} {side} @{name}"
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    mask = kind(((1 << length) - 1) << (full - length))
    return f"{word} {side} & {mask} @{name}"


def unblock(one: net.Network, listing: list[Any]) -> str:
    """The transaction that lets a source in again; the table goes with its last element.

    Empty where there is nothing to do.
    """
    there = elements(listing)
    if not _sets(listing):
        return ""
    if set(there) <= {str(one)}:
        return f"add table inet {SOURCE}\ndelete table inet {SOURCE}\n"
    if str(one) not in there:
        return ""
    element = f"inet {SOURCE} {set_name(one)} {{ {one.network_address} }}"
    return f"add element {element}\ndelete element {element}\n"
