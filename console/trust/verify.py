"""Signatures of people, checked here by the very code that the hosts use."""

from console.errors import ActionError
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import people, signed, sshsig
from console.hostside.guard.trust.people import Roster
from console.hostside.guard.trust.policy import Policy
from console.hostside.guard.trust.signed import Signed
from console.hostside.guard.world import World
from console.trust.sign import HARDWARE, kind_of

_WORLD = World(Place())


def verify(
    data: bytes,
    signature: str,
    kind: str,
    roster: Roster,
    policy: Policy,
    *,
    uv: bool,
    now: int,
) -> Signed:
    """Who signed ``data`` as a document of ``kind``, by this console's own roster.

    Both verifiers must accept. ``uv``: user verification is asked for; ``now``: the host's clock.
    Raises Refused.
    """
    return signed.check(data, signature, kind, roster, uv, now, _WORLD, policy.key_types)


def by_host(data: bytes, signature: str, kind: str, blob: bytes) -> None:
    """Raise Refused unless the host whose audit key ``blob`` is signed ``data``."""
    signed.by_key(data, signature, kind, blob, _WORLD)


def own(
    data: bytes,
    signature: str,
    kind: str,
    roster: Roster,
    policy: Policy,
    *,
    person: str,
    blob: bytes,
    uv: bool,
    now: int,
) -> Signed:
    """A signature of this console's own, checked with its flags before it leaves.

    Raises ActionError where the host would refuse it, or another key or person signed.
    """
    try:
        parsed = sshsig.parse(signature)
        if parsed.blob != blob:
            raise Refused("unknown-key", "another key has signed than the one that was shown")
        by = verify(data, signature, kind, roster, policy, uv=uv, now=now)
    except Refused as refused:
        raise ActionError(
            f"the signature is not sent: {refused.words}", hint=refused.hint, rule=refused.rule
        ) from None
    if by.person != person:
        raise ActionError(
            f"the signing key is that of {by.person}, and [operator] names {person}",
            hint="Correct `person` or `signing_key` in [operator].",
            rule="person",
        )
    return by


def fits(blob: bytes, roster: Roster, policy: Policy, *, person: str, uv: bool, now: int) -> None:
    """Whether a signature by this key can be accepted at all, before a person is asked for a touch.

    Raises ActionError.
    """
    hint = "Name another `signing_key` in [operator], or have the key enrolled in the roster."
    kind = kind_of(blob)
    if kind not in policy.key_types:
        raise ActionError(
            f"the policy does not allow keys of the kind {kind}", hint=hint, rule="key-type"
        )
    try:
        owner, key = roster.person_of(blob)
        people.usable(owner, key, now)
    except Refused as refused:
        raise ActionError(refused.words, hint=hint, rule=refused.rule) from None
    if owner != person:
        raise ActionError(
            f"the signing key is that of {owner}, and [operator] names {person}",
            hint=hint,
            rule="person",
        )
    if uv and kind not in HARDWARE:
        raise ActionError(
            "a file key cannot prove that a person was there, which this action needs",
            hint="Sign with a hardware key made by: ssh-keygen -t ed25519-sk -O verify-required",
            rule="user-verification",
        )
