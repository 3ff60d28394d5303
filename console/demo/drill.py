"""The drill's people, keys, roster and policy: all thrown away when the demo ends.

Below the demo's folder: ``people/NAME/`` (``seed`` of the key that signs, ``login`` that logs in to
guards, ``auth`` as sshd tells a guard of a login), ``trust/`` (the chains of every console of the
demo) and ``guards/HOST/`` (see ``guards.py``).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from console.demo.facts import MODELS
from console.demo.fleet import SimHost

PEOPLE = ("alice", "bob", "carol")
FIRST, SECOND = "alice", "bob"
"""Who sits at ``watchfloor demo``, and who at ``watchfloor demo --join``."""

NAMES = {"alice": "Alice Example", "bob": "Bob Example", "carol": "Carol Example"}
_ROLES_OF = {
    "alice": ["approver", "on-call", "responder"],
    "bob": ["approver", "responder"],
    "carol": ["roster-admin"],
}
_TRUST = ["install-guard", "install-policy", "install-roster"]
_URGENT = ["block-source", "disconnect-inbound", "isolate", "stop-service"]
MGMT = ("10.20.0.0/24", "127.0.0.0/8")
"""The bastion's network, and this machine: that is where the demo's consoles are."""

_HARDENED = ["NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes"]


def port_of(key: str) -> int:
    """Port of a listener's key such as ``tcp/0.0.0.0:8000``."""
    return int(key.rpartition(":")[2])


def api_ports(hosts: Sequence[SimHost]) -> list[int]:
    """Ports of model services that others than the host itself reach, on any of these hosts."""
    found = {
        port_of(key)
        for host in hosts
        for service in host.services
        for key in service.listen
        if "127.0.0.1" not in key
    }
    return sorted(found)


def health(hosts: Sequence[SimHost]) -> dict[str, Any]:
    """Of each model that is served (not only stored) the service, and where it says that it is
    well: such a model's version can be changed."""
    return {
        service.model.source: {
            "service": service.unit, "kind": "link", "timeout_s": 60, "expect": 200,
            "url": f"http://127.0.0.1:{port_of(service.listen[0])}/health",
        }
        for host in hosts
        for service in host.services
        if service.model is not None and service.listen and host.role != "model-store"
    }  # fmt: skip


def roster(keys: dict[str, str]) -> dict[str, Any]:
    """The first roster. ``keys`` has the public key line (``kind base64``) of each person."""
    people = {
        name: {
            "name": NAMES[name],
            "roles": _ROLES_OF[name],
            "attrs": {},
            "when": {},
            "keys": [
                {
                    "pub": line, "id": f"demo-{name}", "not_before": 0, "not_after": 0,
                    "revoked": 0, "hardware": "proven",
                }
            ],
        }
        for name, line in keys.items()
    }  # fmt: skip
    return {
        "kind": "roster", "v": 1, "serial": 1, "prev": "", "quorum": 2, "people": people,
        "roles": {
            "responder": {"request": ["*"], "approve": [], "break": []},
            "approver": {"request": [], "approve": ["*"], "break": []},
            "on-call": {"request": [], "approve": [], "break": _URGENT},
            "roster-admin": {"request": _TRUST, "approve": _TRUST, "break": []},
        },
    }  # fmt: skip


def policy(hosts: Sequence[SimHost]) -> dict[str, Any]:
    """One policy for the whole fleet, as it would be at a site of its size."""
    services = sorted({service.unit for host in hosts for service in host.services})
    two = {"mode": "two_before", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 300}
    return {
        "kind": "policy", "v": 1, "serial": 1, "prev": "", "mgmt_networks": list(MGMT),
        "unconfirmed": "revert", "confirm_s": 120, "request_ttl_s": 1800, "approval_ttl_s": 600,
        "max_targets": 8, "pending_host": 10, "pending_person": 10, "require_uv": True,
        "key_types": ["sk-ssh-ed25519@openssh.com"], "actions": {"isolate": two},
        "services": services, "api_ports": api_ports(hosts), "models": [MODELS],
        "gateway": {
            "kind": "nginx", "keys_file": "/etc/nginx/keys.map",
            "limits_file": "/etc/nginx/limits.map", "unit": "nginx.service",
        },
        "health": health(hosts), "profiles": dict.fromkeys(services, _HARDENED), "evaluation": {},
        "firewall": "", "packages": ["*"], "dhcp": "none",
    }  # fmt: skip


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """A new file of that mode; the folder is the demo's own, so nothing else is there."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with open(handle, "wb") as file:
        file.write(data)


def person(folder: Path, name: str) -> Path:
    """The folder of one person. Raises ValueError for nobody of the demo."""
    if name not in PEOPLE:
        raise ValueError(f"nobody in the demo is called {name!r}")
    return folder / "people" / name


class Drill:
    """The people of a running demo, made anew each time."""

    def __init__(self, folder: Path, hosts: Sequence[SimHost]) -> None:
        """Makes keys and chains below ``folder``; some milliseconds."""
        import asyncssh

        from console.demo.fido import FidoKey
        from console.hostside.guard.trust import canonical
        from console.trust.chain import Chain

        self.folder = folder
        self.logins: dict[bytes, str] = {}  # public key, in SSH's binary form -> person
        lines = {}
        for name in PEOPLE:
            place = person(folder, name)
            place.mkdir(parents=True, mode=0o700)
            seed = secrets.token_bytes(32)
            write(place / "seed", seed)
            lines[name] = FidoKey(seed).public_line
            login = asyncssh.generate_private_key("ssh-ed25519", comment=f"{name}@demo")
            write(place / "login", login.export_private_key())
            public = login.export_public_key().decode("ascii").split()
            write(place / "auth", f"publickey {public[0]} {public[1]}\n".encode())
            self.logins[login.public_data] = name
        self.roster = canonical.write(roster(lines))
        self.policy = canonical.write(policy(hosts))
        chain = Chain(folder / "trust")
        chain.begin("roster", self.roster)
        chain.begin("policy", self.policy)

    def auth(self, name: str) -> Path:
        """What sshd would tell of that person's login."""
        return person(self.folder, name) / "auth"
