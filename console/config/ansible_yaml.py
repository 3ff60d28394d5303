"""The YAML form of an Ansible inventory, also as ``ansible-inventory --list --yaml`` prints it."""

from collections.abc import Mapping
from typing import Any

import yaml

from console.config.ansible import MAX_DEPTH, Group, Groups, Opaque
from console.config.ansible_ini import expand
from console.config.ranges import MAX_NAMES
from console.errors import ConfigError
from console.text import clean

MAX_MERGED = 10_000
MAX_MERGES = 64


class _Loader(yaml.SafeLoader):
    """Plain data only; every tag of Ansible's own becomes ``Opaque``."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge ``<<`` within bounds: nested merges of aliases double at each level."""
        merges = [value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge"]
        if any(len(value.value) > MAX_MERGES for value in merges if _is_list(value)):
            raise yaml.constructor.ConstructorError(None, None, "too many merges", node.start_mark)
        super().flatten_mapping(node)
        if merges and len(node.value) > MAX_MERGED:
            raise yaml.constructor.ConstructorError(None, None, "merges too much", node.start_mark)


def _is_list(node: yaml.Node) -> bool:
    return isinstance(node, yaml.SequenceNode)


# What the constructors of PyYAML raise for a value that does not suit its tag, besides its own.
_MISFITS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


def _opaque(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Opaque:
    del loader, suffix, node
    return Opaque()


_Loader.add_multi_constructor("!", _opaque)


def parse_yaml(text: str, where: str) -> Groups:
    """Groups of YAML text. Raises ConfigError when it is no inventory."""
    try:
        data = yaml.load(text, _Loader)  # noqa: S506  # a subclass of the safe loader
    except (yaml.YAMLError, RecursionError, *_MISFITS) as exc:
        mark = getattr(exc, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        said = getattr(exc, "problem", None) or type(exc).__name__
        raise ConfigError(f"is not YAML: {clean(str(said), 200)}", where=place) from exc
    if not isinstance(data, Mapping):
        raise ConfigError("is not an inventory: no groups on top", where=where)
    reader = _Reader(where)
    for name, body in data.items():
        reader.group(str(name), body, 0)
    return reader.groups


class _Reader:
    """Walks groups; counts, because anchors can make a small file large."""

    def __init__(self, where: str) -> None:
        self.groups: Groups = {}
        self._where = where
        self._hosts = 0
        self._groups = 0

    def group(self, name: str, body: object, depth: int) -> None:
        """Take one group and its children."""
        self._groups += 1
        if depth > MAX_DEPTH or self._groups > MAX_NAMES:
            raise self._wrong("too many groups, or nested too deeply")
        group = self.groups.setdefault(name, Group())
        for key, value in self._table(body, name).items():
            if key == "hosts":
                self._take_hosts(group, value, name)
            elif key == "vars":
                group.variables.update(_plain(self._table(value, name)))
            elif key == "children":
                for child, inner in self._table(value, name).items():
                    group.children.append(str(child))
                    self.group(str(child), inner, depth + 1)

    def _take_hosts(self, group: Group, value: object, name: str) -> None:
        for pattern, variables in self._table(value, name).items():
            try:
                names = expand(str(pattern))
            except ConfigError as exc:
                raise self._wrong(f"group {clean(name, 80)!r}: {exc.message}") from exc
            self._hosts += len(names)
            if self._hosts > 4 * MAX_NAMES:  # one host may be in several groups
                raise self._wrong(f"more than {MAX_NAMES:,} hosts")
            own = _plain(self._table(variables, str(pattern)))
            for host in names:
                group.hosts.setdefault(host, {}).update(own)

    def _table(self, value: object, name: str) -> Mapping[Any, Any]:
        if value is None or value == "":
            return {}
        if isinstance(value, Mapping):
            return value
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return dict.fromkeys(value)
        raise self._wrong(f"{clean(name, 80)!r} holds something that is no table")

    def _wrong(self, message: str) -> ConfigError:
        return ConfigError(message, where=self._where)


def _plain(table: Mapping[Any, Any]) -> dict[str, Any]:
    """The variables that say how a host is reached; an inventory may hold thousands of others."""
    return {
        key: value if isinstance(value, str | int | float) else Opaque()
        for key, value in table.items()
        if isinstance(key, str) and key.startswith("ansible_")
    }
