"""Who may sign, over time: rosters and policies as a log records them, each following its own."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from console.audit.records import Record
from console.audit.signatures import BadSignature, check
from console.hostside.guard.actions import action
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import documents
from console.hostside.guard.trust.people import Roster, usable
from console.hostside.guard.trust.policy import Policy, Rule

INSTALL = {"roster": "install-roster", "policy": "install-policy"}
MAX_CHAIN = 512


class Link(msgspec.Struct, frozen=True):
    """One roster or policy of a chain, with the signatures under it; ``prev`` is the digest of the
    one before."""

    text: str
    signatures: Sequence[str]
    prev: str


class Unproved(Exception):
    """A signature or a document does not show what it should. The text says why."""


class Trust:
    """Roster and policy in force while a log is read.

    ``known`` are digests of rosters and policies that this console accepts by itself as the first
    of a log; each later one needs the signatures of a successor all the same. ``chain`` has what
    the host or this console keeps of older ones by digest, for a log that does not hold them.
    """

    def __init__(
        self, known: Collection[str] = (), chain: Mapping[str, Link] | None = None
    ) -> None:  # fmt: skip
        self.known = known
        self.chain = chain or {}
        self.roster: Roster | None = None
        self.policy: Policy | None = None
        self.first: list[tuple[int, str]] = []  # roots of trust: number of the record, what

    def signer(self, kind: str, text: str, signature: str, at: int, verified: bool) -> str:
        """The person whose signature is good for that document at that time; ``verified``: only
        with a PIN or fingerprint. Raises Unproved."""
        roster = self.roster
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
        if verified and not signed.verified:
            raise Unproved(f"{person} signed the {kind} without a PIN or fingerprint")
        return person

    def may(self, person: str, ability: str, name: str) -> bool:
        """Whether the roster in force lets ``person`` ``request``, ``approve`` or ``break``."""
        return self.roster is not None and self.roster.may(person, ability, name)

    def needs(self, name: str) -> tuple[int, bool]:
        """People that an action needs, never fewer than two, and whether each must have given PIN
        or fingerprint."""
        try:
            act = action(name)
            if self.policy is None:
                return max(2, act.people), False
            rule = self.policy.rule(act)
        except Refused:
            return 2, True
        return max(2, rule.people), rule.require_uv

    def allows(self, name: str, mode: str) -> bool:
        """Whether floor and policy let an action begin that way."""
        if mode == "two_before" or self.policy is None:
            return True
        try:
            return mode in self.policy.rule(action(name)).modes
        except Refused:
            return False

    def install(self, record: Record) -> None:
        """A ``roster`` or ``policy`` record. Raises Unproved; then the one before stays in force.

        Facts: the text under the name of the event, ``signatures`` a list of texts.
        """
        signatures = _texts(record.facts.get("signatures"))
        self._install(record.ev, record.text(record.ev), signatures, record.seq, record.t)

    def rule(self, name: str) -> Rule | None:
        """What the policy in force asks for an action; None where it has no word on it."""
        try:
            return self.policy.rule(action(name)) if self.policy is not None else None
        except Refused:
            return None

    def root_installed(self, kind: str, digest: str, seq: int) -> bool:
        """Root put a roster or policy in place on the host, without signatures: whether it took the
        place of another. Raises Unproved where nobody has it."""
        link = self.chain.get(digest)
        if link is None:
            raise Unproved(
                f"root installed a {kind} ({digest[:12]}) that neither host nor console has"
            )
        before = self._now(kind)
        if digest == before:
            return False
        if kind == "roster":
            self.roster = None
        else:
            self.policy = None
        self._install(kind, link.text, link.signatures, seq, 0)
        return bool(before)

    def signed_under(self, both: str, seq: int, at: int) -> None:
        """A request was signed under that roster and policy (128 hex digits). Raises Unproved where
        neither the log nor the chain leads from those in force to these."""
        for kind, digest in (("roster", both[:64]), ("policy", both[64:])):
            for link in self._path(digest, self._now(kind)):
                self._install(kind, link.text, link.signatures, seq, at)
            now = self._now(kind)
            if now and now != digest:
                raise Unproved(f"it was signed under another {kind} than the one in force")

    def _now(self, kind: str) -> str:
        now = self.roster if kind == "roster" else self.policy
        return now.sha256 if now is not None else ""

    def _path(self, digest: str, begin: str) -> list[Link]:
        """The chain's links from ``begin`` (left out) to ``digest``, the oldest first; from the
        oldest that is there where nothing is in force yet. Empty where there is no way."""
        found: list[Link] = []
        while digest != begin and len(found) < MAX_CHAIN:
            link = self.chain.get(digest)
            if link is None:
                break
            found.append(link)
            digest = link.prev
        return [] if begin and digest != begin else found[::-1]

    def _install(self, kind: str, text: str, signatures: Sequence[str], seq: int, at: int) -> None:
        data = text.encode("utf-8", "replace")
        digest = hashlib.sha256(data).hexdigest()
        if digest == self._now(kind):
            return
        try:
            new = Roster(data) if kind == "roster" else Policy(data)
        except Refused as refused:
            raise Unproved(f"it is no {kind}: {refused.words}") from None
        old = self.roster if kind == "roster" else self.policy
        if old is not None:
            self._follows(old, new, signatures, at)
        elif digest not in self.known:
            what = f"{kind} of serial {new.serial} ({digest[:12]}): root's own act on the host"
            self.first.append((seq, what))
        if isinstance(new, Roster):
            self.roster = new
        else:
            self.policy = new

    def _follows(
        self, old: Roster | Policy, new: Roster | Policy, signatures: Sequence[str], at: int
    ) -> None:
        kind, roster = str(new.doc["kind"]), self.roster
        if new.serial != old.serial + 1 or new.doc["prev"] != old.sha256:
            raise Unproved(f"the {kind} does not follow the one in force")
        if roster is None:
            raise Unproved("there is no roster by which its signatures could be judged")
        added: set[bytes] = set()
        if isinstance(new, Roster) and isinstance(old, Roster):
            added = {blob for blob in new.blobs if blob not in old.blobs}
        people: set[str] = set()
        for text in signatures:
            try:
                signed = check(text, documents.NAMESPACES[kind], new.data)
            except BadSignature as bad:
                raise Unproved(f"a signature under the {kind}: {bad}") from None
            if signed.key in added:
                added.discard(signed.key)
                continue
            person = self.signer(kind, new.data.decode(), text, at, True)
            if not roster.may(person, "approve", INSTALL[kind]):
                raise Unproved(f"{person} may not approve {INSTALL[kind]}")
            people.add(person)
        if added:
            raise Unproved("a new key has not signed the roster that brings it in")
        if len(people) < roster.quorum:
            raise Unproved(f"{len(people)} people signed the {kind}, {roster.quorum} are needed")


def _texts(found: Any) -> list[str]:
    listed = found if isinstance(found, list) else [found]
    return [text for text in listed[:64] if isinstance(text, str)]


def chain_of(entries: Iterable[Any]) -> dict[str, Link]:
    """``{"text", "signatures"}`` as hosts and files give them, by the sha256 of the text."""
    found: dict[str, Link] = {}
    for entry in entries:
        text = entry.get("text") if isinstance(entry, dict) else None
        if not isinstance(text, str) or len(found) >= 2 * MAX_CHAIN:
            continue
        try:
            doc = json.loads(text)
        except (ValueError, RecursionError):
            continue
        prev = doc.get("prev") if isinstance(doc, dict) else None
        if isinstance(prev, str):
            digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
            found[digest] = Link(text, _texts(entry.get("signatures")), prev)
    return found
