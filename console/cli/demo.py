"""``watchfloor demo``: an embedded fleet with an incident, nothing to configure."""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any

from console.cli.status import number, record_flag
from console.text import clean

SECOND = "bob"
LOOKS = ("show", "verify")
VERBS: dict[str, tuple[str, ...]] = {
    "actions": (), "audit": (), "hosts": ("list",), "policy": LOOKS, "roster": LOOKS,
    "status": (), "watch": (),
}  # fmt: skip
"""What can be run against a demo, and which parts of it where not all; other verbs are about this
user's own configuration."""

HELP = "watch an embedded fleet of eight hosts on this machine"
ABOUT = """\
Starts eight real SSH servers on 127.0.0.1: seven simulated hosts of an inference site, and this
machine under the real probe. An incident unfolds over a minute and a half. Of your own files only
themes are read; layouts and exports that you keep go to demo/ in your state folder.

You are alice. An action needs a second person: bob, at a second terminal by `watchfloor demo
--join`, or here by `:operator bob`. Verbs go with a demo too, as either of them:
  watchfloor demo --join alice -- actions list
  watchfloor demo --join -- audit verify store-fra-1
  watchfloor demo --join -- policy show

--set read_only=true or WATCHFLOOR_READ_ONLY=1: nothing is signed from that console.

exit status: 0 at least seven hosts were LIVE, 1 they were not, 2 usage
"""


def add(sub: Any) -> None:
    """Register the verb with the subparsers of the command line."""
    parser = sub.add_parser(
        "demo",
        help=HELP,
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of screens")
    parser.add_argument(
        "--seconds", type=_seconds, metavar="N", help="end after N seconds (with --plain)"
    )
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X", help="the incident runs X times as fast"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another fleet")
    parser.add_argument(
        "--keep", action="store_true", help="keep the demo's folder and say where it is"
    )
    parser.add_argument("--wall", action="store_true", help="the board for the wall, see `wall`")
    parser.add_argument(
        "--join", metavar="NAME", nargs="?", const=SECOND,
        help=f"a second console on the demo that runs, as {SECOND} unless another NAME is given",
    )  # fmt: skip
    parser.add_argument(
        "--pid", type=int, default=0, metavar="N", help="which demo, where several run"
    )
    parser.add_argument(
        "--print-config", action="store_true",
        help="with --join: print a configuration for verbs that only look",
    )  # fmt: skip
    parser.add_argument(
        "verb", nargs=argparse.REMAINDER, metavar="-- VERB",
        help=f"with --join: run another verb as that person: {_known()}",
    )  # fmt: skip
    record_flag(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo."""
    from console.demo.run import Demo
    from console.demo.show import plain, screens
    from console.errors import UsageError

    rest = args.verb[1:] if args.verb[:1] == ["--"] else args.verb
    if args.join is not None:
        return _join(args, rest)
    if rest or args.print_config or args.pid:
        raise UsageError("that goes with --join", hint="watchfloor demo --join NAME -- VERB")
    if args.seconds is not None and not args.plain:
        raise UsageError("--seconds goes with --plain", hint="The screens end with `q`.")
    if args.wall and args.plain:
        raise UsageError("--wall needs the screens", hint="Leave --plain out.")
    read_only = _read_only(args)
    with_screens = not args.plain
    demo = Demo(
        speed=args.speed,
        seed=args.seed,
        keep=args.keep,
        workstation=with_screens,
        plugins=with_screens,
        announced=True,
        read_only=read_only,
    )
    if args.plain:
        return plain(demo, args.speed, args.seconds, args.record)
    return screens(demo, args.speed, args.record, wall=args.wall)


def _join(args: argparse.Namespace, rest: Sequence[str]) -> int:
    from console.demo.join import Seat, screens
    from console.demo.running import find
    from console.errors import UsageError

    if args.plain or args.wall or args.keep or args.record:
        raise UsageError("--join takes --pid, --print-config and a verb only")
    here = Seat(find(args.pid), args.join, read_only=_read_only(args))
    if args.print_config:
        sys.stdout.write(here.toml())
        return 0
    if not rest:
        return screens(here)
    parts = VERBS.get(rest[0], ())
    if rest[0] not in VERBS or (parts and not {*parts, "-h", "--help"} & {*rest[1:2]}):
        said = " ".join(rest[:2])
        raise UsageError(f"{clean(said, 60)!r} does not go with a demo", hint=f"Known: {_known()}.")
    from console.cli.main import parser

    inner = parser().parse_args(list(rest))
    here.read_only = here.read_only or _read_only(inner)
    inner.seat = here
    here.trusted()
    return int(inner.run(inner))


def _known() -> str:
    return ", ".join(f"{verb} {'|'.join(parts)}".strip() for verb, parts in VERBS.items())


def _read_only(args: argparse.Namespace) -> bool:
    """As a variable or a flag says it: no configuration file is read here."""
    from console.cli.common import flags
    from console.config.loader import without_files

    return bool(without_files(flags(args))["read_only"])


def _seconds(text: str) -> float:
    value = number(text)
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError("must be a number of seconds")
    return value


def _speed(text: str) -> float:
    value = number(text)
    if not 0.1 <= value <= 20:
        raise argparse.ArgumentTypeError("must be between 0.1 and 20")
    return value
