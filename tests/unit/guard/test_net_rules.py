"""The text of rules: written from typed values, the same for the same, and nothing else in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.network import (
    net,
    nft,
)
from console.hostside.guard.network import (
    rules as net_rules,
)
from console.hostside.guard.network import (
    ruleset as net_ruleset,
)
from console.hostside.guard.network import (
    source as net_source,
)
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import step
from console.hostside.guard.steps.base import StepFailed
from console.hostside.probe.inventory.firewall import normalised

ISOLATION: dict[str, Any] = {
    "armed_s": 60,
    "destroy": True,
    "dhcp": "none",
    "interfaces": ["eth0"],
    "mgmt": ["10.9.1.0/24", "fd00:9::/64"],
    "port": 2222,
    "table": "isolate",
}
INBOUND: dict[str, Any] = {
    "armed_s": 60,
    "mgmt": ["10.9.1.0/24"],
    "ports": [8000, 8001],
    "table": "inbound",
    "translated": True,
}
SOURCE = {"armed_s": 60, "expires_s": 600, "source": "198.51.100.0/24", "table": "source"}


def allowed(text: str, name: str) -> list[str]:
    """The rules of a chain."""
    found = re.search(r"\tchain " + name + r" \{\n(.*?)\n\t\}", text, re.DOTALL)
    assert found is not None, name
    return [line.strip() for line in found[1].split("\n")]


def test_an_isolation_lets_this_through_and_nothing_else() -> None:
    """Stateless SSH with management, discovery, resets, errors of path size; last of all a drop."""
    text = net_rules.isolation(ISOLATION, ["eth0"], 60)
    nd = "{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }"
    assert allowed(text, "iso_in") == [
        'iif "lo" accept',
        "ip saddr { 10.9.1.0/24 } tcp dport 2222 accept",
        "ip6 saddr { fd00:9::/64 } tcp dport 2222 accept",
        f"ip6 hoplimit 255 icmpv6 type {nd} meta length <= 1500 accept",
        "icmp type destination-unreachable icmp code frag-needed accept",
        "icmpv6 type packet-too-big accept",
        "drop",
    ]

    def out(ask: str, tell: str, *resets: str) -> list[str]:
        told = "{ nd-neighbor-solicit, nd-neighbor-advert } icmpv6 code 0 meta length"
        flags = "tcp flags & (fin | syn | rst | psh | urg) == rst tcp doff"
        stamp = "8 @th,160,32 0x0101080a meta length"
        few = "limit rate 1/second burst 1000 packets accept"
        return [
            "ip daddr { 10.9.1.0/24 } tcp sport 2222 accept",
            "ip6 daddr { fd00:9::/64 } tcp sport 2222 accept",
            "ip6 hoplimit 255 ip6 daddr { fe80::/10, ff02::/16 } icmpv6 type nd-router-solicit"
            f" icmpv6 code 0 meta length {{ {ask} }} accept",
            "ip6 hoplimit 255 ip6 daddr { fe80::/10, ff02::/16, fd00:9::/64 } icmpv6 type"
            f" {told} {{ {tell} }} accept",
            f"ip length 40 {flags} 5 meta length {{ {resets[0]} }} {few}",
            f"ip6 length 20 ip6 nexthdr tcp {flags} 5 meta length {{ {resets[1]} }} {few}",
            f"ip length 52 {flags} {stamp} {{ {resets[2]} }} {few}",
            f"ip6 length 32 ip6 nexthdr tcp {flags} {stamp} {{ {resets[3]} }} {few}",
        ]

    bare = out("48, 56", "64, 72, 80", "40", "60", "52", "72")
    assert allowed(text, "iso_out") == ['oif "lo" accept', *bare, "drop"]
    assert allowed(text, "iso_forward") == ["drop"]
    arp = "meta protocol arp arp operation { request, reply } arp hlen 6 arp plen 4"
    wire = out("62, 66, 70, 74", "78, 82, 86, 90, 94, 98", "54, 58", "74, 78", "66, 70", "86, 90")
    assert allowed(text, "iso_l2") == [
        f"{arp} meta length {{ 42, 46 }} accept", *wire, "drop",
    ]  # fmt: skip
    for hook in ("prerouting", "input", "forward", "output"):
        lines = allowed(text, hook)
        assert lines[0] == f"type filter hook {hook} priority -310; policy accept;"
        assert lines[1].startswith("meta nfproto @armed goto iso_")
    assert "elements = { ipv4 timeout 62s, ipv6 timeout 62s }" in text
    assert 'elements = { "eth0" timeout 62s }' in text
    assert "established" not in text


def test_dhcp_goes_to_one_known_server_and_only_where_asked_for() -> None:
    """Threats: 70."""
    assert " 67" not in net_rules.isolation(ISOLATION, ["eth0"], 0)
    for server, far in (("10.9.1.250", 67), ("fe80::1", 547)):
        text = net_rules.isolation({**ISOLATION, "dhcp": server}, ["eth0"], 0)
        lines = [line for line in text.splitlines() if "udp" in line]
        assert len(lines) == 3
        assert all(server in line and str(far) in line for line in lines)
    for wrong in ("10.9.1.0/24", "any", "10.9.1.250 accept; #"):
        with pytest.raises(Refused):
            net_rules.isolation({**ISOLATION, "dhcp": wrong}, [], 0)


@pytest.mark.parametrize(
    "name", ["lo", "", "eth 0", 'e"0', "eth0; }", "eth0\n", "x" * 16, "*", "e{0", 7, "ä"]
)
def test_a_name_of_an_interface_that_means_more_is_refused(name: Any) -> None:
    """Threats: 77."""
    with pytest.raises(Refused):
        net_rules.isolation(ISOLATION, [name], 60)
    with pytest.raises(Refused):
        step("nft").check({**ISOLATION, "interfaces": [name]})


@given(st.dictionaries(st.sampled_from(sorted(ISOLATION)), st.text() | st.integers() | st.none()))
def test_arguments_of_the_step_are_whole_or_refused(changes: dict[str, Any]) -> None:
    """Rules come from what passed alone. Threats: 77."""
    args = {**ISOLATION, **changes}
    try:
        step("nft").check(args)
    except Refused:
        return
    text = net_rules.isolation(args, args["interfaces"], args["armed_s"])
    assert set(text) <= set('abcdefghijklmnopqrstuvwxyz0123456789_@{}.,:;/"&|()=<- \t\n')


def test_steps_refuse_what_they_do_not_know() -> None:
    """Missing, unknown and mistyped arguments."""
    for args in (ISOLATION, INBOUND, SOURCE):
        step("nft").check(args)
        for name in args:
            with pytest.raises(Refused):
                step("nft").check({k: v for k, v in args.items() if k != name})
            with pytest.raises(Refused):
                step("nft").check({**args, name: None})
        with pytest.raises(Refused):
            step("nft").check({**args, "more": 1})
    wrong: list[dict[str, Any]] = [{}, {"keep": [], "peers": [], "ports": []}, {"sha256": "x"}]
    for bad in wrong:
        for kind in ("flows", "firewall", "nft"):
            with pytest.raises(Refused):
                step(kind).check(bad)


def test_one_digest_marks_whose_table_it_is() -> None:
    """Other arguments, another mark."""
    marks = {net_rules.marker({**ISOLATION, "port": port}) for port in (22, 2222)}
    assert len(marks) == 2
    assert net_rules.marker(dict(reversed(ISOLATION.items()))) in marks
    assert all(re.fullmatch("p_[0-9a-f]{40}", mark) for mark in marks)


def test_published_ports_are_dropped_by_the_port_they_came_to() -> None:
    """Only where connections are translated; conntrack is not begun for it elsewhere."""
    text = net_rules.inbound(INBOUND, 60)
    assert len([line for line in text.splitlines() if "ct original proto-dst" in line]) == 4
    assert " ct " not in net_rules.inbound({**INBOUND, "translated": False}, 60)
    assert allowed(text, "cut_in")[-1] == (
        "fib daddr type local meta l4proto { tcp, udp } th dport { 8000, 8001 } drop"
    )


def listed(*elements: tuple[str, str]) -> list[Any]:
    """A listing of the table of sources."""
    sets: dict[str, list[Any]] = {}
    for name, value in elements:
        sets.setdefault(name, []).append({"elem": {"val": value, "timeout": 9, "expires": 8}})
    return [{"table": {"name": "watchfloor_source"}}] + [
        {"set": {"name": name, "elem": elem}} for name, elem in sets.items()
    ]


def test_sources_share_a_table_by_prefix_length() -> None:
    """Rules of all sets are written anew; elements of others are not touched."""
    one = net.network("198.51.100.0/24", "x")
    there = listed(("v4_32", "192.0.2.1"), ("v6_64", "2001:db8::"))
    text = net_source.block(one, 62, there)
    assert "ip saddr & 255.255.255.0 @v4_24 drop" in text
    assert "ip saddr @v4_32 drop" in text
    assert "ip6 daddr & ffff:ffff:ffff:ffff:: @v6_64 drop" in text
    assert [line for line in text.splitlines() if " element " in line] == [
        "add element inet watchfloor_source v4_24 { 198.51.100.0 timeout 62s }",
        "delete element inet watchfloor_source v4_24 { 198.51.100.0 }",
        "add element inet watchfloor_source v4_24 { 198.51.100.0 timeout 62s }",
    ]
    assert net_source.elements(there) == {"192.0.2.1/32": 8, "2001:db8::/64": 8}
    assert net_source.unblock(one, there) == ""
    other = net.network("192.0.2.1", "x")
    assert "delete element" in net_source.unblock(other, there)
    assert "delete table" in net_source.unblock(other, listed(("v4_32", "192.0.2.1")))
    assert net_source.unblock(other, []) == ""


def test_foreign_sets_in_our_table_are_not_read() -> None:
    """A name that is none of ours says nothing."""
    for name in ("v4_33", "v6_129", "v5_1", "x", "v4_24; flush ruleset"):
        assert net_source.elements(listed((name, "192.0.2.1"))) == {}
    assert net_source.elements(listed(("v4_32", "nonsense"))) == {}


RULESET: dict[str, list[dict[str, Any]]] = {
    "nftables": [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "inet", "name": "filter", "handle": 1}},
        {"set": {"family": "inet", "table": "filter", "name": "s", "timeout": 5, "elem": ["a"]}},
        {"rule": {"family": "inet", "table": "filter", "handle": 7, "expr": [
            {"counter": {"packets": 5, "bytes": 9}}, {"drop": None}]}},
    ]
}  # fmt: skip


def test_the_digest_is_the_one_of_the_probe() -> None:
    """Over everything but our own tables."""
    items = [item for item in RULESET["nftables"] if "metainfo" not in item]
    assert nft.digest(items) == normalised(json.dumps(RULESET).encode())[0]
    ours: list[Any] = [{"table": {"family": "inet", "name": n}} for n in net_rules.OURS]
    ours += [{"rule": {"family": "netdev", "table": "watchfloor_l2", "expr": []}}]
    assert net_ruleset.own([*ours, *items]) == items


def test_our_tables_are_taken_out_of_a_text() -> None:
    """By the lines at the margin."""
    text = (
        "table ip a {\n\tchain watchfloor {\n\t}\n}\ntable inet watchfloor {\n\tset x {\n\t}\n}\n"
    )
    text += "table ip b {\n}\n"
    assert net_ruleset.without_ours(text) == (
        "table ip a {\n\tchain watchfloor {\n\t}\n}\ntable ip b {\n}\n"
    )
    items = [{"table": {"family": "ip", "name": "a b; flush ruleset"}}]
    with pytest.raises(StepFailed):
        net_ruleset.change(items, "")


@pytest.mark.skipif(shutil.which("nft") is None, reason="needs nft")
@pytest.mark.parametrize("translated", [True, False])
def test_nft_can_read_all_that_is_written(translated: bool) -> None:
    """Its parser takes the text (nothing is changed; without rights it stops after that)."""
    texts = [
        net_rules.isolation({**ISOLATION, "dhcp": "10.9.1.250"}, [], 60),
        net_rules.isolation({**ISOLATION, "destroy": False}, [], 0),
        net_rules.inbound({**INBOUND, "translated": translated}, 60),
        net_source.block(net.network("2001:db8::/33", "x"), 60, listed(("v4_31", "192.0.2.0"))),
    ]
    for text in texts:
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--net", "nft", "-c", "-f", "-"],
            input=text.encode(),
            capture_output=True,
            check=False,
        )
        assert b"syntax error" not in done.stderr, done.stderr
        assert done.returncode == 0 or b"unshare" in done.stderr, done.stderr
