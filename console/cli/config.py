"""``watchfloor config show|validate|schema|init``."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.config.loader import Config

ABOUT = """\
Values come from, lowest first: defaults, /etc/watchfloor/config.toml, the user's config.toml,
./watchfloor.toml, variables WATCHFLOOR_*, flags. --config FILE uses that one file alone.

exit status: 0 all is well, 2 usage or configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = sub.add_parser(
        "config", help="show, check or begin a configuration", description=ABOUT,
        formatter_class=plain,
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    show = verbs.add_parser("show", help="print the values in force and where each comes from")
    show.add_argument("--json", action="store_true", help="one JSON document")
    show.set_defaults(run=run_show)
    validate = verbs.add_parser(
        "validate", help="check everything, also key files; warnings go to standard error"
    )
    validate.add_argument("file", nargs="?", type=Path, help="check this file alone")
    validate.set_defaults(run=run_validate)
    schema = verbs.add_parser("schema", help="print the JSON Schema of a configuration file")
    schema.set_defaults(run=run_schema)
    init = verbs.add_parser("init", help="write a commented configuration to begin with")
    init.add_argument("--output", type=Path, metavar="FILE", help="where; else the user's own file")
    init.set_defaults(run=run_init)


def run_show(args: argparse.Namespace) -> int:
    """Print every setting and host with the place of each value."""
    from console.cli.common import configured

    config = configured(args)
    if args.json:
        import msgspec

        sys.stdout.write(msgspec.json.encode(_document(config)).decode() + "\n")
        return 0
    for warning in config.warnings:
        sys.stderr.write(f"watchfloor: {warning}\n")
    sys.stdout.writelines(f"{line}\n" for line in _lines(config))
    return 0


def run_validate(args: argparse.Namespace) -> int:
    """Check the configuration; an error is raised, what may be meant is a warning."""
    from console.cli.common import configured, counted
    from console.cli.keyowner import findings as signer_findings
    from console.cli.plugins import not_loaded
    from console.config.warn import findings
    from console.ssh.keycheck import findings as key_findings
    from console.tui.control.keys import Keys

    if args.file is not None:
        args.config = args.file
    config = configured(args)
    keys = Keys(config.keys).problems
    screens = [*_looks(config), *keys, *not_loaded(config), *signer_findings(config)]
    for text in [*findings(config), *screens, *key_findings(config.hosts)]:
        sys.stderr.write(f"watchfloor: warning: {text}\n")
    where = ", ".join(config.files) or "no file, defaults only"
    sys.stdout.write(f"valid: {counted(len(config.hosts), 'host')} ({where})\n")
    return 0


def _looks(config: "Config") -> Iterator[str]:
    """What the screens would say of the theme and the layout to begin with."""
    from console.cli.common import screen_settings
    from console.errors import ConfigError
    from console.tui.style.theme_files import AUTO, ThemeFiles
    from console.tui.tables.layout import Layouts

    look = screen_settings(config)
    if look.theme != AUTO:
        try:
            ThemeFiles(look.own_themes).load(look.theme)
        except ConfigError as error:
            yield f"ui.theme: {error}"
    if problem := Layouts(look.state and look.state / "layouts.toml", look.layout).problem:
        yield f"ui.layout: {problem}"


def run_schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    import json

    from console.config.schema import json_schema

    del args
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0


def run_init(args: argparse.Namespace) -> int:
    """Write the starting configuration; an existing file stays as it is."""
    from console.config.edit import write_new
    from console.config.loader import user_file
    from console.resources import shipped

    path: Path = args.output or args.config or user_file()
    write_new(path, (shipped("sample_configs") / "starter.toml").read_text(encoding="utf-8"))
    sys.stderr.write("watchfloor: wrote a commented configuration; add hosts to it\n")
    sys.stdout.write(f"{path}\n")
    return 0


def _lines(config: "Config") -> Iterator[str]:
    from console.config.document import SETTINGS

    for path in SETTINGS:
        yield f"{path} = {_text(_setting(config, path))}  # {config.origin(path)}"
    yield ""
    yield "[operator]"
    for field in config.operator.__struct_fields__:
        origin = config.origin(f"operator.{field}")
        yield f"{field} = {_text(getattr(config.operator, field))}  # {origin}"
    for name, colleague in config.operators.items():
        yield ""
        yield f"[operators.{name}]  # {config.origin(f'operators.{name}')}"
        yield f"signing_key = {_text(colleague.signing_key)}"
    for name, plugin in config.plugins.items():
        yield ""
        yield f"[plugins.{name}]  # {config.origin(f'plugins.{name}')}"
        for field in plugin.__struct_fields__:
            if field != "settings":
                origin = config.origin(f"plugins.{name}.{field}")
                yield f"{field} = {_text(getattr(plugin, field))}  # {origin}"
    for host in config.hosts:
        yield ""
        yield f"[[hosts]]  # {config.origin(f'hosts.{host.name}')}"
        for field, value in _held(host):
            origin = config.origin(f"hosts.{host.name}.{field}")
            yield f"{field} = {_text(value)}  # {origin}"


def _document(config: "Config") -> dict[str, Any]:
    from console.config.document import SETTINGS

    def sourced(path: str, value: object) -> dict[str, Any]:
        return {"value": value, "origin": str(config.origin(path))}

    return {
        "version": 1,
        "files": list(config.files),
        "warnings": list(config.warnings),
        "settings": {path: sourced(path, _setting(config, path)) for path in SETTINGS},
        "operator": {
            field: sourced(f"operator.{field}", getattr(config.operator, field))
            for field in config.operator.__struct_fields__
        },
        "operators": {
            name: sourced(f"operators.{name}", {"signing_key": colleague.signing_key})
            for name, colleague in config.operators.items()
        },
        "plugins": {
            name: {
                field: sourced(f"plugins.{name}.{field}", getattr(plugin, field))
                for field in plugin.__struct_fields__
            }
            for name, plugin in config.plugins.items()
        },
        "hosts": [
            {field: sourced(f"hosts.{host.name}.{field}", value) for field, value in _held(host)}
            for host in config.hosts
        ],
    }


def _setting(config: "Config", path: str) -> object:
    table, _, key = path.rpartition(".")
    value = getattr(config.ui if table == "ui" else config, key)
    return str(value) if isinstance(value, Path) else value


def _held(host: Any) -> Iterator[tuple[str, Any]]:
    """Fields of a host that say something: the needed ones, and what differs from the default."""
    from console.model.host import Host

    bare = Host(name="", address="")
    for field in Host.__struct_fields__:
        value = getattr(host, field)
        if field in ("port", "user") or value != getattr(bare, field):
            yield field, value


def _text(value: object) -> str:
    import json

    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans are also TOML
