"""Which keys a host may show, by the inventory alone.

A host is accepted when it shows a pinned key, or a certificate that a named authority issued for
its address or name and that is valid now. There is no trust on first use and nothing is read from
``~/.ssh``.
"""

import base64
import time

import asyncssh
import msgspec
from asyncssh.public_key import SSHOpenSSHCertificate

from console.errors import ConfigError, HostKeyError
from console.model.host import Host
from console.ssh.errors import place
from console.text import clean

CERTIFICATES = (
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
)
PLAIN = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
MAX_BLOB = 65_536
SHOWN_PINS = 2

Keys = list[asyncssh.SSHKey]


class Accepted(msgspec.Struct, frozen=True):
    """A host key that passed: its public key, fingerprint, and by what."""

    key: asyncssh.SSHKey
    fingerprint: str
    by: str  # "pin" or "ca"


def key_lines(lines: tuple[str, ...], where: str, name: str) -> list[asyncssh.SSHKey]:
    """Parse OpenSSH public key lines; ConfigError names the line that is none."""
    keys = []
    for number, line in enumerate(lines, 1):
        try:
            keys.append(asyncssh.import_public_key(line.strip()))
        except (asyncssh.KeyImportError, ValueError) as exc:
            raise ConfigError(
                f"{name} line {number} is not a public key line",
                where=where,
                hint="Expected like: ssh-ed25519 AAAAC3Nza... (no file name, no options).",
            ) from exc
    return keys


def blob_type(blob: bytes) -> str:
    """Name of the key type in an SSH key blob, empty when it is malformed."""
    size = int.from_bytes(blob[:4], "big")
    if not 0 < size <= 64 or len(blob) < 4 + size:
        return ""
    name = blob[4 : 4 + size].decode("ascii", "replace")
    return name if name.isascii() and name.isprintable() else ""


class Trust:
    """What the inventory says about one host's key."""

    def __init__(self, host: Host) -> None:
        """Raises HostKeyError when the inventory names no key, ConfigError for a bad line."""
        self.where = place(host.name, host.address, host.port)
        self._host = host
        if not host.host_key and not host.host_ca:
            raise HostKeyError(
                "no host key is known, so it is not connected",
                where=self.where,
                hint=f"Run `watchfloor hosts trust {clean(host.name, 80)}`.",
            )
        self._pins = key_lines(host.host_key, host.name, "host_key")
        self._cas = key_lines(host.host_ca, host.name, "host_ca")
        self._principals = {host.address.lower(), host.name.lower()}

    @property
    def known_hosts(self) -> tuple[Keys, Keys, Keys]:
        """(pinned keys, authorities, revoked keys), the form in which the library takes it."""
        return self._pins, self._cas, []

    @property
    def algorithms(self) -> list[str]:
        """Host key algorithms to offer: what can match first.

        The others follow, so that a host whose key type changed is seen with its new fingerprint
        and not as a failed negotiation.
        """
        wanted: list[str] = list(CERTIFICATES) if self._cas else []
        for key in self._pins:
            names = (name.decode("ascii") for name in key.sig_algorithms)
            wanted += [name for name in names if name in PLAIN and name not in wanted]
        return wanted + [name for name in PLAIN if name not in wanted]

    def check(self, blob: bytes) -> Accepted:
        """Judge the key blob that the host showed; raises HostKeyError."""
        kind = blob_type(blob) if len(blob) <= MAX_BLOB else ""
        line = kind.encode() + b" " + base64.b64encode(blob)
        try:
            if kind.endswith("-cert-v01@openssh.com"):
                return self._check_certificate(asyncssh.import_certificate(line))
            key = asyncssh.import_public_key(line)
        except (asyncssh.KeyImportError, ValueError) as exc:
            raise self._refuse("the host's key cannot be read", "") from exc
        return self._check_pin(key)

    def _check_pin(self, key: asyncssh.SSHKey) -> Accepted:
        fingerprint = key.get_fingerprint()
        if any(key.public_data == pin.public_data for pin in self._pins):
            return Accepted(key, fingerprint, "pin")
        if self._pins:
            raise self._refuse("the host shows another key than the pinned one", fingerprint)
        raise self._refuse("the host shows a plain key, no certificate", fingerprint)

    def _check_certificate(self, cert: asyncssh.SSHCertificate) -> Accepted:
        if not isinstance(cert, SSHOpenSSHCertificate):
            raise self._refuse("the host shows a certificate of another kind", "")
        fingerprint = cert.key.get_fingerprint()
        if any(cert.key.public_data == pin.public_data for pin in self._pins):
            return Accepted(cert.key, fingerprint, "pin")
        problem = self._certificate_problem(cert)
        if problem:
            raise self._refuse(f"the host's certificate is refused: {problem}", fingerprint)
        return Accepted(cert.key, fingerprint, "ca")

    def _certificate_problem(self, cert: SSHOpenSSHCertificate) -> str:
        """Why the certificate does not hold for this host, empty when it does."""
        signer = cert.signing_key
        if not any(signer.public_data == ca.public_data for ca in self._cas):
            return f"issued by {signer.get_fingerprint()}, which is not in host_ca"
        names = [name.lower() for name in cert.principals]
        if not names:  # an empty list would stand for every host
            return "it names no host"
        if self._principals.isdisjoint(names):
            shown = ", ".join(clean(name, 80) for name in names[:4])
            return f"it is for {shown}, not for {self._host.address} or {self._host.name}"
        try:
            # Principal None: names were compared above, this checks the kind and the times.
            cert.validate(_HOST_CERTIFICATE, None)
        except ValueError as exc:
            return f"{exc} (now {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime())})"
        return ""

    def _refuse(self, message: str, offered: str) -> HostKeyError:
        return HostKeyError(
            message + beside(offered, self._host),
            where=self.where,
            hint=next_step(self._host.name),
            offered=offered,
        )


def beside(offered: str, host: Host) -> str:
    """The fingerprint that was shown beside those that are pinned, to end a sentence with."""
    pins = [asyncssh.import_public_key(line.strip()).get_fingerprint() for line in host.host_key]
    more = f" and {len(pins) - SHOWN_PINS} more" if len(pins) > SHOWN_PINS else ""
    pinned = f"pinned {' or '.join(pins[:SHOWN_PINS])}{more}" if pins else ""
    told = ", ".join(filter(None, (f"offered {offered}" if offered else "", pinned)))
    return f": {told}" if told else ""


def next_step(name: str) -> str:
    """What a person does about a changed key."""
    return f"Find out why; only then run `watchfloor hosts trust {clean(name, 80)} --replace`."


_HOST_CERTIFICATE = 2  # SSH_CERT_TYPE_HOST in PROTOCOL.certkeys
