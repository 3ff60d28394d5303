"""The roster: one key, one person, or nothing at all."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import pytest

from console.demo.fido import FidoKey, FileKey, string
from console.hostside.guard.trust import canonical, ed25519, people, signed
from console.hostside.guard.trust.people import Roster
from tests.support.guardkit import (
    NOW,
    WORLD,
    key_entry,
    key_of,
    person_entry,
    refused,
    roster,
    roster_doc,
)
from tests.unit.guard.test_ed25519 import NOT_CANONICAL, SMALL

SPACE = "roster-v1@watchfloor"


def no(doc: dict[str, Any]) -> str:
    """Why a roster is refused."""
    return refused(Roster, canonical.write(doc)).words


def changed(**entries: Any) -> dict[str, Any]:
    """The usual roster with other people in it."""
    doc = roster_doc()
    return {**doc, "people": {**doc["people"], **entries}}


def test_a_roster_says_who_a_key_belongs_to() -> None:
    found = roster()
    assert found.sha256 == canonical.sha256(found.data)
    assert (found.serial, found.quorum) == (1, 2)
    assert found.person_of(key_of("bob").blob) == ("bob", found.doc["people"]["bob"]["keys"][0])


def test_an_unknown_key_is_nobody() -> None:
    """Threats: 15."""
    stranger = FidoKey(b"\x63" * 32)
    no = refused(roster().person_of, stranger.blob)
    assert no.rule == "unknown-key"
    assert stranger.fingerprint in no.words


def test_a_person_may_have_several_keys_and_stays_one_person() -> None:
    """Threats: 8."""
    spare = FidoKey(b"\x10" * 32)
    found = roster(people=changed(alice=person_entry(key_of("alice"), spare))["people"])
    assert found.person_of(spare.blob)[0] == found.person_of(key_of("alice").blob)[0] == "alice"
    assert found.approvers("isolate") == ["alice", "bob", "carol"]


@pytest.mark.parametrize("twice", ["two people", "one person"])
def test_a_key_that_is_there_twice_refuses_the_whole_roster(twice: str) -> None:
    """Threats: 9."""
    key = key_of("alice")
    if twice == "two people":
        doc = changed(eve=person_entry(key))
    else:
        doc = changed(alice=person_entry(key, key))
    assert "listed for" in no(doc)


@pytest.mark.parametrize("point", SMALL + NOT_CANONICAL)
@pytest.mark.parametrize("kind", [FileKey, FidoKey])
def test_a_weak_point_refuses_the_whole_roster(point: str, kind: type[FileKey]) -> None:
    """Anybody could sign with it. Threats: 24."""
    key = kind(b"\x01" * 32)
    key.public = bytes.fromhex(point)
    assert "anybody can sign" in no(changed(eve=person_entry(key)))


def test_a_fido_key_of_a_web_site_refuses_the_whole_roster() -> None:
    """Threats: 22."""
    for application in ("https://example.org", "", "ssh", "SSH:", " ssh:"):
        key = FidoKey(b"\x01" * 32, application)
        assert no(changed(eve=person_entry(key)))
    assert roster(people=changed(eve=person_entry(FidoKey(application="ssh:ops")))["people"])


@pytest.mark.parametrize(
    "field", ["valid-befor", "valid_before", "no_touch_required", "cert_authority", "principals"]
)
def test_an_unknown_field_refuses_the_whole_roster(field: str) -> None:
    """A typo in an option must not be passed over. Threats: 29."""
    doc = roster_doc()
    for entry in (
        doc["people"]["alice"]["keys"][0],
        doc["people"]["alice"],
        doc["roles"]["responder"],
        doc,
    ):
        odd = copy.deepcopy(entry)
        entry[field] = []
        no(doc)
        entry.clear()
        entry.update(odd)
    assert Roster(canonical.write(doc))


def test_a_rule_that_is_not_understood_refuses_the_whole_roster() -> None:
    """``when`` is for later; today nothing would keep it. Threats: 29."""
    doc = roster_doc()
    doc["people"]["alice"]["when"] = {"hours": "08-18"}
    assert "when" in no(doc)


@pytest.mark.parametrize("name", ["Alice", "*", "*@ops", "alice@ops", "alice bob", "alice,bob"])
def test_names_are_plain_and_no_patterns(name: str) -> None:
    """Threats: 12, 14."""
    assert no(changed(**{name: person_entry(FidoKey(b"\x01" * 32))}))


def test_other_oddities() -> None:
    key = FidoKey(b"\x01" * 32)
    for entry in (
        {**person_entry(key), "roles": ["nobody"]},
        {**person_entry(key), "roles": ["responder", "responder"]},
        {**person_entry(key), "keys": [{**key_entry(key), "pub": key.public_line + " c"}]},
        {**person_entry(key), "keys": [key_entry(key, not_before=NOW, not_after=NOW)]},
        {**person_entry(key), "keys": [key_entry(key, hardware="yes")]},
        {**person_entry(key), "keys": [key_entry(key, not_before=True)]},
        {**person_entry(key), "keys": [key_entry(key), key_entry(FidoKey(b"\x02" * 32))]},
        {**person_entry(key), "attrs": {"a": 1}},
    ):
        assert no(changed(eve=entry))
    parts: tuple[dict[str, Any], ...] = (
        {"quorum": 1},
        {"quorum": True},
        {"serial": 0},
        {"people": {}},
        {"roles": {}},
    )
    for part in parts:
        assert no(roster_doc(**part))
    assert no(roster_doc(serial=2))
    assert no(roster_doc(prev="ab" * 32))


def test_an_rsa_key_or_a_certificate_refuses_the_whole_roster() -> None:
    """Threats: 27, 28."""
    from base64 import b64encode

    for kind in ("ssh-rsa", "ssh-ed25519-cert-v01@openssh.com"):
        blob = string(kind.encode()) + string(b"\x01" * 64)
        entry = {**key_entry(FileKey()), "pub": f"{kind} {b64encode(blob).decode()}"}
        assert no(changed(eve={**person_entry(), "keys": [entry]}))


def test_roles() -> None:
    found = roster()
    assert found.may("alice", "request", "release")
    assert found.may("alice", "break", "isolate")
    assert not found.may("alice", "break", "release")
    assert found.may("dave", "request", "isolate")
    assert not found.may("dave", "request", "release")
    assert not found.may("dave", "approve", "isolate")
    assert not found.may("nobody", "request", "isolate")
    assert not found.may("alice", "roles", "isolate")
    assert found.approvers("isolate", without="alice") == ["bob", "carol"]
    doc = roster_doc()
    doc["people"]["bob"]["keys"][0]["revoked"] = NOW
    assert Roster(canonical.write(doc)).approvers("isolate") == ["alice", "carol"]


def test_dates_and_revocation_of_keys() -> None:
    """At the moment of use, by the host's clock. Threats: 16."""
    key = key_entry(key_of("alice"), not_before=NOW, not_after=NOW + 100, revoked=NOW + 50)
    people.usable("alice", key, NOW)
    people.usable("alice", key, NOW + 49)
    assert refused(people.usable, "alice", key, NOW - 1).rule == "key-date"
    assert refused(people.usable, "alice", key, NOW + 50).rule == "key-revoked"
    assert refused(people.usable, "alice", {**key, "revoked": 0}, NOW + 100).rule == "key-date"
    people.usable("alice", key_entry(key_of("alice")), 0)


def following(old: Roster, **entries: Any) -> Roster:
    """A roster that follows ``old`` with these people changed (None: gone)."""
    doc = copy.deepcopy(old.doc)
    doc.update(serial=old.serial + 1, prev=old.sha256)
    for name, entry in entries.items():
        doc["people"].pop(name, None)
        if entry is not None:
            doc["people"][name] = entry
    return Roster(canonical.write(doc))


def succeed(old: Roster, new: Roster, *keys: FileKey, **named: Any) -> list[str]:
    signatures = [key.sign(new.data, SPACE, **named) for key in keys]
    return people.check_succession(old, new, signatures, WORLD, NOW)


ALICE, BOB, CAROL, DAVE = (key_of(name) for name in ("alice", "bob", "carol", "dave"))
EVE = FidoKey(b"\x77" * 32)


def test_two_people_of_the_roster_before_and_every_new_key_sign() -> None:
    old = roster()
    new = following(old, eve=person_entry(EVE))
    assert succeed(old, new, ALICE, BOB, EVE) == ["alice", "bob"]
    assert succeed(old, new, EVE, CAROL, BOB, ALICE) == ["alice", "bob", "carol"]
    assert "new key of eve" in refused(succeed, old, new, ALICE, BOB).words
    assert "1 people" in refused(succeed, old, new, ALICE, EVE).words
    assert "0 people" in refused(succeed, old, new, EVE).words


def test_a_key_may_be_enrolled_before_it_is_valid() -> None:
    entry = {**person_entry(), "keys": [key_entry(EVE, not_before=NOW + 1000)]}
    old = roster()
    assert succeed(old, following(old, eve=entry), ALICE, BOB, EVE) == ["alice", "bob"]


def test_a_person_with_two_keys_is_one_of_the_quorum() -> None:
    """Threats: 8."""
    spare = FidoKey(b"\x10" * 32)
    old = roster(people=changed(alice=person_entry(ALICE, spare))["people"])
    new = following(old, dave=None)
    assert "1 people" in refused(succeed, old, new, ALICE, spare).words
    assert "1 people" in refused(succeed, old, new, ALICE, ALICE).words


def test_the_new_roster_gives_nobody_a_say_over_itself() -> None:
    """Somebody who may approve only by the new roster does not count."""
    old = roster()
    new = following(old, dave=person_entry(DAVE))
    assert new.may("dave", "approve", "install-roster")
    assert refused(succeed, old, new, ALICE, DAVE).rule == "role"
    moved = following(old, bob=None, eve=person_entry(BOB, EVE))
    assert succeed(old, moved, ALICE, BOB, EVE) == ["alice", "bob"]


def test_a_roster_is_signed_with_user_verification() -> None:
    """Threats: 18, 19."""
    old = roster()
    new = following(old, dave=None)
    assert succeed(old, new, ALICE, BOB)
    for flags, rule in ((0x01, "user-verification"), (0x00, "user-presence"), (4, "user-presence")):
        assert refused(succeed, old, new, ALICE, BOB, flags=flags).rule == rule


def test_a_roster_follows_the_one_in_force() -> None:
    old = roster()
    new = following(old, dave=None)
    assert succeed(old, new, ALICE, BOB)
    skipped = Roster(canonical.write({**new.doc, "serial": 3}))
    other = Roster(canonical.write({**new.doc, "prev": "ab" * 32}))
    for odd in (skipped, other, old):
        assert "follow" in refused(succeed, old, odd, ALICE, BOB).words
    assert "follow" in refused(succeed, new, new, ALICE, BOB).words


def test_signatures_for_another_roster_or_purpose_are_worth_nothing() -> None:
    """Threats: 5."""
    old = roster()
    new = following(old, dave=None)
    good = ALICE.sign(new.data, SPACE)
    call = people.check_succession
    odd = BOB.sign(new.data, "request-v1@watchfloor")
    assert refused(call, old, new, [good, odd], WORLD, NOW).rule == "namespace"
    other = BOB.sign(old.data, SPACE)
    assert refused(call, old, new, [good, other], WORLD, NOW).rule == "signature"
    stranger = EVE.sign(new.data, SPACE)
    assert refused(call, old, new, [good, stranger], WORLD, NOW).rule == "unknown-key"


def test_nobody_locks_everybody_out() -> None:
    old = roster()
    new = following(old, bob=None, carol=None)
    assert "again" in refused(succeed, old, new, ALICE, BOB).words
    doc = copy.deepcopy(old.doc["people"]["bob"])
    doc["keys"][0]["revoked"] = NOW
    new = following(old, bob=doc, carol=None)
    assert "again" in refused(succeed, old, new, ALICE, CAROL).words
    # A file key cannot give what the floor asks of whoever installs a roster.
    plain = FileKey(b"\x31" * 32)
    new = following(old, bob=person_entry(plain), carol=None)
    assert new.approvers("install-roster") == ["alice", "bob"]
    assert "again" in refused(succeed, old, new, ALICE, BOB, plain).words


def test_a_revoked_key_signs_no_roster() -> None:
    """Threats: 16."""
    doc = roster_doc()
    doc["people"]["bob"]["keys"][0]["revoked"] = NOW - 1
    old = Roster(canonical.write(doc))
    new = following(old, dave=None)
    assert refused(succeed, old, new, ALICE, BOB).rule == "key-revoked"
    assert succeed(old, new, ALICE, CAROL) == ["alice", "carol"]


class MixedKey(FileKey):
    """A key with a part of order eight in it, and signatures that hold nevertheless: its number is
    chosen until that part falls away."""

    def __init__(self) -> None:
        seed = b"\x55" * 32
        super().__init__(seed)
        head = bytearray(hashlib.sha512(seed).digest()[:32])
        head[0] &= 248
        head[31] = head[31] & 127 | 64
        self.secret = int.from_bytes(head, "little")
        points = [ed25519._decode(point) for point in (self.public, bytes.fromhex(SMALL[4]))]
        self.public = ed25519._encode(ed25519._combine([(1, point) for point in points if point]))

    def _inner(self, to_sign: bytes, flags: int, counter: int) -> bytes:
        for number in range(1, 1000):
            first = ed25519._encode(ed25519._combine([(number, ed25519._BASE)]))
            hashed = hashlib.sha512(first + self.public + to_sign).digest()
            scalar = int.from_bytes(hashed, "little") % ed25519.ORDER
            if scalar % 8 == 0:
                break
        second = (number + scalar * self.secret) % ed25519.ORDER
        return string(self.kind.encode()) + string(first + second.to_bytes(32, "little"))


def test_a_new_key_outside_the_group_of_prime_order_is_refused() -> None:
    """Both verifiers accept its signature; one that was honestly made has no such part."""
    old, mixed = roster(), MixedKey()
    new = following(old, eve=person_entry(mixed))
    signed.by_key(new.data, mixed.sign(new.data, SPACE), "roster", mixed.blob, WORLD)
    assert "group" in refused(succeed, old, new, ALICE, BOB, mixed).words
