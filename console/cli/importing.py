"""Hosts of other programs' inventories, as TOML of our own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.errors import ConfigError
from console.text import clean


class Imported(msgspec.Struct):
    """Hosts as ``[[hosts]]`` fields, and what could not be carried over."""

    hosts: list[dict[str, Any]]
    notes: list[str]


def read(path: Path, form: str | None) -> Imported:
    """Read a file of ``form`` "openssh" or "ansible" (None: told from its content).

    Raises ConfigError when it cannot be read.
    """
    if path.exists() and not path.is_file():  # it is read twice, and a pipe only once
        raise ConfigError("is not a regular file", where=clean(str(path), 300))
    if (form or guess(path)) == "openssh":
        from console.ssh.sshconfig import hosts_from_openssh

        notes: list[str] = []
        found = Imported(hosts_from_openssh(path, notes), notes)
    else:
        from console.config.ansible import read_inventory

        hosts, notes = read_inventory(path)
        found = Imported(hosts, notes)
    _sound(found)
    _complete(found)
    return found


def guess(path: Path) -> str:
    """What kind of file it is, by its first meaningful lines."""
    where = clean(str(path), 300)
    try:
        with path.open("rb") as file:
            text = file.read(65_536).decode("utf-8", "replace")
    except (OSError, ValueError) as exc:
        said = getattr(exc, "strerror", None) or "cannot be read"
        raise ConfigError(clean(said), where=where) from exc
    openssh = re.search(r"(?im)^\s*(host|match|include)[ \t=]+\S", text)
    ansible = re.search(r"(?m)^\s*\[[^\]\n]+\]\s*$|^[\w.-]+:\s*$|\bansible_\w+\s*[=:]", text)
    return "openssh" if openssh and not ansible else "ansible"


def _sound(found: Imported) -> None:
    """Leave out hosts that our own configuration would refuse, and say so."""
    from console.config.hostcheck import faults
    from console.model.host import Host

    kept = []
    names: set[str] = set()
    for fields in found.hosts:
        name = str(fields.get("name", ""))
        try:
            host = msgspec.convert({**fields}, Host)
        except msgspec.ValidationError as exc:
            found.notes.append(f"{clean(name, 80)}: left out: {clean(str(exc), 200)}")
            continue
        wrong = [f"{field} {fault}" for field, fault in faults(host)]
        hops = [Host(name=hop, address=hop) for hop in host.jump]
        wrong += [f"jump {why}" for hop in hops for field, why in faults(hop) if field == "name"]
        wrong += [f"{key} holds characters that no terminal should get" for key in _unclean(fields)]
        if wrong:
            found.notes.append(f"{clean(name, 80)}: left out: {'; '.join(wrong)}")
        elif name in names:
            found.notes.append(f"{name}: left out: named twice")
        else:
            kept.append(fields)
            names.add(name)
    found.hosts = kept


def _unclean(fields: Mapping[str, object]) -> list[str]:
    """Fields whose text would not be printed as it is."""
    out = []
    for key, value in fields.items():
        texts = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(text, str) and clean(text, len(text) + 1) != text for text in texts):
            out.append(key)
    return out


def _complete(found: Imported) -> None:
    """Add jump hosts that are named but not declared, and say what is missing."""
    names = {fields["name"] for fields in found.hosts}
    missing: dict[str, None] = {}
    for fields in found.hosts:
        if fields["name"] in fields.get("jump", ()):  # a group's way out, through one of its own
            del fields["jump"]
            found.notes.append(f"{fields['name']}: reached directly, as it is its own jump host")
        missing |= dict.fromkeys(hop for hop in fields.get("jump", ()) if hop not in names)
    for hop in missing:
        found.hosts.append({"name": hop, "address": hop})
        found.notes.append(f"{hop}: added as a host, because it is a jump host; check its account")
    bare = sum(not fields.get("host_key") and not fields.get("host_ca") for fields in found.hosts)
    if bare:
        found.notes.append(
            f"{bare} {'host has' if bare == 1 else 'hosts have'} no known key: put the TOML in "
            "place, then `watchfloor hosts trust HOST`, or give host_ca"
        )


def to_toml(found: Imported, source: Path) -> str:
    """The hosts as a TOML document."""
    import tomlkit

    document: Any = tomlkit.document()
    document.add(tomlkit.comment(f"From {clean(source.name, 200)} by `watchfloor hosts import`."))
    hosts = tomlkit.aot()
    for fields in found.hosts:
        table = tomlkit.table()
        for key, value in fields.items():
            if value not in ("", [], ()):
                table[key] = list(value) if isinstance(value, tuple) else value
        hosts.append(table)
    if found.hosts:
        document["hosts"] = hosts
    text: str = tomlkit.dumps(document)
    return text
