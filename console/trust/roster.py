"""Rosters and policies as people make and read them: new ones from edited files, and in words."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from console.errors import UsageError
from console.hostside.guard.actions import NAMES, action
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, sshsig
from console.hostside.guard.trust.people import Roster
from console.hostside.guard.trust.policy import Policy
from console.hostside.guard.trust.words import words
from console.text import clean

MAX_EDITED = 256 << 10
RESPONDER: dict[str, list[str]] = {"request": ["*"], "approve": ["*"], "break": ["isolate"]}

FIRST_POLICY: dict[str, Any] = {
    "unconfirmed": "revert", "confirm_s": 120, "request_ttl_s": 3600, "approval_ttl_s": 900,
    "max_targets": 16, "pending_host": 10, "pending_person": 3, "require_uv": True,
    "key_types": ["sk-ssh-ed25519@openssh.com", "ssh-ed25519"], "actions": {}, "services": [],
    "api_ports": [], "models": [], "gateway": {}, "health": {}, "profiles": {}, "evaluation": {},
    "firewall": "", "packages": [], "dhcp": "none",
}  # fmt: skip
"""A policy to begin with: two people before everything, and nothing declared."""


def key_entry(pub: str, name: str, hardware: str) -> dict[str, Any]:
    """One key as a roster lists it."""
    return {"pub": pub, "id": name, "not_before": 0, "not_after": 0, "revoked": 0,
            "hardware": hardware}  # fmt: skip


def first_roster(people: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A roster to begin with: everybody a responder. ``people`` are key entries by name."""
    return {
        "quorum": 2,
        "people": {
            name: {"name": name, "roles": ["responder"], "attrs": {}, "when": {}, "keys": keys}
            for name, keys in people.items()
        },
        "roles": {"responder": RESPONDER},
    }


def parsed(kind: str, data: bytes) -> Roster | Policy:
    """A document that breaks no rule. Raises Refused."""
    if kind == "roster":
        return Roster(data)
    rules = Policy(data)
    rules.check([action(name) for name in NAMES])
    return rules


def edited(text: bytes) -> dict[str, Any]:
    """The JSON that a person edited, in whatever layout. Raises UsageError."""
    if len(text) > MAX_EDITED:
        raise UsageError(f"it is larger than {MAX_EDITED >> 10} KiB")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"it is not JSON: {clean(str(error), 120)}") from None
    if not isinstance(found, dict):
        raise UsageError("it is not a JSON object")
    return found


def written(kind: str, doc: Mapping[str, Any], serial: int, prev: str) -> bytes:
    """The canonical bytes of a document with that place in its chain. Raises UsageError."""
    whole = {**doc, "kind": kind, "v": 1, "serial": serial, "prev": prev}
    try:
        data = canonical.write(whole)
        found = parsed(kind, data)
    except Refused as refused:
        raise UsageError(f"it is no {kind}: {refused.words}", hint=refused.hint) from None
    if isinstance(found, Roster):
        _usable(found)
    return data


def _usable(roster: Roster) -> None:
    """A roster that nobody could change again, or by which nothing ends, is not begun."""
    for name in ("install-roster", "release"):
        few = len(roster.approvers(name))
        if few < max(2, roster.quorum):
            raise UsageError(f"{few} people may approve {name}, and {roster.quorum} are needed")


def able(roster: Roster, name: str) -> list[str]:
    """Who may approve an action and has a key that can prove a PIN or finger, which everything
    that opens, destroys or changes trust asks for."""
    return [
        person for person in roster.approvers(name)
        if any(key["pub"].startswith("sk-") and not key["revoked"]
               for key in roster.doc["people"][person]["keys"])
    ]  # fmt: skip


def weak(found: Roster | Policy) -> Iterator[str]:
    """What a roster allows on paper and no key in it can do."""
    for name in ("release", "install-roster") if isinstance(found, Roster) else ():
        if isinstance(found, Roster) and len(able(found, name)) < 2:
            yield (
                f"fewer than two people have a hardware key and may approve {name}: a key file "
                "proves no PIN or finger, so that would need root on each host"
            )


# ---- in words


def spoken(digest: str) -> str:
    """Six words of a digest, to be read aloud."""
    return " ".join(words(digest))


def lines(found: Roster | Policy) -> Iterator[str]:
    """A document in words, a line each."""
    kind = "roster" if isinstance(found, Roster) else "policy"
    yield f"{kind} {found.serial}  {found.sha256}"
    yield f"  read aloud: {spoken(found.sha256)}"
    yield from _roster(found) if isinstance(found, Roster) else _policy(found)


def _roster(roster: Roster) -> Iterator[str]:
    yield f"  {roster.quorum} people change it"
    for person, entry in sorted(roster.doc["people"].items()):
        first, *keys = _person(entry)
        yield f"  {person} {first}"
        yield from (f"    {line}" for line in keys)
    for role, may in sorted(roster.doc["roles"].items()):
        told = [f"{ability} {_several(may[ability])}" for ability in ("request", "approve", "break")
                if may[ability]]  # fmt: skip
        yield f"  role {role}: may {'; '.join(told) or 'do nothing'}"


def _person(entry: Mapping[str, Any]) -> Iterator[str]:
    """A person's name and roles, then their keys."""
    yield f"({clean(entry['name'], 100)}): {', '.join(entry['roles']) or 'no role'}"
    yield from map(_key, entry["keys"])


def _several(names: list[str]) -> str:
    return "everything" if "*" in names else ", ".join(names)


def _key(key: Mapping[str, Any]) -> str:
    kind, _, _ = key["pub"].partition(" ")
    where = "hardware key" if kind.startswith("sk-") else "key file"
    if kind.startswith("sk-"):
        where += ", proven" if key["hardware"] == "proven" else ", not proven"
    out = f"{key['id']}: {where}, {sshsig.fingerprint(sshsig.key_line(key['pub']))}"
    for field, word in (("not_before", "from"), ("not_after", "until"), ("revoked", "revoked")):
        if key[field]:
            out += f", {word} {_day(key[field])}"
    return out


def _day(at: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return str(at)


def _policy(rules: Policy) -> Iterator[str]:
    for name, value in sorted(rules.doc.items()):
        if name not in ("kind", "v", "serial", "prev", "actions"):
            yield f"  {name} = {json.dumps(value, ensure_ascii=True)}"
    for name in NAMES:
        rule = rules.rule(action(name))
        said = f"  {name}: {rule.people} people, {rule.mode.replace('_', ' ')}"
        said += ", PIN or finger" if rule.require_uv else ""
        yield said + (f", ends after {rule.ttl_s} s" if rule.ttl_s else "")


def changes(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """What differs between two documents, one line a place. Keys are told by fingerprint."""
    for name in sorted({*old, *new}):
        if not path and name in ("serial", "prev"):
            continue
        before, after, here = old.get(name), new.get(name), f"{path}{name}"
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from changes(before, after, here + ".")
        elif name == "keys" and path.startswith("people."):
            yield from _key_changes(before or [], after or [], here)
        elif path == "people.":
            first, *keys = _person(after or before or {})
            yield f"{'-' if name not in new else '+'} {name} {first}"
            yield from (f"    {line}" for line in keys)
        elif name not in old:
            yield f"+ {here} = {_short(after)}"
        elif name not in new:
            yield f"- {here} = {_short(before)}"
        else:
            yield f"~ {here}: {_short(before)} becomes {_short(after)}"


def _key_changes(old: list[Any], new: list[Any], here: str) -> Iterator[str]:
    before = {key["pub"]: key for key in old}
    after = {key["pub"]: key for key in new}
    for pub in before.keys() - after.keys():
        yield f"- {here}: {_key(before[pub])}"
    for pub in after.keys() - before.keys():
        yield f"+ {here}: {_key(after[pub])}"
    for pub in before.keys() & after.keys():
        if before[pub] != after[pub]:
            yield f"~ {here}: {_key(before[pub])} becomes {_key(after[pub])}"


def _short(value: object) -> str:
    return clean(json.dumps(value, ensure_ascii=True, sort_keys=True), 300)
