"""Who may sign, over time: rosters and policies as the log records them, each following its own."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from console.audit.records import Record
from console.audit.signatures import BadSignature, check
from console.hostside.guard import documents
from console.hostside.guard.actions import action
from console.hostside.guard.people import Roster, usable
from console.hostside.guard.policy import Policy
from console.hostside.guard.refused import Refused

INSTALL = {"roster": "install-roster", "policy": "install-policy"}


class Unproved(Exception):
    """A signature or a document does not show what it should. The text says why."""


class Trust:
    """Roster and policy in force while a log is read.

    ``known`` are digests of rosters and policies that this console accepts by itself; they may
    stand without the signatures that a successor needs. ``chain`` has texts by digest, for a log
    that begins after its first roster was installed.
    """

    def __init__(self, known: Collection[str] = (), chain: Mapping[str, str] | None = None) -> None:
        self.known = known
        self.chain = chain or {}
        self.roster: Roster | None = None
        self.policy: Policy | None = None
        self.first: list[tuple[int, str]] = []  # roots of trust: number of the record, what

    def signer(
        self, kind: str, text: str, signature: str, at: int, need_verified: bool = False
    ) -> str:
        """The person whose signature is good for that document at that time. Raises Unproved."""
        return signer(self.roster, kind, text, signature, at, need_verified)

    def may(self, person: str, ability: str, name: str) -> bool:
        """Whether the roster in force lets ``person`` ``request``, ``approve`` or ``break``."""
        return self.roster is not None and self.roster.may(person, ability, name)

    def needs(self, name: str) -> tuple[int, bool]:
        """People that an action needs, and whether each must have given PIN or finger."""
        try:
            act = action(name)
            if self.policy is None:
                return max(2, act.people), False
            rule = self.policy.rule(act)
        except Refused:
            return 2, True
        return rule.people, rule.require_uv

    def install(self, record: Record) -> None:
        """A ``roster`` or ``policy`` record. Raises Unproved; then the one before stays in force.

        Facts: the text under the name of the event, ``signatures`` a list of texts.
        """
        self._install(record.ev, record.text(record.ev), record.facts, record.seq, record.t)

    def signed_under(self, both: str, seq: int) -> None:
        """A request was signed under that roster and policy (128 hex digits). Raises Unproved where
        the log has others in force; where it has none yet, they are taken from ``chain``."""
        for kind, digest in (("roster", both[:64]), ("policy", both[64:])):
            now = self.roster if kind == "roster" else self.policy
            if now is None and digest in self.chain:
                self._install(kind, self.chain[digest], {}, seq, 0)
                now = self.roster if kind == "roster" else self.policy
            if now is not None and now.sha256 != digest:
                raise Unproved(f"it was signed under another {kind} than the one in force")

    def _install(self, kind: str, text: str, facts: dict[str, Any], seq: int, at: int) -> None:
        old = self.roster if kind == "roster" else self.policy
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        try:
            data = text.encode("utf-8", "replace")
            new = Roster(data) if kind == "roster" else Policy(data)
        except Refused as refused:
            raise Unproved(f"is no {kind}: {refused.words}") from None
        if old is not None and digest == old.sha256:
            return
        if digest not in self.known:
            if old is None:
                where = (
                    f"{kind} of serial {new.serial} ({digest[:12]}…): root's own act on the host"
                )
                self.first.append((seq, where))
            else:
                self._follows(kind, old, new, facts, at)
        if isinstance(new, Roster):
            self.roster = new
        else:
            self.policy = new

    def _follows(
        self, kind: str, old: Roster | Policy, new: Roster | Policy, facts: dict[str, Any], at: int
    ) -> None:
        if new.serial != old.serial + 1 or new.doc["prev"] != old.sha256:
            raise Unproved(f"the {kind} does not follow the one in force")
        roster = self.roster
        if roster is None:
            raise Unproved("there is no roster by which its signatures could be judged")
        added = set()
        if isinstance(new, Roster) and isinstance(old, Roster):
            added = {blob for blob in new.blobs if blob not in old.blobs}
        people, owners = set(), set()
        for text in _signatures(facts):
            try:
                signed = check(text, documents.NAMESPACES[kind], new.data)
            except BadSignature as bad:
                raise Unproved(f"a signature under the {kind}: {bad}") from None
            owners.add(signed.key)
            if signed.key not in added:
                person = self.signer(kind, new.data.decode(), text, at, True)
                if not roster.may(person, "approve", INSTALL[kind]):
                    raise Unproved(f"{person} may not approve {INSTALL[kind]}")
                people.add(person)
        if added - owners:
            raise Unproved("a new key has not signed the roster that brings it in")
        if len(people) < roster.quorum:
            raise Unproved(f"{len(people)} people signed the {kind}, {roster.quorum} are needed")


def _signatures(facts: dict[str, Any]) -> list[str]:
    found = facts.get("signatures", facts.get("sigs"))
    texts = found if isinstance(found, list) else [found]
    return [text for text in texts[:64] if isinstance(text, str)]


def signer(
    roster: Roster | None, kind: str, text: str, signature: str, at: int, need_verified: bool
) -> str:
    """The person of ``roster`` whose signature is good for that document. Raises Unproved."""
    if roster is None:
        raise Unproved("no roster is in force, so nobody's signature counts")
    try:
        signed = check(signature, documents.NAMESPACES[kind], text.encode())
        person, key = roster.person_of(signed.key)
        usable(person, key, at)
    except (BadSignature, UnicodeEncodeError) as bad:
        raise Unproved(f"the {kind} is not signed: {bad}") from None
    except Refused as refused:
        raise Unproved(f"the {kind} is not signed: {refused.words}") from None
    if need_verified and not signed.verified:
        raise Unproved(f"{person} signed the {kind} without a PIN or fingerprint")
    return person
