"""Section ``digests``: one number each for things that should not change by themselves."""

from __future__ import annotations

import json
import os
import stat
import time

from ..digest import sha256_hex
from ..place import Place, slurp_all, words
from . import accounts
from .child import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from ..inventory_lane import Context

    Step = tuple[Any, ...]

READ = "CAP_DAC_READ_SEARCH or root (tier 2)"
ADMIN = "CAP_NET_ADMIN (tier 2)"
ROOT = "root (tier 2)"
SNAPSHOT = "/run/watchfloor/firewall.json"
SNAPSHOT_S = 600
MAX_FILES = 5_000
CHUNK = 50
UNIT_FOLDERS = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/run/systemd/transient")
CRON_FOLDERS = (
    "/etc/crontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly",
    "/etc/cron.monthly", "/var/spool/cron", "/etc/anacrontab",
)  # fmt: skip
SUDO_FILES = ("/etc/sudoers", "/etc/sudoers.d")
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


def tree(place: Place, roots: tuple[str, ...]) -> Generator[Step, None, tuple[str, bool]]:
    """One digest over all files below ``roots``, and whether something could not be read.

    Links are part of it by where they point; no link is followed.
    """
    lines: list[str] = []
    refused = False
    count = 0
    for root in roots:
        stack = [root]
        while stack and count < MAX_FILES:
            path = stack.pop()
            count += 1
            if count % CHUNK == 0:
                yield ("step",)
            try:
                facts = os.lstat(place.path(path))
                if stat.S_ISDIR(facts.st_mode):
                    stack += [f"{path}/{name}" for name in os.listdir(place.path(path))]
                elif stat.S_ISLNK(facts.st_mode):
                    lines.append(f"{path} -> {os.readlink(place.path(path))}")
                elif stat.S_ISREG(facts.st_mode):
                    digest = sha256_hex(slurp_all(place.path(path)))
                    lines.append(f"{path} {facts.st_mode:o} {facts.st_uid} {digest}")
            except PermissionError:
                refused = True
            except OSError:
                continue
    text = "\n".join(sorted(lines)).encode("utf-8", "surrogateescape")
    return (sha256_hex(text) if lines else ""), refused


def normalised(raw: bytes) -> tuple[str, int]:
    """Digest and number of rules of ``nft -j list ruleset``, without what changes by itself.

    Raises ValueError where it is not that.
    """
    listing = json.loads(raw or b'{"nftables": []}')
    items = listing.get("nftables") if isinstance(listing, dict) else None
    if not isinstance(items, list):
        raise ValueError("not a listing of nftables")
    kept = [item for item in items if not (isinstance(item, dict) and item.keys() & {"metainfo"})]
    rules = sum(isinstance(item, dict) and "rule" in item for item in kept)
    text = json.dumps(_without_counts(kept), sort_keys=True, separators=(",", ":"))
    return sha256_hex(text.encode()), rules


def _without_counts(item: Any) -> Any:
    if isinstance(item, dict):
        out: dict[str, Any] = {
            k: _without_counts(v) for k, v in item.items() if k not in ("handle", "packets")
        }
        if "counter" in out:
            out["counter"] = None
        if "set" in out and isinstance(out["set"], dict) and "timeout" in out["set"]:
            out["set"].pop("elem", None)  # elements that come and go by themselves
        return out
    if isinstance(item, list):
        return [_without_counts(inner) for inner in item]
    return item


def effective(text: str) -> dict[str, str]:
    """The settings that count out of the output of ``sshd -T``."""
    out: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if name in SETTINGS:
            out[name] = words(f"{out[name]} {value}" if name in out else value)
    return out


def _snapshot(place: Place) -> bytes | None:
    """The firewall rules as the timer of tier 2 wrote them, where they are fresh and root's."""
    path = place.path(SNAPSHOT)
    try:
        facts = os.lstat(path)
        own = stat.S_ISREG(facts.st_mode) and facts.st_uid == 0 and not facts.st_mode & 0o022
        if own and time.time() - facts.st_mtime < SNAPSHOT_S:
            return slurp_all(path, 16 << 20)
    except OSError:
        pass
    return None


def _firewall(place: Place) -> Generator[Step, None, dict[str, Any]]:
    raw = _snapshot(place)
    if raw is None:
        done = yield from run(["nft", "-j", "list", "ruleset"])
        if done is not None and done[0] == 0:
            raw = done[1]
        elif done is None:
            return (yield from _iptables())
    if raw is None:
        yield ("denied", "digests.firewall", ADMIN)
        return {}
    yield ("denied", "digests.firewall", None)
    try:
        digest, rules = normalised(raw)
    except ValueError:
        return {}
    return {"firewall": digest, "firewall_rules": rules, "firewall_backend": "nft"}


def _iptables() -> Generator[Step, None, dict[str, Any]]:
    texts = []
    for program in ("iptables-save", "ip6tables-save"):
        done = yield from run([program])
        if done is None:
            continue
        if done[0] != 0:
            yield ("denied", "digests.firewall", ADMIN)
            return {}
        texts += [
            line for line in done[1].decode("utf-8", "replace").splitlines() if line[:1] != "#"
        ]
    yield ("denied", "digests.firewall", None)
    if not texts:
        return {"firewall": "", "firewall_rules": 0, "firewall_backend": "none"}
    plain = [line.split(" [")[0] if line[:1] == ":" else line for line in texts]
    rules = sum(line.startswith("-A") for line in plain)
    digest = sha256_hex("\n".join(plain).encode())
    return {"firewall": digest, "firewall_rules": rules, "firewall_backend": "iptables"}


def _sshd() -> Generator[Step, None, dict[str, Any]]:
    done = yield from run(["sshd", "-T"])
    if done is None:
        yield ("denied", "digests.sshd_effective", None)
        return {"sshd_effective": ""}
    if done[0] != 0:
        yield ("denied", "digests.sshd_effective", ROOT)
        return {}
    yield ("denied", "digests.sshd_effective", None)
    text = done[1].decode("utf-8", "replace")
    lines = "\n".join(sorted(text.splitlines()))
    return {"sshd_effective": sha256_hex(lines.encode()), "sshd": effective(text)}


def _everybodys_keys(place: Place) -> Generator[Step, None, tuple[str, bool]]:
    lines: list[str] = []
    refused = False
    places = accounts.key_places(place)
    text = slurp_all(place.path("/etc/passwd")).decode("utf-8", "replace")
    for user, uid, _, home, _ in accounts.passwd(text)[: accounts.MAX_ACCOUNTS]:
        keys = accounts.keys_of_user(place, user, uid, home, places)
        refused = refused or keys is None
        lines += [f"{user} {key}" for key in sorted(keys or ())]
        yield ("step",)
    return sha256_hex("\n".join(lines).encode()) if lines else "", refused


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """One section. What may not be read is missing in it and named in ``denied``."""
    place = context.place
    facts: dict[str, Any] = {}
    for name, roots in (
        ("sudoers", SUDO_FILES),
        ("units", UNIT_FOLDERS),
        ("crontabs", CRON_FOLDERS),
        ("ld_preload", ("/etc/ld.so.preload",)),
    ):
        digest, refused = yield from tree(place, roots)
        yield ("denied", f"digests.{name}", READ if refused else None)
        if not refused:
            facts[name] = digest
    digest, refused = yield from _everybodys_keys(place)
    yield ("denied", "digests.authorized_keys", READ if refused else None)
    if not refused:
        facts["authorized_keys"] = digest
    if place.real:
        facts.update((yield from _firewall(place)))
        facts.update((yield from _sshd()))
    yield ("section", "digests", facts)
