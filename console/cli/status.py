"""``watchfloor status``: every host once."""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

ABOUT = """\
Connects to every host, waits until each has told about itself or has failed, and prints what is
known. With --json the document of docs/status-json.md.

exit status: 0 all hosts are LIVE, 1 some are not, 2 usage or configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    parser = sub.add_parser(
        "status",
        help="print the state of every host once",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the whole state as one JSON document")
    form.add_argument("--plain", action="store_true", help="lines of text (the default)")
    parser.add_argument(
        "--timeout", type=seconds, default=30.0, metavar="S", help="wait at most S seconds (30)"
    )
    flags_after_verb(parser)
    parser.set_defaults(run=run)


def flags_after_verb(parser: argparse.ArgumentParser) -> None:
    """Let ``--hosts`` and ``--set`` also stand after the verb; else what is before it counts."""
    parser.add_argument(
        "--hosts", metavar="PATTERN", default=argparse.SUPPRESS, help="only these hosts"
    )
    # A name of its own, or the list after the verb would replace the one before it.
    parser.add_argument(
        "--set", dest="later_settings", metavar="KEY=VALUE", action="append",
        default=argparse.SUPPRESS, help="a setting for this run; may be repeated",
    )  # fmt: skip


def record_flag(parser: argparse.ArgumentParser) -> None:
    """Let ``--record FILE`` also stand after the verb, which then has to heed it."""
    parser.add_argument(
        "--record", metavar="FILE", type=Path, default=argparse.SUPPRESS,
        help="also keep what is shown in FILE, for `watchfloor replay`",
    )  # fmt: skip
    parser.set_defaults(records=True)


def number(text: str) -> float:
    """The number in ``text``; nan, which lies in no range, for anything else.

    The caller then tells its range, where argparse would tell the name of a function.
    """
    try:
        return float(text)
    except ValueError:
        return math.nan


def seconds(text: str) -> float:
    """A number of seconds above zero."""
    value = number(text)
    if not 0 < value <= 86_400 * 30:
        raise argparse.ArgumentTypeError("must be above 0 and at most thirty days")
    return value


def run(args: argparse.Namespace) -> int:
    """Print the status; 0 when all hosts are LIVE."""
    import asyncio

    from console.cli.common import ask_on_terminal, configured
    from console.engine.build import local_engine
    from console.headless.document import encode
    from console.headless.plain import table
    from console.headless.status import code, collect

    config = configured(args)
    names = [host.name for host in config.hosts]
    engine = local_engine(config, ask_passphrase=ask_on_terminal, focus=names)
    snapshot = asyncio.run(collect(engine, args.timeout))
    sys.stdout.write(
        encode(snapshot, engine.panels) if args.json else table(snapshot, config.files)
    )
    return code(snapshot)
