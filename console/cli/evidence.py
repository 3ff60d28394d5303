"""What ``watchfloor actions fetch`` does."""

import argparse
import sys

from console.cli.acting import ask, out
from console.cli.found import known
from console.config.layer import nearest
from console.config.loader import Config
from console.engine.session import LocalEngine
from console.errors import UsageError
from console.headless import actions as lines
from console.text import clean


async def fetch(args: argparse.Namespace, config: Config, engine: LocalEngine) -> int:
    """Take evidence away and print its custody."""
    if args.host not in [host.name for host in config.hosts]:
        hint = nearest(args.host, config.known) or "`watchfloor hosts list` shows all hosts."
        raise UsageError(f"no host is called {clean(args.host, 100)!r}", hint=hint)
    rid = str(args.id).lower()
    if len(rid) != 64:
        rid, hosts = known(engine, args.id)
        if args.host not in hosts:
            raise UsageError(f"{args.host} shows no such request", hint="See `actions list`.")
    custody = await engine.fetch(args.host, rid, args.output, ask)
    if args.json:
        sys.stdout.write(lines.encode(custody))
    else:
        out(lines.custody_lines(custody))
    return 0
