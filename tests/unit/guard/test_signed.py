"""One signature at the moment of its use: by whom, with what key, how given, and genuine."""

from __future__ import annotations

from typing import Any

import pytest

from console.demo.fido import FidoKey, FileKey
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import ed25519, keygen, signed, sshsig
from console.hostside.guard.trust.documents import NAMESPACES
from console.hostside.guard.trust.signed import Signed
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
from tests.unit.guard.test_sshsig import Instead

MESSAGE = b"what is signed"
ALICE, BOB = key_of("alice"), key_of("bob")
PEOPLE = roster()


def check(
    signature: str, message: bytes = MESSAGE, kind: str = "request", uv: bool = True, **named: Any
) -> Signed:
    people = named.pop("people", PEOPLE)
    world = named.pop("world", WORLD)
    now = named.pop("now", NOW)
    return signed.check(message, signature, kind, people, uv, now, world, **named)


def sign(key: FileKey, kind: str = "request", **named: Any) -> str:
    return key.sign(MESSAGE, NAMESPACES[kind], **named)


def test_a_good_signature_says_who() -> None:
    found = check(sign(ALICE, counter=41))
    assert found == ("alice", "key-0", ALICE.fingerprint, True, 41)
    assert check(sign(ALICE, flags=0x01), uv=False).uv is False


def test_a_signature_is_for_one_kind_of_document() -> None:
    """A request's signature is no approval, cancel or start. Threats: 5."""
    for made in NAMESPACES:
        for used in ("request", "approval", "cancel", "start", "review", "roster", "policy"):
            if made == used:
                assert check(sign(ALICE, made), kind=used)
            else:
                assert refused(check, sign(ALICE, made), kind=used).rule == "namespace"


@pytest.mark.parametrize(
    "namespace",
    ["git", "file", "request-v1@watchfloor ", "Request-v1@watchfloor", "x", "request-v2"],
)
def test_a_signature_made_elsewhere_is_refused(namespace: str) -> None:
    """Of a git commit or a file over the same bytes. Threats: 6."""
    no = refused(check, ALICE.sign(MESSAGE, namespace))
    assert no.rule in ("namespace", "signature")


def test_the_same_key_is_the_same_person_whatever_it_says() -> None:
    """The person comes from the key alone, so requester and approver compare as people.
    Threats: 7, 10, 11."""
    request = check(sign(ALICE))
    approval = check(sign(ALICE, "approval"), kind="approval")
    assert request.person == approval.person == "alice"
    assert check(sign(BOB, "approval"), kind="approval").person == "bob"


def test_two_keys_of_one_person_are_one_person() -> None:
    """Threats: 8."""
    spare = FidoKey(b"\x10" * 32)
    doc = roster_doc()["people"]
    people = roster(people={**doc, "alice": person_entry(ALICE, spare)})
    found = [check(sign(key), people=people) for key in (ALICE, spare)]
    assert [one.person for one in found] == ["alice", "alice"]
    assert found[0].key_id != found[1].key_id


def test_an_unknown_key_is_refused_before_any_cryptography(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threats: 15."""

    def fail(*given: object) -> bool:
        raise AssertionError("nothing is to be verified for a key that nobody enrolled")

    monkeypatch.setattr(ed25519, "verify", fail)
    monkeypatch.setattr(keygen, "verify", fail)
    assert refused(check, sign(FidoKey(b"\x63" * 32))).rule == "unknown-key"
    assert refused(check, sign(FileKey(b"\x63" * 32)), uv=False).rule == "unknown-key"
    assert refused(check, ALICE.sign(MESSAGE, "git")).rule == "namespace"
    with pytest.raises(AssertionError):
        check(sign(ALICE))


def test_the_same_point_as_another_kind_of_key_is_unknown() -> None:
    """The whole blob is who a key is, not its point alone. Threats: 9, 15."""
    other = FidoKey(application="ssh:other")
    other._key, other.public = ALICE._key, ALICE.public
    assert refused(check, sign(other)).rule == "unknown-key"
    as_file = FileKey()
    as_file._key, as_file.public = ALICE._key, ALICE.public
    assert refused(check, sign(as_file), uv=False).rule == "unknown-key"


def test_dates_and_revocation_hold_at_the_time_of_use() -> None:
    """The same signature is good, then not. Threats: 16."""
    doc = roster_doc()["people"]
    dated = key_entry(ALICE, not_before=NOW, not_after=NOW + 100)
    people = roster(people={**doc, "alice": {**person_entry(), "keys": [dated]}})
    signature = sign(ALICE)
    assert check(signature, people=people)
    assert check(signature, people=people, now=NOW + 99)
    assert refused(check, signature, people=people, now=NOW + 100).rule == "key-date"
    assert refused(check, signature, people=people, now=NOW - 1).rule == "key-date"
    revoked = {**dated, "revoked": NOW + 10}
    people = roster(people={**doc, "alice": {**person_entry(), "keys": [revoked]}})
    assert check(signature, people=people, now=NOW + 9)
    assert refused(check, signature, people=people, now=NOW + 10).rule == "key-revoked"


def test_a_revocation_changes_the_digest_that_requests_are_bound_to() -> None:
    """Threats: 17."""
    doc = roster_doc()["people"]
    revoked = {**person_entry(), "keys": [key_entry(ALICE, "key-0", revoked=NOW)]}
    after = roster(people={**doc, "alice": revoked})
    assert after.sha256 != PEOPLE.sha256
    assert refused(check, sign(ALICE), people=after).rule == "key-revoked"
    gone = roster(people={name: entry for name, entry in doc.items() if name != "alice"})
    assert refused(check, sign(ALICE), people=gone).rule == "unknown-key"


@pytest.mark.parametrize("flags", [0x00, 0x04, 0x80, 0xFE])
def test_a_signature_without_touch_is_refused(flags: int) -> None:
    """ssh-keygen accepts it: the guard looks itself. Threats: 18."""
    signature = sign(ALICE, flags=flags)
    for uv in (True, False):
        assert refused(check, signature, uv=uv).rule == "user-presence"
    line = ALICE.public_line
    assert keygen.verify(MESSAGE, signature, line, NAMESPACES["request"], WORLD) is True


def test_a_signature_without_pin_is_refused_where_it_is_asked_for() -> None:
    """Threats: 19."""
    assert refused(check, sign(ALICE, flags=0x01)).rule == "user-verification"
    assert check(sign(ALICE, flags=0x01), uv=False).uv is False
    assert check(sign(ALICE, flags=0x85)).uv is True


def test_flags_cannot_be_changed_afterwards() -> None:
    """Threats: 20."""
    raw = bytearray(sshsig.parse(sign(ALICE, flags=0x01)).outer)
    raw[-5] |= 0x04
    assert refused(check, sshsig.armor(bytes(raw))).rule == "signature"
    raw = bytearray(sshsig.parse(sign(ALICE, counter=1)).outer)
    raw[-1] = 2
    assert refused(check, sshsig.armor(bytes(raw))).rule == "signature"


def test_a_key_of_a_file_signs_only_where_no_pin_is_asked_for() -> None:
    """Threats: 21."""
    key = FileKey(b"\x21" * 32)
    people = roster(people={**roster_doc()["people"], "eve": person_entry(key)})
    assert refused(check, sign(key), people=people).rule == "user-verification"
    assert check(sign(key), people=people, uv=False).person == "eve"
    only = (sshsig.SK_ED25519,)
    no = refused(check, sign(key), people=people, uv=False, key_types=only)
    assert no.rule == "key-type"


def test_ecdsa_is_refused_unless_the_policy_names_it() -> None:
    """Threats: 27."""
    from tests.unit.guard.test_sshsig import ECDSA, ecdsa, outer

    signature = outer(blob=ECDSA, inner=ecdsa(b"\x01", b"\x01"))
    assert refused(check, signature).rule == "key-type"
    entry = {**key_entry(ALICE), "pub": sshsig.line(ECDSA)}
    people = roster(people={**roster_doc()["people"], "eve": {**person_entry(), "keys": [entry]}})
    kinds = sshsig.KINDS
    assert refused(check, signature, people=people, key_types=kinds).rule == "signature"


def test_a_key_of_a_web_site_is_refused() -> None:
    """The roster refuses it already; the check does not rely on that. Threats: 22."""
    site = FidoKey(b"\x44" * 32, "https://example.org")
    people = roster()
    people.blobs[site.blob] = ("alice", key_entry(site))
    assert refused(check, sign(site), people=people).rule == "application"


def test_the_other_form_of_a_signature_is_refused() -> None:
    """OpenSSH 9.2 accepts it; one refusal is enough. Threats: 23."""
    for key, uv in ((ALICE, True), (FileKey(b"\x21" * 32), False)):
        people = (
            roster(people={**roster_doc()["people"], "eve": person_entry(key)})
            if not uv
            else PEOPLE
        )
        good = sign(key)
        parsed = sshsig.parse(good)
        half = parsed.signature[32:]
        number = int.from_bytes(half, "little") + ed25519.ORDER
        other = parsed.outer.replace(half, number.to_bytes(32, "little"))
        assert check(good, uv=uv, people=people)
        assert refused(check, sshsig.armor(other), uv=uv, people=people).rule == "signature"


def test_either_verifier_alone_can_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    signature = sign(ALICE)
    assert check(signature)
    with monkeypatch.context() as patch:
        patch.setattr(ed25519, "verify", lambda *given: False)
        assert refused(check, signature).rule == "signature"
    assert refused(check, signature, world=Instead("/bin/false")).rule == "signature"


@pytest.fixture
def no_openssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keygen, "PROGRAM", "/nonexistent/ssh-keygen")


@pytest.mark.usefixtures("no_openssh")
def test_without_openssh_only_ed25519_kinds_are_verified() -> None:
    from tests.unit.guard.test_sshsig import ECDSA, ecdsa, outer

    assert check(sign(ALICE)).person == "alice"
    bad = sign(ALICE)
    assert refused(check, bad, message=b"other").rule == "signature"
    entry = {**key_entry(ALICE), "pub": sshsig.line(ECDSA)}
    people = roster(people={**roster_doc()["people"], "eve": {**person_entry(), "keys": [entry]}})
    ecdsa_signature = outer(blob=ECDSA, inner=ecdsa(b"\x01", b"\x01"))
    no = refused(check, ecdsa_signature, people=people, key_types=sshsig.KINDS)
    assert no.rule == "key-type"


@pytest.mark.usefixtures("no_openssh")
def test_every_changed_bit_of_the_message_is_noticed() -> None:
    signature = sign(ALICE)
    for bit in range(len(MESSAGE) * 8):
        number = int.from_bytes(MESSAGE, "big") ^ 1 << bit
        with pytest.raises(Refused):
            check(signature, message=number.to_bytes(len(MESSAGE), "big"))


def test_the_key_of_a_host_is_one_known_key() -> None:
    host = FileKey(b"\x31" * 32)
    signature = sign(host, "checkpoint")
    signed.by_key(MESSAGE, signature, "checkpoint", host.blob, WORLD)
    call = signed.by_key
    assert refused(call, MESSAGE, signature, "evidence", host.blob, WORLD).rule == "namespace"
    assert refused(call, MESSAGE, signature, "checkpoint", BOB.blob, WORLD).rule == "unknown-key"
    assert refused(call, b"x", signature, "checkpoint", host.blob, WORLD).rule == "signature"
    untouched = sign(ALICE, "roster", flags=0x04)
    assert refused(call, MESSAGE, untouched, "roster", ALICE.blob, WORLD).rule == "user-presence"
