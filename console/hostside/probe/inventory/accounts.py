"""Table ``accounts``: who may log in, and with which keys."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ..digest import sha256_hex
from ..place import Place, listing, read_file, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..inventory_lane import Context

MAX_ACCOUNTS = 5_000
MAX_KEY_FILE = 1 << 20
RIGHT = "CAP_DAC_READ_SEARCH or root (tier 2)"
DEFAULT_KEYS = (".ssh/authorized_keys", ".ssh/authorized_keys2")
_BLANK = " \t\v\f\r"
_digits = re.compile(r"[ \t\v\f\r]*[+-]?[0-9]{1,20}\Z")
_setting = re.compile(r"(?im)^[ \t]*AuthorizedKeysFile[ \t=]+([^\r\n#]+)")
_match_block = re.compile(r"(?im)^[ \t]*Match[ \t=]")
_word = re.compile(r"\"([^\"]*)\"|(\S+)")
_loose = re.compile(r"(?im)^[ \t]*StrictModes[ \t=]+\"?no\b")
# The length of the type that begins each key's bytes makes four A of their first letters.
_key = re.compile(r"(?:^|[ \t])[A-Za-z0-9@.-]+[ \t]+AAAA[A-Za-z0-9+/]{12}")
_token = re.compile(r"%[hUu%]")


class KeyFiles(NamedTuple):
    """Where sshd looks for keys, and what it needs of the files there."""

    patterns: list[str]
    strict: bool  # only files of root and the user themselves count (StrictModes)
    gids: dict[str, set[int]]  # of the groups that list a user


class Account(NamedTuple):
    """One line of passwd(5)."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


def _number(text: str) -> int | None:
    """An id as the C library reads it (strtoul: blanks and a sign may stand before it)."""
    found = _digits.match(text)
    if found is None:
        return None
    value = int(found[0])
    return value & 0xFFFF_FFFF if -(1 << 32) < value < 1 << 32 else None


def passwd(text: str) -> list[Account]:
    """Each account of passwd(5) that the C library would see; broken lines are left out.

    A line may end early and its shell may hold colons: who reads it more strictly than the C
    library does not see an account that can log in.
    """
    out = []
    for line in text.split("\n"):
        parts = line.lstrip(_BLANK).split(":", 6)
        if len(parts) < 4 or not parts[0] or parts[0][0] in "#+-":
            continue
        uid, gid = _number(parts[2]), _number(parts[3])
        if uid is not None and gid is not None:
            _, _, home, shell = (*parts[3:], "", "", "")[:4]
            out.append(Account(words(parts[0], 64), uid, gid, words(home), words(shell)))
    return out


def groups(text: str) -> tuple[dict[int, str], dict[str, set[str]]]:
    """Names by gid, and the groups that list a user, of group(5)."""
    names: dict[int, str] = {}
    members: dict[str, set[str]] = {}
    for line in text.split("\n"):
        parts = line.lstrip(_BLANK).split(":", 3)
        if len(parts) < 3 or not parts[0] or parts[0][0] in "#+-":
            continue
        gid = _number(parts[2])
        if gid is None:
            continue
        name = words(parts[0], 64)
        names.setdefault(gid, name)
        for user in filter(None, parts[3].split(",") if len(parts) > 3 else ()):
            members.setdefault(words(user.strip(_BLANK), 64), set()).add(name)
    return names, members


def locked(text: str) -> dict[str, bool]:
    """Whether the password of each user is locked, of shadow(5)."""
    out = {}
    for line in text.split("\n"):
        parts = line.split(":")
        if len(parts) >= 2:
            out[words(parts[0], 64)] = parts[1].startswith(("!", "*"))
    return out


def keys_of(text: str) -> list[str]:
    """The lines of a key file that hold a key, with their options."""
    lines = (line.strip() for line in text.split("\n"))
    return [line for line in lines if not line.startswith("#") and _key.search(line)]


def key_patterns(texts: list[str]) -> list[str]:
    """Patterns of every ``AuthorizedKeysFile`` in the files of sshd's configuration, each once.

    Those of ``Match`` blocks too: a file that lets somebody in for one user is worth looking for
    with all. sshd's own are added where no file names any outside of such a block.
    """
    found: dict[str, None] = {}
    general = False
    for text in texts:
        for line in _setting.findall(text):
            for quoted, bare in _word.findall(line):
                found[quoted or bare] = None
        general = general or bool(_setting.search(_match_block.split(text, maxsplit=1)[0]))
    if not general:
        found.update(dict.fromkeys(DEFAULT_KEYS))
    return [pattern for pattern in found if pattern.lower() != "none"]


def key_places(place: Place) -> KeyFiles:
    """What sshd's configuration and what is dropped in beside it say of key files."""
    files = ["/etc/ssh/sshd_config"]
    try:
        names = listing(place.path("/etc/ssh/sshd_config.d"))
        files = [f"/etc/ssh/sshd_config.d/{name}" for name in names] + files
    except OSError:
        pass
    texts = []
    for file in files:
        try:
            texts.append(read_file(place.path(file), MAX_KEY_FILE).decode("utf-8", "replace"))
        except OSError:
            continue
    try:
        of_gid, members = groups(slurp_all(place.path("/etc/group")).decode("utf-8", "replace"))
    except OSError:
        of_gid, members = {}, {}
    gids = {user: {gid for gid in of_gid if of_gid[gid] in of} for user, of in members.items()}
    return KeyFiles(key_patterns(texts), not any(map(_loose.search, texts)), gids)


def _allows(about: os.stat_result, account: Account, gids: set[int], right: int) -> bool:
    """Whether the mode of a file gives a user a right (4 to read, 1 to search), as of access(2)."""
    if account.uid == 0:
        return True
    if about.st_uid == account.uid:
        right <<= 6
    elif about.st_gid == account.gid or about.st_gid in gids:
        right <<= 3
    return bool(about.st_mode & right)


def _counts(place: Place, handle: int, account: Account, files: KeyFiles) -> bool:
    """Whether sshd, which reads as the user, would get to the keys of an open file."""
    about = os.fstat(handle)
    gids = files.gids.get(account.name, set())
    if files.strict and about.st_uid not in (0, account.uid):
        return False
    if not _allows(about, account, gids, 4):
        return False
    root = os.path.realpath(place.path("/"))
    folder = os.path.dirname(os.readlink(f"/proc/self/fd/{handle}"))
    while folder not in (root, "/"):
        if not _allows(os.stat(folder), account, gids, 1):
            return False
        folder = os.path.dirname(folder)
    return True


def keys_of_user(place: Place, account: Account, files: KeyFiles) -> tuple[list[str] | None, str]:
    """All keys with which a user may log in, or None and the right that is missing.

    sshd reads them as that user, so a file that the user could not read counts for nothing: a link
    in a home to somebody else's secret makes neither a key nor a digest. What is looked at is what
    is read, whatever the user puts in its place meanwhile.
    """
    tokens = {"%h": account.home, "%u": account.name, "%U": str(account.uid), "%%": "%"}
    keys: list[str] = []
    for pattern in files.patterns:
        path = _token.sub(lambda found: tokens[found[0]], pattern)
        if not path.startswith("/"):
            path = f"{account.home}/{path}"
        try:
            handle = os.open(place.path(path), os.O_PATH | os.O_CLOEXEC)
            try:
                if not _counts(place, handle, account, files):
                    continue
                raw = read_file(f"/proc/self/fd/{handle}", MAX_KEY_FILE)
            finally:
                os.close(handle)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            return None, RIGHT
        except (OSError, ValueError):
            return None, f"{path}: no ordinary file, or kept closed by a process; look on the host"
        keys += keys_of(raw.decode("utf-8", "replace"))
    return keys, ""


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
    files = key_places(place)
    missing = ""
    rows: dict[str, list[Any]] = {}
    for account in users[:MAX_ACCOUNTS]:
        keys, why = keys_of_user(place, account, files)
        missing = missing or why
        digest = None
        if keys is not None:
            digest = sha256_hex("\n".join(sorted(keys)).encode()) if keys else ""
        member = set(members.get(account.name, ()))
        member |= {names[account.gid]} if account.gid in names else set()
        # Two lines with one name are two ways in: the second has its number in its key.
        key = account.name if account.name not in rows else f"{account.name}#{len(rows)}"
        rows[key] = [
            key, account.uid, account.gid, account.home, account.shell,
            words(",".join(sorted(member))),
            None if shadow is None else shadow.get(account.name),
            None if keys is None else len(keys), digest,
        ]  # fmt: skip
        yield ("step",)
    yield ("denied", "accounts.keys", missing or None)
    yield ("table", "accounts", rows)
