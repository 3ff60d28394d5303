"""One person alone, in an emergency: rarely, loudly, for half an hour, and looked at afterwards."""

from __future__ import annotations

from ..refused import Refused
from ..trust.floors import BREAK_GLASS_EVERY, BREAK_GLASS_REASON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .spool import Entry

MAX_FILE = 64 << 10


def _path(g: Guard) -> str:
    return f"{g.place.state}/breakglass.json"


def _uses(g: Guard) -> dict[str, Any]:
    """The last use of each person. A damaged file refuses: it might hide one."""
    try:
        return g.files.read_json(_path(g), MAX_FILE)
    except FileNotFoundError:
        return {}


def check(g: Guard, person: str, reason: str) -> None:
    """Raise Refused where this person may not break the glass now."""
    if len(reason) < BREAK_GLASS_REASON:
        raise Refused(
            "breakglass-reason",
            f"the reason of a break-glass has at least {BREAK_GLASS_REASON} characters",
            "say what happens, and why nobody else can sign now",
        )
    last = _uses(g).get(person)
    if last is None:
        return
    if not last["reviewed"]:
        raise Refused(
            "breakglass-unreviewed",
            f"the last break-glass of {person} was not yet reviewed by somebody else",
            "another person signs a review of it",
        )
    if g.clock.now() < last["at"] + BREAK_GLASS_EVERY:
        raise Refused(
            "breakglass-again", f"{person} broke the glass less than 24 hours ago", "find a second"
        )


def use(g: Guard, entry: Entry) -> None:
    """Remember it, before it is carried out."""
    uses = _uses(g)
    uses[entry["requester"]] = {"id": entry["id"], "at": g.clock.now(), "reviewed": ""}
    g.files.write_json(_path(g), uses)


def alarm(g: Guard, entry: Entry) -> None:
    """Say it to everybody who is logged in, and to the system's log. Nothing depends on it."""
    words = (
        f"watchfloor: BREAK-GLASS by {entry['requester']}: {entry['action']}, "
        f"request {entry['id'][:12]}"
    )
    g.world.run(["logger", "-p", "auth.crit", "-t", "watchfloor-guard", "--", words], timeout=5.0)
    g.world.run(["wall", words], timeout=5.0)


def review(g: Guard, rid: str, person: str) -> str:
    """Mark a use as reviewed; who broke the glass. Raises Refused."""
    uses = _uses(g)
    for who, use_ in uses.items():
        if use_["id"] != rid:
            continue
        if who == person:
            raise Refused("same-person", "nobody reviews their own break-glass")
        use_["reviewed"] = person
        g.files.write_json(_path(g), uses)
        return who
    raise Refused("no-breakglass", "no break-glass with this request is kept here")


def owner(g: Guard, rid: str) -> str:
    """Who broke the glass with this request; empty for nobody."""
    return next((who for who, use_ in _uses(g).items() if use_["id"] == rid), "")


def unreviewed(g: Guard) -> list[dict[str, Any]]:
    """Those that stay on all screens until somebody has looked at them."""
    try:
        uses = _uses(g)
    except Refused:
        return [{"person": "", "id": "", "at": 0}]
    return [
        {"person": who, "id": use_["id"], "at": use_["at"]}
        for who, use_ in sorted(uses.items())
        if not use_["reviewed"]
    ]
