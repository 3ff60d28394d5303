"""Signatures of this console's own, before they leave it."""

from __future__ import annotations

from typing import Any

import pytest

from console.errors import ActionError
from console.hostside.guard.trust import canonical
from console.trust.verify import fits, own
from tests.support.guardkit import NOW, key_entry, key_of, person_entry, policy, roster, roster_doc

DOCUMENT = canonical.write(
    {"kind": "cancel", "v": 1, "by": "alice", "comment": "", "request_sha256": "a" * 64}
)
NAMESPACE = "cancel-v1@watchfloor"


def checked(signature: str, person: str = "alice", **more: Any) -> Any:
    given: dict[str, Any] = {"blob": key_of("alice").blob, "uv": True, "now": NOW, **more}
    return own(DOCUMENT, signature, "cancel", roster(), policy(), person=person, **given)


def test_a_good_signature_says_who_with_what() -> None:
    by = checked(key_of("alice").sign(DOCUMENT, NAMESPACE, counter=7))
    assert (by.person, by.uv, by.counter) == ("alice", True, 7)


@pytest.mark.parametrize(
    ("signer", "namespace", "flags", "said"),
    [
        ("alice", NAMESPACE, 0, "not touched"),
        ("alice", NAMESPACE, 1, "without a PIN"),
        ("bob", NAMESPACE, 5, "another key"),
        ("alice", "request-v1@watchfloor", 5, "another purpose"),
    ],
)
def test_what_a_host_would_refuse_does_not_leave(
    signer: str, namespace: str, flags: int, said: str
) -> None:
    """Threats: 5, 18, 19."""
    signature = key_of(signer).sign(DOCUMENT, namespace, flags=flags)
    with pytest.raises(ActionError, match=said):
        checked(signature)


def test_other_bytes_another_person_and_no_signature_do_not_leave() -> None:
    """Threats: 10."""
    with pytest.raises(ActionError, match="not genuine"):
        checked(key_of("alice").sign(DOCUMENT + b" ", NAMESPACE))
    with pytest.raises(ActionError, match="is that of alice"):
        checked(key_of("alice").sign(DOCUMENT, NAMESPACE), person="bob")
    with pytest.raises(ActionError, match="not sent"):
        checked("none")


def test_a_key_that_cannot_be_accepted_is_said_before_anybody_touches_it() -> None:
    """Threats: 16, 21."""
    from console.demo.fido import FileKey

    plain = FileKey(b"\x01" * 32)
    doc = roster_doc()
    revoked = key_entry(key_of("alice"), "yubi-1", revoked=NOW - 1)
    doc["people"]["alice"]["keys"] = [key_entry(plain, "file-1"), revoked]
    doc["people"]["erin"] = person_entry()
    people = roster(people=doc["people"])
    with pytest.raises(ActionError, match="a file key cannot prove"):
        fits(plain.blob, people, policy(), person="alice", uv=True, now=NOW)
    fits(plain.blob, people, policy(), person="alice", uv=False, now=NOW)
    with pytest.raises(ActionError, match="revoked"):
        fits(key_of("alice").blob, people, policy(), person="alice", uv=True, now=NOW)
    only = policy(key_types=["sk-ssh-ed25519@openssh.com"])
    with pytest.raises(ActionError, match="does not allow keys of the kind"):
        fits(plain.blob, people, only, person="alice", uv=False, now=NOW)
