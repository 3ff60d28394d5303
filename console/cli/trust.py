"""Confirm a host's key: shown, compared by a person, then stored."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from console.cli.common import ask_on_terminal, flags
from console.config.edit import store_host_key
from console.config.layer import nearest
from console.config.loader import Config, load
from console.errors import HostKeyError, UsageError
from console.text import clean

if TYPE_CHECKING:
    from console.ssh.scan import OfferedKey


def trust(args: argparse.Namespace) -> int:
    """Run ``watchfloor hosts trust``; 0 when a key is stored or was already there.

    Raises UsageError without a terminal and without a fingerprint, ConnectError, and HostKeyError
    when no offered key is confirmed or a key is pinned already that the host does not show.
    """
    from console.ssh.scan import fetch_host_key

    config = load(only_file=args.config, flags=flags(args))
    host = config.known.get(args.host)
    if host is None:
        hint = nearest(args.host, config.known) or "`watchfloor hosts list` shows all hosts."
        raise UsageError(f"no host is called {clean(args.host, 80)!r}", hint=hint)
    if args.fingerprint is None and not sys.stdin.isatty():
        raise UsageError(
            "a key is trusted by a person at a terminal",
            hint="Or give the fingerprint that you know: --fingerprint SHA256:...",
        )
    offered = asyncio.run(fetch_host_key(host, config.known, ask_on_terminal))
    pinned = {_blob(line) for line in host.host_key}
    for key in offered:
        mark = "  (already trusted)" if _blob(key.line) in pinned else ""
        sys.stderr.write(f"{key.kind:20} {key.fingerprint}{mark}\n")
    _check_change(config, args, offered, pinned)
    typed = args.fingerprint if args.fingerprint is not None else _ask(host.name)
    chosen = _chosen(offered, typed, host.name)
    if _blob(chosen.line) in pinned and not args.replace:
        sys.stdout.write(f"{host.name}: {chosen.fingerprint} was already trusted\n")
        return 0
    path = store_host_key(config, host.name, chosen.line, replace=args.replace)
    sys.stdout.write(f"{host.name}: {chosen.fingerprint} stored in {path}\n")
    return 0


def _check_change(
    config: Config, args: argparse.Namespace, offered: "list[OfferedKey]", pinned: set[str]
) -> None:
    """Refuse when the host no longer shows what is pinned, unless that was asked for."""
    if not pinned or args.replace or any(_blob(key.line) in pinned for key in offered):
        return
    raise HostKeyError(
        "the host shows none of the keys that are pinned for it: it was set up anew, or something "
        "else answers",
        where=f"{args.host} ({config.origin(f'hosts.{args.host}.host_key')})",
        hint="Find out which before you use --replace.",
        offered=offered[0].fingerprint,
    )


def _ask(name: str) -> str:
    """The fingerprint as the person types or pastes it."""
    sys.stderr.write(
        f"\nCompare with what {name} itself says, for example on its console:\n"
        "  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n"
        "Type or paste the whole fingerprint to trust it, or nothing to leave: "
    )
    sys.stderr.flush()
    return sys.stdin.readline()


def _chosen(offered: "list[OfferedKey]", typed: str, name: str) -> "OfferedKey":
    """The offered key with that fingerprint. The whole of it: a part can be made to agree."""
    wanted = typed.strip()
    if not wanted:
        raise HostKeyError("nothing was stored", where=name, hint="No fingerprint was given.")
    wanted = wanted if wanted.startswith("SHA256:") else f"SHA256:{wanted}"
    for key in offered:
        if key.fingerprint == wanted.rstrip("="):
            return key
    raise HostKeyError(
        f"no key that the host shows has the fingerprint {clean(wanted, 80)}",
        where=name,
        hint="Nothing was stored.",
        offered=offered[0].fingerprint,
    )


def _blob(line: str) -> str:
    """The key itself, without its comment."""
    return " ".join(line.split()[:2])
