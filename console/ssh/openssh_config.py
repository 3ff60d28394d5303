"""The private configuration that the second transport hands to the system's ``ssh``.

It is written for one link into a folder only we can read: one ``Host`` block for each hop under an
alias of ours, each with its own known_hosts file made from the inventory. ``ssh -F`` reads nothing
else, neither the user's nor the system's configuration. Every value is checked before it is
written, because ``ssh`` gives some of them to a shell (ProxyJump) or expands them.

Host certificates are left to the first transport: ``ssh`` takes one without names for any host.
"""

import os
import re
from pathlib import Path

from console.errors import ConfigError, ConnectError, KeyFileError
from console.model.host import Host
from console.ssh.connect import CIPHERS, MACS, Timing
from console.ssh.hostkeys import Trust
from console.ssh.keys import is_encrypted, read_key_file
from console.text import clean

TARGET = "watchfloor-target"
_ADDRESS = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.:-]{0,253})|::[0-9A-Fa-f:.]{0,40}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?")
_PATH = re.compile(r'[^\x00-\x1f\x7f"\\]{1,1000}')

# Alike for every hop. Rekeying is not listed: `-F` leaves ssh's own default.
COMMON = (
    "StrictHostKeyChecking yes",
    "GlobalKnownHostsFile /dev/null",
    "UpdateHostKeys no",
    "VerifyHostKeyDNS no",
    "CheckHostIP no",
    "BatchMode yes",
    "PreferredAuthentications publickey",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "HostbasedAuthentication no",
    "ForwardAgent no",
    "ForwardX11 no",
    "ClearAllForwardings yes",
    "PermitLocalCommand no",
    "ControlMaster no",
    "ControlPath none",
    "AddKeysToAgent no",
    "EscapeChar none",
    "RequestTTY no",
    "LogLevel DEBUG1",
    f"Ciphers {','.join(CIPHERS)}",
    "KexAlgorithms -diffie-hellman-*,*sha1",
    f"MACs {','.join(MACS)}",
)


def write_config(folder: Path, host: Host, hops: tuple[Host, ...], timing: Timing) -> Path:
    """Write ``config`` and the known_hosts files for ``host`` behind ``hops`` into ``folder``.

    Raises ConfigError for a value that ssh must not be given, ConnectError for a host with
    authorities (``host_ca``), HostKeyError where no key is known,
    KeyFileError for a key that ssh could not use without asking.
    """
    lines: list[str] = []
    chain = [*hops, host]
    names = [*(f"watchfloor-hop-{number}" for number in range(len(hops))), TARGET]
    for number, (hop, alias) in enumerate(zip(chain, names, strict=True)):
        known = folder / f"known_hosts.{number}"
        _write_private(known, _known_hosts(hop))
        lines += [f"Host {alias}", *(f"  {line}" for line in _block(hop, known, timing))]
        if number:
            lines.append(f"  ProxyJump {names[number - 1]}")
    config = folder / "config"
    _write_private(config, "\n".join(lines) + "\n")
    return config


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _known_hosts(host: Host) -> str:
    """Lines of known_hosts for this hop's address, from its pins."""
    Trust(host)  # refuses a host without keys and lines that are none
    lines = [f"{host.address} {_key_line(line)}" for line in host.host_key]
    return "\n".join(lines) + "\n"


def _key_line(line: str) -> str:
    """Type and base64 of a public key line that ``Trust`` has parsed, without its comment."""
    return " ".join(line.split()[:2])


def checked(host: Host) -> None:
    """Refuse values that could mean something else to ssh or to a shell; raises ConfigError."""
    where = clean(host.name, 80)
    if not _ADDRESS.fullmatch(host.address):
        raise ConfigError(
            f"address {clean(host.address, 80)!r} is not a host name or an IP address",
            where=where,
            hint="A name may hold letters, digits, dots and dashes, and begins with none of them.",
        )
    if not _USER.fullmatch(host.user):
        raise ConfigError(f"user {clean(host.user, 80)!r} is not an account name", where=where)
    if host.host_ca:
        raise ConnectError(
            "`host_ca` is not for the system's ssh, which takes a certificate that names no host "
            "for any host",
            where=where,
            hint='Set `transport = "asyncssh"`, or `host_key` in its place.',
        )
    if not 0 < host.port < 65_536:
        raise ConfigError(f"port {host.port} is outside 1-65535", where=where)
    for path in (host.key, host.certificate):
        if path and (not _PATH.fullmatch(path) or "${" in path):
            raise ConfigError(f"path {clean(path, 120)!r} cannot be given to ssh", where=where)


def _block(host: Host, known: Path, timing: Timing) -> list[str]:
    checked(host)
    return [
        f"HostName {host.address}",
        f"Port {host.port}",
        f"User {host.user}",
        # The same name for the known_hosts line and the certificate, whatever the port.
        f"HostKeyAlias {host.address}",
        f"UserKnownHostsFile {_quoted(known)}",
        *_identity(host),
        f"Compression {'yes' if host.compression else 'no'}",
        f"ConnectTimeout {max(1, round(timing.login))}",
        f"ServerAliveInterval {max(1, round(timing.keepalive))}",
        f"ServerAliveCountMax {timing.keepalive_count}",
        *COMMON,
    ]


def _quoted(path: str | Path) -> str:
    # ssh expands %-tokens in file names.
    return '"' + str(path).replace("%", "%%") + '"'


def _identity(host: Host) -> list[str]:
    lines = ["IdentityAgent " + ("SSH_AUTH_SOCK" if host.agent else "none")]
    if not host.key:
        if not host.agent:
            raise KeyFileError(
                "no key: `key` is empty",
                where=clean(host.name, 80),
                hint="Set `key`, or `agent = true`.",
            )
        return [*lines, "IdentityFile none", "IdentitiesOnly no"]
    file = read_key_file(host.key)
    if not file.public and not host.agent and is_encrypted(file):
        raise KeyFileError(
            "the private key is encrypted, and the system's ssh is not let ask",
            where=clean(host.key, 300),
            hint="ssh-add it and set `agent = true`.",
        )
    path = os.path.abspath(os.path.expanduser(host.key))
    lines += [f"IdentityFile {_quoted(path)}", f"IdentitiesOnly {'no' if host.agent else 'yes'}"]
    if host.certificate:
        certificate = os.path.abspath(os.path.expanduser(host.certificate))
        lines.append(f"CertificateFile {_quoted(certificate)}")
    return lines
