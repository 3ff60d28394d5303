"""The fields of a policy, each with its check. ``docs/guard-policy.md`` says what they mean."""

from __future__ import annotations

import re

from .floors import APPROVAL_TTL, RATIFY, REQUEST_TTL
from .typed import (
    ACTION,
    METRIC,
    MODEL,
    digest,
    like,
    listed,
    mapped,
    one_of,
    shaped,
    truth,
    whole,
    wrong,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = (
    "sk-ssh-ed25519@openssh.com",
    "ssh-ed25519",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)

SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,120}\.service\Z")
PACKAGE = r"(\*|[a-z0-9][A-Za-z0-9+._-]{0,127})\Z"
FOLDER = re.compile(r"(/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._+@-]+){1,16}\Z")
# Of a [Service] section only what takes away: nothing that runs, loads or raises anything.
DIRECTIVE = (
    r"(NoNewPrivileges|RemoveIPC|LockPersonality|MemoryDenyWriteExecute|UMask|KeyringMode|ProcSubset"
    r"|SystemCall(Filter|Architectures|ErrorNumber)|CapabilityBoundingSet|Device(Allow|Policy)"
    r"|(ReadOnly|ReadWrite|Inaccessible|NoExec|Exec)Paths|TemporaryFileSystem"
    r"|IPAddress(Allow|Deny)|SocketBind(Allow|Deny)|(Private|Protect|Restrict)[A-Z][A-Za-z]{1,40}"
    r"|(Memory(High|Max|SwapMax)|TasksMax|Limit[A-Z]{2,10}|OOMPolicy))=[ -~]{0,500}\Z"
)
URL = re.compile(r"http://(127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}/[A-Za-z0-9._~/?=&%-]{0,200}\Z")

port = whole(1, 65535)
_folder = like(FOLDER, "an absolute path without . and ..")
_service = like(SERVICE, "the name of a .service unit")
_year = 366 * 86400


def network(value: Any, field: str) -> None:
    """A network in its shortest form, host bits zero, and not the whole address space."""
    if type(value) is str and _ipv4(value):
        return
    import ipaddress  # 5 ms that the usual ones do not need

    try:
        found = ipaddress.ip_network(value) if _plain(value) else None
    except ValueError:
        found = None
    if found is None or str(found) != value:
        wrong(field, "has an item that is no network such as 10.9.1.0/24")
    elif found.prefixlen < (8 if found.version == 4 else 16):
        wrong(field, "has a network so wide that it would let nearly everybody in")


_IPV4 = re.compile(r"(0|[1-9][0-9]{0,2})" + r"\.(0|[1-9][0-9]{0,2})" * 3 + r"/([1-9][0-9]?)\Z")


def _ipv4(value: str) -> bool:
    """Whether it is an IPv4 network as ``network`` wants it; False where that has to look."""
    match = _IPV4.match(value)
    if match is None:
        return False
    *parts, length = map(int, match.groups())
    number = 0
    for part in parts:
        number = number << 8 | part
    return max(parts) < 256 and 8 <= length <= 32 and number & ((1 << 32 - length) - 1) == 0


def _plain(value: Any) -> bool:
    """Whether it has the characters of an address or network alone: what stands after a % (a zone)
    would be taken and written as it is."""
    return type(value) is str and not value.strip("0123456789abcdef.:/")


def _dhcp(value: Any, field: str) -> None:
    import ipaddress

    if value == "none":
        return
    try:
        found = ipaddress.ip_address(value) if _plain(value) else None
    except ValueError:
        found = None
    if found is None or str(found) != value or found.is_multicast or found.is_unspecified:
        wrong(field, 'is not "none" or the address of the DHCP server')


def _gateway(value: Any, field: str) -> None:
    if value != {} or type(value) is not dict:
        shaped(kind=one_of("nginx"), keys_file=_folder, limits_file=_folder, unit=_service)(
            value, field
        )


def _limits(value: Any, field: str) -> None:
    if type(value) is not dict or not value or set(value) - {"min", "max"}:
        wrong(field, "is not an object with min, max or both")
    for end in value:
        whole(-(2**53) + 1, 2**53 - 1)(value[end], f"{field}.{end}")


def _url(value: Any, field: str) -> None:
    like(URL, "a plain URL of this host's loopback with a port and a path")(value, field)
    port(int(value.rsplit(":", 1)[1].split("/", 1)[0]), field)


def _firewall(value: Any, field: str) -> None:
    if value != "":
        digest(value, field)


def _prev(value: Any, field: str) -> None:
    if value != "":
        digest(value, field)


_RULE = shaped(
    mode=one_of("two_before", "one_then_ratify"),
    people=whole(1, 8),
    ratify_s=whole(30, RATIFY),
    require_uv=truth,
    ttl_s=whole(0, _year),
)

POLICY = {
    "actions": mapped(ACTION, _RULE, 0, 64),
    "api_ports": listed(port, 0, 32),
    "approval_ttl_s": whole(30, APPROVAL_TTL),
    "confirm_s": whole(15, 900),
    "dhcp": _dhcp,
    "evaluation": mapped(METRIC, _limits, 0, 64),
    "firewall": _firewall,
    "gateway": _gateway,
    # By model: what serves it, what `current` means to that service, and how it is found well.
    "health": mapped(
        MODEL,
        shaped(
            expect=whole(100, 599),
            kind=one_of("link", "image"),
            service=_service,
            timeout_s=whole(1, 600),
            url=_url,
        ),
        0,
        64,
    ),
    "key_types": listed(one_of(*KINDS), 1, len(KINDS)),
    "max_targets": whole(1, 512),
    "mgmt_networks": listed(network, 1, 16),
    "models": listed(_folder, 0, 32),
    "packages": listed(like(PACKAGE, "the name of a package or *"), 0, 256),
    "pending_host": whole(1, 10),
    "pending_person": whole(1, 10),
    "prev": _prev,
    "profiles": mapped(SERVICE, listed(like(DIRECTIVE, "a directive Name=value"), 1, 64), 0, 32),
    "request_ttl_s": whole(60, REQUEST_TTL),
    "require_uv": truth,
    "serial": whole(1, 2**31),
    "services": listed(_service, 0, 64),
    "unconfirmed": one_of("revert", "keep"),
}
