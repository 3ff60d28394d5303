"""Parameters of actions on the network: what is refused, and what a plan is made of."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from console.hostside.guard.actions import action
from console.hostside.guard.network import net
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import step

POLICY: dict[str, Any] = {
    "mgmt_networks": ["10.9.1.0/24", "fd00:9::/64"],
    "unconfirmed": "revert",
    "dhcp": "10.9.1.250",
    "api_ports": [8000, 8001, 22],
    "firewall": "a" * 64,
    "confirm_s": 90,
}
FACTS: dict[str, Any] = {
    "destroy": True,
    "dhcp": False,
    "egress": True,
    "families": [4, 6],
    "interfaces": ["eth0", "eth1"],
    "sshd_port": 22,
    "translated": False,
}
ISOLATE: dict[str, Any] = {"mgmt": ["10.9.1.2/32"], "confirm_s": 60}
INBOUND: dict[str, Any] = {"ports": [8000], "confirm_s": 60}
SOURCE: dict[str, Any] = {"source": "198.51.100.7", "expires_s": 3600, "confirm_s": 60}
OTHERS = {
    "isolate": ISOLATE,
    "disconnect-inbound": INBOUND,
    "block-source": SOURCE,
    "restore-firewall": {"sha256": "a" * 64},
}
INJECTIONS = (
    "10.9.1.2 } ; flush ruleset ; #",
    "10.9.1.2/32\n}\nflush ruleset",
    "10.9.1.2/32\n",
    " 10.9.1.2/32",
    "-f",
    "-H host",
    "--help",
    "@armed",
    "$HOME",
    "10.9.1.2, 0.0.0.0/0",
    "{ 10.9.1.2 }",
    "10.9.1.2/255.255.255.255",
    "010.9.1.2",
    "10.9.1.2/24",
    "10.9.1",
    "167838978",
    "0x0a090102",
    "fe80::1%eth0",
    "fd00:9::1%a } ; flush ruleset",
    "fd00:9::%\n}\nflush ruleset\n/64",
    "fd00:9:0::/64",
    "FD00:9::/64",
    "::ffff:10.9.1.2",
    "::ffff:10.9.1.0/120",
    "\N{FULLWIDTH DIGIT ONE}0.9.1.2",
    "10.9.1.2\x00",
    "",
    "/",
    "x" * 100_000,
)


def refused(name: str, params: dict[str, Any], rule: str = "", **policy: Any) -> Refused:
    """The refusal of an action with these parameters."""
    with pytest.raises(Refused) as caught:
        rendered(name, params, **policy)
    assert caught.value.rule == rule or not rule
    return caught.value


def rendered(name: str, params: dict[str, Any], **policy: Any) -> dict[str, Any]:
    """A plan; its steps take what they are given."""
    one = action(name)
    one.check(params)
    plan = one.render(params, FACTS, {**POLICY, **policy})
    for each in plan["steps"]:
        step(each["kind"]).check(each["args"])
    return plan


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_is_no_network_in_its_one_spelling_is_refused(text: str) -> None:
    """Nothing of it gets as far as a rule. Threats: 77."""
    refused("isolate", {**ISOLATE, "mgmt": [text]}, "parameters")
    refused("block-source", {**SOURCE, "source": text}, "parameters")
    assert len(str(refused("block-source", {**SOURCE, "source": text}))) < 200


@given(st.text(max_size=60))
@example("10.9.1.2")
def test_only_what_ipaddress_writes_the_same_way_passes(text: str) -> None:
    """Threats: 77."""
    try:
        found = net.network(text, "x")
    except Refused:
        return
    assert ipaddress.ip_network(text) == found
    assert set(str(found)) <= set("0123456789abcdef.:/")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=6,
    ),
    st.sampled_from(sorted(OTHERS)),
    st.integers(0, 2),
)
def test_other_types_are_refused_and_nothing_else_is_raised(
    value: Any, name: str, which: int
) -> None:
    """Threats: 77."""
    params = dict(OTHERS[name])
    params[sorted(params)[which % len(params)]] = value
    try:
        rendered(name, params)
    except Refused:
        pass


@pytest.mark.parametrize(
    "mgmt",
    [
        ["0.0.0.0/0"],
        ["::/0"],
        ["10.9.1.2/32", "0.0.0.0/0"],
        ["10.9.0.0/16"],
        ["10.9.2.0/24"],
        ["10.9.1.0/24", "192.0.2.1/32"],
        ["fd00:9::/63"],
        [],
        ["10.9.1.2", "10.9.1.2/32"],
        [f"10.9.1.{n}/32" for n in range(17)],
    ],
)
def test_management_is_part_of_what_the_policy_names(mgmt: list[str]) -> None:
    """Everything, a wider or another network, none, one twice, too many. Threats: 78."""
    refused("isolate", {**ISOLATE, "mgmt": mgmt})


def test_a_management_network_of_a_family_that_the_host_has_not_locks_out() -> None:
    """Threats: 68."""
    one = action("isolate")
    facts = {**FACTS, "families": [4]}
    with pytest.raises(Refused) as caught:
        one.render({**ISOLATE, "mgmt": ["fd00:9::2/128"]}, facts, POLICY)
    assert caught.value.rule == "lockout"


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("10.9.1.2", True),
        ("::ffff:10.9.1.2", True),
        ("10.9.1.3", False),
        ("fd00:9::2", False),
        ("::1", False),
        ("", True),
        ("unknown", True),
    ],
)
def test_who_would_cut_themselves_off_is_refused(address: str, fine: bool) -> None:
    """The peer of one's own SSH session is in the networks; where it is unknown, nothing is said.

    Threats: 68."""
    one = action("isolate")
    if fine:
        one.reachable(ISOLATE, address)
        return
    with pytest.raises(Refused) as caught:
        one.reachable(ISOLATE, address)
    assert caught.value.rule == "lockout"


def test_the_caller_is_not_in_what_is_blocked() -> None:
    """Alone, in a prefix, and as IPv4 inside IPv6."""
    one = action("block-source")
    one.reachable(SOURCE, "198.51.100.8")
    for source, caller in (
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.0/24", "::ffff:198.51.100.9"),
        ("2001:db8::/32", "2001:db8:1::5"),
    ):
        with pytest.raises(Refused):
            one.reachable({**SOURCE, "source": source}, caller)


@pytest.mark.parametrize(
    "source",
    [
        "10.9.1.2",
        "10.9.1.0/24",
        "10.0.0.0/8",
        "fd00:9::5",
        "fd00::/16",
        "127.0.0.1",
        "127.0.0.0/8",
        "::1",
        "::/16",
        "0.0.0.0/0",
        "0.0.0.0/32",
        "::",
        "126.0.0.0/7",
        "224.0.0.1",
        "ff02::1",
        "fe80::1",
        "169.254.0.0/16",
        "192.0.0.0/7",
    ],
)
def test_a_source_that_is_never_blocked(source: str) -> None:
    """Management, loopback, link-local, multicast, and what is too wide. Threats: 78."""
    refused("block-source", {**SOURCE, "source": source})


def test_numbers_have_bounds() -> None:
    """Times and ports."""
    for name, params in (("isolate", ISOLATE), ("disconnect-inbound", INBOUND)):
        for seconds in (29, 601, -1, True, 60.0, "60"):
            refused(name, {**params, "confirm_s": seconds}, "parameters")
    for seconds in (59, 604_801, 0):
        refused("block-source", {**SOURCE, "expires_s": seconds}, "parameters")
    for ports in ([], [0], [65_536], [8000, 8000], [True], ["8000"], list(range(1, 40)), "8000"):
        refused("disconnect-inbound", {**INBOUND, "ports": ports}, "parameters")
    refused("disconnect-inbound", {**INBOUND, "ports": [9000]}, "ports")
    refused("disconnect-inbound", {**INBOUND, "ports": [8000, 22]}, "floor")
    refused("isolate", {**ISOLATE, "more": 1}, "parameters")
    refused("isolate", {"mgmt": ["10.9.1.2/32"]}, "parameters")


def test_a_plan_has_the_rules_first_and_then_the_connections() -> None:
    """By parameters, facts and policy alone."""
    plan = rendered("isolate", {"mgmt": ["10.9.1.2", "fd00:9::/64"], "confirm_s": 60})
    assert [one["kind"] for one in plan["steps"]] == ["nft", "flows"]
    assert plan["steps"][0]["args"] == {
        "armed_s": 60,
        "destroy": True,
        "dhcp": "none",
        "interfaces": ["eth0", "eth1"],
        "mgmt": ["10.9.1.2/32", "fd00:9::/64"],
        "port": 22,
        "table": "isolate",
    }
    keep = ["10.9.1.2/32", "fd00:9::/64"]
    assert plan["steps"][1]["args"] == {"keep": keep, "peers": [], "ports": []}
    assert (plan["confirm_s"], plan["ttl_s"]) == (60, 0)

    plan = rendered("block-source", SOURCE)
    assert plan["steps"][1]["args"]["keep"] == POLICY["mgmt_networks"]
    assert plan["steps"][1]["args"]["peers"] == ["198.51.100.7/32"]
    assert plan["ttl_s"] == 3600
    assert rendered("disconnect-inbound", INBOUND)["steps"][1]["args"]["ports"] == [8000]


def test_facts_and_policy_change_a_plan() -> None:
    """A lease, a kernel that cannot end sockets, no egress hook, a policy that keeps."""
    one = action("isolate")
    args = one.render(ISOLATE, {**FACTS, "dhcp": True}, POLICY)["steps"][0]["args"]
    assert args["dhcp"] == "10.9.1.250"
    poor = {**FACTS, "destroy": False, "egress": False}
    plan = one.render(ISOLATE, poor, POLICY)
    assert [step["kind"] for step in plan["steps"]] == ["nft"]
    assert plan["steps"][0]["args"]["interfaces"] == []
    for name in ("isolate", "disconnect-inbound", "block-source"):
        kept = rendered(name, OTHERS[name], unconfirmed="keep")
        assert kept["steps"][0]["args"]["armed_s"] == 0
        assert kept["confirm_s"] == 60


def test_only_the_approved_firewall_is_restored() -> None:
    """By the digest that the policy has, in its one spelling. Threats: 77."""
    plan = rendered("restore-firewall", {"sha256": "a" * 64})
    assert plan == {
        "steps": [{"kind": "firewall", "args": {"sha256": "a" * 64}}],
        "confirm_s": 90,
        "ttl_s": 0,
    }
    refused("restore-firewall", {"sha256": "b" * 64}, "firewall")
    refused("restore-firewall", {"sha256": "a" * 64}, "firewall", firewall="")
    for bad in ("", "A" * 64, "a" * 63, "a" * 64 + "\n", "../x"):
        refused("restore-firewall", {"sha256": bad}, "parameters")


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_what_is_said_has_the_parameters(name: str) -> None:
    """A person reads what they sign."""
    said = " ".join(value for _, value in action(name).say(OTHERS[name]))
    for value in OTHERS[name].values():
        for part in value if isinstance(value, list) else [value]:
            assert str(part) in said
