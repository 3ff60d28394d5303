"""Table ``accounts``: who may log in, and with which keys."""

from __future__ import annotations

import os
import re

from ..digest import sha256_hex
from ..place import Place, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..inventory_lane import Context

MAX_ACCOUNTS = 5_000
MAX_KEY_FILE = 1 << 20
RIGHT = "CAP_DAC_READ_SEARCH or root (tier 2)"
_setting = re.compile(r"^\s*AuthorizedKeysFile[\s=]+(.+?)\s*$", re.IGNORECASE | re.MULTILINE)


def passwd(text: str) -> list[tuple[str, int, int, str, str]]:
    """(name, uid, gid, home, shell) of each line of passwd(5); broken lines are left out."""
    out = []
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) == 7 and parts[0] and parts[2].isdigit() and parts[3].isdigit():
            home, shell = words(parts[5]), words(parts[6])
            out.append((words(parts[0], 64), int(parts[2]), int(parts[3]), home, shell))
    return out


def groups(text: str) -> tuple[dict[int, str], dict[str, set[str]]]:
    """Names by gid, and the groups that list a user, of group(5)."""
    names: dict[int, str] = {}
    members: dict[str, set[str]] = {}
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) != 4 or not parts[2].isdigit():
            continue
        name = words(parts[0], 64)
        names[int(parts[2])] = name
        for user in filter(None, parts[3].split(",")):
            members.setdefault(words(user, 64), set()).add(name)
    return names, members


def locked(text: str) -> dict[str, bool]:
    """Whether the password of each user is locked, of shadow(5)."""
    out = {}
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) >= 2:
            out[words(parts[0], 64)] = parts[1].startswith(("!", "*")) and parts[1] != ""
    return out


def keys_of(text: str) -> list[str]:
    """Lines of a key file that are neither empty nor comments, with their options."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def key_places(place: Place) -> list[str]:
    """Patterns of ``AuthorizedKeysFile`` in sshd's configuration, else its defaults."""
    texts = []
    for path in ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d"):
        full = place.path(path)
        files = [full]
        if os.path.isdir(full):
            files = [f"{full}/{name}" for name in sorted(os.listdir(full))]
        for file in files:
            try:
                texts.append(slurp_all(file, MAX_KEY_FILE).decode("utf-8", "replace"))
            except OSError:
                continue
    found = _setting.search("\n".join(reversed(texts)))  # sshd takes the first, drop-ins come first
    return found[1].split() if found else [".ssh/authorized_keys", ".ssh/authorized_keys2"]


def keys_of_user(
    place: Place, user: str, uid: int, home: str, places: list[str]
) -> list[str] | None:
    """All keys of a user; None where a file may be there but may not be read."""
    keys: list[str] = []
    for pattern in places:
        path = pattern.replace("%h", home).replace("%u", user).replace("%U", str(uid))
        path = path.replace("%%", "%")
        if not path.startswith("/"):
            path = f"{home}/{path}"
        try:
            keys += keys_of(slurp_all(place.path(path), MAX_KEY_FILE).decode("utf-8", "replace"))
        except PermissionError:
            return None
        except OSError:
            continue
    return keys


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """The table of local accounts."""
    place = context.place
    users = passwd(slurp_all(place.path("/etc/passwd")).decode("utf-8", "replace"))
    try:
        names, members = groups(slurp_all(place.path("/etc/group")).decode("utf-8", "replace"))
    except OSError:
        names, members = {}, {}
    shadow: dict[str, bool] | None
    try:
        shadow = locked(slurp_all(place.path("/etc/shadow")).decode("utf-8", "replace"))
    except OSError:
        shadow = None
    yield ("denied", "accounts.locked", RIGHT if shadow is None else None)
    places = key_places(place)
    refused = False
    rows: list[list[Any]] = []
    for user, uid, gid, home, shell in users[:MAX_ACCOUNTS]:
        keys = keys_of_user(place, user, uid, home, places)
        refused = refused or keys is None
        digest = None
        if keys is not None:
            digest = sha256_hex("\n".join(sorted(keys)).encode()) if keys else ""
        member = members.get(user, set()) | ({names[gid]} if gid in names else set())
        rows.append(
            [
                user, uid, gid, home, shell, words(",".join(sorted(member))),
                None if shadow is None else shadow.get(user),
                None if keys is None else len(keys), digest,
            ]
        )  # fmt: skip
        yield ("step",)
    yield ("denied", "accounts.keys", RIGHT if refused else None)
    yield ("table", "accounts", rows)
