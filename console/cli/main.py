"""The command line: one parser, one module a verb, nothing imported before it is needed."""

import argparse
import errno
import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from console import __version__
from console.errors import WatchfloorError
from console.text import clean

VERBS = (
    "screens", "status", "watch", "wall", "config", "hosts", "enroll", "roster", "policy",
    "manifest",
    "plugins", "demo", "replay",
    "audit", "actions",
)  # fmt: skip
"""Modules of this package; each has ``add(sub)``."""

CODES = """\
exit status:
  0  all hosts are LIVE (status, watch), or what was asked for is done
  1  some host is not LIVE, or it could not be done
  2  usage or configuration
  70 a defect of Watchfloor itself; the report's path is printed
"""
DEFECT = 70
_NO_VERB = r"argument VERB: invalid choice: '([^']*)' \(choose from (.*)\)"
INTERRUPTED = 130
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Verb = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Names the verb that was probably meant where there is no such verb."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line and leave with 2."""
        found = re.match(_NO_VERB, message)
        if found:
            from console.config.layer import nearest

            verbs = re.findall(r"[\w-]+", found[2])
            hint = nearest(found[1], verbs) or f"Verbs: {', '.join(verbs)}."
            message = f"no verb is called {clean(found[1], 80)!r}. {hint}"
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = Parser(
        prog="watchfloor",
        description="Watch AI inference hosts live over SSH. Without a verb: the screens.",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"watchfloor {__version__}")
    top.add_argument(
        "--config", metavar="FILE", type=Path, help="use this configuration file alone"
    )
    top.add_argument(
        "--hosts",
        metavar="PATTERN",
        default=None,
        help="only these hosts: names, gpu*, gpu[1-4], @site or @group, tag=x, !not",
    )
    top.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="a setting for this run, as in `config show`; may be repeated",
    )  # fmt: skip
    top.add_argument(
        "--record", metavar="FILE", type=Path,
        help="also keep what is shown in FILE, for `watchfloor replay` (screens, watch, demo)",
    )  # fmt: skip
    sub = top.add_subparsers(title="verbs", metavar="VERB")
    for name in VERBS:
        importlib.import_module(f"console.cli.{name}").add(sub)
    return top


def run(argv: Sequence[str]) -> int:
    """Run one command line and return the exit status; nothing is raised for a person's mistake."""
    top = parser()
    args = top.parse_args(argv)
    verb: Verb | None = getattr(args, "run", None)
    if args.record is not None and verb is not None and not getattr(args, "records", False):
        top.error("--record goes with the screens, watch and demo")
    if verb is None:
        verb = importlib.import_module("console.cli.screens").run
    try:
        return _checked(verb, args)
    finally:
        _flush()


def _checked(verb: Verb, args: argparse.Namespace) -> int:
    try:
        code = verb(args)
        sys.stdout.flush()
        return code
    except WatchfloorError as error:
        _say(f"watchfloor: {error}")
        return error.exit_code
    except BrokenPipeError:
        _forget_stdout()
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if error.errno not in FULL:
            return _defect(error)
        _say(f"watchfloor: the output could not be written: {error.strerror}")
        _forget_stdout()
        return 1
    except Exception as defect:  # noqa: BLE001,RUF100  # the last stop before the interpreter's own
        return _defect(defect)


def _defect(defect: Exception) -> int:
    from console.tui.crash import keep

    report = keep(traceback.format_exc())  # without the values of variables
    _say(f"watchfloor: a defect of its own: {type(defect).__name__}; see {report}")
    return DEFECT


def _say(text: str) -> None:
    try:
        sys.stderr.write(text + "\n")
    except OSError:
        pass


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _forget_stdout()


def _forget_stdout() -> None:
    """Whoever read our output is gone; the interpreter must not complain at its end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass
