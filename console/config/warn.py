"""Warnings about what a configuration names but does not hold: key files and missing pins."""

import os
import stat
from collections.abc import Iterable

from console.config.loader import Config
from console.model.host import Host


def findings(config: Config) -> list[str]:
    """What will keep hosts from being LIVE, one text for each cause; files are only looked at."""
    out = [*config.warnings, *config.unused, *_shared(config.hosts)]
    keys: dict[str, list[Host]] = {}
    for host in config.hosts:
        if host.key:
            keys.setdefault(host.key, []).append(host)
    for path, hosts in keys.items():
        fault = key_file_fault(path)
        if fault:
            out.append(f"key {path} ({_names(hosts)}): {fault}")
    bare = [host for host in config.hosts if not host.host_key and not host.host_ca]
    if bare:
        out.append(
            f"no host_key and no host_ca, so never connected: {_names(bare)}. "
            "`watchfloor hosts trust HOST` stores a key."
        )
    keyless = [host for host in config.hosts if not host.key and not host.agent]
    if keyless:
        out.append(f"neither key nor agent = true: {_names(keyless)}")
    return out


def _shared(hosts: Iterable[Host]) -> Iterable[str]:
    """Addresses that several hosts have: often a range without {name} or {n} in its address."""
    at: dict[tuple[object, ...], list[Host]] = {}
    for host in hosts:
        at.setdefault((host.address, host.port, host.jump), []).append(host)
    for (address, port, _), several in at.items():
        if len(several) > 1:
            yield f"one address, {address} port {port}, for several hosts: {_names(several)}"


def key_file_fault(path: str) -> str:
    """Why a private key file cannot be used, or empty."""
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
            return "is not a regular file"
        with open(path, "rb") as file:
            private = b"PRIVATE KEY" in file.read(4096)
    except OSError as exc:
        return (exc.strerror or "cannot be read").lower()
    mode = stat.S_IMODE(info.st_mode)
    if private and mode & 0o077:
        return f"can be read by others (mode {mode:04o}); run: chmod 600 {path}"
    return ""


def _names(hosts: Iterable[Host]) -> str:
    names = [host.name for host in hosts]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
