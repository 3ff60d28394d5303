"""Digest of the firewall: what its rules are, without what changes by itself."""

from __future__ import annotations

import json
import os
import stat
import time

from ..digest import sha256_hex
from ..place import Place, slurp_all, words
from .child import KILLED, SECONDS, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    Step = tuple[Any, ...]

ADMIN = "CAP_NET_ADMIN (tier 2)"
SNAPSHOT = "/run/watchfloor/firewall.json"
SNAPSHOT_S = 600
MAX_LISTING = 8 << 20
GUARDS = frozenset(("watchfloor", "watchfloor_l2", "watchfloor_inbound", "watchfloor_source"))
"""Tables that the guard makes and takes away: what stands there is told by the guard itself."""


def normalised(raw: bytes) -> tuple[str, int]:
    """Digest and number of rules of ``nft -j list ruleset``, without what changes by itself.

    Raises ValueError where it is not that.
    """
    listing = json.loads(raw or b'{"nftables": []}')
    items = listing.get("nftables") if isinstance(listing, dict) else None
    if not isinstance(items, list):
        raise ValueError("not a listing of nftables")
    kept = [item for item in items if not (isinstance(item, dict) and _passing(item))]
    rules = sum(isinstance(item, dict) and "rule" in item for item in kept)
    text = json.dumps(_without_counts(kept), sort_keys=True, separators=(",", ":"))
    return sha256_hex(text.encode()), rules


def _passing(item: dict[str, Any]) -> bool:
    """What says nothing of the host's own rules: the listing's head, and the guard's tables."""
    if "metainfo" in item:
        return True
    for kind, inner in item.items():
        if isinstance(inner, dict):
            table = inner.get("name") if kind == "table" else inner.get("table")
            if isinstance(table, str) and table in GUARDS:
                return True
    return False


def _without_counts(item: Any) -> Any:
    if isinstance(item, dict):
        out: dict[str, Any] = {
            k: _without_counts(v) for k, v in item.items() if k not in ("handle", "packets")
        }
        if "counter" in out:
            out["counter"] = None
        if "set" in out and isinstance(out["set"], dict) and "timeout" in out["set"]:
            out["set"].pop("elem", None)  # elements that come and go by themselves
        return out
    if isinstance(item, list):
        return [_without_counts(inner) for inner in item]
    return item


def _snapshot(place: Place) -> bytes | None:
    """The firewall rules as the timer of tier 2 wrote them, where they are fresh and root's."""
    path = place.path(SNAPSHOT)
    try:
        facts = os.lstat(path)
        own = stat.S_ISREG(facts.st_mode) and facts.st_uid == 0 and not facts.st_mode & 0o022
        if own and time.time() - facts.st_mtime < SNAPSHOT_S:
            return slurp_all(path, 16 << 20)
    except OSError:
        pass
    return None


def firewall(place: Place) -> Generator[Step, None, dict[str, Any]]:
    """Digest, number of rules and backend; ``denied`` says why there is none."""
    raw = _snapshot(place)
    if raw is None:
        done = yield from run(["nft", "-j", "list", "ruleset"], limit=MAX_LISTING)
        if done is None or _lacks_tables(done[2]):
            return (yield from _iptables())
        if done[0] != 0:
            yield ("denied", "digests.firewall", _why("nft", done))
            return {}
        raw = done[1]
    try:
        digest, rules = normalised(raw)
    except (ValueError, RecursionError):
        yield ("denied", "digests.firewall", "a listing of nft that is JSON and whole")
        return {}
    yield ("denied", "digests.firewall", None)
    return {"firewall": digest, "firewall_rules": rules, "firewall_backend": "nft"}


def _lacks_tables(errors: bytes) -> bool:
    """The kernel has no nf_tables: there can be no rules of that kind."""
    return b"not supported" in errors or b"Protocol not available" in errors


def _why(program: str, done: tuple[int, bytes, bytes]) -> str:
    told = done[2].decode("utf-8", "replace")
    if done[0] == KILLED:
        return f"a firewall that {program} lists in {SECONDS:g} s and {MAX_LISTING >> 20} MiB"
    if "not permitted" in told or "ermission denied" in told or os.geteuid():
        return ADMIN
    return f"{program} that works: {words(told.strip(), 200)}"


def _iptables() -> Generator[Step, None, dict[str, Any]]:
    texts = []
    for program in ("iptables-save", "ip6tables-save"):
        done = yield from run([program], limit=MAX_LISTING)
        if done is None:
            continue
        if done[0] != 0:
            yield ("denied", "digests.firewall", _why(program, done))
            return {}
        texts += [
            line
            for line in done[1].decode("utf-8", "replace").split("\n")
            if line and line[:1] != "#"
        ]
    yield ("denied", "digests.firewall", None)
    if not texts:
        return {"firewall": "", "firewall_rules": 0, "firewall_backend": "none"}
    plain = [line.split(" [")[0] if line[:1] == ":" else line for line in texts]
    rules = sum(line.startswith("-A") for line in plain)
    digest = sha256_hex("\n".join(plain).encode())
    return {"firewall": digest, "firewall_rules": rules, "firewall_backend": "iptables"}
