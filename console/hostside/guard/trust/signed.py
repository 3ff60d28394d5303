"""One signature, each time it is used: by whom, with what, and whether it is genuine.

The order is the cheap and certain first; no cryptography is done for a key that nobody enrolled.
"""

from __future__ import annotations

from ..refused import Refused
from . import ed25519, keygen, people, sshsig
from .documents import NAMESPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NamedTuple

    from ..world import World
    from .people import Roster

    class Signed(NamedTuple):
        """Who signed. ``uv``: a PIN or finger was asked for; ``counter`` is the key's own."""

        person: str
        key_id: str
        fingerprint: str
        uv: bool
        counter: int
else:
    from collections import namedtuple

    class Signed(namedtuple("Signed", "person key_id fingerprint uv counter")):
        """Who signed. ``uv``: a PIN or finger was asked for; ``counter`` is the key's own."""

        __slots__ = ()


KEY_TYPES = (sshsig.SK_ED25519, sshsig.ED25519)


def genuine(message: bytes, parsed: sshsig.Parsed, world: World) -> None:
    """Raise Refused unless every verifier that there is for this kind accepts.

    Ed25519 kinds are verified here and by OpenSSH; ECDSA by OpenSSH alone.
    """
    bad = Refused("signature", "the signature is not genuine", "sign these very bytes again")
    ours = parsed.kind != sshsig.SK_ECDSA
    # Both are always asked, side by side: it takes no longer than the slower one.
    asked = world.asked.pop((message, parsed.outer), None) or _ask(message, parsed, world)
    good = not ours or ed25519.verify(
        parsed.public, parsed.signature, sshsig.signed_bytes(parsed, message)
    )
    theirs = keygen.answer(asked, world)
    if not good:
        raise bad
    if theirs is None and not ours:
        raise Refused(
            "key-type",
            "this host has no ssh-keygen of 8.1 or later, which a key of this kind needs",
            "sign with an Ed25519 key",
        )
    if theirs is False:
        raise bad


def _ask(message: bytes, parsed: sshsig.Parsed, world: World) -> keygen.Asked | None:
    armored, line = sshsig.armor(parsed.outer), sshsig.line(parsed.blob)
    return keygen.begin(message, armored, line, parsed.namespace, world)


def ahead(message: bytes, signature: str, roster: Roster, world: World) -> None:
    """Ask OpenSSH about a signature that ``check`` is going to be asked about in this call. It
    judges nothing, and asks nothing about keys that nobody enrolled."""
    try:
        parsed = sshsig.parse(signature)
        roster.person_of(parsed.blob)
    except Refused:
        return  # said by check
    asked = _ask(message, parsed, world)
    if asked is not None:
        world.asked[message, parsed.outer] = asked


def by_key(message: bytes, signature: str, kind: str, blob: bytes, world: World) -> None:
    """Raise Refused unless ``signature`` is that of one key: a host's audit key, or one that is
    about to be enrolled (a FIDO key is touched for it)."""
    parsed = sshsig.parse(signature)
    _namespace(parsed, kind)
    if parsed.blob != blob:
        raise Refused("unknown-key", "the signature is of another key than the expected one",
                      "sign with the key that is named")  # fmt: skip
    _given(parsed, False)
    genuine(message, parsed, world)


def _namespace(parsed: sshsig.Parsed, kind: str) -> None:
    if parsed.namespace != NAMESPACES[kind]:
        raise Refused(
            "namespace",
            f"the signature was made for another purpose than {NAMESPACES[kind]}",
            "a signature of one kind of document is worth nothing for another",
        )


def check(
    message: bytes,
    signature: str,
    kind: str,
    roster: Roster,
    policy_uv: bool,
    now: int,
    world: World,
    key_types: Sequence[str] = KEY_TYPES,
) -> Signed:
    """Who signed ``message`` as a document of ``kind``. Raises Refused.

    ``policy_uv``: whether floor or policy ask for user verification; ``key_types``: those that the
    policy allows; ``now``: the host's clock.
    """
    parsed = sshsig.parse(signature)
    _namespace(parsed, kind)
    if parsed.kind not in key_types:
        raise Refused("key-type", f"the policy does not allow keys of the kind {parsed.kind}",
                      "sign with a key of a kind that it allows")  # fmt: skip
    person, key = roster.person_of(parsed.blob)
    people.usable(person, key, now)
    uv = _given(parsed, policy_uv)
    genuine(message, parsed, world)
    return Signed(person, key["id"], sshsig.fingerprint(parsed.blob), uv, parsed.counter)


def _given(parsed: sshsig.Parsed, ask_uv: bool) -> bool:
    """How it was given: by touch, or Refused; whether by PIN or finger, and Refused where
    ``ask_uv`` and not so. OpenSSH looks at none of this."""
    uv = False
    if parsed.kind != sshsig.ED25519:
        if not parsed.application.startswith("ssh:"):
            raise Refused("application", "the FIDO key is for another application than ssh:",
                          "make a key by ssh-keygen -t ed25519-sk")  # fmt: skip
        if not parsed.flags & sshsig.PRESENT:
            raise Refused("user-presence", "the key was not touched when it signed",
                          "make the key anew without no-touch-required")  # fmt: skip
        uv = bool(parsed.flags & sshsig.VERIFIED)
    if ask_uv and not uv:
        raise Refused("user-verification", "the signature was made without a PIN or fingerprint",
                      "make a key by ssh-keygen -t ed25519-sk -O verify-required")  # fmt: skip
    return uv
