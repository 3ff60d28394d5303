"""``watchfloor actions``: guarded actions without the screens."""

import argparse
from pathlib import Path
from typing import Any

ABOUT = """\
A guarded action is asked for by one person, decided by another, and carried out by the guard of the
host, which checks both signatures itself.

exit status: 0 done on every host, 1 refused or not reached on some or all, 2 usage or configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = sub.add_parser(
        "actions", help="ask for guarded actions and decide about them", description=ABOUT,
        formatter_class=plain,
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, said: str) -> Any:
        found = verbs.add_parser(name, help=said, description=said[0].upper() + said[1:] + ".")
        found.set_defaults(run=run, verb=name)
        found.add_argument("--json", action="store_true", help="one JSON document")
        found.add_argument(
            "--timeout", type=_seconds, default=20.0, metavar="S",
            help="wait at most S seconds for the hosts (20)",
        )  # fmt: skip
        from console.cli.status import flags_after_verb

        flags_after_verb(found)
        return found

    listing = verb("list", "print what waits, stands and has ended on every host")
    listing.add_argument("--all", action="store_true", help="every action there is, instead")
    _asking(verb("preview", "print what an action would do; changes nothing"), signs=False)
    _asking(verb("request", "sign a request and send it to every host of --hosts"), signs=True)
    _named(verb("show", "print a request as whoever decides must see it"), signs=False)
    for name, said in (
        ("approve", "sign that it may be done; the last approval needed carries it out"),
        ("deny", "sign that it may not be done"),
        ("cancel", "withdraw a request of your own"),
        ("start", "start an approved request of your own"),
        ("release", "ask for the end of what stands; another person approves that"),
        ("review", "sign that you have looked at somebody's break-glass (needs --hosts)"),
    ):
        named = verb(name, said)
        _named(named, signs=True)
        if name == "approve":
            _unseen(named)
    export = verb("export", "write a request and the decision to be signed elsewhere as files")
    export.add_argument("id", help="id of the request, or its first digits")
    export.add_argument("folder", type=Path, metavar="FOLDER")
    export.add_argument("--by", default="", metavar="PERSON", help="who will sign, else [operator]")
    export.add_argument("--deny", action="store_true", help="a denial instead of an approval")
    export.add_argument("--comment", default="", help="kept in the audit")
    _unseen(export)
    fetching = verb("fetch", "take the evidence that collect-evidence made, by your signature")
    fetching.add_argument("host", metavar="HOST")
    fetching.add_argument("id", help="id of the request that collected it, or its first digits")
    fetching.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="FOLDER",
        help="where it is written, with its custody beside it (here)",
    )  # fmt: skip
    importing = verb("import", "send a decision that was signed elsewhere")
    importing.add_argument("file", type=Path, metavar="FILE", help="with FILE.sig; or the folder")


def _seconds(text: str) -> float:
    from console.cli.status import seconds

    return seconds(text)


def _asking(parser: argparse.ArgumentParser, *, signs: bool) -> None:
    parser.add_argument("action", nargs="?" if signs else None, help="see `actions list --all`")
    parser.add_argument(
        "-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter"
    )
    if not signs:
        return
    parser.add_argument("--reason", default="", help="read by whoever decides; kept for good")
    parser.add_argument(
        "--mode", default="two_before", choices=("two_before", "one_then_ratify", "break_glass"),
        help="one_then_ratify and break_glass only where the policy allows them",
    )  # fmt: skip
    parser.add_argument(
        "--confirm", default="", metavar="TEXT",
        help="what would be typed at a terminal: the host's name, or `N hosts` for several",
    )  # fmt: skip
    parser.add_argument(
        "--file", type=Path, metavar="FILE",
        help="what install-roster, install-policy or install-guard brings, with its FILE*.sig",
    )  # fmt: skip
    parser.add_argument(
        "--expires", default="", metavar="MINUTES",
        help="how long it waits for others, 5 to 60; else as the policy has it",
    )  # fmt: skip
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="keep the signed request, to go on by --resume"
    )
    parser.add_argument(
        "--resume", type=Path, metavar="FILE", help="send a saved one to hosts not reached before"
    )


def _unseen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--also-unseen", action="store_true",
        help="accept that it counts on targets, too, that do not show the request here",
    )  # fmt: skip


def _named(parser: argparse.ArgumentParser, *, signs: bool) -> None:
    parser.add_argument("id", help="id of the request, or its first digits")
    if not signs:
        return
    parser.add_argument("--comment", "--reason", dest="comment", default="", help="for the audit")
    parser.add_argument(
        "--words", default="", metavar="WORDS",
        help="the six words of the request, as its requester read them aloud",
    )  # fmt: skip
    parser.add_argument(
        "--confirm", default="", metavar="TEXT",
        help="for release, what would be typed at a terminal",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    from console.cli.acting import run as act

    if args.verb == "fetch":
        from console.cli.evidence import fetch

        return act(args, fetch)
    from console.cli.deciding import VERBS

    return act(args, VERBS.get(args.verb))
