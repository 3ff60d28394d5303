"""What hosts' guards have of roster and policy, compared with this console's own chain."""

import argparse
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from console.trust.chain import Link

from console.cli.common import ask_on_terminal
from console.errors import KeyFileError, LinkError, UsageError
from console.text import clean


async def compare(
    args: argparse.Namespace, kind: str, own: str, links: "list[Link]"
) -> list[tuple[str, bool]]:
    """A line for each of the hosts that ``args.host`` names, and whether it has the same."""
    from console.cli.common import configured
    from console.ssh.guardcall import GuardCaller

    config = configured(args)
    if not config.operator.login_key:
        raise UsageError("[operator] names no login_key", hint="See docs/configuration.md.")
    caller = GuardCaller(
        config.known, user=config.operator.login_user, key=config.operator.login_key,
        ask_passphrase=ask_on_terminal,
    )  # fmt: skip
    out = []
    for name in args.host:
        host = config.known.get(name)
        if host is None:
            raise UsageError(f"no host is called {clean(name, 80)!r}")
        try:
            answer = await caller.call(host, b'{"op":"chain"}')
        except (LinkError, KeyFileError) as error:
            out.append((f"{name}: {error}", False))
            continue
        out.append(_judged(name, kind, own, links, answer.data))
    return out


def _judged(name: str, kind: str, own: str, links: "list[Link]", data: bytes) -> tuple[str, bool]:
    try:
        found: Any = json.loads(data)
        theirs = hashlib.sha256(found[kind][0]["text"].encode()).hexdigest()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return f"{name}: its guard gave no {kind}", False
    if theirs == own:
        return f"{name}: the same {kind}", True
    older = {hashlib.sha256(link.data).hexdigest(): link.path.stem for link in links}
    if theirs in older:
        return f"{name}: OLDER: {older[theirs]}, {theirs[:16]}", False
    return f"{name}: ANOTHER {kind} than any of this console: {theirs}", False
