"""Warnings about what a configuration leaves out: missing pins, unused tables, shared addresses."""

from collections.abc import Iterable

from console.config.loader import Config
from console.model.host import Host


def findings(config: Config) -> list[str]:
    """What will keep hosts from being LIVE or plugins from running, one text for each cause.

    The files that it names are looked at by ``console.ssh.keycheck``.
    """
    out = [*config.warnings, *config.unused, *_shared(config.hosts)]
    bare = [host for host in config.hosts if not host.host_key and not host.host_ca]
    if bare:
        out.append(
            f"no host_key and no host_ca, so never connected: {_names(bare)}. "
            "`watchfloor hosts trust HOST` stores a key."
        )
    keyless = [host for host in config.hosts if not host.key and not host.agent]
    if keyless:
        out.append(f"neither key nor agent = true: {_names(keyless)}")
    out += [
        f"[plugins.{name}] is enabled without sha256, so not loaded. "
        f"`watchfloor plugins pin {name}` prints what to add."
        for name, plugin in config.plugins.items()
        if plugin.enabled and not plugin.sha256
    ]
    return out


def _shared(hosts: Iterable[Host]) -> Iterable[str]:
    """Addresses that several hosts have: often a range without {name} or {n} in its address."""
    at: dict[tuple[object, ...], list[Host]] = {}
    for host in hosts:
        at.setdefault((host.address, host.port, host.jump), []).append(host)
    for (address, port, _), several in at.items():
        if len(several) > 1:
            yield f"one address, {address} port {port}, for several hosts: {_names(several)}"


def _names(hosts: Iterable[Host]) -> str:
    names = [host.name for host in hosts]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
