"""What the steps of a plan change on a host, as things that two requests can have in common.

A thing is a list of texts, the kind first: ``["unit", "vllm.service"]``. Steps that change nothing
that lasts (``verify``, ``flows``, ``collect``, …) have none; the step of a release has none of its
own.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Thing = list[str]


def of(steps: list[dict[str, Any]]) -> list[Thing]:
    """The things of a plan's steps, each once, whatever they do to them."""
    found: list[Thing] = []
    for item in steps:
        for thing in _of(item["kind"], item["args"]):
            if thing not in found:
                found.append(thing)
    return found


def _of(kind: str, args: dict[str, Any]) -> list[Thing]:
    if kind == "nft":  # a table of ours, or one source in it
        return [["nft", str(args.get("table", "")), str(args.get("source", ""))]]
    if kind == "firewall":
        return [["firewall"]]
    if kind == "unit":
        return [["unit", args["name"]]]
    if kind == "account":
        return [["account", args["user"]]]
    if kind == "gateway":  # a block and a limit of one client are kept and undone apart
        return [["gateway", args["unit"], args["key"], args["op"]]]
    if kind == "link":
        return [["model", args["root"], args["model"]], ["unit", args["service"]]]
    if kind == "rename":
        return [["path", args["from"]], ["path", args["to"]]]
    if kind in ("file", "destroy"):
        return [["path", args["path"]]]
    if kind == "trust":
        return [["trust", args["what"]]]
    return []


def same(one: list[Thing], other: list[Thing]) -> bool:
    """Whether they have a thing in common; a folder is also what is in it."""
    return any(a == b or _within(a, b) or _within(b, a) for a in one for b in other)


def _within(inner: Thing, outer: Thing) -> bool:
    return inner[0] == outer[0] == "path" and inner[1].startswith(outer[1].rstrip("/") + "/")


def alike(one: list[Thing], other: list[Thing]) -> bool:
    """The same, but a prefix is also every source in it: whoever blocks it again and again may
    not do so by another length of it."""
    if same(one, other):
        return True
    return any(_overlap(a, b) for a in one for b in other)


def _overlap(one: Thing, other: Thing) -> bool:
    if one[0] != "nft" or one[:2] != other[:2] or not (one[2] and other[2]):
        return False
    import ipaddress

    a, b = ipaddress.ip_network(one[2]), ipaddress.ip_network(other[2])
    return a.version == b.version and a.overlaps(b)
