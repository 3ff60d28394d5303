"""Choose hosts by a pattern: ``gpu[001-016],@fra,tag=h100,!gpu007``.

Terms are separated by commas or spaces: names, wildcards (``*``, ``?``), ranges, ``@`` with a site
or group, ``FIELD=VALUE`` for the fields below, and ``!`` before any of them to leave hosts out.
Only exclusions mean all other hosts.
"""

import fnmatch
from collections.abc import Sequence

from console.config.layer import nearest
from console.config.ranges import expand, split
from console.errors import ConfigError, UsageError
from console.model.host import Host
from console.text import clean

FIELDS = ("tag", "group", "site", "zone", "environment", "risk", "owner")


def select(hosts: Sequence[Host], pattern: str) -> tuple[Host, ...]:
    """Hosts that ``pattern`` names, in the order of ``hosts``.

    Raises UsageError for a term that is malformed or names no host (an exclusion may name none).
    """
    terms = split(pattern)
    if not terms:
        raise UsageError("an empty host pattern", hint="Write '*' for all hosts.")
    chosen: set[str] = set()
    left_out: set[str] = set()
    for term in terms:
        if term.startswith("!"):
            left_out |= _matches(hosts, term[1:])
            continue
        found = _matches(hosts, term)
        if not found:
            words = _words(hosts, term)
            hint = nearest(term, words) or "`watchfloor hosts list` shows all hosts."
            raise UsageError(f"no host matches {clean(term, 80)!r}", hint=hint)
        chosen |= found
    if all(term.startswith("!") for term in terms):
        chosen = {host.name for host in hosts}
    return tuple(host for host in hosts if host.name in chosen and host.name not in left_out)


def _matches(hosts: Sequence[Host], term: str) -> set[str]:
    if term in ("", "@"):
        raise UsageError("a term of a host pattern without a name")
    if term.startswith("@"):
        return {host.name for host in hosts if term[1:] in (host.site, *host.groups)}
    field, equals, value = term.partition("=")
    if equals:
        if field not in FIELDS:
            hint = nearest(field, FIELDS) or f"Known: {', '.join(FIELDS)}."
            raise UsageError(f"hosts have no {clean(field, 80)!r} to choose by", hint=hint)
        return {host.name for host in hosts if _has(host, field, value)}
    try:
        names = expand(term)
    except ConfigError as exc:
        raise UsageError(exc.message, hint=exc.hint) from exc
    plain = {name for name in names if not set(name) & set("*?")}
    found = {host.name for host in hosts if host.name in plain}
    for name in names:
        if name not in plain:
            found |= {host.name for host in hosts if fnmatch.fnmatchcase(host.name, name)}
    return found


def _has(host: Host, field: str, value: str) -> bool:
    if field == "tag":
        return any(fnmatch.fnmatchcase(tag, value) for tag in host.tags)
    if field == "group":
        return value in host.groups
    held: str = getattr(host, field)
    return fnmatch.fnmatchcase(held, value)


def _words(hosts: Sequence[Host], term: str) -> list[str]:
    """What ``term`` may have been meant to be."""
    if term.startswith("@"):
        labels = {label for host in hosts for label in (host.site, *host.groups) if label}
        return [f"@{label}" for label in sorted(labels)]
    return [host.name for host in hosts[:5000]]
