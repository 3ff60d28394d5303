"""A local account as ``/etc/passwd`` and ``/etc/shadow`` have it. No hash ever leaves here."""

from __future__ import annotations

import time

from ..world import World
from . import procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Account(NamedTuple):
        """``expires``: days since 1970, -1 for never. ``empty``: there is no password to unlock.
        ``expired``: that day has come."""

        uid: int
        home: str
        shell: str
        locked: bool
        empty: bool
        expires: int
        expired: bool
else:
    from collections import namedtuple

    Account = namedtuple("Account", "uid home shell locked empty expires expired")


def account(user: str, world: World) -> Account | None:
    """That account, None where it is not kept on this host. Raises OSError."""
    row = next((row for row in procs.accounts(world) if row[0] == user), None)
    if row is None:
        return None
    with open(world.path("/etc/shadow"), "rb") as file:
        lines = file.read(4 << 20).decode("utf-8", "surrogateescape").splitlines()
    for line in lines:
        fields = line.split(":")
        if fields[0] == user and len(fields) >= 8:
            expires = int(fields[7]) if fields[7].isdigit() else -1
            secret = fields[1]
            return Account(
                int(row[2]), row[5], row[6], secret.startswith("!"), secret in ("", "!", "!!"),
                expires, 0 <= expires <= time.time() // 86400,
            )  # fmt: skip
    return None


def twins(user: str, uid: int, world: World) -> list[str]:
    """Other accounts with the same number: whoever uses them is the same to the kernel."""
    return [row[0] for row in procs.accounts(world) if row[2] == str(uid) and row[0] != user]
