"""One request's life: the states that it goes through, and which events a guard writes in each."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from console.audit.records import Record
from console.audit.trust import Unproved
from console.hostside.guard import steps
from console.hostside.guard.actions import action
from console.hostside.guard.refused import Refused
from console.hostside.guard.state import things
from console.hostside.guard.trust import floors
from console.hostside.guard.trust.policy import Rule

HOLDS = frozenset(("APPLIED", "STANDING"))
UNDER_WAY = frozenset(("EXECUTING", "REVERTING"))
OVER = frozenset(("CLOSED", "FAILED", "REVERTED"))
BEGUN = HOLDS | UNDER_WAY | {"DONE", "FAILED", "REVERTED", "RELEASED"}

# The states in which a guard writes an event about a request; in any other it is made up.
ALLOWED: Mapping[str, frozenset[str]] = {
    "submit": frozenset(("PENDING",)),
    "breakglass": frozenset(("PENDING",)),
    "decide": frozenset(("PENDING", "APPLIED")),
    "cancel": frozenset(("PENDING",)),
    "start": frozenset(("PENDING",)),
    "denied": frozenset(("PENDING",)),
    "cancelled": frozenset(("PENDING",)),
    "expired": frozenset(("PENDING",)),
    "void": frozenset(("PENDING",)),
    "exec_start": frozenset(("PENDING",)),
    "exec_end": frozenset(("EXECUTING",)),
    "error": frozenset(("EXECUTING",)),
    "crashed": frozenset(("PENDING", "EXECUTING")),  # also killed just before it was recorded
    "confirm": frozenset(("APPLIED",)),
    "ratified": frozenset(("APPLIED",)),
    "revert": HOLDS,
    "undo_failed": frozenset(("REVERTING",)),
    "undone": frozenset(("REVERTING",)),
    "lost": HOLDS,
    "isolation_lost": HOLDS,
    "reapplied": HOLDS,
    "not_reapplied": HOLDS,
    "holds_again": HOLDS,
    "review": BEGUN | {"PENDING", "CLOSED"},
    "fetched": BEGUN,
}
OF_HOST = frozenset(
    (
        "boot", "refused", "repaired", "roster", "policy", "root_install_roster",
        "root_install_policy", "clock_jump", "clock_reset",
    )
)  # fmt: skip
"""Events that are about no request."""

AFTER = {
    "denied": "CLOSED", "cancelled": "CLOSED", "expired": "CLOSED", "void": "CLOSED",
    "exec_start": "EXECUTING", "error": "REVERTING", "revert": "REVERTING", "crashed": "REVERTING",
}  # fmt: skip
"""The state that follows an event whose record does not say it."""

_MET = HOLDS | {"DONE"}
SAID = {"exec_end": _MET, "confirm": _MET, "ratified": _MET,
        "undone": frozenset(("FAILED", "REVERTED"))}  # fmt: skip
"""Events whose record says the state that follows, and those that it may say."""

DOCUMENT = {
    "submit": "request", "decide": "decision", "cancel": "cancel", "start": "start",
    "review": "review", "fetched": "fetch",
}  # fmt: skip
"""The name under which an event's record holds the document that somebody signed."""


class Life(msgspec.Struct):
    """One request on this host. ``people`` are those whose signatures were found good, with the
    time at which each runs out."""

    rid: str
    first: int
    submitted: bool = False
    state: str = "PENDING"
    action: str = ""
    mode: str = "two_before"
    requester: str = ""
    people: dict[str, int] = {}
    denied: str = ""  # who said no
    withdrawn: bool = False
    asked_to_start: bool = False
    plan: str = ""  # sha256 that was signed
    bound_to: str = ""  # the boot that it was signed for
    steps: list[dict[str, Any]] = []  # of the plan that was carried out, where it is the signed one
    ttl_s: int = 0  # 0: it stands until somebody releases it
    ratify_s: int = 0  # how long it may hold on one signature
    started: int = -1  # number of its exec_start
    since: int = 0  # time of its exec_start, later of its exec_end
    boot: str = ""
    ended: bool = False  # it was carried out to its end
    confirmed: bool = False  # over a new connection
    kept: bool = False  # on two people's signatures
    last: bytes = b""  # digest of the record before
    told: set[bytes] = set()  # of every record without a signed document
    records: list[int] = []
    documents: dict[str, bytes] = {}  # of each signed document its sha256, and how it was told


def stands(name: str) -> bool:
    """Whether what an action does stands until it is released."""
    try:
        return floors.stands(action(name))
    except Refused:
        return False


def by_requester(name: str) -> bool:
    """Whether an action, once it is approved, is started by who asked for it."""
    try:
        return action(name).starter == "requester"
    except Refused:
        return False


def may_end(one: Life, other: Life) -> bool:
    """Whether carrying ``one`` out may end ``other``, by the plans that people signed: it undoes
    that very request, or two people have set the same thing another way."""
    try:
        if any(s["kind"] == "undo" and s["args"]["id"] == other.rid for s in one.steps):
            return True
        if not one.kept:
            return False
        if things.same(things.of(one.steps), things.of(other.steps)):
            return True
        return any(
            steps.step(s["kind"]).ends(s["args"], old) for s in one.steps for old in other.steps
        )
    except (Refused, KeyError, TypeError, ValueError, AttributeError, IndexError):
        return False


def times(life: Life, plan: dict[str, Any], rule: Rule | None) -> None:
    """Set how long it stands, and how long on one signature, by its plan and the policy."""
    ttl = plan.get("ttl_s")
    both = [ttl if type(ttl) is int else 0, rule.ttl_s if rule else 0]
    life.ttl_s = min((seconds for seconds in both if seconds > 0), default=0)
    life.ratify_s = rule.ratify_s if rule else floors.RATIFY
    if life.mode == "break_glass":
        life.ratify_s = floors.BREAK_GLASS_TTL


def late(life: Life, record: Record) -> bool:
    """Whether a full disk kept the record back: only what one person may begin goes on then."""
    return record.facts.get("late") is True and life.mode == "one_then_ratify"


def still(life: Life, record: Record, kept: Collection[str] = ()) -> int:
    """How many people's signatures are of then, those of ``kept`` in any case."""
    return sum(who in kept or record.t <= until for who, until in life.people.items())


def about(record: Record) -> str:
    """The request that a record is about, in words."""
    return f" (request {record.rid[:12]})" if record.rid else ""


def in_time(doc: dict[str, Any], record: Record) -> None:
    """Raise Unproved where a document had expired when it came."""
    if record.t > doc["expires"]:
        raise Unproved(f"it came {record.t - doc['expires']} s after it had expired")
