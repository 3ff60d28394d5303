"""The verbs that ``roster`` and ``policy`` share."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.hostside.guard.trust.people import Roster
    from console.hostside.guard.trust.policy import Policy
    from console.trust.chain import Chain

from console.errors import UsageError
from console.text import clean


def add(sub: Any, kind: str, help_: str, about: str) -> tuple[Any, Any]:
    """Register the verb of a kind; the parser of ``init`` and the place for more verbs."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = sub.add_parser(kind, help=help_, description=about, formatter_class=plain)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, run: Any, said: str) -> Any:
        found = verbs.add_parser(name, help=said)
        found.set_defaults(run=run, kind=kind)
        return found

    init = verb("init", begin, "begin this console's chain; nothing vouches for the first one")
    init.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="one that is there already"
    )
    show_ = verb("show", show, f"print the {kind} in force on this console, in words")
    which = show_.add_mutually_exclusive_group()
    which.add_argument("--json", action="store_true", help="one JSON document")
    which.add_argument("--document", action="store_true", help="as JSON to edit")
    show_.add_argument("file", metavar="FILE", type=Path, nargs="?", help="another one")
    proposal = verb("propose", propose, "make the next one out of an edited file")
    proposal.add_argument("file", metavar="FILE", type=Path)
    proposal.add_argument("--output", type=Path, metavar="FILE", help=f"else {kind}-SERIAL.json")
    signing = verb("sign", sign, "sign one by ssh-keygen; the signature goes beside it")
    signing.add_argument("file", metavar="FILE", type=Path)
    signing.add_argument("--key", metavar="FILE", help="the key, else signing_key of [operator]")
    signing.add_argument(
        "--word", default="", help="the first of the six words, where no terminal is"
    )
    for name, run, said in (
        ("install", install, "take one over here, and say how hosts take it"),
        ("adopt", install, "the same, for one that colleagues made"),
    ):
        each = verb(name, run, said)
        each.add_argument("file", metavar="FILE", type=Path)
        each.add_argument(
            "--signature", metavar="FILE", type=Path, action="append", default=[],
            help="may be repeated; else all FILE.sig and FILE.*.sig",
        )  # fmt: skip
        if name == "install":
            each.add_argument(
                "--on", metavar="PATTERN",
                help="also ask for it on these hosts, where a second person has to approve it",
            )  # fmt: skip
            each.add_argument("--reason", default="", help="with --on: read by whoever approves")
            each.add_argument(
                "--confirm", default="", metavar="TEXT",
                help="with --on, what would be typed at a terminal",
            )  # fmt: skip
    check = verb("verify", verify, "verify every link of this console's chain")
    check.add_argument(
        "--host", action="append", default=[], metavar="HOST",
        help="also compare what that host's guard has, by the operator's login; may be repeated",
    )  # fmt: skip
    return init, verbs


def begin(args: argparse.Namespace) -> int:
    """``init``: take the first roster or policy."""
    from console.trust import roster as docs
    from console.trust.chain import Chain
    from console.trust.keyfiles import public_key, read

    chain, given = Chain.own(), args.person if args.kind == "roster" else args.mgmt
    if bool(args.file) == bool(given):
        other = "--person NAME=FILE.pub" if args.kind == "roster" else "--mgmt NETWORK"
        raise UsageError(f"name either a FILE or {other}")
    if args.file:
        data = read(args.file)
    elif args.kind == "roster":
        people: dict[str, list[dict[str, Any]]] = {}
        for text in given:
            name, equals, path = text.partition("=")
            if not equals:
                raise UsageError(f"{clean(text, 80)!r} is not NAME=FILE.pub")
            keys = people.setdefault(name, [])
            entry = docs.key_entry(public_key(Path(path)), f"key-{len(keys) + 1}", "not-proven")
            keys.append(entry)
        data = docs.written("roster", docs.first_roster(people), 1, "")
    else:
        networks = [part.strip() for part in given.split(",") if part.strip()]
        data = docs.written("policy", {**docs.FIRST_POLICY, "mgmt_networks": networks}, 1, "")
    path = chain.begin(args.kind, data)
    found = docs.parsed(args.kind, data)
    _print([*docs.lines(found), f"written: {path}"])
    for text in docs.weak(found):
        sys.stderr.write(f"watchfloor: warning: {text}\n")
    _print(["Compare the six words with your colleagues: this first one stands on that alone."])
    return 0


def show(args: argparse.Namespace) -> int:
    """``show``: a document in words."""
    from console.trust import roster as docs

    found = _document(args.kind, args.file) if args.file else _own(_chain(args), args.kind)
    if args.document:
        doc = {key: value for key, value in found.doc.items()
               if key not in ("kind", "v", "serial", "prev")}  # fmt: skip
        sys.stdout.write(json.dumps(doc, indent=2, ensure_ascii=True) + "\n")
    elif args.json:
        about = {"version": 1, "kind": args.kind, "serial": found.serial, "sha256": found.sha256,
                 "words": docs.spoken(found.sha256), "document": found.doc}  # fmt: skip
        sys.stdout.write(json.dumps(about, ensure_ascii=True) + "\n")
    else:
        _print(docs.lines(found))
    return 0


def propose(args: argparse.Namespace) -> int:
    """``propose``: the next document of the chain, unsigned."""
    from console.config.edit import write_new
    from console.trust import roster as docs
    from console.trust.chain import Chain
    from console.trust.keyfiles import read

    now = _own(Chain.own(), args.kind)
    try:
        new = docs.edited(read(args.file, docs.MAX_EDITED))
        data = docs.written(args.kind, new, now.serial + 1, now.sha256)
    except UsageError as error:
        raise UsageError(
            error.message, where=error.where or str(args.file), hint=error.hint
        ) from None
    found = docs.parsed(args.kind, data)
    told = list(docs.changes(now.doc, found.doc))
    if not told:
        raise UsageError("nothing in it differs from the one in force", where=str(args.file))
    path: Path = args.output or Path(f"{args.kind}-{found.serial}.json")
    write_new(path, data.decode())
    _print([f"{args.kind} {found.serial} follows {now.serial}:", *(f"  {line}" for line in told)])
    _print([f"sha256 {found.sha256}", f"read aloud: {docs.spoken(found.sha256)}"])
    for text in docs.weak(found):
        sys.stderr.write(f"watchfloor: warning: {text}\n")
    _print([f"written: {path}", "Signed by:", *_signers(args.kind, now, found)])
    _print(["Elsewhere, without Watchfloor, it is signed so (this makes FILE.sig):"])
    _print([f"  ssh-keygen -Y sign -n {args.kind}-v1@watchfloor -f KEY {path}"])
    return 0


def _signers(kind: str, now: "Roster | Policy", new: "Roster | Policy") -> list[str]:
    from console.hostside.guard.trust.people import Roster
    from console.trust.chain import Chain

    roster = now if isinstance(now, Roster) else Chain.own().load().roster
    who = ", ".join(roster.approvers(f"install-{kind}"))
    out = [f"  {roster.quorum} of {who}"]
    if isinstance(new, Roster) and isinstance(now, Roster):
        out += [f"  and the new key {key['id']} of {person}"
                for blob, (person, key) in new.blobs.items() if blob not in now.blobs]  # fmt: skip
    return out


def sign(args: argparse.Namespace) -> int:
    """``sign``: one signature, by ssh-keygen in a process of its own."""
    import asyncio

    from console.cli.acting import ask
    from console.cli.common import configured
    from console.hostside.guard.trust.documents import NAMESPACES
    from console.trust import roster as docs
    from console.trust.chain import write
    from console.trust.sign import KeyFileSigning, fingerprint

    found = _document(args.kind, args.file)
    key = args.key or configured(args).operator.signing_key
    if not key:
        raise UsageError("no key to sign with", hint="Name --key, or signing_key in [operator].")
    signing = KeyFileSigning(str(Path(key).expanduser().absolute()))
    _print(docs.lines(found))
    first = docs.spoken(found.sha256).split()[0]
    typed = args.word or _ask("To sign, type the first of the six words: ")
    if typed.strip() != first:
        raise UsageError("that is not the first word; nothing was signed")
    text = asyncio.run(signing.sign(NAMESPACES[args.kind], found.data, ask))
    mark = fingerprint(signing.blob).removeprefix("SHA256:")[:8].replace("/", "_").replace("+", "-")
    path = Path(f"{args.file}.{mark}.sig")
    write(path, text.encode())
    _print([f"written: {path}"])
    return 0


def _ask(text: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError("no terminal to confirm at", hint="Give the first word by --word.")
    return input(text)


def install(args: argparse.Namespace) -> int:
    """``install`` and ``adopt``: this console takes a document over."""
    from console.trust import roster as docs
    from console.trust.chain import Chain
    from console.trust.keyfiles import beside, read, signature

    chain = Chain.own()
    data = read(args.file)
    found = _document(args.kind, args.file)
    files = args.signature or beside(args.file)
    by = chain.adopt(args.kind, data, [signature(path) for path in files])
    told = f"signed by {', '.join(by)}" if by else "it was in force here already"
    _print([f"{args.kind} {found.serial} is in force on this console: {told}"])
    _print([f"read aloud: {docs.spoken(found.sha256)}"])
    if getattr(args, "on", None):
        return _request(args)
    _print(["Hosts take it when two people sign that there:"])
    ask = f"watchfloor --hosts HOSTS actions request install-{args.kind}"
    _print([f"  {ask} --file {clean(str(args.file), 300)} --reason WHY"])
    return 0


def _request(args: argparse.Namespace) -> int:
    """Ask hosts to install it, as ``watchfloor actions request`` does."""
    from console.cli.main import parser

    config = ["--config", str(args.config)] if args.config else []
    asked = parser().parse_args([
        *config, "--hosts", args.on, "actions", "request", f"install-{args.kind}",
        "--file", str(args.file), f"--reason={args.reason}", f"--confirm={args.confirm}",
    ])  # fmt: skip
    run: Any = asked.run
    return int(run(asked))


def verify(args: argparse.Namespace) -> int:
    """``verify``: the whole chain, and what hosts have."""
    import asyncio

    chain = _chain(args)
    current = _own(chain, args.kind)
    links = chain.links(args.kind)
    told = f"{len(links)} in the chain, all verified"
    _print([f"{args.kind} {current.serial} is in force here, {told}", f"  {current.sha256}"])
    if not args.host:
        return 0
    from console.cli.hosttrust import compare

    wrong = 0
    for line, same in asyncio.run(compare(args, args.kind, current.sha256, links)):
        sys.stdout.write(line + "\n")
        wrong += not same
    return 1 if wrong else 0


def attest(args: argparse.Namespace) -> int:
    """``attest``: whether a key was made in hardware."""
    from console.hostside.guard.trust import sshsig
    from console.trust.attestation import judge, makers
    from console.trust.keyfiles import public_key, read
    from console.trust.roster import key_entry

    pub = public_key(Path(args.key))
    certificates = []
    for path in args.maker:
        try:
            certificates += makers(read(Path(path)))
        except ValueError:
            raise UsageError("holds no certificate", where=clean(path, 300)) from None
    verdict = judge(
        sshsig.key_line(pub), read(Path(args.attestation)), read(Path(args.challenge)), certificates
    )
    sys.stderr.write(f"{verdict.hardware}: {clean(verdict.why, 300)}\n")
    if verdict.proven and not verdict.verified:
        sys.stderr.write("it was made without a PIN or finger; signatures tell for themselves\n")
    sys.stdout.write(json.dumps(key_entry(pub, args.id, verdict.hardware)) + "\n")
    return 0 if verdict.proven else 1


def _chain(args: argparse.Namespace) -> "Chain":
    """This console's own, or that of the demo at which somebody sits."""
    from console.trust.chain import Chain

    seat = getattr(args, "seat", None)
    found: Chain = Chain.own() if seat is None else seat.chain
    return found


def _own(chain: "Chain", kind: str) -> "Roster | Policy":
    """The one in force, every link verified. A roster stands without a policy."""
    rosters = chain.rosters()
    return rosters[-1] if kind == "roster" else chain.policies(rosters)[-1]


def _document(kind: str, path: Path) -> "Roster | Policy":
    from console.hostside.guard.refused import Refused
    from console.trust import roster as docs
    from console.trust.keyfiles import read

    try:
        return docs.parsed(kind, read(path))
    except Refused as refused:
        raise UsageError(f"is no {kind}: {refused.words}", where=str(path)) from None


def _print(lines: Any) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
