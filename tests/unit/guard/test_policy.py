"""The policy: strict in form, and never below the floors."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from console.hostside.guard import actions
from console.hostside.guard.actions.base import CONTAIN, DESTROY, NEUTRAL, OPEN, Action
from console.hostside.guard.trust import canonical, floors, policy
from console.hostside.guard.trust.policy import Policy
from tests.support import guardkit
from tests.support.guardkit import NOW, WORLD, key_of, policy_doc, refused, roster

RULE = {"mode": "two_before", "people": 2, "require_uv": False, "ttl_s": 0, "ratify_s": 300}

HEALTH = {
    "service": "vllm.service",
    "kind": "link",
    "url": "http://127.0.0.1:8000/health",
    "timeout_s": 5,
    "expect": 200,
}


def action(name: str, direction: str, **said: Any) -> Action:
    found = Action()
    found.name, found.direction = name, direction
    for attribute, value in said.items():
        setattr(found, attribute, value)
    return found


ISOLATE = action("isolate", CONTAIN, ratify=True, break_glass=True)
RELEASE = action("release", OPEN)
DELETE = action("secure-delete", DESTROY)
EVIDENCE = action("collect-evidence", NEUTRAL, people=1)
ROSTER = action("install-roster", NEUTRAL)


def no(**changes: Any) -> str:
    return refused(Policy, canonical.write(policy_doc(**changes))).words


def test_a_policy_is_read() -> None:
    found = guardkit.policy()
    assert found.sha256 == canonical.sha256(found.data)
    assert found.serial == 1
    assert found.key_types == ("sk-ssh-ed25519@openssh.com", "ssh-ed25519")


GOOD: dict[str, list[Any]] = {
    "mgmt_networks": [["10.9.1.0/24", "fd00:9::/64"], ["10.9.1.2/32"], ["10.0.0.0/8"]],
    "unconfirmed": ["revert", "keep"],
    "confirm_s": [15, 900],
    "services": [[], ["vllm.service", "triton@0.service"]],
    "api_ports": [[], [1, 65535]],
    "models": [[], ["/srv/models", "/data/a-b_c.d"]],
    "gateway": [
        {},
        {
            "kind": "nginx",
            "keys_file": "/etc/nginx/keys.map",
            "limits_file": "/etc/nginx/limits.map",
            "unit": "nginx.service",
        },
    ],
    "health": [
        {},
        {"llama-3": HEALTH, "Qwen2.5": {**HEALTH, "kind": "image"}},
        {"llama-3": {**HEALTH, "url": "http://[::1]:8000/", "timeout_s": 600}},
    ],
    "profiles": [
        {"vllm.service": ["NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes"]},
        {"vllm.service": ["SystemCallFilter=@system-service", "SystemCallFilter=~@mount"]},
    ],
    "evaluation": [{"accuracy_e4": {"min": 9100}, "toxicity_e4": {"min": 0, "max": 50}}],
    "firewall": ["", "ab" * 32],
    "packages": [[], ["*"], ["openssl", "libc6", "python3.11"]],
    "dhcp": ["none", "10.9.1.1", "fd00::1"],
    "key_types": [["sk-ssh-ed25519@openssh.com"], ["sk-ecdsa-sha2-nistp256@openssh.com"]],
}
BAD: dict[str, list[Any]] = {
    "mgmt_networks": [
        [], ["0.0.0.0/0"], ["::/0"], ["10.9.1.5/24"], ["10.9.1.0"], ["10.9.1.0/255.255.255.0"],
        ["x"], ["10.9.1.0/24"] * 2, [" 10.9.1.0/24"], ["\uff110.9.1.0/24"], [167772160], [True],
        ["FD00:9::/64"], ["0.0.0.0/1"], ["2000::/3"], ["10.9.1.0/24; flush ruleset"],
        ["fe80::1%eth0 } ; flush/128"], ["fe80::%x } flush ruleset;/64"],
    ],
    "unconfirmed": ["", "Keep", True],
    "confirm_s": [0, 14, 901, True, "120"],
    "request_ttl_s": [0, 3601, True],
    "approval_ttl_s": [0, 901],
    "max_targets": [0, 513],
    "pending_host": [0, 11],
    "pending_person": [0, 11],
    "require_uv": [0, 1, "yes"],
    "key_types": [[], ["ssh-rsa"], ["ssh-ed25519-cert-v01@openssh.com"], ["ssh-ed25519"] * 2],
    "services": [
        ["vllm"], ["-H.service"], ["../x.service"], ["a b.service"], ["x.socket"], ["a/b.service"],
        ["*.service"], ["sshd.service"], ["ssh.service"], ["ssh@1.service"],
        ["watchfloor-sensor.service"], ["systemd-logind.service"], ["dbus.service"],
        ["user@0.service"], [True],
    ],
    "api_ports": [[0], [65536], [True], ["8000"], [8000, 8000]],
    "models": [
        ["srv"], ["/srv/../etc"], ["/"], ["/srv/"], ["//srv"], ["/srv/./a"], ["/srv/a b"],
        ["/srv/a;b"], ["/.."], ["/srv/\u00fc"],
    ],
    "gateway": [{"kind": "nginx"}, {"kind": "envoy"}, [], False, {"kind": "nginx", "extra": 1}],
    "health": [
        {"llama-3": {"url": "http://127.0.0.1:8000/health"}},
        {"llama-3": {**HEALTH, "url": "http://10.0.0.1:80/"}},
        {"llama-3": {**HEALTH, "url": "https://127.0.0.1:80/"}},
        {"llama-3": {**HEALTH, "url": "http://127.0.0.1:99999/"}},
        {"llama-3": {**HEALTH, "url": "http://127.0.0.1:80@x/"}},
        {"llama-3": {**HEALTH, "url": "http://127.0.0.1:80/ HTTP/1.1"}},
        {"llama-3": {**HEALTH, "url": "file:///etc/shadow"}},
        {"llama-3": {**HEALTH, "timeout_s": 0}}, {"llama-3": {**HEALTH, "expect": 99}},
        {"llama-3": {**HEALTH, "service": "sshd.service"}}, {"../x": HEALTH},
        {"llama-3": {**HEALTH, "kind": "shell"}}, {"llama-3": {**HEALTH, "extra": 1}},
    ],
    "profiles": [
        {"vllm.service": []}, {"vllm.service": ["ExecStartPre=/bin/sh"]},
        {"vllm.service": ["User=root"]}, {"vllm.service": ["Environment=LD_PRELOAD=/x"]},
        {"vllm.service": ["NoNewPrivileges"]}, {"vllm.service": ["[Service]"]},
        {"vllm.service": ["AmbientCapabilities=CAP_SYS_ADMIN"]},
        {"vllm.service": ["RootImage=/x"]}, {"vllm.service": ["ProtectSystem=\u00fc"]},
        {"sshd.service": ["NoNewPrivileges=yes"]},
    ],
    "evaluation": [{"accuracy": {}}, {"accuracy": {"min": True}}, {"a": {"min": 1, "x": 2}},
                   {"A": {"min": 1}}, {"a": {"min": "1"}}],
    "firewall": ["ab", "AB" * 32, True],
    "packages": [["-y"], ["a b"], ["a;b"], ["../x"], ["A"], ["**"], ["openssl=1"]],
    "dhcp": ["", "any", "10.9.1.0/24", "::", "255.255.255.255/32", "224.0.0.1", True,
             "fe80::1%eth0 } ; flush", "fe80::1%eth0"],
    "actions": [
        {"isolate": {}}, {"isolate": {**RULE, "people": 0}}, {"isolate": {**RULE, "people": True}},
        {"isolate": {**RULE, "mode": "one"}}, {"isolate": {**RULE, "mode": "break_glass"}},
        {"isolate": {**RULE, "ratify_s": 1801}}, {"isolate": {**RULE, "ratify_s": 0}},
        {"isolate": {**RULE, "ttl_s": -1}}, {"isolate": {**RULE, "require_uv": 0}},
        {"Isolate": RULE}, {"isolate": {**RULE, "extra": 1}},
    ],
    "serial": [0, True, 2],
    "prev": ["ab", "ab" * 32],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in GOOD.items() for v in values])
def test_good_values(field: str, value: Any) -> None:
    assert guardkit.policy(**{field: value}).doc[field] == value


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in BAD.items() for v in values])
def test_bad_values_refuse_the_whole_policy(field: str, value: Any) -> None:
    """Threats: 41, 42, 77, 78."""
    assert no(**{field: value})


def test_every_field_has_a_line_in_the_page() -> None:
    from pathlib import Path

    page = Path("docs/guard-policy.md").read_text(encoding="utf-8")
    named = {
        name.strip(" `")
        for line in page.splitlines()
        if line.startswith("| `")
        for name in line.split("|")[1].split(",")
    }
    assert set(policy_doc()) | set(RULE) == named


def test_an_action_without_a_line_takes_two_people() -> None:
    found = guardkit.policy(require_uv=False)
    rule = found.rule(ISOLATE)
    assert (rule.mode, rule.people, rule.require_uv) == ("two_before", 2, False)
    assert rule.modes == ("two_before", "break_glass")
    assert found.rule(EVIDENCE).people == 2
    assert guardkit.policy().rule(ISOLATE).require_uv


def test_user_verification_is_a_floor_for_what_opens_destroys_or_changes_trust() -> None:
    """Whatever policy says. Threats: 19, 81."""
    lines = dict.fromkeys(("isolate", "release", "secure-delete", "install-roster"), RULE)
    found = guardkit.policy(require_uv=False, actions=lines)
    assert not found.rule(ISOLATE).require_uv
    for serious in (RELEASE, DELETE, ROSTER):
        assert found.rule(serious).require_uv
        assert found.rule(serious).modes == ("two_before",)


@pytest.mark.parametrize(
    "name", ["release", "install-roster", "install-guard", "kill-process", "promote-model",
             "start-service", "restore-firewall"],
)  # fmt: skip
def test_only_what_stands_has_a_time_to_end(name: str) -> None:
    """A release that ends would bring back what was released."""
    found = guardkit.policy(actions={name: {**RULE, "ttl_s": 600}})
    assert refused(found.check, [actions.action(name)]).rule == "floor"
    assert found.rule(actions.action(name)).ttl_s == 0  # one that is in force already
    guardkit.policy(actions={name: RULE}).check([actions.action(name)])


def test_a_containment_may_have_a_time_to_end() -> None:
    found = guardkit.policy(actions={"isolate": {**RULE, "ttl_s": 600}})
    found.check([actions.action("isolate")])
    assert found.rule(actions.action("isolate")).ttl_s == 600


def test_people_are_never_fewer_than_the_floor() -> None:
    """Threats: 81."""
    for serious in (ISOLATE, RELEASE, DELETE, ROSTER):
        found = guardkit.policy(actions={serious.name: {**RULE, "people": 1}})
        assert refused(found.rule, serious).rule == "floor"
        assert refused(found.check, [serious]).rule == "floor"
        more = guardkit.policy(actions={serious.name: {**RULE, "people": 3}})
        assert more.rule(serious).people == 3
    one = guardkit.policy(actions={"collect-evidence": {**RULE, "people": 1}})
    assert one.rule(EVIDENCE).people == 1
    # An action that claims fewer does not get them where it opens.
    assert floors.floor(action("release", OPEN, people=1)).people == 2
    assert floors.floor(action("install-guard", NEUTRAL, people=1)) == (2, True, ("two_before",))


def test_one_signature_first_is_for_containment_that_allows_it() -> None:
    """Threats: 81."""
    line = {**RULE, "mode": "one_then_ratify"}
    rule = guardkit.policy(actions={"isolate": line}).rule(ISOLATE)
    assert rule.modes == ("two_before", "one_then_ratify", "break_glass")
    before = guardkit.policy(actions={"isolate": RULE}).rule(ISOLATE)
    assert before.modes == ("two_before", "break_glass")
    for serious in (RELEASE, DELETE, ROSTER, EVIDENCE):
        found = guardkit.policy(actions={serious.name: line})
        assert refused(found.rule, serious).rule == "floor"
    # Nor where an action that opens claims so.
    claimed = action("release", OPEN, ratify=True, break_glass=True)
    assert floors.floor(claimed).modes == ("two_before",)
    assert "one_then_ratify" not in guardkit.policy().rule(ISOLATE).modes


def test_a_policy_names_known_actions_only() -> None:
    found = guardkit.policy(actions={"isolate": RULE, "isolat": RULE})
    assert "isolat" in refused(found.check, [ISOLATE]).words
    guardkit.policy(actions={"isolate": RULE}).check([ISOLATE, RELEASE])


def test_what_is_never_touched() -> None:
    assert floors.protected_account("root")
    assert floors.protected_account("wfops")
    assert not floors.protected_account("mallory")
    assert floors.protected_unit("ssh.service")
    assert floors.protected_unit("sshd@3.service")
    assert floors.protected_unit("watchfloor-guard-tick.timer")
    assert floors.protected_unit("user@1000.service")
    assert floors.protected_unit("machine.slice")
    assert not floors.protected_unit("vllm.service")
    assert not floors.protected_unit("sshx.service")
    assert floors.protected_program("/usr/sbin/sshd")
    assert floors.protected_program("/usr/sbin/sshd (deleted)")
    assert floors.protected_program("/usr/libexec/watchfloor/guard")
    assert not floors.protected_program("/usr/bin/python3")


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("10.9.1.7", True), ("10.9.0.0/16", True), ("0.0.0.0/0", True), ("10.9.2.1", False),
        ("127.0.0.1", True), ("::1", True), ("::/0", True), ("2001:db8::1", False),
        ("::ffff:10.9.1.7", True), ("::ffff:0:0/96", True), ("::ffff:10.9.2.1", False),
        ("fd00:9::5", True), ("203.0.113.0/24", False),
    ],
)  # fmt: skip
def test_management_and_loopback_are_never_blocked(source: str, kept: bool) -> None:
    """Threats: 78."""
    networks = ["10.9.1.0/24", "fd00:9::/64"]
    assert floors.protected_source(source, networks) is kept
    with pytest.raises(ValueError, match=r"."):
        floors.protected_source("10.9.1.5/24", networks)


def following(old: Policy, **changes: Any) -> Policy:
    doc = {**copy.deepcopy(old.doc), "serial": old.serial + 1, "prev": old.sha256, **changes}
    return Policy(canonical.write(doc))


def test_a_policy_follows_the_one_in_force_by_two_people() -> None:
    old, people = guardkit.policy(), roster()
    new = following(old, max_targets=1)

    def succeed(new: Policy, *names: str, **named: Any) -> list[str]:
        signatures = [
            key_of(name).sign(new.data, "policy-v1@watchfloor", **named) for name in names
        ]
        return policy.check_succession(old, new, people, signatures, WORLD, NOW)

    assert succeed(new, "alice", "bob") == ["alice", "bob"]
    assert refused(succeed, new, "alice", "alice").rule == "policy"
    assert refused(succeed, new).rule == "policy"
    assert refused(succeed, new, "alice", "dave").rule == "role"
    assert refused(succeed, new, "alice", "bob", flags=1).rule == "user-verification"
    for locked in (
        {"key_types": ["ssh-ed25519"]},
        {"key_types": ["sk-ecdsa-sha2-nistp256@openssh.com"]},
        {"actions": {"install-policy": {**RULE, "people": 4}}},
        {"actions": {"install-roster": {**RULE, "people": 4}}},
    ):
        assert "again" in refused(succeed, following(old, **locked), "alice", "bob").words
    three = {"install-roster": {**RULE, "people": 3}}
    assert succeed(following(old, actions=three), "alice", "bob")
    assert refused(succeed, following(old, serial=3), "alice", "bob").rule == "policy"
    assert refused(succeed, following(old, prev="ab" * 32), "alice", "bob").rule == "policy"
