"""What key a host shows, asked without a login: for a person to compare before it is trusted."""

import asyncio

import asyncssh
import msgspec

from console.errors import ConnectError
from console.model.host import Host
from console.model.link import AskPassphrase, Inventory
from console.ssh.connect import CIPHERS, MACS, Connection, Timing, connect, key_exchanges
from console.ssh.errors import not_reached, place, told
from console.ssh.jump import JumpPool, route
from console.ssh.keys import KeyRing

# One question for each family: a server shows only one key in a handshake.
FAMILIES = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256"),
)


class OfferedKey(msgspec.Struct, frozen=True):
    """A key that a host proved to hold. Nothing says yet that it is the right host."""

    line: str  # for ``host_key``
    fingerprint: str  # SHA256:...
    kind: str  # ssh-ed25519, ...


async def fetch_host_key(
    host: Host,
    inventory: Inventory,
    ask_passphrase: AskPassphrase | None = None,
    *,
    timing: Timing | None = None,
) -> list[OfferedKey]:
    """The keys that ``host`` shows now, best kind first; at least one.

    Nothing is logged in to but the jump hosts on the way, whose own keys must be trusted already.
    Raises ConnectError, or what a jump host raises.
    """
    limits = timing or Timing()
    keys = KeyRing(ask_passphrase)

    async def dial(
        hop: Host, tunnel: asyncssh.SSHClientConnection | None, way: tuple[str, ...]
    ) -> Connection:
        return await connect(hop, await keys.pairs(hop), tunnel=tunnel, hops=way, timing=limits)

    hops = route(host, inventory)
    jumps = JumpPool(dial, close_s=limits.close)
    try:
        tunnel, release = await jumps.acquire(hops)
        try:
            return await _scan(host, tunnel, hops, limits)
        finally:
            release()
    finally:
        await jumps.close()
        await keys.close()


async def _scan(
    host: Host,
    tunnel: asyncssh.SSHClientConnection | None,
    hops: tuple[Host, ...],
    limits: Timing,
) -> list[OfferedKey]:
    found: list[OfferedKey] = []
    where = place(host.name, host.address, host.port)
    failed: Exception | None = None
    for family in FAMILIES:
        try:
            async with asyncio.timeout(limits.connect):
                key = await _ask(host, tunnel, family)
        except (asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost, ConnectionResetError) as exc:
            failed = exc  # a server without a key of this family just hangs up
            continue
        except asyncssh.ChannelOpenError as exc:
            raise not_reached(exc, where, hops[-1].name if hops else "") from exc
        except Exception as exc:  # whatever the host made the library fail on is its error
            raise told(exc, where) from exc
        if key is not None:
            line = key.export_public_key("openssh").decode("ascii").strip()
            kind, blob = line.split()[:2]
            found.append(OfferedKey(f"{kind} {blob}", key.get_fingerprint(), kind))
    if not found and failed is not None:
        raise told(failed, where) from failed
    if not found:
        raise ConnectError(
            "the host shows no key of a kind that can be pinned",
            where=where,
            hint="Give its sshd an Ed25519 host key.",
        )
    return found


async def _ask(
    host: Host, tunnel: asyncssh.SSHClientConnection | None, family: tuple[str, ...]
) -> asyncssh.SSHKey | None:
    # Options by themselves, because the call would otherwise look for keys in ~/.ssh.
    options = asyncssh.SSHClientConnectionOptions(
        config=None,
        client_keys=None,
        agent_path=None,
        gss_host=None,
        known_hosts=None,
        encryption_algs=list(CIPHERS),
        mac_algs=list(MACS),
        compression_algs=["none"],
    )
    return await asyncssh.get_server_host_key(
        host.address,
        host.port,
        tunnel=tunnel,
        config=None,
        kex_algs=key_exchanges(),
        server_host_key_algs=list(family),
        options=options,
    )
