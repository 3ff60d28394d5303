"""``watchfloor audit verify|show|export|checkpoints|pin``: what was done on hosts, and proof."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import ActionError, UsageError, WatchfloorError
from console.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.audit.checkpoint import Checkpoint
    from console.audit.fetch import Call
    from console.audit.report import Report
    from console.audit.trust import Link
    from console.audit.verify import Material
    from console.config.loader import Config
    from console.store.witness import Witness

READ_IT = "on the host, as root: ssh-keygen -lf /var/lib/watchfloor/guard/audit/audit_key.pub"
AT_ONCE = 4  # hosts whose logs are read at a time
SHOWN = 50  # requests of a host whose people are named in words, the newest

ABOUT = """\
Reads the audit log of a host's guard and proves it: that it is whole, that two different people
signed what was done, and that it agrees with all that this console, or a colleague's, was ever
shown. What cannot be proved is said too. docs/audit.md has the details.

exit status:
  0  proved
  1  something is wrong: the lines marked WRONG name it
  2  usage or configuration
  3  nothing is wrong, but not all could be proved: the lines marked missing say why
"""


def add(sub: Any) -> None:
    """Register the verb."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = sub.add_parser(
        "audit", help="prove what was done on hosts, show it, keep it",
        description=ABOUT, formatter_class=plain,
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    verify = verbs.add_parser(
        "verify", help="prove the log of a host, or of all", description=ABOUT,
        formatter_class=plain,
    )  # fmt: skip
    verify.add_argument("host", nargs="?", help="name of the host; all hosts unless given")
    verify.add_argument(
        "--with", dest="peers", type=Path, action="append", default=[], metavar="FILE",
        help="checkpoints of a colleague's console (audit checkpoints); may be repeated",
    )  # fmt: skip
    verify.add_argument("--json", action="store_true", help="one JSON document")
    verify.set_defaults(run=run_verify)
    show = verbs.add_parser("show", help="print the records of a host")
    show.add_argument("host", help="name of the host")
    show.add_argument("--request", metavar="ID", default="", help="only this one, in full")
    show.set_defaults(run=run_show)
    for one in (verify, show):
        one.add_argument(
            "--from", dest="source", type=Path, metavar="FILE",
            help="read the log from a file (audit export, or the host's log.jsonl)",
        )  # fmt: skip
    export = verbs.add_parser("export", help="keep the whole log of a host in a file")
    export.add_argument("host", help="name of the host")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    export.set_defaults(run=run_export)
    checkpoints = verbs.add_parser(
        "checkpoints", help="write what hosts signed, for a colleague's `verify --with`",
        description="Also standard cosignature/v1 lines, where this console has proved them.",
    )  # fmt: skip
    checkpoints.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    checkpoints.set_defaults(run=run_checkpoints)
    pin = verbs.add_parser(
        "pin", help="show or set the audit key that is believed of a host",
        description="Without --fingerprint: what is pinned here, and what the host signs with. "
        "Exit status 0 where they are one, 1 where not, 3 where none is pinned.",
    )  # fmt: skip
    pin.add_argument("host", help="name of the host")
    pin.add_argument(
        "--fingerprint", metavar="SHA256:…",
        help="of the key, as read on the host itself: pin it, if the host signs with it",
    )  # fmt: skip
    pin.add_argument(
        "--replace", action="store_true", help="in the place of another; a trace of it stays"
    )
    pin.set_defaults(run=run_pin)


def run_verify(args: argparse.Namespace) -> int:
    """Prove one log or all."""
    import asyncio

    from console.audit.exchange import read_peer
    from console.cli.common import configured

    config = configured(args)
    names = [args.host] if args.host else [host.name for host in config.hosts]
    if args.source is not None and len(names) != 1:
        raise UsageError("--from needs the name of the host", hint="audit verify HOST --from FILE")
    if not names:
        raise UsageError("there are no hosts", hint="`watchfloor config init` writes a beginning")
    peers = [(path.name, seen) for path in args.peers for seen in read_peer(path)]
    tell = None if args.json else sys.stdout.write
    seat = getattr(args, "seat", None)
    reports = asyncio.run(_verify_all(config, names, args.source, peers, seat, tell))
    codes = [report.code for report in reports]
    code = 1 if 1 in codes else max(codes)
    if args.json:
        from console.audit.report import encoded

        sys.stdout.write(encoded(reports, code))
    return code


async def _verify_all(
    config: "Config",
    names: list[str],
    source: Path | None,
    peers: "list[tuple[str, Checkpoint]]",
    seat: Any,
    tell: "Callable[[str], object] | None",
) -> "list[Report]":
    """What was found of each. A host that is slow or sends too much keeps no other one waiting.

    ``tell`` takes what is said of a host as soon as it is known.
    """
    import asyncio

    own = _own_chain(seat)
    logs = None if source is not None else _Logs(config, names)
    places, judging = asyncio.Semaphore(AT_ONCE), asyncio.Lock()

    async def one(name: str) -> "Report":
        async with places:
            try:
                material = await _material(name, source, logs)
            except UsageError:
                raise
            except WatchfloorError as error:
                report, text = _unread(name, error)
                if tell is not None:
                    tell(text)
                return report
            async with judging:  # one at a time: it takes a processor and memory
                report = await asyncio.to_thread(_judged, config, material, peers, own)
        if tell is not None:
            tell(_said(report))
            sys.stdout.flush()
        return report

    return await asyncio.gather(*map(one, names))


def _unread(name: str, error: WatchfloorError) -> "tuple[Report, str]":
    from console.audit.report import Report

    report = Report(clean(name))
    # A guard that finds its own log torn or shorter than it was has found something wrong.
    bad = isinstance(error, ActionError) and error.rule in ("audit-torn", "audit-short")
    verdict = "SOMETHING IS WRONG" if bad else "NOT PROVED"
    why = clean(str(error), 400)
    (report.fail if bad else report.lack)(f"its log could not be had: {why}")
    head = f"{report.host}: {verdict}: its log could not be had\n"
    return report, f"{head}  {'WRONG' if bad else 'missing':8} {why}\n"


def _judged(
    config: "Config",
    material: "Material",
    peers: "list[tuple[str, Checkpoint]]",
    own: "dict[str, Link]",
) -> "Report":
    from contextlib import closing

    import msgspec

    from console.audit.recall import recall, remember
    from console.audit.verify import verify

    host = config.known.get(material.host)
    with closing(_witness(config)) as witness:
        kept = recall(witness, material.host, peers, own)
        if host is not None and host.guard_id:
            kept = msgspec.structs.replace(kept, host_id=host.guard_id)
        material = msgspec.structs.replace(material, chain={**material.chain, **own})
        report = verify(material, kept)
        remember(witness, material, kept, report)
    return report


def _said(report: "Report") -> str:
    from console.audit.report import LIMITS

    verdict = {0: "PROVED", 1: "SOMETHING IS WRONG", 3: "NOT ALL COULD BE PROVED"}[report.code]
    lines = [
        f"{report.host}: {verdict}: {report.records:,} records, {report.signatures:,} signatures, "
        f"{report.seconds:.2f} s"
    ]
    for mark, found in (
        ("WRONG", report.wrong), ("missing", report.missing), ("note", report.notes),
        ("proved", report.proved),
    ):  # fmt: skip
        lines += [f"  {mark:8} {each}" for each in found]
    lines += [f"  {'people':8} {each}" for each in report.requests[-SHOWN:]]
    if len(report.requests) > SHOWN:
        earlier = len(report.requests) - SHOWN
        lines.append(f"  {'people':8} {earlier:,} earlier requests: --json has all")
    lines += [f"  never    No log can show {limit}." for limit in LIMITS]
    return "\n".join(lines) + "\n"


def run_show(args: argparse.Namespace) -> int:
    """Print records as lines."""
    from console.audit.show import lines
    from console.cli.common import configured

    material = _one(configured(args), args.host, args.source)
    count = 0
    for line in lines(material.lines, args.request):
        sys.stdout.write(line + "\n")
        count += 1
    if args.request and not count:
        sys.stderr.write(f"watchfloor: no record of a request {clean(args.request, 80)!r}\n")
        return 1
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Write a host's log into a file."""
    from console.audit.exchange import write_log
    from console.cli.common import configured, counted

    material = _one(configured(args), args.host, None)
    write_log(args.output, material)
    sys.stderr.write(
        f"watchfloor: {counted(len(material.lines), 'record')} of {clean(args.host)} in "
        f"{args.output}\n"
    )
    return 0


def run_checkpoints(args: argparse.Namespace) -> int:
    """Write all kept checkpoints for a peer."""
    from contextlib import closing

    from console.audit.cosign import cosigner
    from console.audit.exchange import write_peer
    from console.audit.recall import provable
    from console.cli.common import configured, counted

    config = configured(args)
    with closing(_witness(config)) as witness:
        found = [row for host in witness.hosts() for row in provable(witness, host)]
    count = write_peer(args.output, cosigner(config.state_dir), found)
    sys.stderr.write(f"watchfloor: {counted(count, 'checkpoint')} in {args.output}\n")
    return 0


def run_pin(args: argparse.Namespace) -> int:
    """Show the pinned audit key of a host, or pin the one that a person has read on it."""
    import asyncio
    from contextlib import closing

    from console.audit.fetch import newest
    from console.cli.common import configured
    from console.hostside.guard.trust.sshsig import fingerprint

    if args.replace and not args.fingerprint:
        raise UsageError("--replace needs the fingerprint that you read on the host", hint=READ_IT)
    config = configured(args)
    key = asyncio.run(newest(args.host, _Logs(config, [args.host]).call(args.host))).key
    shown = fingerprint(key)
    with closing(_witness(config)) as witness:
        pinned = witness.pinned(args.host)
        known = fingerprint(pinned[0]) if pinned else ""
        lines = [
            f"{clean(args.host)}: signs its audit log with {shown}",
            f"pinned here: {known} ({pinned[1]})" if pinned else "pinned here: none",
        ]
        code = 3 if not pinned else 0 if known == shown else 1
        if args.fingerprint and args.fingerprint != shown:
            lines.append(f"not pinned: the host does not sign with {clean(args.fingerprint, 80)}")
            code = 1
        elif args.fingerprint and pinned and known != shown and not args.replace:
            lines.append("not pinned: another key is; --replace puts this one in its place")
        elif args.fingerprint and known != shown:
            witness.repin(args.host, key, "person")
            lines.append(f"pinned now: {shown} (person)")
            code = 0
    sys.stdout.write("\n".join(lines) + "\n")
    if code and not args.fingerprint:
        sys.stderr.write(f"watchfloor: {READ_IT}; then: audit pin HOST --fingerprint SHA256:…\n")
    return code


def _witness(config: "Config") -> "Witness":
    from console.store.witness import Witness

    return Witness(config.state_dir)


def _own_chain(seat: Any) -> "dict[str, Link]":
    """This console's own rosters and policies by digest; none where it has no chain.

    Raises ConfigError where the chain is there and does not hold.
    """
    from console.audit.trust import chain_of
    from console.trust.chain import KINDS, Chain

    chain = Chain.own() if seat is None else seat.chain
    if not chain.folder.is_dir():
        return {}
    chain.policies(chain.rosters())  # verifies both
    links = [link for kind in KINDS for link in chain.links(kind)]
    return chain_of(
        {"text": link.data.decode("utf-8", "replace"), "signatures": [*link.signatures]}
        for link in links
    )


async def _material(name: str, source: Path | None, logs: "_Logs | None") -> "Material":
    """The log of a host, from a file or from the host itself."""
    if source is not None or logs is None:
        from console.audit.exchange import read_log

        return read_log(source or Path(), name)
    from console.audit.fetch import fetch

    return await fetch(name, logs.call(name))


def _one(config: "Config", name: str, source: Path | None) -> "Material":
    import asyncio

    logs = None if source is not None else _Logs(config, [name])
    return asyncio.run(_material(name, source, logs))


class _Logs:
    """Asks guards for their logs with the operator's login. Raises UsageError where there is none,
    or a name is no host's."""

    def __init__(self, config: "Config", names: list[str]) -> None:
        import asyncio

        from console.config.layer import nearest
        from console.ssh.guardcall import GuardCaller

        for name in names:
            if name not in config.known:
                hint = nearest(name, config.known) or "`watchfloor hosts list` shows all hosts."
                raise UsageError(f"no host is called {clean(name, 80)!r}", hint=hint)
        who = config.operator
        if not who.login_key:
            raise UsageError(
                "no login to the guards is set, so their logs cannot be fetched",
                hint="Set `login_key` in [operator], or name a file: --from FILE.",
            )
        self._hosts = config.known
        self._asking = asyncio.Lock()
        self._said: dict[str, str | None] = {}
        self._caller = GuardCaller(
            config.known, user=who.login_user, key=who.login_key, ask_passphrase=self._ask
        )

    async def _ask(self, path: str) -> str | None:
        """One question at a time on the terminal, and each once."""
        from console.cli.common import ask_on_terminal

        async with self._asking:
            if path not in self._said:
                self._said[path] = await ask_on_terminal(path)
            return self._said[path]

    def call(self, name: str) -> "Call":
        """What ``fetch`` calls the guard of a host by."""
        from console.actions.ask import ask

        async def call(envelope: dict[str, Any]) -> dict[str, Any]:
            fields = {key: value for key, value in envelope.items() if key != "op"}
            return (await ask(self._caller, self._hosts[name], envelope["op"], **fields))[0]

        return call
