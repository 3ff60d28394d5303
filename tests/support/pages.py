"""Tables of documentation pages that are made from the types which they describe."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from console.config.document import SETTINGS, Document, HostEntry, Operator, Plugin
from console.config.schema import json_schema
from console.model.host import Host

_BLOCK = re.compile(r"(<!-- begin: ([\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WRITTEN = {"hosts": "[[hosts]]"} | {
    name: f"[{name}.NAME]" for name in ("sites", "groups", "plugins", "operators")
}


def with_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """A page with each ``<!-- begin: NAME -->`` ... ``<!-- end -->`` filled by its name."""
    return _BLOCK.sub(lambda match: f"{match[1]}{blocks[match[2]]}{match[3]}", text)


def block_names(text: str) -> list[str]:
    """Names of the blocks of a page."""
    return [match[2] for match in _BLOCK.finditer(text)]


def configuration_blocks() -> dict[str, str]:
    """The tables of docs/configuration.md."""
    kinds = json_schema()["$defs"]
    settings = [
        (f"`{path}`", _values(_property(kinds, path)), _default(default), _about(kinds, path))
        for path, default in SETTINGS.items()
    ]
    host = kinds["HostEntry"]["properties"]
    order = ["name", *(name for name in HostEntry.__struct_fields__ if name != "name")]
    bare_host = Host(name="", address="")
    hosts = [
        (
            f"`{name}`",
            _values(host[name]),
            "needed" if name in ("name", "address") else _default(getattr(bare_host, name)),
            host[name]["description"],
        )
        for name in order
    ]
    tables = [
        (
            f"`{_WRITTEN.get(name, f'[{name}]')}`",
            kinds["Document"]["properties"][name]["description"],
        )
        for name in Document.__struct_fields__
        if name not in SETTINGS
    ]
    rows = {
        kind: [
            (f"`{name}`", _values(prop), _default(getattr(bare, name)), prop["description"])
            for name, prop in kinds[kind]["properties"].items()
        ]
        for kind, bare in (("Plugin", Plugin()), ("Operator", Operator()))
    }
    variables = [
        (f"`WATCHFLOOR_{path.replace('.', '_').upper()}`", f"`{path}`") for path in SETTINGS
    ]
    return {
        "settings": _table(("key", "value", "default", "meaning"), settings),
        "tables": _table(("table", "meaning"), tables),
        "hosts": _table(("key", "value", "default", "meaning"), hosts),
        "plugins": _table(("key", "value", "default", "meaning"), rows["Plugin"]),
        "operator": _table(("key", "value", "default", "meaning"), rows["Operator"]),
        "variables": _table(("variable", "setting"), variables),
    }


def _property(kinds: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    table, _, key = path.rpartition(".")
    found: Mapping[str, Any] = kinds["Ui" if table else "Document"]["properties"][key]
    return found


def _about(kinds: Mapping[str, Any], path: str) -> str:
    return str(_property(kinds, path)["description"])


def _values(prop: Mapping[str, Any]) -> str:
    if "enum" in prop:
        return ", ".join(f"`{value}`" for value in prop["enum"])
    if "anyOf" in prop:
        return "text or list of texts"
    if prop["type"] in ("array", "object"):
        return {"array": "list of texts", "object": "table"}[prop["type"]]
    if "minimum" in prop:
        return f"{prop['minimum']} to {prop['maximum']}"
    return {"boolean": "`true`, `false`", "string": "text"}[prop["type"]]


def _default(value: object) -> str:
    if value in ("", (), {}):
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def field_tables(text: str) -> dict[str, list[tuple[str, ...]]]:
    """Rows of each table of a page, by the code in the heading above it; cells without marks."""
    out: dict[str, list[tuple[str, ...]]] = {}
    name = ""
    for line in text.splitlines():
        heading = re.match(r"#+ .*`(.+?)`", line)
        if heading:
            name = heading[1]
        elif line.startswith("| `"):
            cells = re.split(r"(?<!\\) \| ", line.strip("| "))
            out.setdefault(name, []).append(tuple(cell.strip().strip("`") for cell in cells))
    return out


def json_type(value: object) -> str:
    """The word for the kind of a value that a table of fields uses."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, list | tuple):
        return f"list of {json_type(value[0])}s"
    names = {int: "integer", float: "number", str: "text", dict: "object"}
    return names[type(value)]


def rewrite(page: Path, text: str) -> None:
    """Write a page anew."""
    page.write_text(text, encoding="utf-8")
