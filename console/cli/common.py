"""What several verbs need: the configuration by the flags, and a passphrase from the terminal."""

import argparse
import getpass
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.config.loader import Config
    from console.model.host import Host
    from console.tui.settings import Settings

from console.errors import UsageError
from console.text import clean


def configured(args: argparse.Namespace) -> "Config":
    """The configuration that the global flags ask for, with only the chosen hosts.

    Raises ConfigError.
    """
    import msgspec

    from console.config.loader import load
    from console.config.origin import Origin
    from console.config.select import select

    seat = getattr(args, "seat", None)  # at a running demo, by `watchfloor demo --join`
    config = load(only_file=args.config, flags=flags(args)) if seat is None else seat.config()
    if args.hosts is not None:
        chosen = select(config.hosts, args.hosts)
        config = msgspec.structs.replace(
            config,
            hosts=tuple(chosen),
            workstation=False,
            origins={**config.origins, "workstation": Origin("flag", "--hosts")},
        )
    return config


def counted(number: int, word: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def reloader(args: argparse.Namespace) -> "Callable[[str], Host | None]":
    """Reads one host's entry anew by the same flags; ConfigError where that cannot be read."""

    def reload(name: str) -> "Host | None":
        from console.config.loader import load

        return load(only_file=args.config, flags=flags(args)).known.get(name)

    return reload


def screen_settings(config: "Config", **more: Any) -> "Settings":
    """How the screens look and what they may do, from the configuration; ``more`` overrides it."""
    from console.config.loader import user_file
    from console.tui.control.actions import Mode
    from console.tui.settings import Settings

    given: dict[str, Any] = {
        "title": config.ui.title,
        "mode": Mode.READ_ONLY if config.read_only else Mode.FULL,
        "bell": config.ui.bell,
        "paint_s": config.ui.refresh_s,
        "keys": config.keys,
        "own_themes": user_file().parent / "themes",
        "theme": config.ui.theme,
        "state": config.state_dir,
        "layout": config.ui.layout,
        "still": config.ui.motion == "reduced",
        "plots": config.ui.plot,
    }
    return Settings(**(given | more))


def flags(args: argparse.Namespace) -> dict[str, str]:
    """The settings of ``--set KEY=VALUE``, by dotted path. Raises UsageError."""
    out: dict[str, str] = {}
    for text in [*args.settings, *getattr(args, "later_settings", ())]:
        path, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f"--set {clean(text, 80)}: no `=` in it", hint="Write --set ui.refresh_s=1."
            )
        out[path.strip()] = value.strip()
    return out


async def ask_on_terminal(path: str) -> str | None:
    """Ask for the passphrase of ``path`` on the controlling terminal; None where there is none."""

    import asyncio

    def ask() -> str | None:
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))  # else getpass reads from stdin
            return getpass.getpass(f"Passphrase of {clean(path)}: ")
        except (OSError, EOFError):
            return None

    return await asyncio.to_thread(ask)
