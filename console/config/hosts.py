"""Hosts out of the layers: defaults, sites and groups merged in, ranges expanded, all checked."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from console.config import ranges
from console.config.hostcheck import faults, jump_fault
from console.config.layer import PROJECT, Layer, Table, nearest, wrong
from console.config.origin import Origin
from console.errors import ConfigError
from console.model.host import Host
from console.text import clean

_TEMPLATE = re.compile(r"\{([^{}]*)\}")

Sourced = dict[str, tuple[Any, Origin]]
"""Values of a table, each with its origin."""


class Entry(msgspec.Struct, frozen=True):
    """Where a host of the result stands: its file, the element of ``[[hosts]]``, its values."""

    layer: Layer
    number: int
    ranged: bool  # the element stands for several hosts
    values: Sourced

    @property
    def origin(self) -> Origin:
        """The element's place."""
        return self.layer.origin("hosts", self.number)


class Fleet(msgspec.Struct, frozen=True):
    """All hosts in order, with where each comes from."""

    hosts: tuple[Host, ...]
    entries: dict[str, Entry]
    unused_keys: tuple[str, ...]  # names in [host_keys] that are no host
    unused_ids: tuple[str, ...]  # the same of [guard_ids]
    withheld: tuple[str, ...]  # what the project's file may not say, each with its place
    unused: tuple[str, ...]  # [sites.NAME] and [groups.NAME] of which no host is, with their place


class _Lent(msgspec.Struct):
    """What hosts inherit, merged over the layers key by key."""

    defaults: Sourced
    sites: dict[str, Sourced]
    groups: dict[str, Sourced]
    host_keys: Sourced
    guard_ids: Sourced


def build(layers: Sequence[Layer]) -> Fleet:
    """Make the hosts of all layers, later layers after earlier ones.

    A file that merely lies in the working directory (layer ``project``) lends to its own hosts
    only: whoever plants one must not change which keys, ways or logins the other hosts have.

    Raises ConfigError for a value that makes no sense, two hosts with one name, more hosts than
    ``ranges.MAX_NAMES``, and jump hosts that do not exist or form a loop.
    """
    lent = _lent(layers)
    chosen = _lent([layer for layer in layers if layer.name != PROJECT])
    _count(layers)
    hosts: dict[str, Host] = {}
    entries: dict[str, Entry] = {}
    for layer in layers:
        for number, table in enumerate(layer.data.get("hosts", ())):
            for host, entry in _expand(
                layer, number, table, lent if layer.name == PROJECT else chosen
            ):
                before = entries.get(host.name)
                if before is not None:
                    raise ConfigError(
                        f"host {host.name!r} is there twice: {before.origin} and {entry.origin}",
                        where=str(entry.origin),
                        hint="Rename or remove one of them.",
                    )
                hosts[host.name], entries[host.name] = host, entry
    _check_jumps(hosts, entries)
    _check_guard_ids(hosts.values(), entries)
    unused = tuple(name for name in lent.host_keys if name not in hosts)
    unused_ids = tuple(name for name in lent.guard_ids if name not in hosts)
    withheld = tuple(_withheld(layers, entries))
    return Fleet(
        tuple(hosts.values()), entries, unused, unused_ids, withheld, _unused(layers, hosts)
    )


def _withheld(layers: Sequence[Layer], entries: Mapping[str, Entry]) -> Iterator[str]:
    """What stands in the project's file about hosts of other files."""
    for layer in layers:
        if layer.name != PROJECT:
            continue
        for table, what in (("host_keys", "key"), ("guard_ids", "id")):
            for name in layer.data.get(table, {}):
                if name in entries and entries[name].layer.name != PROJECT:
                    place = layer.origin(table, name)
                    of = f"{clean(name, 80)} is a host of another file"
                    yield f"{place}: {of}; this {what} is ignored"
        others = any(entry.layer.name != PROJECT for entry in entries.values())
        for key in ("defaults", "sites", "groups"):
            if others and layer.data.get(key):
                yield f"{layer.origin(key)}: [{key}] of this file counts for its own hosts only"


def _unused(layers: Sequence[Layer], hosts: Mapping[str, Host]) -> tuple[str, ...]:
    """Tables for sites and groups that no host names: often one of the two is misspelt."""
    named = {
        "sites": {host.site for host in hosts.values()},
        "groups": {group for host in hosts.values() for group in host.groups},
    }
    return tuple(
        f"{layer.origin(key, name)}: [{key}.{clean(name, 80)}] has no host. "
        f"{nearest(name, sorted(labels))}".strip()
        for layer in layers
        for key, labels in named.items()
        for name in layer.data.get(key, ())
        if name not in labels
    )


def _lent(layers: Sequence[Layer]) -> _Lent:
    lent = _Lent({}, {}, {}, {}, {})
    for layer in layers:
        data = layer.data
        lent.defaults |= _sourced(layer, ("defaults",), data.get("defaults", {}))
        lent.host_keys |= _sourced(layer, ("host_keys",), data.get("host_keys", {}))
        lent.guard_ids |= _sourced(layer, ("guard_ids",), data.get("guard_ids", {}))
        for key, into in (("sites", lent.sites), ("groups", lent.groups)):
            for name, table in data.get(key, {}).items():
                into.setdefault(name, {}).update(_sourced(layer, (key, name), table))
    return lent


def _sourced(layer: Layer, path: tuple[str | int, ...], table: Table) -> Sourced:
    return {key: (value, layer.origin(*path, key)) for key, value in table.items()}


def _count(layers: Sequence[Layer]) -> None:
    """Refuse too many hosts before one is made."""
    total = 0
    for layer in layers:
        for number, table in enumerate(layer.data.get("hosts", ())):
            total += _parse(layer, number, "name", table["name"]).count
            if total > ranges.MAX_NAMES:
                raise wrong(
                    layer,
                    ("hosts", number, "name"),
                    f"more than {ranges.MAX_NAMES:,} hosts together",
                    "One console holds about a thousand.",
                )


def _parse(layer: Layer, number: int, field: str, text: str) -> ranges.Range:
    try:
        return ranges.parse(text)
    except ConfigError as exc:
        raise wrong(layer, ("hosts", number, field), exc.message, exc.hint) from exc


def _expand(layer: Layer, number: int, table: Table, lent: _Lent) -> list[tuple[Host, Entry]]:
    values = _merge(_sourced(layer, ("hosts", number), table), lent)
    names = _parse(layer, number, "name", table["name"])
    expanded = names.expand()
    addresses = _addresses(str(values.get("address", ("",))[0]), expanded, values, layer, number)
    entry = Entry(layer, number, bool(names.brackets), values)
    fields = {key: value for key, (value, _) in values.items()}
    out = []
    checked = False
    for (name, _), address in zip(expanded, addresses, strict=True):
        own = {**fields, "name": name, "address": address}
        if name in own.get("jump", ()) and "jump" not in table:
            own["jump"] = []  # an inherited way through the host itself
        if name in lent.host_keys:
            own["host_key"] = lent.host_keys[name][0]
        if name in lent.guard_ids:
            own["guard_id"] = lent.guard_ids[name][0]
        host = msgspec.convert(own, Host)
        # The hosts of a range differ in name, address and host key only.
        for field, fault in faults(host):
            if field in ("name", "address", "host_key", "guard_id") or not checked:
                origin = _origin_of(field, name, values, lent, entry)
                raise ConfigError(f"host {clean(name, 80)!r}, {field}: {fault}", where=str(origin))
        checked = True
        out.append((host, entry))
    return out


def _origin_of(field: str, name: str, values: Sourced, lent: _Lent, entry: Entry) -> Origin:
    if field == "host_key" and name in lent.host_keys:
        return lent.host_keys[name][1]
    if field == "guard_id" and name in lent.guard_ids:
        return lent.guard_ids[name][1]
    return values[field][1] if field in values else entry.origin


def _check_guard_ids(hosts: Iterable[Host], entries: Mapping[str, Entry]) -> None:
    """Two hosts with one id are one machine and its copy: an approval must fit one of them."""
    of: dict[str, str] = {}
    for host in hosts:
        if host.guard_id and (other := of.setdefault(host.guard_id, host.name)) != host.name:
            raise ConfigError(
                f"hosts {other!r} and {host.name!r} have one guard_id",
                where=str(entries[host.name].origin),
                hint="A copied machine is enrolled again. For a range, use [guard_ids].",
            )


def _merge(own: Sourced, lent: _Lent) -> Sourced:
    """Values of a host: its own, else of its groups (the first wins), its site, the defaults."""
    names = own.get("groups", lent.defaults.get("groups", ((), None)))[0]
    merged = dict(own)
    for group in names:
        merged = _over(lent.groups.get(group, {}), merged)
    site = merged.get("site", lent.defaults.get("site", ("", None)))[0]
    return _over(lent.defaults, _over(lent.sites.get(site, {}), merged))


def _over(lower: Sourced, upper: Sourced) -> Sourced:
    """Both, ``upper`` winning. A certificate is for one key: another key leaves it behind."""
    merged = {**lower, **upper}
    if "key" in upper and "certificate" not in upper:
        merged.pop("certificate", None)
    return merged


def _addresses(
    text: str,
    names: list[tuple[str, tuple[str, ...]]],
    values: Sourced,
    layer: Layer,
    number: int,
) -> list[str]:
    """The address of each name: one for one from a range, or from a template."""
    if "{" in text:
        return [_fill(text, name, numbers, layer, number) for name, numbers in names]
    if not re.search(r"\[[^\[\]:]*\]", text):
        return [text] * len(names) if text else [""] * len(names)
    found = _parse(layer, number, "address", text)
    if found.count != len(names):
        origin = values["address"][1]
        raise ConfigError(
            f"address stands for {found.count:,} hosts and name for {len(names):,}",
            where=str(origin),
            hint="Give both the same ranges, or write the address with {name} or {n}.",
        )
    return [address for address, _ in found.expand()]


def _fill(text: str, name: str, numbers: tuple[str, ...], layer: Layer, number: int) -> str:
    known = {"name": name, **{f"n{i}": str(int(n)) for i, n in enumerate(numbers, 1)}}
    if numbers:
        known["n"] = known["n1"]

    def one(match: re.Match[str]) -> str:
        if match[1] not in known:
            hint = f"Known here: {', '.join('{' + key + '}' for key in known)}."
            raise wrong(layer, ("hosts", number, "address"), f"unknown {match[0]}", hint)
        return known[match[1]]

    return _TEMPLATE.sub(one, text)


def _check_jumps(hosts: Mapping[str, Host], entries: Mapping[str, Entry]) -> None:
    jumps = {name: host.jump for name, host in hosts.items()}
    seen: set[tuple[str, ...]] = set()
    on_the_way = {hop for jump in jumps.values() for hop in jump}
    for name, jump in jumps.items():
        if not jump or (jump in seen and name not in on_the_way):
            continue  # the same way as of another host that is no jump host either
        fault = jump_fault(name, jumps)
        if fault:
            values = entries[name].values
            unknown = next((hop for hop in jump if hop not in hosts), "")
            raise ConfigError(
                f"host {name!r}: {fault}",
                where=str(values["jump"][1]),
                hint=nearest(unknown, hosts) if unknown else "",
            )
        if name not in on_the_way:
            seen.add(jump)
