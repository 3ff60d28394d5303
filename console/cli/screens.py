"""``watchfloor`` and ``watchfloor screens``: the terminal."""

import argparse
import sys
from typing import Any

from console.cli.status import flags_after_verb, record_flag
from console.errors import UsageError


def add(sub: Any) -> None:
    """Register the verb."""
    parser = sub.add_parser("screens", help="the live screens (also without a verb)")
    flags_after_verb(parser)
    record_flag(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Open the screens on the configured hosts."""
    from console.cli.common import configured, reloader, screen_settings

    config = configured(args)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the screens need a terminal", hint="Use `watchfloor watch --plain`.")
    from console.engine.build import local_engine
    from console.engine.recorder import recorded
    from console.tui.app import run_app

    return run_app(
        lambda ask: recorded(
            lambda told: local_engine(
                config, ask_passphrase=ask, reload=reloader(args), others=told
            ),
            args.record,
            title=config.ui.title,
        ),
        screen_settings(config),
    )
