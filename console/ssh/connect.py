"""One SSH connection, made strictly: explicit keys, explicit host keys, nothing from ``~/.ssh``."""

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from functools import cache

import asyncssh
import msgspec
from asyncssh.kex import get_kex_algs

from console.errors import ConfigError, ConnectError, HostKeyError
from console.model.host import Host
from console.model.link import LinkFacts
from console.ssh.errors import auth_error, not_reached, refused_keys, told
from console.ssh.guard import Guard, guard
from console.ssh.hostkeys import Accepted, Trust
from console.text import clean

# AES-GCM first: measured 16-20 % cheaper than ChaCha20 where the processor has AES.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
)
# No SHA-1 and no short tags: the library still offers both, last. No `diffie-hellman-*`: in a group
# exchange the server chooses numbers that cost seconds or that the library fails on.
KEX = (
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "mlkem768nistp256-sha256",
    "mlkem1024nistp384-sha384",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "curve448-sha512",
    "ecdh-sha2-nistp521",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp256",
)
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
POST_QUANTUM = ("mlkem", "sntrup", "kyber")


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of a connection, in seconds."""

    connect: float = 20.0  # everything up to a login, over all jump hosts of one step
    login: float = 15.0
    keepalive: float = 15.0
    keepalive_count: int = 3
    command: float = 10.0  # the channel and the start of the probe
    close: float = 1.5


class Client(asyncssh.SSHClient):
    """Judges the host key, hands out our keys, and remembers what happened."""

    def __init__(self, trust: Trust, pairs: Sequence[asyncssh.SSHKeyPair]) -> None:
        self._trust = trust
        self._pairs = list(pairs)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._guard: Guard | None = None
        self.offered: list[str] = []
        self.accepted: Accepted | None = None
        self.refused: HostKeyError | None = None
        self.kex = ""
        self.lost = asyncio.Event()

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Take over the judgement of the host key, and guard what is received.

        The library hands the bytes that the host showed to this one method only. Its own check
        compares a certificate with one name; ours accepts the address or the inventory name,
        refuses a certificate for any host, and keeps the fingerprint for the error.
        """
        self._connection = conn
        self._guard = guard(conn, self._trust.where)
        conn.validate_server_host_key = self._validate  # type: ignore[method-assign]

    def _validate(self, key_data: bytes) -> asyncssh.SSHKey:
        if self._guard is not None:
            self._guard.key_exchange()
        exchange = getattr(self._connection, "_kex", None)  # not offered otherwise; "" if it moves
        algorithm = getattr(exchange, "algorithm", b"")
        self.kex = algorithm.decode("ascii", "replace") if isinstance(algorithm, bytes) else ""
        try:
            self.accepted = self._trust.check(key_data)
        except HostKeyError as exc:
            self.refused = exc
            raise asyncssh.HostKeyNotVerifiable(exc.message) from exc
        return self.accepted.key

    @property
    def encrypted(self) -> bool:
        """True once what is received comes from whoever holds the host key that we accepted."""
        return getattr(self._connection, "_recv_encryption", None) is not None

    def public_key_auth_requested(self) -> asyncssh.SSHKeyPair | None:
        """Offer the next key."""
        if not self._pairs:
            return None
        pair = self._pairs.pop(0)
        self.offered.append(fingerprint(pair))
        return pair

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever shares this connection."""
        self.lost.set()


class Connection(msgspec.Struct, frozen=True):
    """A connection that is logged in."""

    ssh: asyncssh.SSHClientConnection
    client: Client
    facts: LinkFacts


def fingerprint(pair: asyncssh.SSHKeyPair) -> str:
    """``SHA256:...`` of a key pair's public key (of the certificate where an agent holds one)."""
    digest = hashlib.sha256(pair.key_public_data).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


async def connect(
    host: Host,
    pairs: Sequence[asyncssh.SSHKeyPair],
    *,
    tunnel: asyncssh.SSHClientConnection | None = None,
    hops: tuple[str, ...] = (),
    timing: Timing,
) -> Connection:
    """Connect and log in to ``host``, through ``tunnel`` when given (``hops`` names the way).

    Raises ConnectError, AuthError, HostKeyError or ConfigError.
    """
    trust = Trust(host)
    if not host.address:  # the library would take it for this machine
        raise ConnectError("the address is empty", where=trust.where, hint="Set `address`.")
    if host.compression:  # the library inflates a packet without a bound: 255 KiB become 245 MiB
        raise ConfigError(
            "`compression` works with the system's ssh only",
            where=trust.where,
            hint='Remove it, or set `transport = "openssh"`.',
        )
    client = Client(trust, pairs)
    try:
        async with asyncio.timeout(timing.connect):
            ssh = await asyncssh.connect(
                host.address,
                host.port,
                tunnel=tunnel,
                config=None,  # here, or the library reads ~/.ssh/config whatever options say
                client_factory=lambda: client,
                **_options(host, trust, timing),
            )
    except asyncssh.ChannelOpenError as exc:
        raise not_reached(exc, trust.where, hops[-1] if hops else "") from exc
    except Exception as exc:  # whatever the host made the library fail on is that host's error
        if client.refused is not None:
            raise client.refused from exc
        if client.encrypted and refused_keys(exc):
            raise auth_error(trust.where, host.user, ", ".join(client.offered)) from exc
        raise told(exc, trust.where) from exc
    if client.accepted is None:  # would mean that the library no longer asks us: fail closed
        ssh.abort()
        await ssh.wait_closed()
        raise HostKeyError("the host key was not checked", where=trust.where)
    return Connection(ssh, client, _facts(ssh, client, client.accepted, hops))


def _options(host: Host, trust: Trust, timing: Timing) -> dict[str, object]:
    return {
        "known_hosts": trust.known_hosts,
        "server_host_key_algs": trust.algorithms,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "username": host.user,
        "client_keys": None,  # an empty list would make the library read ~/.ssh/id_*
        "agent_path": None,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "gss_host": None,
        "gss_kex": False,
        "gss_auth": False,
        "host_based_auth": False,
        "kbdint_auth": False,
        "password_auth": False,
        "preferred_auth": "publickey",
        "kex_algs": key_exchanges(),
        "encryption_algs": list(CIPHERS),
        "mac_algs": list(MACS),
        "compression_algs": ["none"],
        "login_timeout": timing.login,
        "keepalive_interval": timing.keepalive,
        "keepalive_count_max": timing.keepalive_count,
    }


@cache
def key_exchanges() -> list[str]:
    """Of ``KEX`` what this library and its cryptography can do, in our order."""
    known = {name.decode("ascii") for name in get_kex_algs()}
    return [name for name in KEX if name in known]


def _facts(
    ssh: asyncssh.SSHClientConnection, client: Client, accepted: Accepted, hops: tuple[str, ...]
) -> LinkFacts:
    auth = f"publickey {client.offered[-1]}" if client.offered else "none"
    return LinkFacts(
        transport="asyncssh",
        host_key=accepted.fingerprint,
        host_key_by=accepted.by,
        kex=clean(client.kex, 80),
        cipher=clean(str(ssh.get_extra_info("recv_cipher", "")), 80),
        mac=clean(str(ssh.get_extra_info("recv_mac", "")), 80),
        server=clean(str(ssh.get_extra_info("server_version", "")), 120),
        auth=auth,
        post_quantum=any(name in client.kex for name in POST_QUANTUM) if client.kex else None,
        jump=hops,
    )


async def hang_up(ssh: asyncssh.SSHClientConnection, seconds: float) -> None:
    """Close a connection, orderly within ``seconds``, else by force."""
    ssh.close()
    try:
        async with asyncio.timeout(seconds):
            await ssh.wait_closed()
    except TimeoutError:
        ssh.abort()
        await ssh.wait_closed()
