"""What the probe may see: an index of documents, each under its digest.

Written below ``/run`` after every change, for the group of the probe's account. A document is
there before the index names it, so a reader never finds a name without its bytes.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256

from ..refused import Refused
from .spool import JOURNAL, SPOOL, STANDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .spool import Entry

GROUP = "wfmon"
TAIL = 64
MAX_RESULT = 8 << 10


def public(g: Guard, entry: Entry) -> dict[str, Any]:
    """An entry as telemetry shows it."""
    waits = [each["at"] for each in entry.get("needs", {}).values() if each]
    result = entry.get("result", {})
    if len(json.dumps(result)) > MAX_RESULT:
        result = {"cut": True}
    shown = {
        "id": entry["id"],
        "action": entry["action"],
        "params": entry["params"],
        "state": entry["state"],
        "mode": entry["mode"],
        "requester": entry["requester"],
        "approvers": [each["by"] for each in entry["decisions"] if each["verdict"] == "approve"],
        "since": entry.get("since", entry["received"]),
        "deadline": min(waits) if waits else 0,
        "needs": sorted(entry.get("needs", {})),
        "ttl_until": entry.get("ttl", {}).get("at", 0) if entry.get("ttl") else 0,
        "progress": entry.get("progress", {"done": 0, "total": 0, "words": ""}),
        "result": result,
        "holds": entry.get("holds", True),
        "same_console": entry["same_console"],
    }
    for name in ("why", "trouble", "unrecorded", "lost"):
        if entry.get(name):
            shown[name] = entry[name]
    return shown


def envelope(entry: Entry) -> dict[str, Any]:
    """A request that others may decide, in the texts that were received."""
    shown = {
        key: entry[key]
        for key in ("request", "signature", "binding", "received", "state", "preview")
    }
    shown["same_console"] = entry["same_console"]
    shown["decisions"] = [
        {"decision": each["decision"], "signature": each["signature"]}
        for each in entry["decisions"]
    ]
    return shown


def state(g: Guard) -> dict[str, Any]:
    """The state document: what is applied and stands, and what the newest others came to."""
    active = [public(g, entry) for entry in g.store.all(JOURNAL) + g.store.all(STANDING)]
    trust: dict[str, Any] = {"roster": "", "policy": "", "serials": [0, 0], "warnings": []}
    try:
        trust["roster"], trust["policy"] = g.trust[:64], g.trust[64:]
        trust["serials"] = [g.roster.serial, g.policy.serial]
    except Refused as error:
        trust["warnings"] = [error.words]
    trust["warnings"] += [f"damaged and not used: {name}" for name in sorted(g.store.damaged)]
    trust["warnings"] += [f"could not be worked on: {rid[:12]}" for rid in sorted(g.store.failed)]
    from .breakglass import unreviewed

    return {
        "kind": "state",
        "v": 1,
        "host_id": g.host_id,
        "boot_id": g.clock.boot_id,
        "guard": g.digest,
        "effector": g.effector,
        "now": g.clock.now(),
        "active": active,
        "closed": g.store.closed(),
        "isolation": _isolation(active),
        "breakglass": unreviewed(g),
        **trust,
    }


def _isolation(active: list[dict[str, Any]]) -> str:
    found = [each for each in active if each["action"] == "isolate"]
    if not found:
        return ""
    if not all(each["holds"] for each in found):
        return "lost"
    return str(found[-1]["state"]).lower()


def write(g: Guard) -> bool:
    """Publish; False where it cannot be done now. The host is as it is either way."""
    try:
        _write(g)
    except (OSError, Refused):
        return False
    return True


def _write(g: Guard) -> None:
    g.log.ahead()
    docs: list[tuple[str, bytes]] = []
    for entry in g.store.all(SPOOL) + g.store.all(JOURNAL):
        if entry["state"] in ("PENDING", "APPROVED") or "ratify" in entry.get("needs", {}):
            docs.append(("request", _bytes(envelope(entry))))
    docs.append(("state", _bytes(state(g))))
    group = _folder(g)
    folder = f"{g.place.public}/docs"
    index = [_doc(g, folder, group, kind, data) for kind, data in docs]
    checkpoint = g.log.flush()
    if checkpoint:
        index.append(_doc(g, folder, group, "checkpoint", _bytes(dict(checkpoint))))
    index.append(_doc(g, folder, group, "tail", _bytes({"records": g.log.tail(TAIL)})))
    g.files.write(f"{g.place.public}/index.json", _bytes({"docs": index}), 0o640, group, False)
    named = {each["sha256"] for each in index}
    for name in os.listdir(folder):
        if name not in named:
            g.files.remove(f"{folder}/{name}")


def _doc(g: Guard, folder: str, group: int, kind: str, data: bytes) -> dict[str, Any]:
    """Write a document where it is not there; its line of the index."""
    digest = sha256(data).hexdigest()
    if not os.path.lexists(f"{folder}/{digest}"):
        g.files.write(f"{folder}/{digest}", data, 0o640, group, False)
    return {"sha256": digest, "size": len(data), "kind": kind}


def _folder(g: Guard) -> int:
    """The group that may read, with its folders made where a reboot removed them."""
    top = g.place.public
    for path in (top, f"{top}/docs"):
        if os.path.lexists(path):
            g.files.folder(path)
            continue
        g.files.folder(path, 0o750)
        group = _group(g)
        if group >= 0:
            os.chown(path, -1, group)
        os.chmod(path, 0o750)  # noqa: S103  (the probe's group reads it)
    return os.stat(top).st_gid if os.geteuid() == 0 else -1


def _group(g: Guard) -> int:
    if g.place.base or os.geteuid():
        return -1
    import grp

    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return -1


def _bytes(doc: dict[str, Any]) -> bytes:
    return json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )
