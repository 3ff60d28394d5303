"""Section ``digests``: one number each for things that should not change by themselves."""

from __future__ import annotations

import os
import re
import stat

from ..digest import sha256_hex
from ..place import Place, first_line, listing, read_file, slurp_all, words
from . import accounts, firewall
from .child import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from typing import Any

    from ..inventory_lane import Context

    Step = tuple[Any, ...]

READ = "CAP_DAC_READ_SEARCH or root (tier 2)"
ROOT = "root (tier 2)"
MAX_FILES = 5_000
MAX_FILE = 4 << 20
MAX_INCLUDES = 200
CHUNK = 50
CHUNK_BYTES = 1 << 20
UNIT_FOLDERS = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/run/systemd/transient")
CRON_FOLDERS = (
    "/etc/crontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly",
    "/etc/cron.monthly", "/var/spool/cron", "/etc/anacrontab",
)  # fmt: skip
SUDO_FILES = ("/etc/sudoers", "/etc/sudoers.d")
_include = re.compile(r"[ \t]*[#@]include(?:dir)?[ \t]+(?:\"([^\"]+)\"|((?:\\.|[^\s\\])+))")
SETTINGS = frozenset(
    (
        *("permitrootlogin", "passwordauthentication", "kbdinteractiveauthentication"),
        *("pubkeyauthentication", "permitemptypasswords", "usepam", "x11forwarding"),
        *("allowtcpforwarding", "allowagentforwarding", "permittunnel", "gatewayports"),
        *("allowusers", "allowgroups", "denyusers", "denygroups", "authorizedkeysfile"),
        *("authorizedkeyscommand", "trustedusercakeys", "maxauthtries", "loglevel", "port"),
        *("exposeauthinfo", "permituserenvironment", "authenticationmethods", "ciphers"),
        *("kexalgorithms", "macs", "hostkeyalgorithms", "pubkeyacceptedalgorithms"),
    )
)
"""Effective settings of sshd that decide who gets in and how."""


def tree(place: Place, roots: Sequence[str]) -> Generator[Step, None, tuple[str, str]]:
    """One digest over all files below ``roots``, and why it does not hold: "" where it does.

    Of a link both the place it points to and what it holds there belong to it. No link to a
    folder is followed.
    """
    lines: list[str] = []
    why = ""
    count = size = 0
    stack = list(roots)
    while stack:
        path = stack.pop()
        count += 1
        if count > MAX_FILES:
            return "", f"more than {MAX_FILES} files below {words(', '.join(roots), 200)}"
        try:
            facts = os.lstat(place.path(path))
            if stat.S_ISDIR(facts.st_mode):
                stack += [f"{path}/{name}" for name in listing(place.path(path))]
            elif stat.S_ISLNK(facts.st_mode):
                lines.append(f"{path} -> {os.readlink(place.path(path))}")
            if stat.S_ISREG(facts.st_mode) or stat.S_ISLNK(facts.st_mode):
                data = read_file(place.path(path), MAX_FILE)
                size += len(data)
                head = f"{path} {facts.st_mode:o} {facts.st_uid} {facts.st_size}"
                lines.append(f"{head} {sha256_hex(data)}")
        except PermissionError:
            why = READ
        except BlockingIOError:
            why = why or f"{words(path, 200)} is kept closed by a process; look on the host"
        except (OSError, ValueError):
            pass  # gone, no file, or a link to nothing: its line above says so
        if count % CHUNK == 0 or size > CHUNK_BYTES:
            size = 0
            yield ("step",)
    text = "\n".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return (sha256_hex(text) if lines else ""), why


def includes(text: str, folder: str, host: str) -> list[str]:
    """Files and folders that a file of sudoers(5) includes, as absolute paths.

    ``folder`` is that of the file, ``host`` the short name of this host.
    """
    found = []
    for line in text.replace("\\\n", " ").split("\n"):
        match = _include.match(line)
        if match:
            path = (match[1] if match[1] is not None else match[2]).replace("%h", host)
            path = path.replace("\\ ", " ")
            found.append(path if path.startswith("/") else f"{folder}/{path}")
    return found


def sudo_files(place: Place) -> Generator[Step, None, list[str]]:
    """Everything that decides what sudo allows: its files, and what they include."""
    host = first_line(place.proc + "/sys/kernel/hostname").split(".")[0]
    found = list(SUDO_FILES)
    at = 0
    while at < len(found) < MAX_INCLUDES:
        path = found[at]
        at += 1
        try:
            files = [path]
            if os.path.isdir(place.path(path)):
                files = [f"{path}/{name}" for name in listing(place.path(path), MAX_INCLUDES)]
            for file in files:
                text = read_file(place.path(file)).decode("utf-8", "replace")
                new = includes(text, os.path.dirname(file), host)
                found += [one for one in new if one.rstrip("/") not in found]
        except (OSError, ValueError):
            continue  # what cannot be read is said where it is digested
        yield ("step",)
    return found[:MAX_INCLUDES]


def effective(text: str) -> dict[str, str]:
    """The settings that count out of the output of ``sshd -T``."""
    out: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.strip().partition(" ")
        if name in SETTINGS:
            out[name] = words(f"{out[name]} {value}" if name in out else value)
    return out


def _sshd() -> Generator[Step, None, dict[str, Any]]:
    done = yield from run(["sshd", "-T"])
    if done is None:
        yield ("denied", "digests.sshd_effective", None)
        return {"sshd_effective": ""}
    if done[0] != 0:
        # Without root sshd finds no host key and says only that.
        told = words(done[2].decode("utf-8", "replace").strip().split("\n")[-1], 200)
        right = ROOT if os.geteuid() else f"an sshd that starts: {told}"
        yield ("denied", "digests.sshd_effective", right)
        return {}
    yield ("denied", "digests.sshd_effective", None)
    text = done[1].decode("utf-8", "replace")
    lines = "\n".join(sorted(text.split("\n")))
    return {"sshd_effective": sha256_hex(lines.encode()), "sshd": effective(text)}


def _everybodys_keys(place: Place) -> Generator[Step, None, tuple[str, str]]:
    lines: list[str] = []
    why = ""
    patterns = accounts.key_places(place)
    text = slurp_all(place.path("/etc/passwd")).decode("utf-8", "replace")
    for account in accounts.passwd(text)[: accounts.MAX_ACCOUNTS]:
        keys, missing = accounts.keys_of_user(place, account, patterns)
        why = why or missing
        lines += [f"{account.name} {key}" for key in sorted(keys or ())]
        yield ("step",)
    return sha256_hex("\n".join(lines).encode()) if lines else "", why


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """One section. What may not be read is missing in it and named in ``denied``."""
    place = context.place
    facts: dict[str, Any] = {}
    sudoers = yield from sudo_files(place)
    for name, roots in (
        ("sudoers", sudoers),
        ("units", UNIT_FOLDERS),
        ("crontabs", CRON_FOLDERS),
        ("ld_preload", ("/etc/ld.so.preload",)),
    ):
        digest, why = yield from tree(place, roots)
        yield ("denied", f"digests.{name}", why or None)
        if not why:
            facts[name] = digest
    digest, why = yield from _everybodys_keys(place)
    yield ("denied", "digests.authorized_keys", why or None)
    if not why:
        facts["authorized_keys"] = digest
    if place.real:
        facts.update((yield from firewall.firewall(place)))
        facts.update((yield from _sshd()))
    yield ("section", "digests", facts)
