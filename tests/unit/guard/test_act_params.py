"""Parameters and plans of the actions on a host: what is taken, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.actions import action
from console.hostside.guard.host import names
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import step
from console.hostside.guard.trust import canonical

POLICY: dict[str, Any] = {
    "services": ["vllm.service"],
    "profiles": {"vllm.service": ["NoNewPrivileges=yes", "ProtectSystem=strict"]},
    "packages": ["openssl"],
    "gateway": {
        "kind": "nginx", "keys_file": "/etc/nginx/watchfloor/keys.conf",
        "limits_file": "/etc/nginx/watchfloor/limits.conf", "unit": "nginx.service",
    },
}  # fmt: skip
GOOD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stop-service": ({"service": "vllm.service"}, {}),
    "start-service": ({"service": "vllm.service"}, {}),
    "restart-hardened": ({"service": "vllm.service"}, {}),
    "kill-process": ({"pid": 4711, "start_time": 99, "exe": "/tmp/x y"}, {}),
    "block-user": ({"user": "mallory"}, {"uid": 1001}),
    "unblock-user": ({"user": "mallory"}, {"uid": 1001}),
    "block-api-key": ({"key": "team-alpha"}, {}),
    "limit-api-key": ({"key": "team-alpha", "per_minute": 60}, {}),
    "apply-update": (
        {"packages": [{"name": "openssl", "version": "3.0.15-1~deb12u1"}]},
        {"tool": "apt"},
    ),
    "collect-evidence": ({"since_s": 3600, "include": ["processes", "journal"]}, {}),
}
# What nft, systemctl, ssh, apt, usermod, nginx or a shell would read as more than a name.
INJECTIONS = [
    "} ; flush ruleset ; #", "-H host", "--root=/", "x.service\nreboot", "../x.service",
    "a;b.service", "$(id).service", "`id`.service", "x y.service", "", "x\x00.service",
    "x'.service", 'x".service', "ü.service", "x.service/..", "/etc/passwd", "*",
    "*.service", "x%n.service\n",
    "\uff56llm.service", "a" * 300 + ".service", "$http_x", "{}", "@x.service", "x\\x2d.service",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_plan_follows_from_parameters_facts_and_policy(name: str) -> None:
    """Each plan can be signed, and each of its steps is one that the guard takes."""
    params, facts = GOOD[name]
    act = action(name)
    act.check(params)
    made = act.render(params, facts, POLICY)
    assert made == act.render(dict(params), dict(facts), dict(POLICY))
    assert set(made) == {"steps", "confirm_s", "ttl_s"}
    canonical.parse(canonical.write(made))
    for item in made["steps"]:
        step(item["kind"]).check(item["args"])
    assert all(label and value for label, value in act.say(params))


@pytest.mark.parametrize("name", GOOD)
def test_no_parameter_is_missing_unknown_or_of_another_type(name: str) -> None:
    params, _ = GOOD[name]
    act = action(name)
    with pytest.raises(Refused):
        act.check({**params, "more": 1})
    for field in params:
        with pytest.raises(Refused):
            act.check({key: value for key, value in params.items() if key != field})
        others: list[Any] = [True, None, 1.5, {}, [], [True], "", -1, 2**60]
        for other in others:
            with pytest.raises(Refused):
                act.check({**params, field: other})


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_name_is_never_more_than_a_name(text: str) -> None:
    """Not in a parameter, not in a step. Threats: 77."""
    for name in ("stop-service", "start-service", "restart-hardened"):
        with pytest.raises(Refused):
            action(name).check({"service": text})
    for name in ("block-user", "unblock-user"):
        with pytest.raises(Refused):
            action(name).check({"user": text})
    with pytest.raises(Refused):
        action("block-api-key").check({"key": text})
    for item in ({"name": text, "version": "1"}, {"name": "openssl", "version": text}):
        with pytest.raises(Refused):
            action("apply-update").check({"packages": [item]})
    with pytest.raises(Refused):
        action("collect-evidence").check({"since_s": 60, "include": [text]})
    steps: list[tuple[str, dict[str, Any]]] = [
        ("unit", {"name": text, "op": "stop"}),
        ("account", {"user": text, "uid": 1001, "op": "block"}),
        ("file", {"path": f"/etc/systemd/system/{text}.d/50-watchfloor.conf", "lines": ["x"]}),
        ("packages", {"packages": [{"name": text, "version": "1"}], "tool": "apt"}),
        ("gateway", {**POLICY["gateway"], "op": "block", "key": text, "per_minute": 0}),
    ]
    for kind, args in steps:
        with pytest.raises(Refused):
            step(kind).check(args)


@given(st.text(max_size=40))
def test_whatever_is_taken_as_a_name_begins_no_option_and_holds_no_separator(text: str) -> None:
    """Threats: 77."""
    for form in (names.UNIT, names.USER, names.PACKAGE, names.VERSION, names.CLIENT):
        if form.match(text):
            assert text.isascii()
            assert text[0] != "-"
            assert not set(text) & set(" \t\n\r\0/;|&$`'\"\\<>(){}[]*?!#%,=")


@pytest.mark.parametrize(
    "unit",
    ["ssh.service", "sshd.service", "sshd@1.service", "systemd-logind.service", "dbus.service",
     "watchfloor-sensor.service", "user@1000.service", "getty@tty1.service", "init.service"],
)  # fmt: skip
def test_the_way_in_and_the_system_are_never_touched(unit: str) -> None:
    """Not even where a policy names them."""
    policy = {**POLICY, "services": [unit], "profiles": {unit: ["NoNewPrivileges=yes"]}}
    for name in ("stop-service", "start-service", "restart-hardened"):
        with pytest.raises(Refused) as refused:
            action(name).render({"service": unit}, {}, policy)
        assert refused.value.rule == "floor"
    with pytest.raises(Refused):
        step("unit").check({"name": unit, "op": "stop"})


@pytest.mark.parametrize("user", ["root", "wfops", "wfmon", "wfsensor"])
def test_accounts_that_are_needed_are_never_blocked(user: str) -> None:
    with pytest.raises(Refused) as refused:
        action("block-user").check({"user": user})
    assert refused.value.rule == "floor"


@pytest.mark.parametrize("uid", [0, 1, 999, 65534, -1, True, "1001", 1 << 32])
def test_accounts_of_the_system_are_never_blocked(uid: Any) -> None:
    with pytest.raises(Refused):
        action("block-user").render({"user": "mallory"}, {"uid": uid}, POLICY)


@pytest.mark.parametrize(
    ("name", "params"),
    [("stop-service", {"service": "other.service"}), ("start-service", {"service": "o.service"}),
     ("restart-hardened", {"service": "other.service"}),
     ("apply-update", {"packages": [{"name": "bash", "version": "5"}]})],
)  # fmt: skip
def test_what_the_policy_does_not_name_is_refused(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        action(name).render(params, {"tool": "apt"}, POLICY)
    assert refused.value.rule == "policy"
    assert "policy." in refused.value.hint


def test_without_a_gateway_no_client_is_blocked() -> None:
    with pytest.raises(Refused) as refused:
        action("block-api-key").render({"key": "a"}, {}, {**POLICY, "gateway": {}})
    assert refused.value.rule == "policy"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/etc/ssh/x.conf", "/etc/nginx/../ssh/x.conf", "/etc/nginx/.hidden.conf",
     "/etc/nginx/nginx.txt", "/etc/nginxx/a.conf", "etc/nginx/a.conf", "/etc/nginx/a.conf\n"],
)  # fmt: skip
def test_a_gateway_file_lies_where_gateways_keep_theirs(path: str) -> None:
    """A policy cannot make the guard write anywhere else."""
    for field in ("keys_file", "limits_file"):
        args = {**POLICY["gateway"], "op": "block", "key": "a", "per_minute": 0, field: path}
        with pytest.raises(Refused):
            step("gateway").check(args)


def test_the_table_of_the_actions() -> None:
    """Direction, ratify, break-glass, inverse, dead-man, long: as the decision has them."""
    rows = {}
    for name in GOOD:
        act = action(name)
        rows[name] = (
            act.direction, act.ratify, act.break_glass, act.inverse, act.dead_man, act.long,
        )  # fmt: skip
    contain = ("contain", True, True, "release", "timer", False)
    assert rows == {
        "stop-service": contain,
        "block-user": contain,
        "block-api-key": contain,
        "limit-api-key": contain,
        "start-service": ("open", False, False, "", "none", False),
        "unblock-user": ("open", False, False, "", "none", False),
        "kill-process": ("destroy", False, False, "", "none", False),
        "restart-hardened": ("neutral", False, False, "", "none", False),
        "apply-update": ("neutral", False, False, "", "none", True),
        "collect-evidence": ("neutral", False, False, "", "none", True),
    }
