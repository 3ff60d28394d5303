"""What the console may say: ``focus``, ``resync``, ``guard-doc``, and nothing else."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple

    class Verb(NamedTuple):
        """A verb and its argument; ``name`` is empty when the line was none, see ``error``."""

        name: str
        argument: str
        error: str
else:
    from collections import namedtuple

    Verb = namedtuple("Verb", "name argument error")

MAX_LINE = 512
# A cursor of the journal, or of a log file: neither can look like an option of a program.
_cursor = re.compile(
    r"(?:s=[0-9a-f]{1,64}(?:;[a-z]=[0-9a-f]{1,64}){0,8}|f=[0-9]{1,20};o=[0-9]{1,20})\Z"
)
_digest = re.compile(r"[0-9a-f]{64}\Z")


def parse(line: bytes) -> Verb:
    """One line without its line feed. Never raises."""
    if len(line) > MAX_LINE:
        return Verb("", "", "line too long")
    try:
        text = line.rstrip(b"\r").decode("ascii")
    except UnicodeDecodeError:
        return Verb("", "", "not ASCII")
    name, space, argument = text.partition(" ")
    if name == "focus" and argument in ("on", "off"):
        return Verb(name, argument, "")
    if name == "resync" and (not space or _cursor.match(argument)):
        return Verb(name, argument, "")
    if name == "guard-doc" and _digest.match(argument):
        return Verb(name, argument, "")
    if name in ("focus", "resync", "guard-doc"):
        return Verb("", "", "wrong argument of " + name)
    return Verb("", "", "unknown verb")


class VerbReader:
    """Cuts input into verbs and holds at most one line of it."""

    def __init__(self) -> None:
        self._part = b""
        self._skip = False

    def feed(self, data: bytes) -> Iterator[Verb]:
        """Verbs that ``data`` completes; a line that is too long is given once and skipped."""
        lines = (self._part + data).split(b"\n")
        self._part = lines.pop()
        for line in lines:
            if self._skip:
                self._skip = False
            elif line.strip():
                yield parse(line)
        if len(self._part) > MAX_LINE:
            if not self._skip:
                yield parse(self._part)
            self._skip = True
            self._part = b""
