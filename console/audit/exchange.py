"""Files that leave and come back: a host's log with its checkpoint, and checkpoints for a peer.

A log file is one line of JSON (``kind``, ``host``, ``checkpoint``, ``state``) and then the records
as they are; a bare ``log.jsonl`` is read too. A peer's file is one JSON object a line.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from console.audit.checkpoint import BadCheckpoint, Checkpoint, read
from console.audit.cosign import Cosigner
from console.audit.records import MAX_BYTES, MAX_LINES, as_line
from console.audit.trust import chain_of
from console.audit.verify import Material
from console.errors import UsageError

LOG, PEER = "watchfloor-audit-log", "watchfloor-checkpoints"
MAX_PEER = 1_000_000


def write_log(path: Path, material: Material) -> None:
    """Write a log so that ``read_log`` gives the same again. Raises UsageError."""
    head = {
        "kind": LOG, "v": 1, "host": material.host,
        "checkpoint": material.checkpoint.decode("utf-8", "replace"), "state": material.state,
        "chain": [{"text": c.text, "signatures": c.signatures} for c in material.chain.values()],
    }  # fmt: skip
    _write(path, [msgspec.json.encode(head), *(_shown(line) for line in material.lines)])


def _shown(line: bytes) -> bytes:
    from console.hostside.guard.audit.log import shown

    return shown(line).encode()


def read_log(path: Path, host: str) -> Material:
    """A log as ``write_log`` or a guard wrote it. Raises UsageError."""
    lines = _read(path)
    head: Any = None
    if lines:
        try:
            head = msgspec.json.decode(lines[0])
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            head = None
    if not isinstance(head, dict) or head.get("kind") != LOG:
        return Material(host, lines)
    try:
        records = [as_line(line.decode("utf-8", "replace")) for line in lines[1:]]
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    checkpoint, state = head.get("checkpoint"), head.get("state")
    return Material(
        host,
        records,
        checkpoint.encode("utf-8", "replace") if isinstance(checkpoint, str) else b"",
        state if isinstance(state, dict) else None,
        chain_of(_list(head.get("chain"))),
    )


def write_peer(path: Path, cosigner: Cosigner, found: Iterable[tuple[str, Checkpoint, int]]) -> int:
    """Write checkpoints for a peer: host, checkpoint, and when this console proved it to be a
    prefix of the log (0: never, then it bears no cosignature). How many. Raises UsageError."""
    lines = [msgspec.json.encode({"kind": PEER, "v": 1, "witness": cosigner.vkey})]
    for host, seen, proved in found:
        row = {"host": host, "body": seen.body, "signature": seen.signature}
        if proved:
            row["note"] = cosigner.note(seen.body, proved)
        lines.append(msgspec.json.encode(row))
    _write(path, lines)
    return len(lines) - 1


def read_peer(path: Path) -> list[Checkpoint]:
    """Checkpoints of a peer's file, each with a signature that holds. Raises UsageError."""
    lines = _read(path)
    found = []
    for number, line in enumerate(lines, 1):
        try:
            row = msgspec.json.decode(line)
            if not isinstance(row, dict):
                raise BadCheckpoint("it is no object")
            if number == 1 and row.get("kind") == PEER:
                continue
            found.append(read(row))
        except (BadCheckpoint, msgspec.MsgspecError, RecursionError, UnicodeError) as bad:
            raise UsageError(
                f"{path}, line {number}: no checkpoint: {bad}",
                hint="Ask the peer for a new one: watchfloor audit checkpoints -o FILE",
            ) from None
        if len(found) > MAX_PEER:
            raise UsageError(f"{path} has more than {MAX_PEER:,} checkpoints")
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _read(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES or data.count(b"\n") > MAX_LINES:
        raise UsageError(f"{path} is larger than an audit log can be")
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return lines


def _write(path: Path, lines: Iterable[bytes]) -> None:
    """Atomic, and for nobody else's eyes: parameters of actions are in it."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(line + b"\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
