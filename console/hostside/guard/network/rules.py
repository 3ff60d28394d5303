"""Rules of nftables as text, from typed values alone: every line below is written here or by them.

One table for each kind of action, so that several live beside each other and each is put back by
itself. All of them sit before connection tracking and before the host's own rules (priority -310).

A rule set that is armed reads ``meta nfproto @armed goto …``: when the elements of that set time
out, the host is as it was, whatever has become of the guard.
"""

from __future__ import annotations

from ..refused import Refused
from . import net

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ISOLATE, L2, INBOUND = "watchfloor", "watchfloor_l2", "watchfloor_inbound"
SOURCE = "watchfloor_source"
OURS = (ISOLATE, L2, INBOUND, SOURCE)
GRACE_S = 2  # the guard gives up first, and a confirmation never comes after the kernel did
ND = "{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }"
ND_IN = 1500  # bytes of a router's advertisement with all its options
ASKED, TOLD = "nd-router-solicit", "{ nd-neighbor-solicit, nd-neighbor-advert }"
NEAR = "fe80::/10, ff02::/16"  # addresses that no router passes on
WIRE = (14, 18)  # an Ethernet header, and one that has its tag (VLAN) by then
RESETS = "limit rate 1/second burst 1000 packets"  # of what is ended when it begins; then few
# A reset as the kernel sends it: (words of the TCP header, whole length in IPv4 and in IPv6). One
# that is longer, or has other options than a time stamp alone, carries something out.
RST = ((5, "", 40, 60), (8, "@th,160,32 0x0101080a ", 52, 72))
MAX_INTERFACES = 64

_HOOK = "type filter hook {0} priority {1}; policy accept;"


def interface(name: object) -> str:
    """An interface name that is safe inside quotes. Raises Refused."""
    import re

    if type(name) is not str or not re.fullmatch(r"[A-Za-z0-9_.:-]{1,15}", name) or name == "lo":
        raise Refused("parameters", "an interface has a name that cannot be written in a rule")
    return name


def marker(args: dict[str, Any]) -> str:
    """Name of the empty chain that tells whose table it is: a digest of what was asked for."""
    import hashlib
    import json

    asked = json.dumps(args, sort_keys=True, separators=(",", ":")).encode()
    return "p_" + hashlib.sha256(asked).hexdigest()[:40]


def families(those: list[net.Network]) -> list[tuple[str, str]]:
    """``("ip", "{ 10.9.1.0/24 }")`` and the same for ``ip6``, where there are any."""
    out = []
    for word, version in (("ip", 4), ("ip6", 6)):
        texts = [str(one) for one in those if one.version == version]
        if texts:
            out.append((word, "{ " + ", ".join(texts) + " }"))
    return out


def replace(family: str, table: str, inner: list[str]) -> str:
    """The text that puts a table in the place of an older one of that name, or of none."""
    name = f"{family} {table}"
    return f"add table {name}\ndelete table {name}\ntable {name} {{\n" + _body(inner) + "}\n"


def chain(name: str, lines: list[str]) -> list[str]:
    """Lines of a chain."""
    return [f"chain {name} {{", *("\t" + line for line in lines), "}"]


def hooked(hook: str, to: str) -> list[str]:
    """A chain at a hook that leads to ``to`` as long as the table is armed."""
    return chain(hook, [_HOOK.format(hook, -310), f"meta nfproto @armed goto {to}"])


def armed_set(kind: str, elements: list[str], seconds: int) -> list[str]:
    """The set whose time-outs are the dead-man; without a time-out where ``seconds`` is 0."""
    return [
        "set armed {",
        f"\ttype {kind}",
        "\tflags timeout",
        f"\telements = {_elements(elements, seconds)}",
        "}",
    ]


def _elements(elements: list[str], seconds: int) -> str:
    late = f" timeout {seconds + GRACE_S}s" if seconds else ""
    return "{ " + ", ".join(one + late for one in elements) + " }"


def _body(lines: list[str]) -> str:
    return "".join(f"\t{line}\n" for line in lines)


def isolation(args: dict[str, Any], present: list[str], seconds: int) -> str:
    """The transaction that isolates: table ``inet watchfloor`` and, where there are interfaces that
    the plan names and the host has (``present``), ``netdev watchfloor_l2``."""
    mgmt = net.networks(args["mgmt"], "mgmt")
    port = net.whole(args["port"], 1, 65_535, "the port of sshd")
    mark = chain(marker(args), [])
    dhcp_in, dhcp_out = _dhcp(args["dhcp"])
    inbound = [
        'iif "lo" accept',
        *(f"{word} saddr {those} tcp dport {port} accept" for word, those in families(mgmt)),
        f"ip6 hoplimit 255 icmpv6 type {ND} meta length <= {ND_IN} accept",
        "icmp type destination-unreachable icmp code frag-needed accept",
        "icmpv6 type packet-too-big accept",
        *dhcp_in,
        "drop",
    ]
    outbound = [
        'oif "lo" accept',
        *_leaving(mgmt, port, (0,)),
        *dhcp_out,
        *([] if args["destroy"] else ["meta l4proto tcp reject with tcp reset"]),
        "drop",
    ]
    text = replace(
        "inet",
        ISOLATE,
        [
            *armed_set("nf_proto", ["ipv4", "ipv6"], seconds),
            *hooked("prerouting", "iso_in"),
            *hooked("input", "iso_in"),
            *hooked("forward", "iso_forward"),
            *hooked("output", "iso_out"),
            *chain("iso_in", inbound),
            *chain("iso_forward", ["drop"]),
            *chain("iso_out", outbound),
            *mark,
        ],
    )
    if present:
        text += replace("netdev", L2, _egress(args, mgmt, port, present, seconds))
    return text


def _leaving(mgmt: list[net.Network], port: int, links: tuple[int, ...]) -> list[str]:
    """What may leave, at both hooks; ``links`` are lengths that the header below IP may have."""
    here = ", ".join([NEAR, *(str(one) for one in mgmt if one.version == 6)])
    found = "ip6 hoplimit 255 ip6 daddr {0} icmpv6 type {1} icmpv6 code 0 meta length {2} accept"
    return [
        *(f"{word} daddr {those} tcp sport {port} accept" for word, those in families(mgmt)),
        found.format("{ " + NEAR + " }", ASKED, _lengths((48, 56), links)),
        found.format("{ " + here + " }", TOLD, _lengths((64, 72, 80), links)),
        *resets(links),
    ]


def resets(links: tuple[int, ...] = (0,)) -> list[str]:
    """Resets that carry nothing, no more of them than ends connections at the other end."""
    lines = []
    for words, options, four, six in RST:
        flags = f"tcp flags & (fin | syn | rst | psh | urg) == rst tcp doff {words} {options}"
        lines += [
            f"ip length {four} {flags}meta length {_lengths((four,), links)} {RESETS} accept",
            f"ip6 length {six - 40} ip6 nexthdr tcp {flags}"
            f"meta length {_lengths((six,), links)} {RESETS} accept",
        ]
    return [line.replace("  ", " ") for line in lines]


def _lengths(bare: tuple[int, ...], links: tuple[int, ...]) -> str:
    return "{ " + ", ".join(str(size + at) for size in bare for at in links) + " }"


def _egress(
    args: dict[str, Any], mgmt: list[net.Network], port: int, present: list[str], seconds: int
) -> list[str]:
    """Frames of every kind that leave by a wire, raw ones too."""
    quoted = [f'"{interface(name)}"' for name in present]
    devices = "{ " + ", ".join(quoted) + " }"
    hook = f"type filter hook egress devices = {devices} priority -310; policy accept;"
    _, dhcp_out = _dhcp(args["dhcp"])
    rules = [
        "meta protocol arp arp operation { request, reply } arp hlen 6 arp plen 4"
        f" meta length {_lengths((28,), WIRE)} accept",
        *_leaving(mgmt, port, WIRE),
        *dhcp_out,
        "drop",
    ]
    return [
        *armed_set("iface_index", quoted, seconds),
        *chain("egress", [hook, "meta oif @armed goto iso_l2"]),
        *chain("iso_l2", rules),
        *chain(marker(args), []),
    ]


def _dhcp(server: object) -> tuple[list[str], list[str]]:
    """Rules for a lease that is renewed with one known server: incoming and outgoing."""
    if server == "none":
        return [], []
    one = net.network(server, "the DHCP server")
    if one.prefixlen != one.max_prefixlen:
        raise Refused("parameters", "the DHCP server is not one address")
    at = one.network_address
    if one.version == 4:
        return (
            [f"ip saddr {at} udp sport 67 udp dport 68 accept"],
            [f"ip daddr {at} udp sport 68 udp dport 67 accept"],
        )
    return (
        [f"ip6 saddr {at} udp sport 547 udp dport 546 accept"],
        [f"ip6 daddr {{ {at}, ff02::1:2 }} udp sport 546 udp dport 547 accept"],
    )


def inbound(args: dict[str, Any], seconds: int) -> str:
    """The transaction that cuts the model services off, but from lo and management."""
    mgmt = net.networks(args["mgmt"], "mgmt")
    listed = "{ " + ", ".join(str(p) for p in net.ports(args["ports"], "ports")) + " }"
    protocols = "meta l4proto { tcp, udp } th"
    incoming = [
        'iif "lo" accept',
        *(f"{word} saddr {those} accept" for word, those in families(mgmt)),
        f"fib daddr type local {protocols} dport {listed} drop",
    ]
    outgoing = [
        'oif "lo" accept',
        *(f"{word} daddr {those} accept" for word, those in families(mgmt)),
        *resets(),
        f"{protocols} sport {listed} drop",
    ]
    # A published port of a container is translated before the forward hook: there the connection
    # still knows which port it came to. What a container opens itself is not translated that way.
    forwarded = [f"{word} daddr {those} accept" for word, those in families(mgmt)]
    if args["translated"]:
        forwarded += [
            f"meta l4proto {protocol} ct status dnat ct direction reply"
            f" ct original proto-dst {one} drop"
            for one in net.ports(args["ports"], "ports")
            for protocol in ("tcp", "udp")
        ]
    return replace(
        "inet",
        INBOUND,
        [
            *armed_set("nf_proto", ["ipv4", "ipv6"], seconds),
            *hooked("prerouting", "cut_in"),
            *hooked("forward", "cut_forward"),
            *hooked("output", "cut_out"),
            *chain("cut_in", incoming),
            *chain("cut_forward", forwarded),
            *chain("cut_out", outgoing),
            *chain(marker(args), []),
        ],
    )


def held(present: list[str], table: str, seconds: int) -> str:
    """The one transaction that sets other time-outs, or none (0): no packet sees the set empty."""
    both = _elements(["ipv4", "ipv6"], seconds)
    text = f"flush set inet {table} armed\nadd element inet {table} armed {both}\n"
    if present:
        quoted = _elements([f'"{interface(name)}"' for name in present], seconds)
        text += f"flush set netdev {L2} armed\nadd element netdev {L2} armed {quoted}\n"
    return text


def removed(tables: list[tuple[str, str]]) -> str:
    """The transaction that takes tables away, whether they are there or not."""
    return "".join(
        f"add table {family} {table}\ndelete table {family} {table}\n" for family, table in tables
    )
