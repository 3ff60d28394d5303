"""The roster: who signs with which key, and who may do what.

A key belongs to one person, or the whole roster is refused and nothing can be done with it.
"""

from __future__ import annotations

from ..refused import Refused
from . import canonical, documents, ed25519, sshsig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from ..world import World

ABILITIES = ("request", "approve", "break")
INSTALL = "install-roster"


def _no(
    words: str, hint: str = "install a roster that `watchfloor roster verify` accepts"
) -> NoReturn:
    raise Refused("roster", words, hint)


class Roster:
    """A roster that was read and checked. Raises Refused where anything in it is wrong.

    ``data`` are its bytes, ``doc`` the document, ``sha256`` the digest of the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.doc: dict[str, Any] = documents.roster(data)
        self.sha256 = canonical.sha256(data)
        self.serial: int = self.doc["serial"]
        self.quorum: int = self.doc["quorum"]
        self._owner: dict[bytes, tuple[str, dict[str, Any]]] = {}
        for person, entry in self.doc["people"].items():
            for role in entry["roles"]:
                if role not in self.doc["roles"]:
                    _no(f"{person} has the role {role}, which the roster does not describe")
            ids = [key["id"] for key in entry["keys"]]
            if len(set(ids)) != len(ids):
                _no(f"two keys of {person} have the same id")
            for key in entry["keys"]:
                self._own(person, key)
        if (self.serial == 1) != (self.doc["prev"] == ""):
            _no("only the roster of serial 1 has no one before it")

    def _own(self, person: str, key: dict[str, Any]) -> None:
        blob = sshsig.key_line(key["pub"])
        kind, public, application = sshsig.key(blob)
        if blob in self._owner:
            other = self._owner[blob][0]
            _no(f"one key is listed for {other} and for {person}, or twice")
        if kind != sshsig.SK_ECDSA and ed25519.weak(public):
            _no(f"the key {key['id']} of {person} is a point for which anybody can sign")
        if kind != sshsig.ED25519 and not application.startswith("ssh:"):
            _no(f"the key {key['id']} of {person} is for another application than ssh:")
        if key["not_after"] and key["not_after"] <= key["not_before"]:
            _no(f"the key {key['id']} of {person} ends before it begins")
        self._owner[blob] = (person, key)

    @property
    def blobs(self) -> dict[bytes, tuple[str, dict[str, Any]]]:
        """Every public key: whose it is, and its entry."""
        return self._owner

    def person_of(self, blob: bytes) -> tuple[str, dict[str, Any]]:
        """The person and the entry of a public key. Raises Refused."""
        found = self._owner.get(blob)
        if found is None:
            raise Refused(
                "unknown-key",
                f"the key {sshsig.fingerprint(blob)} is not in this host's roster",
                "sign with an enrolled key, or install a roster that has it",
            )
        return found

    def may(self, person: str, ability: str, action: str) -> bool:
        """Whether a role of ``person`` lets them ``request``, ``approve`` or ``break`` it."""
        entry = self.doc["people"].get(person)
        if entry is None or ability not in ABILITIES:
            return False
        granted = [self.doc["roles"][role][ability] for role in entry["roles"]]
        return any(action in actions or "*" in actions for actions in granted)

    def approvers(
        self, action: str, without: str = "", kinds: Sequence[str] = sshsig.KINDS
    ) -> list[str]:
        """Who may approve it and has a key of these kinds that is not revoked, sorted."""
        return sorted(
            person
            for person, entry in self.doc["people"].items()
            if person != without
            and self.may(person, "approve", action)
            and any(
                not key["revoked"] and key["pub"].split(" ")[0] in kinds for key in entry["keys"]
            )
        )


def usable(person: str, key: dict[str, Any], now: int) -> None:
    """Raise Refused where a key is revoked, or ``now`` is outside its dates."""
    named = f"the key {key['id']} of {person}"
    if key["revoked"] and key["revoked"] <= now:
        raise Refused("key-revoked", f"{named} is revoked", "sign with another key")
    if now < key["not_before"]:
        raise Refused("key-date", f"{named} is not valid yet", "check the clock of the host")
    if key["not_after"] and now >= key["not_after"]:
        raise Refused("key-date", f"{named} is no longer valid", "sign with another key")


def check_succession(
    old: Roster, new: Roster, signatures: list[str], world: World, now: int
) -> list[str]:
    """Whether ``new`` may follow ``old``; the people of the old one that signed. Raises Refused.

    Serial and digest follow on, ``old.quorum`` people who may approve install-roster have signed
    with user verification, so has every key that is new, and the new roster can itself be followed.
    """
    from . import signed

    if new.serial != old.serial + 1 or new.doc["prev"] != old.sha256:
        _no("it does not follow the roster that is in force: serial and digest must follow on",
            "make it again from the roster in force")  # fmt: skip
    added = {blob for blob in new.blobs if blob not in old.blobs}
    people: set[str] = set()
    for text in signatures:
        blob = sshsig.parse(text).blob
        if blob in added:
            # Possession is what a new key proves; its dates and its PIN matter when it is used.
            signed.by_key(new.data, text, "roster", blob, world)
            if not ed25519.in_group(sshsig.key(blob)[1]) and not _ecdsa(blob):
                _no("a new key is no point of the group that honest keys come from")
            added.discard(blob)
            continue
        by = signed.check(new.data, text, "roster", old, True, now, world, sshsig.KINDS)
        if not old.may(by.person, "approve", INSTALL):
            raise Refused("role", f"{by.person} may not approve {INSTALL}", "ask somebody who may")
        people.add(by.person)
    if added:
        missing = ", ".join(sorted(new.blobs[blob][0] for blob in added))
        _no(f"a new key of {missing} has not signed the roster that brings it in")
    if len(people) < old.quorum:
        _no(f"{len(people)} people have signed it, and the roster in force asks for {old.quorum}",
            "ask others who may approve install-roster")  # fmt: skip
    if len(new.approvers(INSTALL, kinds=sshsig.FIDO)) < new.quorum:
        _no("after it nobody could change the roster again: too few with a FIDO key may approve it")
    return sorted(people)


def _ecdsa(blob: bytes) -> bool:
    return sshsig.key(blob)[0] == sshsig.SK_ECDSA
