"""The policy of a host, held against the floors that are compiled in."""

from __future__ import annotations

from ..refused import Refused
from . import canonical, documents, floors, sshsig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NamedTuple

    from ..actions.base import Action
    from ..world import World
    from .people import Roster

    class Rule(NamedTuple):
        """What one action needs here. ``people`` counts the requester; times are seconds."""

        mode: str
        people: int
        require_uv: bool
        ttl_s: int
        ratify_s: int
        modes: tuple[str, ...]
else:
    from collections import namedtuple

    class Rule(namedtuple("Rule", "mode people require_uv ttl_s ratify_s modes")):
        """What one action needs here. ``people`` counts the requester; times are seconds."""

        __slots__ = ()


RATIFY_DEFAULT = 300


class Policy:
    """A policy that was read and checked. Raises Refused where anything in it is wrong.

    ``data`` are its bytes, ``doc`` the document, ``sha256`` the digest of the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.doc: dict[str, Any] = documents.policy(data)
        self.sha256 = canonical.sha256(data)
        self.serial: int = self.doc["serial"]
        self.key_types: tuple[str, ...] = tuple(self.doc["key_types"])
        if (self.serial == 1) != (self.doc["prev"] == ""):
            raise Refused("policy", "only the policy of serial 1 has no one before it", "")
        served = [row["service"] for row in self.doc["health"].values()]
        for unit in [*self.doc["services"], *self.doc["profiles"], *served]:
            if floors.protected_unit(unit):
                raise Refused(
                    "floor", f"the policy names {unit}, which is never touched", "leave it out"
                )

    def rule(self, action: Action) -> Rule:
        """What ``action`` needs. Raises Refused where the policy would go below its floor.

        An action without a line of its own takes two people before it.
        """
        floor = floors.floor(action)
        line = self.doc["actions"].get(action.name)
        everywhere = floor.require_uv or self.doc["require_uv"]
        if line is None:
            people = max(2, floor.people)
            modes = ("two_before",) + (("break_glass",) if "break_glass" in floor.modes else ())
            return Rule("two_before", people, everywhere, 0, RATIFY_DEFAULT, modes)
        if line["people"] < floor.people:
            raise Refused(
                "floor",
                f"the policy asks for {line['people']} people for {action.name}, "
                f"and never fewer than {floor.people} may do it",
                "raise people in the policy",
            )
        if line["mode"] not in floor.modes:
            raise Refused(
                "floor",
                f"the policy lets {action.name} begin on one signature, which it never may",
                "set its mode to two_before",
            )
        # One signature may always be waited for: two before is stricter than ratifying after.
        modes = tuple(
            mode for mode in floor.modes if mode != "one_then_ratify" or mode == line["mode"]
        )
        uv = everywhere or line["require_uv"]
        ttl_s = line["ttl_s"] if floors.stands(action) else 0
        return Rule(line["mode"], line["people"], uv, ttl_s, line["ratify_s"], modes)

    def check(self, actions: Iterable[Action]) -> None:
        """Hold every line against the floors, before it is installed. Raises Refused."""
        known = set()
        for action in actions:
            known.add(action.name)
            self.rule(action)
            line = self.doc["actions"].get(action.name)
            if line and line["ttl_s"] and not floors.stands(action):
                raise Refused(
                    "floor",
                    f"the policy gives {action.name} a time to end, and nothing of it stands that "
                    "could end: it would be taken back",
                    "set its ttl_s to 0",
                )
        for name in self.doc["actions"]:
            if name not in known:
                raise Refused("policy", f"the policy names {name}, which is no action", "")


def check_succession(
    old: Policy, new: Policy, roster: Roster, signatures: list[str], world: World, now: int
) -> list[str]:
    """Whether ``new`` may follow ``old``; the people that signed it. Raises Refused.

    Serial and digest follow on, and ``roster.quorum`` people who may approve install-policy have
    signed with user verification.
    """
    from . import signed

    if new.serial != old.serial + 1 or new.doc["prev"] != old.sha256:
        raise Refused(
            "policy",
            "it does not follow the policy that is in force: serial and digest must follow on",
            "make it again from the policy in force",
        )
    people = set()
    for text in signatures:
        by = signed.check(new.data, text, "policy", roster, True, now, world, old.key_types)
        if not roster.may(by.person, "approve", "install-policy"):
            raise Refused("role", f"{by.person} may not approve install-policy", "")
        people.add(by.person)
    if len(people) < roster.quorum:
        raise Refused(
            "policy",
            f"{len(people)} people have signed it, and the roster asks for {roster.quorum}",
            "ask others who may approve install-policy",
        )
    _no_lock_out(new, roster)
    return sorted(people)


def _no_lock_out(new: Policy, roster: Roster) -> None:
    """Raise Refused where nobody could change roster or policy again once ``new`` is in force."""
    kinds = [kind for kind in sshsig.FIDO if kind in new.key_types]
    for name in ("install-policy", "install-roster"):
        line = new.doc["actions"].get(name)
        needed = max(roster.quorum, line["people"] if line else 0)
        able = len(roster.approvers(name, kinds=kinds))
        if able < needed:
            raise Refused(
                "policy",
                f"after it nobody could {name} again: it takes {needed} people with a FIDO key of "
                f"an allowed kind, and the roster has {able}",
                "allow their kind of key, ask for fewer people, or enrol more first",
            )
