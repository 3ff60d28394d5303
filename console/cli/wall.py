"""``watchfloor wall``: a board that needs no keys and takes none."""

import argparse
import math
import sys
from typing import Any

from console.cli.status import flags_after_verb, number
from console.errors import UsageError

ABOUT = """\
Shows the state of the fleet in letters that are read from across a room, all GPUs as a heat map,
the busiest hosts and the newest events that matter, one after the other. What is newly wrong comes
to the front. It takes no commands and cannot act; `q` or Ctrl+C ends it.

exit status: 0 ended by a person, 2 usage or configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    parser = sub.add_parser(
        "wall",
        help="a board for the wall, without keys",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--every", type=every, default=15.0, metavar="SECONDS", help="a page stays so long (15)"
    )
    flags_after_verb(parser)
    parser.set_defaults(run=run)


def every(text: str) -> float:
    """Seconds that a page stays."""
    value = number(text)
    if not math.isfinite(value) or not 2 <= value <= 3600:
        raise argparse.ArgumentTypeError("must be between 2 and 3600 seconds")
    return value


def run(args: argparse.Namespace) -> int:
    """Open the board on the configured hosts."""
    from console.cli.common import configured, reloader, screen_settings

    config = configured(args)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the board needs a terminal", hint="Use `watchfloor watch --plain`.")
    from console.engine.build import local_engine
    from console.tui.app import run_app
    from console.tui.control.actions import Mode

    return run_app(
        lambda ask: local_engine(config, ask_passphrase=ask, reload=reloader(args)),
        screen_settings(config, mode=Mode.WALL, rotate_s=args.every),
    )
