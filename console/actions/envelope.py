"""A pending request as a host shows it, read within bounds; nothing in it is believed yet."""

from typing import Annotated

import msgspec

from console.errors import ActionError

MAX_DECISIONS = 16
END_OF_TIME = 253_402_300_800
"""Seconds since the epoch at the end of the year 9999: no host's clock shows more."""
MANY = 2**53
Time = Annotated[float, msgspec.Meta(ge=0, lt=END_OF_TIME)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=MANY)]


class SignedText(msgspec.Struct, frozen=True):
    """A decision and its signature, as they were received."""

    decision: str
    signature: str


class Envelope(msgspec.Struct, frozen=True):
    """What a host's guard publishes of a request (docs/guard.md). Unknown members are ignored."""

    request: str
    signature: str
    binding: str
    decisions: tuple[SignedText, ...] = ()
    received: Time = 0.0
    state: str = "PENDING"
    preview: dict[str, list[str]] = {}
    same_console: bool = False


class Active(msgspec.Struct, frozen=True):
    """One entry of a host's state document."""

    id: str
    action: str = ""
    params: dict[str, object] = {}
    state: str = ""
    mode: str = ""
    requester: str = ""
    approvers: tuple[str, ...] = ()
    since: Time = 0.0
    deadline: Time = 0.0
    ttl_until: Time = 0.0
    progress: dict[str, object] = {}
    result: dict[str, object] = {}
    holds: bool = True
    lost: Count = 0
    same_console: bool = False
    needs: tuple[str, ...] = ()
    why: str = ""
    trouble: str = ""
    ended: Time = 0.0


class State(msgspec.Struct, frozen=True):
    """A host's state document."""

    host_id: str
    boot_id: str = ""
    guard: str = ""
    effector: str = ""
    roster: str = ""
    policy: str = ""
    serials: tuple[Count, Count] = (0, 0)
    now: Time = 0.0
    active: tuple[Active, ...] = ()
    closed: tuple[Active, ...] = ()
    isolation: str = ""
    breakglass: tuple[dict[str, object], ...] = ()
    warnings: tuple[str, ...] = ()


_envelope = msgspec.json.Decoder(Envelope, strict=True).decode
_state = msgspec.json.Decoder(State, strict=True).decode


def envelope(data: bytes) -> Envelope:
    """A request's envelope. Raises ActionError."""
    try:
        found = _envelope(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ActionError(f"is no request's envelope: {error}", rule="envelope") from None
    if len(found.decisions) > MAX_DECISIONS:
        raise ActionError("has more decisions than can be", rule="envelope")
    return found


def state(data: bytes) -> State:
    """A host's state document. Raises ActionError."""
    try:
        return _state(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ActionError(f"is no state document: {error}", rule="state") from None
