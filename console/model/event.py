"""Events: things that happened, lossless and in order for each host."""

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened on a host or to its session.

    ``key`` names the thing it happened to (a listener, a GPU, a user), so that later layers can
    fold repetitions. ``facts`` hold cleaned text and numbers only.
    """

    kind: str  # "listener.new", "process.new", "kernel.xid", "auth.failed", "host.state", ...
    host: str
    at: float  # seconds since the epoch, by the host's clock for what the host reported
    key: str = ""
    facts: dict[str, Any] = {}
    seq: int = 0  # position in the engine's event stream, given by the engine
