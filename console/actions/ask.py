"""One question to a guard: the envelope out, the answer read within bounds."""

from collections.abc import Mapping
from typing import Any

import msgspec

from console.actions.around import Caller
from console.errors import ActionError, LinkError, ProtocolError
from console.model.host import Host
from console.text import clean

SIGNED = frozenset(("submit", "decide", "cancel", "start", "review"))
"""What a person has just signed goes over a connection that was prepared while they did. All else
takes a new one: a confirmation proves that new connections come through."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


async def ask(caller: Caller, host: Host, op: str, **fields: Any) -> tuple[dict[str, Any], str]:
    """The guard's answer, and the host key that this very connection verified.

    Raises ActionError where the guard refuses (its words are cleaned and its own), and LinkError
    where it was not reached or what came is no answer.
    """
    envelope = msgspec.json.encode({"op": op, **fields})
    answer = await (caller.send if op in SIGNED else caller.call)(host, envelope)
    told = read(answer.data, host.name)
    if told.get("ok") is not True:
        raise ActionError(
            word(told, "words", 400) or "refused without a reason",
            where=host.name,
            hint=word(told, "hint", 300),
            rule=word(told, "rule", 60) or "refused",
        )
    return told, answer.host_key


def read(data: bytes, host: str) -> dict[str, Any]:
    """One line of JSON with ``ok``. Raises ProtocolError."""
    try:
        told = _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        said = clean(data[:120].decode("utf-8", "replace"), 120)
        raise ProtocolError(
            f"its guard's answer is no JSON object: {said!r}",
            where=host,
            hint="Does the operators' login start the guard, and nothing beside it?",
        ) from None
    if not isinstance(told.get("ok"), bool):
        raise ProtocolError("its guard's answer does not say whether it is ok", where=host)
    return told


def word(told: Mapping[str, Any], name: str, limit: int) -> str:
    """A text of an answer, cleaned and bounded; empty where it is none."""
    value = told.get(name)
    return clean(value, limit) if isinstance(value, str) else ""


def link_words(error: LinkError) -> str:
    """An error of the connection in one cleaned line."""
    return clean(str(error), 400)
