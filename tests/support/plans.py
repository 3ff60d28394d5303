"""A realistic plan of every action: parameters, what a host tells, and a policy that allows it."""

from __future__ import annotations

from typing import Any

from console.actions import plan
from console.hostside.guard.actions import NAMES
from tests.support.guardkit import policy_doc

OLD, NEW = "0a" * 32, "c4" * 32
RID = "5e" * 32
POLICY = policy_doc(
    mgmt_networks=["10.9.1.0/24", "fd00:9::/64"],
    dhcp="10.9.1.1",
    api_ports=[8000, 8443],
    firewall=NEW,
    packages=["openssl", "libssl3"],
    gateway={
        "kind": "nginx",
        "keys_file": "/etc/nginx/watchfloor/keys.conf",
        "limits_file": "/etc/nginx/watchfloor/limits.conf",
        "unit": "nginx.service",
    },
    profiles={"vllm.service": ["NoNewPrivileges=yes", "ProtectSystem=strict"]},
    health={
        "llama": {
            "kind": "image", "service": "vllm.service", "url": "http://127.0.0.1:8000/health",
            "expect": 200, "timeout_s": 120,
        }
    },
    evaluation={"refusals": {"min": 990}},
)  # fmt: skip
SERVED = {
    "files": 12, "from": "1.1", "image": "ghcr.io/x/llama@sha256:" + NEW, "manifest": OLD,
    "root": "/srv/models", "served": True, "signer": "alice", "size": 140_000_000_000, "than": "",
}  # fmt: skip
_NET = {"destroy": True, "sshd_port": 22}
_PATH = "/srv/models/llama/versions/1.0"

# action -> parameters and facts
ASKED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "isolate": (
        {"confirm_s": 120, "mgmt": ["10.9.1.0/24"]},
        {**_NET, "dhcp": True, "egress": True, "families": [4, 6], "interfaces": ["eth0", "ib0"]},
    ),
    "release": ({"id": RID}, {"action": "isolate", "kinds": ["nft", "flows"], "since": 1_790_000}),
    "disconnect-inbound": (
        {"confirm_s": 60, "ports": [8000, 8443]}, {**_NET, "translated": True}
    ),
    "block-source": (
        {"confirm_s": 60, "expires_s": 3600, "source": "203.0.113.0/24"}, {"destroy": True}
    ),
    "restore-firewall": ({"sha256": NEW}, {}),
    "block-api-key": ({"key": "team-gamma"}, {}),
    "limit-api-key": ({"key": "team-gamma", "per_minute": 30}, {}),
    "restart-hardened": ({"service": "vllm.service"}, {}),
    "apply-update": (
        {"packages": [{"name": "openssl", "version": "3.0.19-1"},
                      {"name": "libssl3:amd64", "version": "3.0.19-1"}]},
        {"tool": "apt"},
    ),
    "block-user": ({"user": "mallory"}, {"uid": 1004}),
    "unblock-user": ({"user": "mallory"}, {"uid": 1004}),
    "stop-service": ({"service": "vllm.service"}, {}),
    "start-service": ({"service": "vllm.service"}, {}),
    "kill-process": ({"exe": "/usr/bin/python3.11", "pid": 4711, "start_time": 8_812_345}, {}),
    "quarantine-model": (
        {"model": "llama", "version": "1.1"},
        {"device": 66, "digest": NEW, "inode": 1234, "root": "/srv/models", "served": True},
    ),
    "rollback-model": ({"model": "llama", "to": "1.0"}, SERVED),
    "promote-model": (
        {"model": "llama", "version": "1.2", "manifest_sha256": OLD, "evaluation_sha256": NEW},
        {**SERVED,
         "evaluation": {"metrics": {"refusals": 995}, "sha256": NEW, "signer": "bob"}},
    ),
    "collect-evidence": ({"include": ["journal", "sockets", "processes"], "since_s": 86_400}, {}),
    "secure-delete": (
        {"path": _PATH, "device": 66, "inode": 1234, "kind": "tree"},
        {"also": ["/srv/models/mistral/base.bin"], "bytes": 140_000_000_000, "files": 12,
         "how": "overwrite", "root": "/srv/models"},
    ),
    "install-roster": ({"sha256": NEW}, {"former": OLD}),
    "install-policy": ({"sha256": NEW}, {"former": OLD}),
    "install-guard": ({"sha256": NEW}, {"former": OLD}),
}  # fmt: skip
assert set(ASKED) == set(NAMES)  # a new action needs its plan here


def made(name: str) -> dict[str, Any]:
    """The whole plan of that action."""
    params, facts = ASKED[name]
    return plan.plan(name, params, facts, POLICY)


def effect(name: str) -> tuple[str, ...]:
    """What a person reads of it before signing."""
    return plan.effect(made(name), POLICY)
