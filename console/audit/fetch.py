"""A host's log from its guard: read in parts, with what is needed to judge it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from console.audit.checkpoint import BadCheckpoint, Checkpoint, read
from console.audit.records import MAX_BYTES, MAX_LINES, as_line
from console.audit.trust import chain_of
from console.audit.verify import Material
from console.errors import ProtocolError

Call = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Sends one envelope to one host's guard and gives its answer. Raises LinkError, or ActionError
where the guard refuses."""


FETCH_S = 600.0
"""Seconds for the whole log of one host, however many parts it comes in."""
BEYOND = 2**52  # no record has that number
MIN_PART = 64 << 10
"""Bytes of records that an answer brings at least, unless it comes to the end: a guard gives
512 KiB, and no record is longer than 400 KiB."""


async def fetch(host: str, call: Call, limit_s: float = FETCH_S) -> Material:
    """The whole log, the newest checkpoint, the state of the same moment, and the host's rosters
    and policies, within ``limit_s`` seconds. Raises what ``call`` raises, and ProtocolError."""
    try:
        async with asyncio.timeout(limit_s):
            return await _fetch(host, call)
    except TimeoutError:
        raise ProtocolError(
            f"its guard did not give its log within {limit_s:.0f} s", where=host
        ) from None


async def _fetch(host: str, call: Call) -> Material:
    before = _state(await call({"op": "status"}))
    lines: list[bytes] = []
    checkpoint: Any = None
    used = 0
    while True:
        answer = await call({"op": "audit", "from": len(lines)})
        records, size = answer.get("records"), answer.get("size")
        checkpoint = answer.get("checkpoint")
        if not isinstance(records, list) or type(size) is not int or size < 0:
            raise ProtocolError("its guard answered no records", where=host)
        try:
            part = [as_line(text) for text in records]
        except (ValueError, AttributeError):
            raise ProtocolError("its guard sent records that are no text", where=host) from None
        lines += part
        brought = sum(map(len, part))
        used += brought
        if len(lines) < size and brought < MIN_PART:
            raise ProtocolError(
                f"its guard says that it has {size:,} records and gave {len(lines):,} of them, "
                f"the last {len(part)} alone",
                where=host,
            )
        if used > MAX_BYTES or len(lines) > MAX_LINES:
            raise ProtocolError("its guard sends more records than a log can have", where=host)
        if not part or len(lines) >= size:
            break
    after = _state(await call({"op": "status"}))
    chain = await call({"op": "chain"})
    both = [*_list(chain.get("roster")), *_list(chain.get("policy"))]
    return Material(
        host,
        lines,
        msgspec.json.encode(checkpoint) if isinstance(checkpoint, dict) else b"",
        after if after is not None and _same(before, after) else None,
        chain_of(both),
        int(time.time()),
    )


async def newest(host: str, call: Call) -> Checkpoint:
    """The checkpoint that the host signs now, without its records. Raises what ``call`` raises, and
    ProtocolError."""
    answer = await call({"op": "audit", "from": BEYOND})
    try:
        return read(msgspec.json.encode(answer.get("checkpoint")))
    except BadCheckpoint as bad:
        raise ProtocolError(f"its guard shows no checkpoint: {bad}", where=host) from None


def _state(answer: dict[str, Any]) -> dict[str, Any] | None:
    found = answer.get("state")
    return found if isinstance(found, dict) else None


def _same(before: dict[str, Any] | None, after: dict[str, Any]) -> bool:
    """Whether the same was in force before and after the log was read."""
    return before is not None and _force(before) == _force(after)


def _force(state: dict[str, Any]) -> list[tuple[str, str]]:
    entries = [entry for entry in _list(state.get("active")) if isinstance(entry, dict)]
    return sorted((str(entry.get("id")), str(entry.get("state"))) for entry in entries)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
