"""Whether the values of a host make sense, before anything is done with them."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable, Mapping

from console.model.host import Host
from console.text import clean

KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
RESERVED = "workstation"  # name of the row of this machine

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,127}\Z")
_ADDRESS = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9._:%-]{0,254}\Z")
_LABEL = re.compile(r"[^\s,@!=\[\]]{1,128}\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.$@\\-]{0,63}\Z")
_GUARD_ID = re.compile(r"[0-9a-f]{32}")
_PYTHON = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]{0,254}\Z")
_LISTENER = re.compile(
    r"(?:tcp|udp)/(?:(?P<address>\[[0-9A-Fa-f:.%a-z]+\]|[0-9.*]+):)?(?P<port>\d+)\Z"
)


def faults(host: Host) -> Iterable[tuple[str, str]]:
    """What is wrong with a host, as field and message; nothing when all is well."""
    if not _NAME.match(host.name):
        yield "name", f"{clean(host.name, 80)!r} is not a host name (letters, digits, . _ : -)"
    if host.name == RESERVED:
        yield "name", f"{RESERVED!r} is the name of this machine's own row"
    fault = _address_fault(host.address)
    if fault:
        yield "address", fault
    if not _USER.match(host.user):
        yield "user", f"{clean(host.user, 80)!r} is not an account name"
    if not _PYTHON.match(host.python):
        yield "python", f"{clean(host.python, 80)!r} is not a program name or path"
    for field in ("site", "zone", "environment", "risk", "owner"):
        if len(getattr(host, field)) > 128:
            yield field, "is longer than 128 characters"
    for field, labels in (("site", (host.site,)), ("groups", host.groups), ("tags", host.tags)):
        for label in labels:
            if not _LABEL.match(label) and not (field == "site" and not label):
                yield field, f"{clean(label, 80)!r} is not a label (no spaces, commas, @ or !)"
    for field in ("host_key", "host_ca"):
        for number, line in enumerate(getattr(host, field), 1):
            fault = key_fault(line)
            if fault:
                yield field, f"line {number} {fault}"
    if host.guard_id and not _GUARD_ID.fullmatch(host.guard_id):
        yield "guard_id", f"{clean(host.guard_id, 80)!r} is not 32 hexadecimal digits"
    for listener in host.listeners:
        match = _LISTENER.match(listener)
        if not match or not 1 <= int(match["port"]) <= 65_535:
            yield "listeners", f"{clean(listener, 80)!r} is not like tcp/22 or tcp/127.0.0.1:8000"


def _address_fault(address: str) -> str:
    """Why nothing can be reached at ``address``, or empty."""
    if not address:
        return "is missing"
    shown = repr(clean(address, 80))
    if "@" in address:
        return f"{shown} holds an account, which goes into `user`"
    if not _ADDRESS.match(address):
        return f"{shown} is neither a DNS name nor an IP address"
    try:
        # A colon is only in IPv6 addresses; `name:22` would wait for a name that cannot exist.
        ipaddress.ip_address(address if ":" in address else "::")
    except ValueError:
        return f"{shown} is no IPv6 address; a port goes into `port`"
    return ""


def key_fault(line: str) -> str:
    """Why ``line`` is not an OpenSSH public key line, or empty."""
    words = line.split()
    if len(words) < 2:
        return "is not a public key line (ssh-ed25519 AAAA...)"
    kind, text = words[0], words[1]
    if kind not in KEY_TYPES:
        return f"has the unknown key type {clean(kind, 40)!r}"
    if text.endswith(("...", "\u2026")) or text[0] in "<[{":
        return (
            "is a placeholder, not a key: a key line looks like `ssh-ed25519 AAAAC3NzaC1lZDI1...` "
            "with 68 characters in the second word. `watchfloor hosts trust HOST` stores the "
            "host's own, or copy /etc/ssh/ssh_host_ed25519_key.pub from it"
        )
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "holds no base64"
    size = int.from_bytes(blob[:4], "big")
    if len(blob) <= 4 + size or blob[4 : 4 + size] != kind.encode():
        return f"is damaged: the key is not of type {kind}"
    return ""


def jump_fault(name: str, jumps: Mapping[str, tuple[str, ...]]) -> str:
    """Why the way to ``name`` cannot be followed: an unknown jump host or a loop; or empty."""
    if len(set(jumps[name])) != len(jumps[name]):
        return "names one jump host twice"
    todo: list[tuple[str, tuple[str, ...]]] = [(hop, (name,)) for hop in jumps[name]]
    done: set[str] = set()
    while todo:
        hop, before = todo.pop()
        if hop not in jumps:
            return f"jump host {clean(hop, 80)!r} is not in the inventory"
        if hop in before:
            way = " -> ".join(clean(item, 80) for item in (*before, hop))
            return f"jump hosts form a loop: {way}"
        if hop not in done:
            done.add(hop)
            todo += [(following, (*before, hop)) for following in jumps[hop]]
    return ""
