"""Where a value came from, and on which line of a TOML file a key stands."""

import re

import msgspec

Path = tuple[str | int, ...]

_KEY = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?")
_ASSIGN = re.compile(rf"\s*({_DOTTED})\s*=")
_PART = re.compile(_KEY)
_TOKEN = re.compile(
    r"\"\"\"(?:[^\\]|\\.)*?\"{3,5}|'''.*?'{3,5}"  # strings of several lines
    r"|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'"
    r"|#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)


class Origin(msgspec.Struct, frozen=True):
    """The place that gave a value."""

    layer: str  # "default", "system", "user", "project", "file", "environment", "flag"
    file: str = ""  # path of the file, or name of the variable or flag
    line: int | None = None

    def __str__(self) -> str:
        if not self.file:
            return self.layer
        if self.layer in ("environment", "flag"):
            return f"{self.layer} {self.file}"
        return f"{self.file}:{self.line}" if self.line else self.file


def lines_of(text: str) -> dict[Path, int]:
    """Line number (from 1) of each table header and key in TOML text that parses.

    Elements of an array of tables count from 0: ``("hosts", 2, "port")``. Keys inside an inline
    table are not listed; ``line_of`` then answers with the line of what holds them.
    """
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in _logical_lines(text):
        header = _HEADER.match(line)
        if header:
            table = _enter(_parts(header[2]), header[1] == "[[", counts)
            for length in range(1, len(table) + 1):
                found.setdefault(table[:length], number)
            continue
        assign = _ASSIGN.match(line)
        if assign:
            keys = _parts(assign[1])
            for length in range(1, len(keys) + 1):
                found.setdefault((*table, *keys[:length]), number)
    return found


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Line of ``path``, or of the nearest thing around it."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _enter(parts: Path, array: bool, counts: dict[Path, int]) -> Path:
    """Path of a table header, with the index of the newest element of each array on the way."""
    table: Path = ()
    for position, part in enumerate(parts):
        table = (*table, part)
        last = position == len(parts) - 1
        if last and array:
            counts[table] = counts.get(table, -1) + 1
        if table in counts:
            table = (*table, counts[table])
    return table


def _parts(dotted: str) -> Path:
    return tuple(_bare(part) for part in _PART.findall(dotted))


def _bare(part: str) -> str:
    return part[1:-1] if part[:1] in "\"'" else part


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines that begin a header or an assignment: not inside a string, array or inline table."""
    fresh = {0}
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] == "\n" and depth <= 0:
            fresh.add(token.end())
        elif token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
    out: list[tuple[int, str]] = []
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        if start in fresh:
            out.append((number, line))
        start += len(line) + 1
    return out
