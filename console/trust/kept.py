"""The console's chain in memory: what is in force, and what was before it."""

from collections.abc import Mapping

import msgspec

from console.hostside.guard.trust.people import Roster
from console.hostside.guard.trust.policy import Policy
from console.trust.chain import Chain


class Kept(msgspec.Struct, frozen=True):
    """Roster and policy in force on this console, and every earlier one by digest."""

    roster: Roster
    policy: Policy
    rosters: Mapping[str, Roster] = {}
    policies: Mapping[str, Policy] = {}

    @property
    def roster_sha256(self) -> str:
        """Digest of the roster's bytes."""
        return self.roster.sha256

    @property
    def policy_sha256(self) -> str:
        """Digest of the policy's bytes."""
        return self.policy.sha256

    def known(self, both: str) -> "Kept | None":
        """The pair of these digests (128 hex digits) where both were once in force here.

        A host that has not taken the newest yet takes it by the rules of the one it has.
        """
        roster = self.rosters.get(both[:64])
        policy = self.policies.get(both[64:])
        return Kept(roster, policy) if roster and policy else None


def load(chain: Chain) -> Kept:
    """All of a chain, every link verified. Raises ConfigError."""
    rosters = chain.rosters()
    policies = chain.policies(rosters)
    return Kept(
        rosters[-1],
        policies[-1],
        {roster.sha256: roster for roster in rosters},
        {policy.sha256: policy for policy in policies},
    )
