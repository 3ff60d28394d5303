"""The program ``nft``: transactions by standard input, listings as JSON."""

from __future__ import annotations

from ..steps.base import StepFailed
from ..world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_TEXT = 4 << 20
SECONDS = 20.0


def apply(text: str, world: World) -> None:
    """One transaction: all of it or nothing. Raises StepFailed."""
    done = world.run(
        ("nft", "-f", "-"), stdin=text.encode("utf-8", "surrogateescape"), timeout=SECONDS
    )
    if done.code == 127:
        raise StepFailed("nft cannot be run on this host: install nftables")
    if done.code:
        raise StepFailed(f"nft refused the rules, nothing was changed: {first_line(done.why)}")


def wrong(text: str, world: World) -> str:
    """What the kernel and nft have against a transaction, which is not carried out; or empty."""
    done = world.run(
        ("nft", "-c", "-f", "-"), stdin=text.encode("utf-8", "surrogateescape"), timeout=SECONDS
    )
    return first_line(done.why) if done.code else ""


def listing(world: World, *what: str) -> list[Any]:
    """``nft -j list …`` without its head; empty where that table is not there.

    Raises StepFailed where it cannot be had.
    """
    import json

    done = world.run(("nft", "-j", "list", *what), timeout=SECONDS)
    if done.code and b"No such file or directory" in done.err and what[0] != "ruleset":
        return []
    if done.code:
        raise StepFailed(f"nft cannot list its rules: {first_line(done.why)}")
    try:
        items = json.loads(done.out)["nftables"]
    except (ValueError, KeyError, TypeError):
        raise StepFailed("nft gave a listing that is not whole") from None
    return [item for item in items if isinstance(item, dict) and "metainfo" not in item]


def table(world: World, family: str, name: str) -> list[Any]:
    """One table; empty where it is not there. Raises StepFailed."""
    return listing(world, "table", family, name)


def digest(items: list[Any]) -> str:
    """Digest of a listing without what changes by itself, as the probe computes it: ``firewall`` of
    its inventory is this digest over the whole rule set."""
    import hashlib
    import json

    text = json.dumps(_still(items), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _still(item: Any) -> Any:
    if isinstance(item, dict):
        out = {k: _still(v) for k, v in item.items() if k not in ("handle", "packets")}
        if "counter" in out:
            out["counter"] = None
        if "set" in out and isinstance(out["set"], dict) and "timeout" in out["set"]:
            out["set"].pop("elem", None)
        return out
    if isinstance(item, list):
        return [_still(inner) for inner in item]
    return item


def without_elements(items: list[Any]) -> list[Any]:
    """A listing without the elements of its named sets."""
    out = []
    for item in items:
        one = item.get("set")
        if isinstance(one, dict):
            item = {"set": {k: v for k, v in one.items() if k != "elem"}}
        out.append(item)
    return out


def set_elements(items: list[Any], name: str) -> list[str]:
    """The values of a named set in a listing, as texts."""
    found = []
    for item in items:
        one = item.get("set")
        if isinstance(one, dict) and one.get("name") == name:
            for entry in one.get("elem") or []:
                inner = entry.get("elem") if isinstance(entry, dict) else None
                found.append(str(inner.get("val") if isinstance(inner, dict) else entry))
    return found


def chains(items: list[Any]) -> set[str]:
    """Names of the chains in a listing."""
    return {str(item["chain"].get("name")) for item in items if "chain" in item}


def first_line(text: str) -> str:
    """What nft says first, printable and short."""
    line = text.splitlines()[0] if text else ""
    return "".join(c if c.isprintable() else "?" for c in line)[:200]
