"""``watchfloor plugins list|show|pin|check``."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.config.loader import Config
    from console.engine.plugins.manifest import Bundle
    from console.model.panel import Panel

ABOUT = """\
A plugin runs only when the configuration enables it and names the digest of its files. Look at its
folder first; docs/plugins.md says what holds a plugin and what does not.

exit status: 0 it is done, 1 a plugin is wrong, 2 usage or configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = sub.add_parser(
        "plugins", help="list, look at, pin and try plugins", description=ABOUT,
        formatter_class=plain,
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="every plugin that is there, and whether it is loaded")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.set_defaults(run=run_list)
    show = verbs.add_parser("show", help="what a plugin is, what it asks for, and its files")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(run=run_show)
    pin = verbs.add_parser("pin", help="print the lines that pin a plugin, for your configuration")
    pin.add_argument("name", metavar="NAME")
    pin.set_defaults(run=run_pin)
    check = verbs.add_parser(
        "check", help="run a plugin once, as confined as ever, and print its panels"
    )
    check.add_argument("name", metavar="NAME")
    check.add_argument("--json", action="store_true", help="its panels as JSON")
    check.add_argument(
        "--connect", metavar="ADDRESS:PORT", action="append", default=[],
        help="grant this for the trial, instead of what the configuration grants",
    )  # fmt: skip
    check.set_defaults(run=run_check)


def run_list(args: argparse.Namespace) -> int:
    """Print one line a plugin."""
    from console.cli.common import configured
    from console.engine.plugins.manifest import places

    rows = _rows(configured(args))
    if args.json:
        import msgspec

        document = {"version": 1, "places": [str(place) for place in places()], "plugins": rows}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
        return 0
    for row in rows:
        about = row["reason"] or row.get("words", "")
        told = f"{row['name']:16} {row.get('version', ''):8} {row['state']:8} {about}"
        sys.stdout.write(f"{told}\n")
    sys.stderr.write("".join(f"watchfloor: looked in {place}\n" for place in places()))
    return 0


def not_loaded(config: "Config") -> list[str]:
    """What to tell of every plugin that is enabled and will not be loaded."""
    enabled = {name for name, settings in config.plugins.items() if settings.enabled}
    if not enabled:
        return []
    return [
        f"plugins.{row['name']}: {row['reason'].rstrip('.')}. `watchfloor plugins list` shows all."
        for row in _rows(config)
        if row["name"] in enabled and row["state"] != "on"
    ]


def _rows(config: "Config") -> list[dict[str, str]]:
    """Every plugin that is there or configured, and whether it is loaded."""
    from console.engine.plugins.manifest import folders, read
    from console.errors import PluginError

    rows: list[dict[str, str]] = []
    for name, folder in folders().items():
        row = {"name": name, "folder": str(folder), "version": "", "words": "", "sha256": ""}
        try:
            bundle = read(folder)
        except PluginError as error:
            rows.append(row | {"state": "wrong", "reason": str(error)})
            continue
        manifest = bundle.manifest
        row |= {"version": manifest.version, "words": manifest.words, "sha256": bundle.sha256}
        rows.append(row | _state(bundle, config.plugins.get(name)))
    for name in sorted(set(config.plugins) - {row["name"] for row in rows}):
        rows.append({"name": name, "state": "missing", "reason": "is configured, but not there"})
    return rows


def _state(bundle: "Bundle", settings: Any) -> dict[str, str]:
    """Whether a plugin is loaded, and why not."""
    if settings is None or not settings.enabled:
        return {"state": "off", "reason": ""}
    if not settings.sha256:
        return {"state": "unpinned", "reason": "is enabled without sha256, so not loaded"}
    if settings.sha256 != bundle.sha256:
        return {"state": "changed", "reason": "its files are not those that were pinned"}
    return {"state": "on", "reason": ""}


def run_show(args: argparse.Namespace) -> int:
    """Print what a plugin is."""
    from console.engine.plugins.manifest import find

    bundle = find(args.name)
    manifest = bundle.manifest
    network = ", ".join(manifest.asks.connect)
    for label, value in (
        ("name", manifest.name),
        ("version", manifest.version),
        ("what it does", manifest.words),
        ("kinds", ", ".join(manifest.kinds)),
        ("network", f"asks for {network}" if network else "none, and it gets none"),
        ("files to write", "none, and it gets none"),
        ("folder", str(bundle.folder)),
        ("sha256", bundle.sha256),
    ):
        sys.stdout.write(f"{label:16}{value}\n")
    for name, raw in sorted(bundle.files.items()):
        sys.stdout.write(f"{'file':16}{name} ({len(raw)} bytes)\n")
    return 0


def run_pin(args: argparse.Namespace) -> int:
    """Print the lines for the configuration; nothing is written anywhere."""
    import json

    from console.config.loader import user_file
    from console.engine.plugins.manifest import find

    bundle = find(args.name)
    lines = [f"[plugins.{bundle.name}]", "enabled = true", f'sha256 = "{bundle.sha256}"']
    if bundle.manifest.asks.connect:
        granted = json.dumps(list(bundle.manifest.asks.connect))
        lines.append(f"connect = {granted}  # what it may speak with; change it to what is so")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stderr.write(
        f"watchfloor: look at {bundle.folder} first, then add these lines to {user_file()}\n"
    )
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Run a plugin for the configured hosts, without a connection to any of them."""
    import asyncio

    import msgspec

    from console.cli.common import configured
    from console.config.document import Plugin
    from console.engine.plugins.manifest import find
    from console.engine.plugins.trial import ROUNDS, trial
    from console.model.address import parts

    config = configured(args)
    bundle = find(args.name)
    settings = config.plugins.get(args.name, Plugin())
    if args.connect:
        for text in args.connect:
            parts(text)
        settings = msgspec.structs.replace(settings, connect=tuple(args.connect))
    elif bundle.manifest.asks.connect and not settings.connect:
        asked = ", ".join(bundle.manifest.asks.connect)
        sys.stderr.write(f"watchfloor: it asks for {asked} and gets nothing; see --connect\n")
    found = asyncio.run(trial(bundle, settings, config.hosts, workstation=config.workstation))
    for line in found.printed.splitlines():
        sys.stderr.write(f"plugin: {line}\n")
    sys.stderr.write(
        f"watchfloor: {bundle.name} started in {found.start_ms:.0f} ms and answered in "
        f"{found.answer_ms:.0f} ms ({ROUNDS} times, the slowest); Landlock {found.landlock}\n"
    )
    if args.json:
        document = {"version": 1, "samples": found.samples, "panels": found.panels}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
        return 0
    for panel in found.panels:
        _print(panel)
    for sample in found.samples:
        sys.stdout.write(f"{sample.host} {sample.name} = {sample.value:g}\n")
    return 0


def _print(panel: "Panel") -> None:
    from console.headless.panels import lines

    sys.stdout.writelines(f"{line}\n" for line in (f"{panel.host}: {panel.title}", *lines(panel)))
