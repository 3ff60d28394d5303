"""What one person has begun alone, so that nobody holds a host for ever by asking again.

``solo.json`` keeps a day of it: who, which action on which things, whether somebody else has said
no to it, or has looked at it since.
"""

from __future__ import annotations

from ..refused import Refused
from . import things

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .spool import Entry

AGAIN_S = 86400
MAX_KEPT = 256
MAX_FILE = 1 << 20


def _path(g: Guard) -> str:
    return f"{g.place.state}/solo.json"


def _kept(g: Guard) -> list[dict[str, Any]]:
    """The records of the last day, the oldest first. A damaged file refuses: it might hide one."""
    try:
        found = g.files.read_json(_path(g), MAX_FILE)["kept"]
    except FileNotFoundError:
        return []
    return [each for each in found if g.clock.now() < each["at"] + AGAIN_S]


def _save(g: Guard, kept: list[dict[str, Any]]) -> None:
    g.files.write_json(_path(g), {"kept": kept})


def check(g: Guard, person: str, action: str, touched: list[list[str]]) -> None:
    """Raise Refused where this person may not begin that alone now."""
    kept = _kept(g)
    for each in reversed(kept):
        if each["person"] != person or not things.alike(each["things"], touched):
            continue
        if each["denied"] and each["action"] == action:
            raise Refused(
                "solo-denied",
                f"{each['denied']} said no to it less than 24 hours ago "
                f"(request {each['id'][:12]} of {person})",
                "ask with mode two_before, so that somebody else says yes first",
            )
        if each["alone"] and not each["reviewed"]:
            raise Refused(
                "solo-again",
                f"{person} has begun {each['action']} here alone less than 24 hours ago, and nobody"
                f" has approved it (request {each['id']})",
                "ask with mode two_before, or have somebody else sign a review of that request",
            )
    if sum(1 for each in kept if each["alone"]) >= MAX_KEPT:
        raise Refused(
            "solo-full", "too much was begun here by one signature in 24 hours", "find a second"
        )


def use(g: Guard, entry: Entry) -> None:
    """Remember that it is begun alone, before it is carried out."""
    _save(g, [*_kept(g), _record(g, entry, alone=True)])


def _record(g: Guard, entry: Entry, alone: bool) -> dict[str, Any]:
    return {
        "id": entry["id"],
        "person": entry["requester"],
        "action": entry["action"],
        "things": entry.get("things", []),
        "at": g.clock.now(),
        "alone": alone,
        "denied": "",
        "reviewed": "",
    }


def forget(g: Guard, rid: str) -> None:
    """It was approved after all, or nothing of it was begun."""
    kept = _kept(g)
    left = [each for each in kept if each["id"] != rid]
    if len(left) != len(kept):
        _save(g, left)


def deny(g: Guard, entry: Entry, by: str) -> None:
    """Somebody else said no. Where it cannot be kept the undoing goes on: it is in the audit
    log, and what was begun alone is remembered since then."""
    try:
        kept = _kept(g)
        found = [each for each in kept if each["id"] == entry["id"]]
        if not found:
            found = [_record(g, entry, alone=False)]
            said = [each for each in kept if not each["alone"]]
            if len(said) >= MAX_KEPT:
                kept.remove(said[0])
            kept += found
        found[0]["denied"], found[0]["at"] = by, g.clock.now()
        _save(g, kept)
    except (Refused, OSError):
        return


def owner(g: Guard, rid: str) -> tuple[str, str]:
    """Who has begun it alone, and the action; both empty for nobody."""
    for each in _kept(g):
        if each["id"] == rid and each["alone"]:
            return each["person"], each["action"]
    return "", ""


def review(g: Guard, rid: str, by: str) -> None:
    """Somebody else has looked at it: the person may begin such a thing again."""
    kept = _kept(g)
    for each in kept:
        if each["id"] == rid and each["alone"]:
            each["reviewed"] = by
            _save(g, kept)
