"""What is handed in for a guard, checked before a word of it gets into a script."""

import ipaddress
import json
from pathlib import Path

import msgspec

from console.enroll.check import public_keys, source
from console.errors import UsageError
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, people, policy
from console.text import clean
from console.trust.roster import able

MAX_FILE = 64 << 10


class GuardOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A checked order for a guard. ``signatures`` are armored, empty for what root begins."""

    guard: bytes
    roster: bytes
    roster_signatures: tuple[str, ...] = ()
    policy: bytes
    policy_signatures: tuple[str, ...] = ()
    operator_keys: tuple[str, ...]  # "type base64"
    operator_sources: tuple[str, ...]  # networks that may log in as operators


def guard_order(
    guard: bytes, roster_file: Path, policy_file: Path, key_files: list[Path], mgmt: list[str]
) -> tuple[GuardOrder, list[str]]:
    """Check everything; the order, and warnings. Raises UsageError that names what is wrong.

    ``mgmt`` are networks that operators log in from; where none is given, those of the policy.
    """
    if not key_files:
        raise UsageError("no operator can log in", hint="Name keys with --operator-key FILE.pub.")
    roster = _read(roster_file)
    rules = _read(policy_file)
    try:
        found = people.Roster(roster)
    except Refused as refused:
        raise UsageError(f"is no roster: {refused.words}", where=str(roster_file)) from None
    try:
        checked = policy.Policy(rules)
    except Refused as refused:
        raise UsageError(f"is no policy: {refused.words}", where=str(policy_file)) from None
    _usable(found, checked, str(roster_file))
    keys = tuple(line for file in key_files for line in public_keys(file))
    signing = {" ".join(_pub(key)) for entry in found.doc["people"].values()
               for key in entry["keys"]}  # fmt: skip
    if any(key in signing for key in keys):
        raise UsageError(
            "a signing key of the roster is given as a login key",
            hint="Logins use keys of their own, so that a stolen login key signs nothing.",
        )
    networks = [source(text) for text in mgmt] or list(checked.doc["mgmt_networks"])
    order = GuardOrder(
        guard=guard, roster=roster, roster_signatures=signatures(roster_file), policy=rules,
        policy_signatures=signatures(policy_file), operator_keys=keys,
        operator_sources=tuple(networks),
    )  # fmt: skip
    return order, _cut_off(networks, checked.doc["mgmt_networks"])


def _usable(roster: people.Roster, rules: policy.Policy, where: str) -> None:
    """A roster by which nothing could ever be done is not installed."""
    for action in ("install-roster", "release"):
        if len(able(roster, action)) < 2:
            raise UsageError(
                f"fewer than two people may approve {action} and have a hardware key, which it "
                "needs: nothing could be undone",
                where=where,
                hint="Make keys by: ssh-keygen -t ed25519-sk -O verify-required",
            )
    kinds = {_pub(key)[0] for _, key in roster.blobs.values()}
    if not kinds & set(rules.key_types):
        raise UsageError("no key in it is of a kind that the policy allows", where=where)


def _pub(key: dict[str, str]) -> list[str]:
    return key["pub"].split()


def signatures(file: Path) -> tuple[str, ...]:
    """Signatures of ``NAME.json``: those in ``NAME.sigs``, none where it is not there."""
    path = file.with_suffix(".sigs")
    if not path.exists():
        return ()
    try:
        found = json.loads(_read(path))["signatures"]
    except (ValueError, TypeError, KeyError):
        found = None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise UsageError("is not a list of signatures", where=str(path))
    return tuple(found)


def _cut_off(networks: list[str], allowed: list[str]) -> list[str]:
    """Warnings for logins that an isolation by this policy would cut off."""
    inside = [ipaddress.ip_network(text) for text in allowed]
    out = []
    for text in networks:
        try:
            net = ipaddress.ip_network(text)
        except ValueError:
            out.append(f"--mgmt {text} is a name: an isolation knows only mgmt_networks")
            continue
        if not any(net.version == each.version and net.subnet_of(each)  # type: ignore[arg-type]
                   for each in inside):  # fmt: skip
            out.append(
                f"--mgmt {text} is outside mgmt_networks of the policy: an isolation cuts it off"
            )
    return out


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(
            f"cannot be read: {clean(error.strerror or '')}", where=str(path)
        ) from None
    if len(data) > MAX_FILE:
        raise UsageError(f"is larger than {MAX_FILE >> 10} KiB", where=str(path))
    return data


def digest(data: bytes) -> str:
    """SHA-256, 64 hex digits."""
    return canonical.sha256(data)
