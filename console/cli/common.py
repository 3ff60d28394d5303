"""What several verbs need: the configuration by the flags, and a passphrase from the terminal."""

import argparse
import asyncio
import getpass
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.config.loader import Config

from console.text import clean


def configured(args: argparse.Namespace) -> "Config":
    """The configuration that the global flags ask for, with only the chosen hosts.

    Raises ConfigError.
    """
    import msgspec

    from console.config.loader import load
    from console.config.select import select

    config = load(only_file=args.config)
    if args.hosts:
        chosen = select(config.hosts, args.hosts)
        config = msgspec.structs.replace(config, hosts=tuple(chosen), workstation=False)
    return config


async def ask_on_terminal(path: str) -> str | None:
    """Ask for the passphrase of ``path`` on the controlling terminal; None where there is none."""

    def ask() -> str | None:
        if not os.path.exists("/dev/tty"):
            return None
        try:
            return getpass.getpass(f"Passphrase of {clean(path)}: ")
        except (OSError, EOFError):
            return None

    return await asyncio.to_thread(ask)
