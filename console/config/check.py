"""Check the keys and types of one configuration file; each error with its line and a way out."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from console.config.document import (
    Colleague,
    Document,
    HostDefaults,
    HostEntry,
    KeyLines,
    Operator,
    Plugin,
    Ui,
    fields_of,
)
from console.config.layer import Layer, dotted, nearest, wrong
from console.config.operator import check_operator
from console.config.origin import Path as KeyPath
from console.config.plugins import check_values
from console.text import clean


def check(layer: Layer) -> None:
    """Check the keys and types of a whole file; ConfigError names line, key and nearest key."""
    data = layer.data
    _shown(layer, (), data)
    _known(layer, (), data, fields_of(Document))
    for key, kind in (("ui", Ui), ("operator", Operator), ("defaults", HostDefaults)):
        _known(layer, (key,), data.get(key), fields_of(kind))
        _typed(layer, (key,), data.get(key, {}), kind)
    for key in ("sites", "groups"):
        for name, table in _items(data.get(key)):
            _known(layer, (key, name), table, fields_of(HostDefaults))
            for barred in {"sites": ("site", "groups"), "groups": ("groups",)}[key]:
                if isinstance(table, dict) and barred in table:
                    raise wrong(layer, (key, name, barred), f"{barred!r} cannot be set here")
            _typed(layer, (key, name), table, HostDefaults)
    for name, table in _items(data.get("plugins")):
        _known(layer, ("plugins", name), table, fields_of(Plugin))
        _typed(layer, ("plugins", name), table, Plugin)
    for name, table in _items(data.get("operators")):
        _known(layer, ("operators", name), table, fields_of(Colleague))
        _typed(layer, ("operators", name), table, Colleague)
    check_values(layer)
    check_operator(layer)
    hosts = data.get("hosts")
    if isinstance(hosts, dict):
        raise wrong(
            layer,
            ("hosts",),
            "hosts: expected a list of tables, got one table",
            "Write each host under [[hosts]], in double brackets.",
        )
    for number, entry in enumerate(hosts if isinstance(hosts, list) else ()):
        _known(layer, ("hosts", number), entry, fields_of(HostEntry))
        _typed(layer, ("hosts", number), entry, HostEntry)
    for id, keys in _items(data.get("keys")):
        _typed(layer, ("keys", id), keys, KeyLines)
    for name, lines in _items(data.get("host_keys")):
        _typed(layer, ("host_keys", name), lines, KeyLines)
    for name, text in _items(data.get("guard_ids")):
        _typed(layer, ("guard_ids", name), text, str)
    rest = {
        key: value for key, value in data.items() if key != "hosts" or not isinstance(value, list)
    }
    _typed(layer, (), rest, Document)


def _items(table: object) -> Iterable[tuple[str, Any]]:
    return table.items() if isinstance(table, dict) else ()


def _known(layer: Layer, path: KeyPath, table: object, known: Iterable[str]) -> None:
    for key, _ in _items(table):
        if key not in known:
            inside = f" in {dotted(path)}" if path else ""
            hint = nearest(key, known) or f"Known keys: {', '.join(known)}."
            message = f"unknown key {clean(key, 80)!r}{inside}"
            raise wrong(layer, (*path, key), message, hint)


def unshowable(text: str) -> str:
    """What is wrong with text that a terminal could obey or not show; empty when nothing is."""
    safe = clean(text, max(len(text), 1))
    bad = next((char for char, kept in zip(text, safe, strict=True) if char != kept), "")
    return f"holds U+{ord(bad):04X}, which cannot be shown" if bad else ""


def _shown(layer: Layer, path: KeyPath, value: object) -> None:
    """Refuse control and invisible characters anywhere: what is read here is shown later."""
    if isinstance(value, str):
        fault = unshowable(value)
        if fault:
            raise wrong(layer, path, f"{dotted(path)}: {fault}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            fault = unshowable(key)
            if fault:
                raise wrong(layer, (*path, key), f"key {clean(key, 80)!r}: {fault}")
            _shown(layer, (*path, key), inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _shown(layer, (*path, number), inner)


def _typed(layer: Layer, path: KeyPath, value: object, kind: Any) -> None:
    try:
        msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as exc:
        message, _, place = str(exc).partition(" - at `")
        inner = _inner(place.rstrip("`"))
        full = (*path, *inner)
        name = f"{dotted(full)}: " if full else ""
        said, hint = worded(message, inner, kind)
        raise wrong(layer, full, name + clean(said, 200), hint) from exc


_TOML = {"object": "table", "str": "text", "int": "whole number", "float": "number"} | {
    "bool": "true or false",
    "array": "list",
}


def worded(message: str, inner: KeyPath, kind: Any) -> tuple[str, str]:
    """What msgspec says, in the words of TOML, and a hint where few values are possible."""
    missing = re.fullmatch(r"Object missing required field `(\w+)`", message)
    if missing:
        return f"{missing[1]} is missing", ""
    other = re.fullmatch(r"Invalid enum value (.*)", message, re.DOTALL)
    if other and inner:
        words = [str(choice) for choice in choices(kind, str(inner[-1]))]
        given = other[1].strip("'")
        hint = nearest(given, words) or f"Possible: {', '.join(words)}."
        return f"{given!r} is not possible", hint
    words_of_toml = re.sub(r"\b(\w+)\b(?=[^`]*`)", lambda m: _TOML.get(m[1], m[1]), message)
    return (words_of_toml[:1].lower() + words_of_toml[1:]).replace("`", ""), ""


def choices(kind: type[msgspec.Struct], field: str) -> tuple[str | int, ...]:
    """The few values that a field may have; empty when there are many."""
    return tuple(_literals(get_type_hints(kind, include_extras=False).get(field)))


def _literals(kind: object) -> Iterator[str | int]:
    for inner in get_args(kind):
        if get_origin(kind) is Literal:
            yield inner
        else:
            yield from _literals(inner)


def _inner(place: str) -> KeyPath:
    """Keys of a msgspec path such as ``$.hosts[3].port``; ``[...]`` is any key of a table."""
    path: list[str | int] = []
    for name, index in re.findall(r"\.([A-Za-z0-9_]+)|\[(\d+|\.\.\.)\]", place.removeprefix("$")):
        if name:
            path.append(name)
        elif index != "...":
            path.append(int(index))
        else:
            break  # msgspec does not say which one; the line of the table is near enough
    return tuple(path)
