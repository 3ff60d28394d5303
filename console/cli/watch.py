"""``watchfloor watch``: what happens, line by line."""

import argparse
from typing import Any

from console.cli.status import flags_after_verb, record_flag, seconds

ABOUT = """\
Prints what happens on the hosts until stopped: changes of state, events, and every ten seconds a
summary. --plain prints calm lines for people and screen readers, --json one JSON object a line.

exit status: 0 all hosts were LIVE at the end, 1 some were not, 2 usage or configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    parser = sub.add_parser(
        "watch",
        help="print what happens, line by line",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--plain", action="store_true", help="lines of text (the default)")
    parser.add_argument("--seconds", type=seconds, metavar="N", help="end after N seconds")
    flags_after_verb(parser)
    record_flag(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print until stopped."""
    import asyncio

    from console.cli.common import ask_on_terminal, configured, reloader
    from console.engine.build import local_engine
    from console.engine.recorder import recorded
    from console.headless.watch import watch

    config = configured(args)
    engine = recorded(
        lambda told: local_engine(
            config, ask_passphrase=ask_on_terminal, reload=reloader(args), others=told
        ),
        args.record,
        title=config.ui.title,
    )
    return asyncio.run(watch(engine, as_json=args.json, seconds=args.seconds, files=config.files))
