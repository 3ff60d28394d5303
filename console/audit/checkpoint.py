"""Checkpoints of a host's log: C2SP tlog-checkpoint bodies signed by the host's audit key."""

import base64
import binascii
import re
from typing import Any

import msgspec

from console.audit.signatures import BadSignature, check

NAMESPACE = "checkpoint-v1@watchfloor"
MAX_BODY = 1024
_BODY = re.compile(r"([!-~]{1,200})\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n")


class BadCheckpoint(Exception):
    """It is no checkpoint. The text says why."""


class Checkpoint(msgspec.Struct, frozen=True):
    """A body as it was signed, what it says, and the key that signed it (an SSH blob)."""

    origin: str
    size: int
    root: bytes
    body: str
    signature: str
    key: bytes

    def dump(self) -> bytes:
        """As the guard writes it: ``{"body", "signature"}``."""
        return msgspec.json.encode({"body": self.body, "signature": self.signature})


def read(data: bytes | dict[str, Any]) -> Checkpoint:
    """A checkpoint as the guard publishes it. Raises BadCheckpoint, also where its signature does
    not hold; whose key it is stays for the caller to judge."""
    try:
        found = msgspec.json.decode(data) if isinstance(data, bytes) else data
        body, signature = found["body"], found["signature"]
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError, RecursionError):
        raise BadCheckpoint("it is no object with body and signature") from None
    if not isinstance(body, str) or not isinstance(signature, str) or len(body) > MAX_BODY:
        raise BadCheckpoint("body or signature is no text")
    match = _BODY.fullmatch(body)
    if match is None:
        raise BadCheckpoint("its body is no tlog-checkpoint of three lines")
    try:
        root = binascii.a2b_base64(match[3], strict_mode=True)
    except binascii.Error:
        raise BadCheckpoint("its root is not base64") from None
    if base64.b64encode(root).decode() != match[3]:
        raise BadCheckpoint("its root is not in canonical base64")
    try:
        signed = check(signature, NAMESPACE, body.encode())
    except BadSignature as bad:
        raise BadCheckpoint(f"its signature: {bad}") from None
    return Checkpoint(match[1], int(match[2]), root, body, signature, signed.key)
