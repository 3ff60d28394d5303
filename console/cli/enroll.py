"""``watchfloor enroll``: the script that sets a host up, printed, or run by an administrator."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.enroll.guardcheck import GuardOrder

ABOUT = """\
Prints a shell script for an administrator to read and to run as root on the host:

  watchfloor enroll gpu01 --print --tier 2 --key wfmon.pub --from 10.0.0.5 > enroll-gpu01.sh

tier 1: the key starts the probe, a root-owned file, as an account without rights.
tier 2: the key reaches a sandboxed sensor that may read what the account may not, and write
        nothing. Recommended: without it, owners of sockets and openers of weights stay unknown.

--guard installs the guard too, which lets two people change the host (docs/guard-enrol.md):

  watchfloor enroll gpu01 --key wfmon.pub --from 10.0.0.5 --guard \\
      --operator-key alice_login.pub --operator-key bob_login.pub > enroll-gpu01.sh

Roster and policy are this console's own, unless --roster and --policy name others.

--as ADMIN@HOST runs the script by the system's ssh instead of printing it. Nothing of that login is
kept, and a second connection shows before and after that it still works.

exit status: 0 printed or done, 1 the script failed or --check found a difference, 2 usage
"""


def add(sub: Any) -> None:
    """Register the verb."""
    parser = sub.add_parser(
        "enroll",
        help="print, check or run the script that sets a host up",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("host", help="name of the host")
    parser.add_argument(
        "--print",
        action="store_true",
        dest="to_stdout",
        help="said for clarity: without --as, printing is all that this verb does",
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
    _add_guard(parser.add_argument_group("guard"))
    parser.add_argument("--remove", action="store_true", help="the script that undoes it")
    parser.add_argument(
        "--check", action="store_true",
        help="the script that compares the host with what these options would write",
    )  # fmt: skip
    parser.add_argument(
        "--as", dest="admin", default="", metavar="ADMIN@HOST",
        help="run the script there: as root, or by `sudo -n`",
    )  # fmt: skip
    parser.add_argument(
        "--ssh-config", type=Path, metavar="FILE", help="configuration of ssh for --as"
    )
    parser.set_defaults(run=run)


def _add_guard(group: Any) -> None:
    group.add_argument("--guard", action="store_true", help="install the guard too")
    group.add_argument("--roster", type=Path, metavar="FILE", help="whom the host trusts")
    group.add_argument("--policy", type=Path, metavar="FILE", help="what the host allows")
    group.add_argument(
        "--operator-key", type=Path, action="append", default=[], metavar="FILE.pub",
        help="public login key of a person; may be repeated. Never a signing key",
    )  # fmt: skip
    group.add_argument(
        "--mgmt", default="", metavar="NETWORK,...",
        help="networks that operators log in from, else mgmt_networks of the policy",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print the script, or have it run."""
    from console.enroll.check import name
    from console.errors import UsageError

    if args.remove and args.check:
        raise UsageError("--remove and --check exclude each other")
    if not args.guard and (args.roster or args.policy or args.operator_key or args.mgmt):
        raise UsageError("--roster, --policy, --operator-key and --mgmt need --guard")
    name(args.host)
    script = _script(args)
    if not args.admin:
        sys.stdout.write(script)
        return 0
    from console.cli.common import configured
    from console.enroll.remote import enrol

    config = configured(args)

    def learn(identity: str) -> None:
        from console.enroll.pin import pin

        for line in pin(args.host, identity, config.state_dir):
            sys.stdout.write(f"{line}\n")

    status = enrol(
        args.admin, args.host, script, config.known.values(),
        changes=not args.check, config=args.ssh_config,
        learn=learn if args.guard and not args.remove else None,
    )  # fmt: skip
    return 1 if status else 0


def _script(args: argparse.Namespace) -> str:
    from console.enroll.check import enrolment
    from console.enroll.drift import check
    from console.enroll.removal import remove
    from console.enroll.script import install
    from console.ssh.payload import nvml_binding

    if args.remove:
        return remove(args.host)
    sources = _listed(args.sources)
    order = enrolment(args.host, args.tier, args.key, sources)
    if not sources and not args.check:
        _warn(
            "without --from the key may be used from any address; "
            "name the console's with --from ADDRESS"
        )
    guard = _guard(args) if args.guard else None
    make = check if args.check else install
    return make(order, nvml_binding(), guard)


def _guard(args: argparse.Namespace) -> "GuardOrder":
    from console.enroll.guardcheck import guard_order
    from console.hostside import bundle
    from console.trust.chain import Chain

    chain = Chain.own()
    order, warnings = guard_order(
        bundle.guard(),
        args.roster or chain.current("roster"),
        args.policy or chain.current("policy"),
        args.operator_key,
        _listed(args.mgmt),
    )
    for text in warnings:
        _warn(text)
    return order


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _warn(text: str) -> None:
    sys.stderr.write(f"watchfloor: warning: {text}\n")
