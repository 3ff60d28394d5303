"""The content of one configuration file, and how an error about a place in it is told."""

import difflib
from collections.abc import Iterable
from typing import Any

import msgspec

from console.config.origin import Origin, line_of
from console.config.origin import Path as KeyPath
from console.errors import ConfigError
from console.text import clean

Table = dict[str, Any]
PROJECT = "project"
"""Name of the layer whose file merely lies in the working directory."""
LONGEST = 100
"""Letters of a word that are compared with others: what is longer is no slip of a finger."""


class Layer(msgspec.Struct, frozen=True):
    """The content of one file, with lists as lists and paths absolute, and where each key is."""

    name: str
    file: str
    data: Table
    lines: dict[KeyPath, int]

    def origin(self, *path: str | int) -> Origin:
        """Where ``path`` stands."""
        return Origin(self.name, self.file, line_of(self.lines, path))


def wrong(layer: Layer, path: KeyPath, message: str, hint: str = "") -> ConfigError:
    """An error about a key of a file."""
    return ConfigError(message, where=clean(str(layer.origin(*path)), 300), hint=hint)


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint with the word that was probably meant, or empty."""
    close = difflib.get_close_matches(word[:LONGEST], list(words), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else ""


def dotted(path: KeyPath) -> str:
    """``hosts[2].port`` for ``("hosts", 2, "port")``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{clean(part, 80)}" if out else part
    return out
