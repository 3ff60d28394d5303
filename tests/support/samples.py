"""One value of any type of the model, with every field set, to see what a document holds."""

import enum
import types
import typing
from typing import Any

import msgspec

ANY_KEY = "*"
"""The key of every sampled mapping: names that hosts choose and no type knows."""


def sample(kind: Any) -> Any:
    """A value of ``kind`` in which nothing is None or empty. Raises TypeError for another type."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return sample(inner[0])
    if origin in (typing.Union, types.UnionType):
        return sample(next(item for item in inner if item is not type(None)))
    if origin is tuple:
        return (sample(inner[0]),) if inner[-1] is Ellipsis else tuple(map(sample, inner))
    if origin is list:
        return [sample(inner[0])]
    if origin is dict:
        return {ANY_KEY: sample(inner[1])}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        return kind(**{name: sample(hints[name]) for name in kind.__struct_fields__})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    simple = {str: "x", int: 1, float: 1.5, bool: True, bytes: b"x", Any: 1}
    if kind in simple:
        return simple[kind]
    raise TypeError(f"no sample of {kind!r}")


def fields(value: Any, path: str = "") -> dict[str, list[str]]:
    """Names in each object of JSON-ready data, by its path (``hosts[].gpus[]``).

    A mapping with the sampled key is one value and not an object of its own.
    """
    out: dict[str, list[str]] = {}
    if isinstance(value, list | tuple):
        for item in value:
            out |= fields(item, f"{path}[]")
    elif isinstance(value, dict) and ANY_KEY not in value:
        out[path] = list(value)
        for name, item in value.items():
            out |= fields(item, f"{path}.{name}" if path else name)
    return out
