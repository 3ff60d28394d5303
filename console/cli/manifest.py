"""``watchfloor manifest make|evaluate|verify``: what vouches for a version of a model."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import ConfigError, UsageError
from console.text import clean

if TYPE_CHECKING:
    from console.hostside.guard.trust.people import Roster

ABOUT = """\
A version of a model is a folder; MANIFEST.json in it names every file by its SHA-256 and is signed.
A host rolls back to, and promotes, nothing else (docs/models.md).

  watchfloor manifest make llama/versions/7 --key ~/.ssh/signing
  watchfloor manifest evaluate llama/versions/7 --metric accuracy_e4=9120 --key ~/.ssh/signing
  watchfloor manifest verify llama/versions/7

exit status: 0 done and signed by somebody of the roster, 1 not verified, 2 usage or configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    parser = sub.add_parser(
        "manifest", help="name, sign and verify the files of a model's version",
        description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, run: Any, said: str) -> Any:
        found = verbs.add_parser(name, help=said)
        found.add_argument("folder", metavar="DIR", type=Path, help="folder of one version")
        found.set_defaults(run=run)
        return found

    making = verb("make", make, "hash every file and write MANIFEST.json")
    making.add_argument("--model", default="", help="else by MODEL/versions/VERSION")
    making.add_argument("--version", default="", help="else by MODEL/versions/VERSION")
    report = verb("evaluate", evaluate, "write EVALUATION.json for the files of the manifest")
    report.add_argument(
        "--metric", metavar="NAME=NUMBER", action="append", default=[], required=True,
        help="a whole number, scaled as the name says: accuracy_e4=9120; may be repeated",
    )  # fmt: skip
    for each in (making, report):
        each.add_argument(
            "--key", metavar="FILE", help="sign with this key; else the command is printed"
        )
    check = verb("verify", verify, "read every file and say who has signed")
    check.add_argument(
        "--roster", metavar="FILE", type=Path, help="else the one in force on this console"
    )


def make(args: argparse.Namespace) -> int:
    """``make``: the manifest, and its signature."""
    from console.trust import manifests

    model, version = manifests.names(args.folder, args.model, args.version)
    digest = manifests.make(args.folder, model, version, _told)
    sys.stdout.write(f"{model} {version}: MANIFEST.json, sha256 {digest}\n")
    return _sign(args, "manifest")


def evaluate(args: argparse.Namespace) -> int:
    """``evaluate``: the report, and its signature."""
    from console.trust import manifests

    metrics = dict(manifests.scaled(text) for text in args.metric)
    digest = manifests.evaluate(args.folder, metrics)
    sys.stdout.write(f"EVALUATION.json, sha256 {digest}\n")
    return _sign(args, "evaluation")


def _sign(args: argparse.Namespace, kind: str) -> int:
    import asyncio

    from console.cli.acting import ask
    from console.hostside.guard.trust.documents import NAMESPACES
    from console.trust import manifests
    from console.trust.sign import KeyFileSigning

    namespace = NAMESPACES[kind]
    if not args.key:
        path = args.folder / f"{kind.upper()}.json"
        sys.stdout.write("Sign it (this makes the .sig beside it):\n")
        sys.stdout.write(f"  ssh-keygen -Y sign -n {namespace} -f KEY {clean(str(path), 4096)}\n")
        return 0
    signing = KeyFileSigning(str(Path(args.key).expanduser().absolute()))
    data = manifests.document(args.folder, kind)
    text = asyncio.run(signing.sign(namespace, data, ask))
    written = manifests.put_signature(args.folder, kind, text)
    sys.stdout.write(f"written: {clean(str(written), 4096)}\n")
    return 0


def verify(args: argparse.Namespace) -> int:
    """``verify``: files, signatures, and people."""
    from console.trust import manifests

    roster = _roster(args.roster)
    found = manifests.verify(args.folder, roster, int(time.time()), _told)
    out = [
        f"{found.model} {found.version}: {found.files} files, {found.size} bytes, all as the "
        "manifest says",
        f"manifest   {found.sha256}",
        f"  signed by {_who(found.signer, found.key)}",
    ]
    if found.evaluation:
        out += [
            f"evaluation {found.evaluation}",
            f"  signed by {_who(found.evaluation_signer, found.evaluation_key)}",
            *(f"  {manifests.shown(name, value)}"
              for name, value in sorted(found.metrics.items())),
        ]  # fmt: skip
    sys.stdout.writelines(f"{line}\n" for line in out)
    return 0 if roster is not None else 1


def _who(person: str, key: str) -> str:
    return f"{person} ({key})" if person else f"the key {key}, which no roster here names"


def _roster(file: Path | None) -> "Roster | None":
    from console.hostside.guard.refused import Refused
    from console.hostside.guard.trust.people import Roster
    from console.trust.chain import Chain
    from console.trust.keyfiles import read

    if file is not None:
        try:
            return Roster(read(file))
        except Refused as refused:
            raise UsageError(f"is no roster: {refused.words}", where=str(file)) from None
    chain = Chain.own()
    try:
        chain.current("roster")
    except ConfigError:
        return None
    return chain.load().roster


def _told(done: int, total: int, words: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done * 100 // max(total, 1):3} % {words}\x1b[K")
        if done >= total:
            sys.stderr.write("\r\x1b[K")
