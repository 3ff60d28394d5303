"""``[operator]`` over the layers: who signs at this console, and with which keys."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from console.config.document import Colleague, Operator
from console.config.layer import PROJECT, Layer, wrong
from console.config.origin import Origin
from console.text import clean

_PERSON = re.compile(r"[a-z][a-z0-9._-]{0,31}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def check_operator(layer: Layer) -> None:
    """Check what types do not say; ConfigError names the line. The types were checked before."""
    table = layer.data.get("operator", {})
    for key, pattern, said in (
        ("person", _PERSON, "the name of a person in the roster (a-z, digits, . _ -)"),
        ("login_user", _USER, "the name of an account"),
    ):
        text = table.get(key)
        if text is not None and not pattern.fullmatch(text):
            raise wrong(layer, ("operator", key), f"operator.{key}: {text!r} is not {said}")
    for name in layer.data.get("operators", {}):
        if not _PERSON.fullmatch(name):
            said = "no name of a person in the roster (a-z, digits, . _ -)"
            raise wrong(layer, ("operators", name), f"operators: {clean(name, 60)!r} is {said}")


def _said(
    layers: Sequence[Layer], table: str, warnings: list[str]
) -> Iterator[tuple[Layer, dict[str, Any]]]:
    """What each file says in ``table``, but for one that merely lies in the working directory:
    whoever plants one must not choose the key that signs. No variable and no flag sets it either.
    """
    for layer in layers:
        values = layer.data.get(table)
        if values and layer.name == PROJECT:
            place = layer.origin(table)
            warnings.append(f"{place}: [{table}] is ignored in a file found by its place")
        elif values:
            yield layer, values


def operator(layers: Sequence[Layer]) -> tuple[Operator, dict[str, Origin], list[str]]:
    """Who is at this console, where each value stands by dotted path, and warnings."""
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    warnings: list[str] = []
    for layer, table in _said(layers, "operator", warnings):
        for key, value in table.items():
            values[key] = value
            origins[f"operator.{key}"] = layer.origin("operator", key)
    return msgspec.convert(values, Operator), origins, warnings


def colleagues(
    layers: Sequence[Layer],
) -> tuple[dict[str, Colleague], dict[str, Origin], list[str]]:
    """Who else may sit down at this console, by person, with origins and warnings, as above."""
    found: dict[str, Colleague] = {}
    origins: dict[str, Origin] = {}
    warnings: list[str] = []
    for layer, table in _said(layers, "operators", warnings):
        for name, values in table.items():
            found[name] = msgspec.convert(values, Colleague)
            origins[f"operators.{name}"] = layer.origin("operators", name)
    return found, origins, warnings
