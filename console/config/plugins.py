"""``[plugins.NAME]`` over the layers: checked, merged key by key, refused where merely found."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from console.config.document import Plugin
from console.config.layer import PROJECT, Layer, wrong
from console.config.origin import Origin
from console.errors import UsageError
from console.model.address import parts

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


def check_values(layer: Layer) -> None:
    """Check what types do not say; ConfigError names the line. The types were checked before."""
    tables = layer.data.get("plugins")
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if not _NAME.fullmatch(name):
            raise wrong(
                layer,
                ("plugins", name),
                f"{name!r} is no name of a plugin",
                "Names are lower-case letters, digits and `-`.",
            )
        for number, text in enumerate(table.get("connect", ())):
            try:
                parts(text)
            except UsageError as error:
                path = ("plugins", name, "connect", number)
                raise wrong(layer, path, error.message, error.hint) from error


def merged(layers: Sequence[Layer]) -> tuple[dict[str, Plugin], dict[str, Origin], list[str]]:
    """The plugins by name, where their tables begin by dotted path, and warnings.

    A file that merely lies in the working directory starts no program: its tables do not count.
    """
    tables: dict[str, dict[str, Any]] = {}
    origins: dict[str, Origin] = {}
    warnings: list[str] = []
    for layer in layers:
        for name, table in layer.data.get("plugins", {}).items():
            place = layer.origin("plugins", name)
            if layer.name == PROJECT:
                warnings.append(
                    f"{place}: [plugins.{name}] is ignored in a file found by its place"
                )
                continue
            tables.setdefault(name, {}).update(table)
            for key in table:
                origins[f"plugins.{name}.{key}"] = layer.origin("plugins", name, key)
            origins[f"plugins.{name}"] = place
    found = {name: msgspec.convert(table, Plugin) for name, table in tables.items()}
    return found, origins, warnings
