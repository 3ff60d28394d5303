"""``watchfloor enroll``: print the script that sets a host up. Nothing is run or connected."""

import argparse
import sys
from pathlib import Path
from typing import Any

ABOUT = """\
Prints a shell script for an administrator to read and to run as root on the host:

  watchfloor enroll gpu01 --print --tier 2 --key wfmon.pub --from 10.0.0.5 > enroll-gpu01.sh

tier 1: the key starts the probe, a root-owned file, as an account without rights.
tier 2: the key reaches a sandboxed sensor that may read what the account may not, and write
        nothing. Recommended: without it, owners of sockets and openers of weights stay unknown.

exit status: 0 printed, 2 usage
"""


def add(sub: Any) -> None:
    """Register the verb."""
    parser = sub.add_parser(
        "enroll",
        help="print the script that sets a host up for watching",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("host", help="name of the host")
    parser.add_argument(
        "--print",
        action="store_true",
        dest="to_stdout",
        help="said for clarity: printing is all that this verb can do, with or without it",
    )
    parser.add_argument("--tier", type=int, choices=(0, 1, 2), default=2, help="2 unless given")
    parser.add_argument(
        "--key", type=Path, action="append", default=[], metavar="FILE.pub",
        help="public key of the console; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--from", dest="sources", default="", metavar="ADDRESS,...",
        help="addresses or networks that the key may be used from",
    )  # fmt: skip
    parser.add_argument("--remove", action="store_true", help="print the script that undoes it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from console.enroll.check import enrolment, name
    from console.enroll.script import install, remove
    from console.ssh.payload import nvml_binding

    if args.remove:
        sys.stdout.write(remove(name(args.host)))
        return 0
    sources = [text.strip() for text in args.sources.split(",") if text.strip()]
    order = enrolment(args.host, args.tier, args.key, sources)
    if not sources:
        sys.stderr.write(
            "watchfloor: warning: without --from the key may be used from any address; "
            "name the console's with --from ADDRESS\n"
        )
    sys.stdout.write(install(order, nvml_binding()))
    return 0
