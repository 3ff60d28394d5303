"""Addresses and networks, parsed by ``ipaddress`` and written again: nothing else gets on."""

from __future__ import annotations

from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Network, IPv6Network
    from typing import Any, Union

    Network = Union[IPv4Network, IPv6Network]

MAX_NETWORKS = 16
WIDEST = {4: 8, 6: 16}  # shortest prefix that may be blocked: more is an isolation


def network(text: object, what: str) -> Network:
    """A network out of its one accepted spelling. Raises Refused.

    ``10.9.1.2`` stands for ``10.9.1.2/32``. Host bits, zones, leading zeros and all that
    ``ipaddress`` would not write in the same way are refused.
    """
    import ipaddress

    # Before it is parsed: what stands after a % (a zone) would be taken and written as it is.
    if type(text) is not str or not 2 <= len(text) <= 49 or text.strip("0123456789abcdef.:/"):
        raise Refused("parameters", f"{what} is not an address or network")
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        raise Refused(
            "parameters",
            f"{what} is not an address or network",
            "write it as 10.9.1.2, 10.9.1.0/24 or fd00:9::/64, without host bits",
        ) from None
    if text not in (str(found), str(found.network_address)) or (
        "/" not in text and found.prefixlen != found.max_prefixlen
    ):
        raise Refused("parameters", f"{what} is not written the usual way: {found}")
    if found.version == 6 and found.network_address.ipv4_mapped is not None:
        raise Refused("parameters", f"{what} is an IPv4 address inside IPv6: write the IPv4 one")
    return found


def networks(texts: object, what: str) -> list[Network]:
    """A list of 1 to 16 different networks, in the order they were given. Raises Refused."""
    if type(texts) is not list or not texts:
        raise Refused("parameters", f"{what} is not a list of networks, or is empty")
    if len(texts) > MAX_NETWORKS:
        raise Refused("parameters", f"{what} has more than {MAX_NETWORKS} networks")
    found = [network(text, what) for text in texts]
    if len(set(found)) != len(found):
        raise Refused("parameters", f"{what} names a network twice")
    return found


def inside(one: Network, those: Iterable[Network]) -> bool:
    """Whether ``one`` lies in one of ``those``."""
    return any(one.version == n.version and one.subnet_of(n) for n in those)  # type: ignore[arg-type]


def overlaps(one: Network, those: Iterable[Network]) -> bool:
    """Whether ``one`` shares an address with one of ``those``."""
    return any(one.version == n.version and one.overlaps(n) for n in those)


def peer(address: str) -> Network | None:
    """The address of a caller as a network of one; None where it is none.

    An IPv4 address inside IPv6, as a socket of both families tells it, counts as IPv4.
    """
    import ipaddress

    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return ipaddress.ip_network(mapped if mapped is not None else found)


def whole(value: object, low: int, high: int, what: str) -> int:
    """An integer between two bounds. Raises Refused."""
    if type(value) is not int or not low <= value <= high:
        raise Refused("parameters", f"{what} is not a whole number from {low} to {high}")
    return value


def ports(values: object, what: str) -> list[int]:
    """A list of 1 to 32 different ports. Raises Refused."""
    if type(values) is not list or not 1 <= len(values) <= 32:
        raise Refused("parameters", f"{what} is not a list of 1 to 32 ports")
    found = [whole(value, 1, 65_535, what) for value in values]
    if len(set(found)) != len(found):
        raise Refused("parameters", f"{what} names a port twice")
    return found


def management(policy: dict[str, Any]) -> list[Network]:
    """The management networks of the policy. Raises Refused where there are none."""
    return networks(policy.get("mgmt_networks"), "mgmt_networks of the policy")


def written(those: Sequence[Network]) -> list[str]:
    """Networks as texts, with their prefix lengths."""
    return [str(one) for one in those]


def armed_s(confirm_s: int, policy: dict[str, Any]) -> int:
    """Seconds until the kernel gives up by itself; 0 where the policy keeps the unconfirmed."""
    return 0 if policy.get("unconfirmed") == "keep" else confirm_s
