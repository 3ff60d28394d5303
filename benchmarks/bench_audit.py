"""``watchfloor audit verify`` over 100,000 records, and what one record costs the guard."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from console.audit.checkpoint import read
from console.audit.signatures import check
from console.audit.verify import Material, Remembered, verify
from console.hostside.guard.audit.log import write
from tests.support.auditlog import BOOT, Host

RECORDS = 100_000
ACTIONS = 250  # isolations with their releases: four signatures each
REFUSED = {
    "boot": BOOT, "ev": "refused", "rid": "", "count": 12, "rule": "same-person",
    "words": "both signatures are of one person",
}  # fmt: skip


def _chained(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    prev = ""
    for seq, row in enumerate(rows):
        line = write({**row, "prev": prev, "seq": seq})
        prev = hashlib.sha256(line).hexdigest()
        yield line


def _log(host: Host, records: int, actions: int) -> list[bytes]:
    """Actions by two people, and counted refusals between them."""
    import json

    host.enrol()
    for number in range(actions):
        rid = host.isolate(2 * number)
        host.release(rid, 2 * number + 1)
    whole = [json.loads(line) for line in host.lines]
    share = (records - len(whole)) // actions + 1
    left = records - len(whole)

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal left
        for at, row in enumerate(whole):
            yield row
            count = min(left, share) if at % 7 == 1 else 0
            left -= count
            for _ in range(count):
                yield {**REFUSED, "t": row["t"]}

    return list(_chained(rows()))


def _append(host: Host, count: int) -> float:
    """Milliseconds of one appended record, on the disk."""
    began = time.perf_counter()
    for number in range(count):
        host.log.append("submit", "r", {"n": number})
    return (time.perf_counter() - began) * 1000 / count


def _sha256(lines: list[bytes]) -> float:
    """Seconds that hashing alone takes, twice a line: what no verifier can get below."""
    began = time.perf_counter()
    for line in lines:
        hashlib.sha256(line).digest()
        hashlib.sha256(line).digest()
    return time.perf_counter() - began


def run(quick: bool) -> list[dict[str, Any]]:
    """Three rows: verification, one record, one checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder))
        lines = _log(host, RECORDS, ACTIONS)
        host.path.write_bytes(b"".join(line + b"\n" for line in lines))
        for name in ("edge", "index"):
            (host.path.parent / name).unlink(missing_ok=True)
        host.log = host.anew()
        signed = host.checkpoint()
        known = {hashlib.sha256(data).hexdigest() for data in (host.roster, host.policy)}
        kept = Remembered(key=host.blob, checkpoints=[read(signed)], rosters=known)
        material = Material("gpu01", lines, signed, {"active": []})
        best = 1e9
        for _ in range(2 if quick else 4):
            check.cache_clear()
            report = verify(material, kept)
            assert report.code == 0, report.wrong[:3]
            best = min(best, report.seconds)
        hashed = _sha256(lines)
        record = _append(host, 100 if quick else 500)
        began = time.perf_counter()
        host.log.checkpoint()
        checkpoint = (time.perf_counter() - began) * 1000
        began = time.perf_counter()
        argv = ["ssh-keygen", "-Y", "sign", "-n", "x", "-f", str(host.key)]
        subprocess.run(argv, input=b"x", capture_output=True, check=True)
        bare = (time.perf_counter() - began) * 1000
    name = f"`audit verify` of {report.records:,} records, {report.signatures:,} signatures"
    return [
        {"name": name, "ours": best, "unit": "s", "other": hashed, "versus": "s, hashing alone",
         "ratio": best / hashed, "reach": "under 1 s", "ok": best < 1},
        {"name": "one audit record, on the disk", "ours": record, "unit": "ms",
         "reach": "under 2 ms", "ok": record < 2},
        {"name": "one signed checkpoint", "ours": checkpoint, "unit": "ms", "other": bare,
         "versus": "ms, ssh-keygen alone", "ratio": checkpoint / bare, "reach": "under 20 ms",
         "ok": checkpoint < 20},
    ]  # fmt: skip
