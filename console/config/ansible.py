"""Hosts of an Ansible inventory, as fields of ``[[hosts]]``. Nothing in it is run.

Read are the inventory file itself (INI or YAML), group children and variables. Templates, vault
values, dynamic inventories, ``group_vars`` folders and passwords are not carried over; what was
left out is told, passwords by name only.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.config.ranges import MAX_NAMES
from console.errors import ConfigError
from console.text import clean

MAX_BYTES = 16 << 20
MAX_DEPTH = 32
IMPLICIT = ("all", "ungrouped")


class Group(msgspec.Struct):
    """One group as written; hosts in order with their own variables."""

    hosts: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    children: list[str] = msgspec.field(default_factory=list)
    variables: dict[str, Any] = msgspec.field(default_factory=dict)


Groups = dict[str, Group]

_DIRECT = {
    "ansible_host": "address",
    "ansible_ssh_host": "address",
    "ansible_user": "user",
    "ansible_ssh_user": "user",
    "ansible_ssh_private_key_file": "key",
    "ansible_private_key_file": "key",
    "ansible_python_interpreter": "python",
}
_PORTS = ("ansible_port", "ansible_ssh_port")
_ARGS = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args")
_QUIET = re.compile(
    r"ansible_(connection|become\w*|shell_type|ssh_pipelining|ssh_transfer_method)$"
)
_SECRET = re.compile(r"pass|secret|token|vault", re.IGNORECASE)


def read_inventory(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Hosts in the order of the file, and notes on what was left out. Raises ConfigError."""
    where = clean(str(path), 300)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        said = getattr(exc, "strerror", None) or "cannot be read"
        raise ConfigError(clean(said), where=where) from exc
    if len(raw) > MAX_BYTES:
        raise ConfigError("is too big for an inventory", where=where)
    return parse_inventory(raw, where)


def parse_inventory(raw: bytes, where: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The same from the bytes of a file; ``where`` names it in errors. Raises ConfigError."""
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    if raw.startswith(b"#!"):
        raise ConfigError(
            "is a program (a dynamic inventory), and is not run",
            where=where,
            hint="Run it yourself: ansible-inventory --list --yaml > FILE, then import FILE.",
        )
    if is_yaml(text):
        from console.config.ansible_yaml import parse_yaml

        groups = parse_yaml(text, where)
    else:
        from console.config.ansible_ini import parse_ini

        groups = parse_ini(text, where)
    try:
        return carried(groups)
    except ConfigError as exc:
        raise ConfigError(exc.message, where=where, hint=exc.hint) from exc


def is_yaml(text: str) -> bool:
    """Whether the first meaningful line looks like YAML rather than INI."""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and stripped[0] not in "#;":
            return (
                stripped == "---"
                or stripped[0] == "{"
                or bool(re.match(r"[\w.\"'-]+\s*:(\s|$)", stripped))
            )
    return False


def carried(groups: Groups) -> tuple[list[dict[str, Any]], list[str]]:
    """Turn groups into host fields, with variables merged: all, parents, children, host."""
    depths = _depths(groups)
    above = _memberships(groups)
    own: dict[str, dict[str, Any]] = {}
    direct: dict[str, set[str]] = {}
    for name, group in groups.items():
        for host, variables in group.hosts.items():
            own.setdefault(host, {}).update(variables)
            direct.setdefault(host, set()).add(name)
            if len(own) > MAX_NAMES:
                raise ConfigError(f"more than {MAX_NAMES:,} hosts")
    notes: dict[str, int] = {}
    hops: dict[str, dict[str, Any]] = {}
    out = []
    for host, variables in own.items():
        names = {"all"}.union(*(above[name] for name in direct[host]))
        merged: dict[str, Any] = {}
        for name in sorted(names, key=lambda item: (depths.get(item, 0), item)):
            merged |= groups[name].variables if name in groups else {}
        merged |= variables
        fields = _fields(host, merged, notes, hops)
        if fields is not None:
            labels = [name for name in groups if name in names and name not in IMPLICIT]
            out.append({**fields, "groups": labels} if labels else fields)
    told = [f"{text} ({count} hosts)" for text, count in notes.items()]
    for name, fields in hops.items():
        if name not in own:
            out.append(fields)
            told.append(f"{clean(name, 80)}: added as a host, because it is a jump host")
        elif len(fields) > 2:
            told.append(f"{clean(name, 80)}: a jump host; its own entry says account and port")
    return out, told


def _depths(groups: Groups) -> dict[str, int]:
    """Distance of each group from ``all``: a child's variables win over its parent's."""
    depths = {name: 0 if name == "all" else 1 for name in groups}
    for _ in range(MAX_DEPTH):
        changed = False
        for name, group in groups.items():
            for child in group.children:
                if depths.get(child, 0) <= depths[name]:
                    depths[child] = depths[name] + 1
                    changed = True
        if not changed:
            return depths
    raise ConfigError("its groups contain each other, or are nested too deeply")


def _memberships(groups: Groups) -> dict[str, set[str]]:
    """Each group with all groups above it, itself included."""
    parents: dict[str, set[str]] = {}
    for name, group in groups.items():
        for child in group.children:
            parents.setdefault(child, set()).add(name)
    out: dict[str, set[str]] = {}
    for name in groups:
        found, todo = {name}, [name]
        while todo:
            new = parents.get(todo.pop(), set()) - found
            found |= new
            todo += new
        out[name] = found
    return out


def _fields(
    host: str,
    variables: Mapping[str, Any],
    notes: dict[str, int],
    hops: dict[str, dict[str, Any]],
) -> dict[str, Any] | None:
    """Fields of one host; None for one that is not reached over SSH."""
    fields: dict[str, Any] = {"name": host, "address": host}
    if variables.get("ansible_connection", "ssh") not in ("ssh", "smart", "paramiko", "openssh"):
        _note(notes, "left out: ansible_connection is not ssh")
        return None
    for key, value in variables.items():
        if key.startswith("ansible_") and _SECRET.search(key):
            _note(notes, f"{clean(key, 80)} not carried over: Watchfloor logs in by keys")
        elif isinstance(value, Opaque) or (isinstance(value, str) and "{{" in value):
            if key.startswith("ansible_"):
                _note(notes, f"{clean(key, 80)} not carried over: a template or vault value")
        elif key in _DIRECT:
            fields[_DIRECT[key]] = _text(value)
        elif key in _PORTS:
            _port(fields, value, notes)
        elif key in _ARGS:
            _jump(fields, _text(value), key, notes, hops)
        elif key.startswith("ansible_") and not _QUIET.match(key):
            _note(notes, f"{clean(key, 80)} not carried over")
    if fields.get("python", "").startswith("auto"):
        del fields["python"]  # let it be found, as without the variable
    return fields


class Opaque:
    """A value that only Ansible can read: a vault or another tag of YAML."""


def _text(value: object) -> str:
    """``value`` as text; a number that is too long to write is none."""
    try:
        return str(value)
    except ValueError:
        return ""


def _port(fields: dict[str, Any], value: object, notes: dict[str, int]) -> None:
    text = _text(value)
    if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65_536:
        fields["port"] = int(text)
    else:
        _note(notes, "ansible_port not carried over: no port number")


def _jump(
    fields: dict[str, Any],
    text: str,
    key: str,
    notes: dict[str, int],
    hops: dict[str, dict[str, Any]],
) -> None:
    """``-J a,b`` or ``-o ProxyJump=a,b`` out of SSH arguments; all else is told."""
    try:
        words = shlex.split(text)
    except ValueError:
        _note(notes, f"{key} not carried over: quotes do not match")
        return
    rest = []
    position = 0
    while position < len(words):
        word, following = words[position], words[position + 1 : position + 2]
        position += 1
        if word in ("-J", "-o") and following:
            position += 1
            word = f"{word}{following[0]}"
        option = re.match(r"-oProxyJump\s*[= ]\s*(.+)|-J(.+)", word, re.IGNORECASE)
        if option:
            way = (option[1] or option[2]).strip("\"'").split(",")
            fields["jump"] = [_hop(hop.strip(), hops) for hop in way if hop.strip()]
        else:
            rest.append(word)
    for word in rest:
        name = re.match(r"-o\s*(\w+)", word)
        _note(notes, f"{key}: {clean(name[1] if name else word, 40)} not carried over")


def _hop(text: str, hops: dict[str, dict[str, Any]]) -> str:
    """Name of the hop ``[user@]host[:port]``, which is kept with what it says."""
    found = re.fullmatch(r"(?:ssh://)?(?:(.*)@)?(\[[^\]]*\]|[^:]*|.*)(?::(\d{1,5}))?/?", text)
    user, host, port = found.groups() if found else (None, text, None)
    name = host.strip("[]")
    fields: dict[str, Any] = {"name": name, "address": name}
    if user:
        fields["user"] = user
    if port and 0 < int(port) < 65_536:
        fields["port"] = int(port)
    if len(fields) >= len(hops.get(name, ())):
        hops[name] = fields
    return name


def _note(notes: dict[str, int], text: str) -> None:
    notes[text] = notes.get(text, 0) + 1
