"""People, keys, rosters and policies for tests of the guard."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from console.demo.fido import FidoKey, FileKey
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.people import Roster
from console.hostside.guard.trust.policy import Policy
from console.hostside.guard.world import World

NOW = 1_790_000_000
WORLD = World(Place())

ROLES: dict[str, dict[str, list[str]]] = {
    "responder": {"request": ["*"], "approve": ["*"], "break": ["isolate"]},
    "watcher": {"request": ["isolate"], "approve": [], "break": []},
}


@cache
def key_of(person: str) -> FidoKey:
    """The same key each time for the same name."""
    return FidoKey(hashlib.sha256(person.encode()).digest())


def key_entry(key: FileKey, name: str = "yubi-1", **changes: Any) -> dict[str, Any]:
    """A key as a roster lists it."""
    entry = {"pub": key.public_line, "id": name, "not_before": 0, "not_after": 0, "revoked": 0}
    return {**entry, "hardware": "proven", **changes}


def person_entry(*keys: FileKey, roles: tuple[str, ...] = ("responder",)) -> dict[str, Any]:
    """A person as a roster lists them."""
    entries = [key_entry(key, f"key-{at}") for at, key in enumerate(keys)]
    return {"name": "Somebody", "roles": list(roles), "attrs": {}, "when": {}, "keys": entries}


def roster_doc(**changes: Any) -> dict[str, Any]:
    """Alice, Bob and Carol are responders, Dave may request one thing; ``changes`` on top."""
    people = {name: person_entry(key_of(name)) for name in ("alice", "bob", "carol")}
    people["dave"] = person_entry(key_of("dave"), roles=("watcher",))
    doc = {"kind": "roster", "v": 1, "serial": 1, "prev": "", "quorum": 2, "people": people}
    return {**doc, "roles": copy.deepcopy(ROLES), **changes}


def roster(**changes: Any) -> Roster:
    """``roster_doc`` as the guard loads it."""
    return Roster(canonical.write(roster_doc(**changes)))


def policy_doc(**changes: Any) -> dict[str, Any]:
    """A policy with every field; ``changes`` on top."""
    doc: dict[str, Any] = {
        "kind": "policy", "v": 1, "serial": 1, "prev": "", "mgmt_networks": ["10.9.1.0/24"],
        "unconfirmed": "revert", "confirm_s": 120, "request_ttl_s": 3600, "approval_ttl_s": 900,
        "max_targets": 16, "pending_host": 10, "pending_person": 3, "require_uv": True,
        "key_types": ["sk-ssh-ed25519@openssh.com", "ssh-ed25519"], "actions": {},
        "services": ["vllm.service"], "api_ports": [8000], "models": ["/srv/models"],
        "gateway": {}, "health": {}, "profiles": {}, "evaluation": {}, "firewall": "",
        "packages": [], "dhcp": "none",
    }  # fmt: skip
    return {**doc, **changes}


def policy(**changes: Any) -> Policy:
    """``policy_doc`` as the guard loads it."""
    return Policy(canonical.write(policy_doc(**changes)))


def refused(call: Callable[..., object], *given: Any, **named: Any) -> Refused:
    """How ``call`` is refused; a failure where it is not."""
    with pytest.raises(Refused) as caught:
        call(*given, **named)
    # What is said is for an operator: a sentence without foreign bytes.
    assert caught.value.rule
    assert caught.value.words.isprintable()
    return caught.value
