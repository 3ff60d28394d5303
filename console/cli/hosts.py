"""``watchfloor hosts list|import|trust``."""

import argparse
import sys
from pathlib import Path
from typing import Any

from console.text import clean

ABOUT = """\
exit status: 0 done, 1 the host cannot be reached or its key was not stored, 2 usage or
configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = sub.add_parser(
        "hosts", help="list, import or trust hosts", description=ABOUT, formatter_class=plain
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="print the hosts of the inventory")
    listing.add_argument("--json", action="store_true", help="one JSON document")
    listing.set_defaults(run=run_list)
    importing = verbs.add_parser(
        "import",
        help="print hosts of an OpenSSH configuration or an Ansible inventory as TOML",
        description="What cannot be carried over is said on standard error.",
    )
    importing.add_argument("file", type=Path, help="~/.ssh/config, or an inventory (INI, YAML)")
    importing.add_argument(
        "--format", choices=("openssh", "ansible"), help="else told from the content"
    )
    importing.add_argument(
        "--output", type=Path, metavar="FILE", help="write to this new file instead of printing"
    )
    importing.set_defaults(run=run_import)
    trust = verbs.add_parser(
        "trust",
        help="show a host's key and store it once its fingerprint is typed or given",
        description="Compare the fingerprint with what the host's console or its owner says; "
        "what is shown came over the network and proves nothing by itself.",
    )
    trust.add_argument("host", help="name of the host")
    trust.add_argument(
        "--fingerprint", metavar="SHA256:...", help="store the key with this fingerprint, unasked"
    )
    trust.add_argument(
        "--replace", action="store_true", help="the host's key has changed: forget the old one"
    )
    trust.set_defaults(run=run_trust)


def run_list(args: argparse.Namespace) -> int:
    """Print the chosen hosts."""
    import msgspec

    from console.cli.common import configured

    hosts = configured(args).hosts
    if args.json:
        document = {"version": 1, "hosts": hosts}
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
        return 0
    if not hosts:
        sys.stderr.write("watchfloor: no hosts; `watchfloor config init` writes a beginning\n")
        return 0
    rows = [("NAME", "LOGIN", "SITE", "GROUPS", "TRUST", "VIA")]
    for host in hosts:
        pins = "pinned" if host.host_key else "ca" if host.host_ca else "NONE"
        address = f"[{host.address}]" if ":" in host.address else host.address
        login = f"{host.user}@{address}:{host.port}"
        rows.append(
            (host.name, login, host.site, ",".join(host.groups), pins, " > ".join(host.jump))
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    return 0


def run_import(args: argparse.Namespace) -> int:
    """Print or write what another program's inventory holds."""
    from console.cli.common import counted
    from console.cli.importing import read, to_toml
    from console.config.edit import write_new

    found = read(args.file.expanduser(), args.format)
    text = to_toml(found, args.file)
    for note in found.notes:
        sys.stderr.write(f"watchfloor: {clean(note)}\n")
    sys.stderr.write(f"watchfloor: {counted(len(found.hosts), 'host')}\n")
    if args.output is None:
        sys.stdout.write(text)
    else:
        write_new(args.output, text)
    return 0


def run_trust(args: argparse.Namespace) -> int:
    """Fetch the host's keys, have one confirmed, store it."""
    from console.cli.trust import trust

    return trust(args)
