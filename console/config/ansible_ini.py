"""The INI form of an Ansible inventory."""

import itertools
import re
import shlex
from typing import Any

from console.config.ansible import Group, Groups
from console.config.ranges import MAX_NAMES
from console.errors import ConfigError
from console.text import clean

_SECTION = re.compile(r"\[([^\[\]:]+)(?::(\w+))?\]\s*(?:[#;].*)?\Z")
_RANGE = re.compile(r"\[(\d+|[A-Za-z]):(\d+|[A-Za-z])(?::(\d+))?\]", re.ASCII)


def parse_ini(text: str, where: str) -> Groups:
    """Groups of INI text. Raises ConfigError with the line that cannot be read."""
    groups: Groups = {}
    name, kind = "ungrouped", "hosts"
    total = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        section = _SECTION.match(line)
        if section:
            name, kind = section[1].strip(), section[2] or "hosts"
            if kind not in ("hosts", "vars", "children"):
                raise _wrong(f"unknown kind of section {clean(kind, 40)!r}", where, number)
            groups.setdefault(name, Group())
            continue
        group = groups.setdefault(name, Group())
        if kind == "vars":
            key, equals, value = line.partition("=")
            if not equals:
                raise _wrong("a variable without `=`", where, number)
            group.variables[key.strip()] = _unquoted(value.strip())
        elif kind == "children":
            child = _words(line, where, number)[0]
            groups.setdefault(child, Group())
            group.children.append(child)
        else:
            hosts = _hosts(line, where, number)
            total += len(hosts)
            if total > MAX_NAMES:
                raise _wrong(f"more than {MAX_NAMES:,} hosts", where, number)
            for host, variables in hosts.items():
                group.hosts.setdefault(host, {}).update(variables)
    return groups


def expand(pattern: str) -> list[str]:
    """Names of ``www[01:50:2].example.org`` or ``db-[a:f]``. Raises ConfigError."""
    choices: list[list[str]] = []
    total = 1
    position = 0
    for match in _RANGE.finditer(pattern):
        choices.append([pattern[position : match.start()]])
        choices.append(_span(match[1], match[2], match[3] or "1", pattern))
        total *= len(choices[-1])
        if total > MAX_NAMES:
            raise ConfigError(f"{clean(pattern, 80)!r} stands for more than {MAX_NAMES:,} hosts")
        position = match.end()
    choices.append([pattern[position:]])
    if "[" in choices[-1][0] and ":" not in choices[-1][0]:
        raise ConfigError(f"{clean(pattern, 80)!r} holds no range that can be read")
    return ["".join(parts) for parts in itertools.product(*choices)]


def _span(first: str, last: str, step: str, pattern: str) -> list[str]:
    if first.isdigit() != last.isdigit() or max(map(len, (first, last, step))) > 9 or step == "0":
        raise ConfigError(f"{clean(pattern, 80)!r} holds no range that can be read")
    if not first.isdigit():
        return [chr(code) for code in range(ord(first), ord(last) + 1, int(step))]
    numbers = range(int(first), int(last) + 1, int(step) or 1)
    if len(numbers) > MAX_NAMES:
        raise ConfigError(f"{clean(pattern, 80)!r} stands for {len(numbers):,} hosts")
    width = len(first) if first.startswith("0") else 0
    return [f"{number:0{width}d}" for number in numbers]


def _hosts(line: str, where: str, number: int) -> dict[str, dict[str, Any]]:
    """Hosts of one line, each with the variables that follow the name."""
    words = _words(line, where, number)
    variables: dict[str, Any] = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals:
            raise _wrong(f"{clean(word, 40)!r} is no variable", where, number)
        variables[key] = value
    pattern = words[0]
    port = re.search(r"(?<=[^:\]]):(\d+)\Z|(?<=\]):(\d+)\Z", pattern)
    if port and not (pattern.count(":") > 1 and "[" not in pattern):
        variables.setdefault("ansible_port", port[1] or port[2])
        pattern = pattern[: port.start()]
    try:
        names = expand(pattern)
    except ConfigError as exc:
        raise _wrong(exc.message, where, number) from exc
    return {name: dict(variables) for name in names}


def _words(line: str, where: str, number: int) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as exc:
        raise _wrong("quotes do not match", where, number) from exc
    if not words:
        raise _wrong("an empty name", where, number)
    return words


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _wrong(message: str, where: str, number: int) -> ConfigError:
    return ConfigError(message, where=f"{where}:{number}")
