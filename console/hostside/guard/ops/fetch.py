"""``fetch``: a part of an evidence pack, to a person who has signed for it.

A pack may hold secrets, so the login of operators alone is not enough; and who takes evidence away
stands in the audit log, which is the first link of its chain of custody.
"""

from __future__ import annotations

import os

from ..refused import Refused
from ..state import checks
from ..trust import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from ..trust.signed import Signed

PART = 256 << 10
ACTION = "collect-evidence"
MAX_KNOWN = 64  # documents that are still good; each lives 15 min at most


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """``data`` from ``offset`` on in base64, the ``size`` and the ``sha256`` of the whole."""
    from base64 import b64encode

    text = checks.text(envelope, "fetch", 8192)
    signature = checks.text(envelope, "signature", 4096)
    offset = envelope.get("offset", 0)
    if type(offset) is not int or not 0 <= offset < 2**53:
        raise Refused("envelope", "fetch takes an offset in bytes")
    doc = documents.fetch(text.encode())
    # No PIN is asked of somebody who changes nothing; the key is looked at as always.
    by = checks.signature_of(g, text, signature, "fetch", False, doc["by"])
    _may(g, by.person)
    checks.approval_times(g, doc)
    name = f"{doc['request_sha256']}.tar.gz"
    try:
        handle = g.files.handle(f"{g.place.state}/evidence/{name}")
    except FileNotFoundError:
        raise Refused("no-evidence", "no evidence of this request is kept here") from None
    try:
        size = os.fstat(handle).st_size
        digest = _once(g, text, signature, doc, by, handle, size)
        data = os.pread(handle, PART, offset)
    finally:
        os.close(handle)
    return {"data": b64encode(data).decode(), "offset": offset, "size": size, "sha256": digest,
            "name": name}  # fmt: skip


def _may(g: Guard, person: str) -> None:
    if not any(g.roster.may(person, ability, ACTION) for ability in ("request", "approve")):
        raise Refused(
            "role",
            f"{person} may neither ask for {ACTION} nor approve it",
            "ask somebody whose role allows it",
        )


def _once(
    g: Guard, text: str, signature: str, doc: dict[str, Any], by: Signed, handle: int, size: int
) -> str:
    """Record who takes it before the first byte leaves, once for each document; its sha256."""
    from hashlib import sha256

    path, key, now = (
        f"{g.place.state}/fetched.json",
        sha256(text.encode()).hexdigest(),
        g.clock.now(),
    )
    try:
        known = g.files.read_json(path, 64 << 10)
    except FileNotFoundError:
        known = {}
    if key in known and known[key]["size"] == size:
        return str(known[key]["sha256"])
    whole, at = sha256(), 0
    while part := os.pread(handle, 1 << 20, at):
        whole.update(part)
        at += len(part)
    digest = whole.hexdigest()
    facts = {"fetch": text, "signature": signature, "by": by.person, "key_id": by.key_id,
             "uv": by.uv, "counter": by.counter, "sha256": digest, "size": size,
             "caller": g.caller.facts()}  # fmt: skip
    g.record("fetched", doc["request_sha256"], facts)
    known = {each: kept for each, kept in known.items() if kept["expires"] > now}
    known = dict(sorted(known.items(), key=lambda item: item[1]["expires"])[-MAX_KNOWN:])
    known[key] = {"expires": doc["expires"], "sha256": digest, "size": size}
    g.files.write_json(path, known)
    return digest
