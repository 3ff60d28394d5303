"""``watchfloor replay FILE``: a recording, on the screens or as lines."""

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli.status import number

if TYPE_CHECKING:
    from console.engine.reading import Reading

ABOUT = """\
Shows what --record FILE has kept, as it was seen then: on the screens, or with --plain and --json
as the lines that `watchfloor watch` would have printed, without waiting. Nothing is connected.

exit status: 0 the recording was shown, 1 it is none, was cut off or is damaged, 2 usage
"""
SLOW_BYTES = 64 << 20


def add(sub: Any) -> None:
    """Register the verb."""
    parser = sub.add_parser(
        "replay",
        help="show a recording made with --record",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="a recording; also FILE.gz")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X", help="X times as fast (0.1 to 100)"
    )
    parser.add_argument(
        "--at", metavar="TIME", default="start",
        help="begin there: 12:30:05 (UTC), 0:20 (from its begin), 2026-05-01T12:30:05, 50%% or end",
    )  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="lines of text")
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the recording."""
    from console.engine.moments import moment
    from console.engine.replay import NO_LIMIT, PATIENCE_S, ReplayEngine

    lines = args.plain or args.json or not (sys.stdin.isatty() and sys.stdout.isatty())
    reading = _read(args.file)
    try:
        begin, end = reading.index.at[0], reading.index.at[-1]
        engine = ReplayEngine(
            reading,
            at=moment(args.at, begin, end, begin),
            speed=args.speed,
            paused=lines,
            patience_s=NO_LIMIT if lines else PATIENCE_S,
        )
        if lines:
            from console.headless.replay import replay

            return replay(engine, as_json=args.json)
        return _screens(args, engine)
    finally:
        reading.close()


def _screens(args: argparse.Namespace, engine: Any) -> int:
    from console.cli.common import configured, screen_settings
    from console.headless.replay import tell_early_end
    from console.tui.app import run_app
    from console.tui.control.actions import Mode

    title = f"{engine.title or 'recording'} of {args.file.name}"
    settings = screen_settings(configured(args), title=title, mode=Mode.REPLAY)
    status = run_app(lambda ask: engine, settings)
    return status or tell_early_end(engine)


def _read(file: Path) -> "Reading":
    """Open the recording; says how far it is where that takes a while on a terminal."""
    from console.engine.reading import Reading

    shown = -1

    def progress(done: float) -> None:
        nonlocal shown
        per_cent = int(done * 100)
        if per_cent > shown:
            shown = per_cent
            sys.stderr.write(f"\rreading: {per_cent}%")

    try:
        slow = sys.stderr.isatty() and file.stat().st_size > SLOW_BYTES
    except (OSError, ValueError):
        slow = False
    try:
        return Reading(file, progress) if slow else Reading(file)
    finally:
        if slow:
            sys.stderr.write("\r\x1b[K")


def _speed(text: str) -> float:
    value = number(text)
    if not math.isfinite(value) or not 0.1 <= value <= 100:
        raise argparse.ArgumentTypeError("must be between 0.1 and 100")
    return value
