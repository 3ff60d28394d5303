"""What went wrong on the way to a host, as an error that a person can act on.

The library and the operating system raise some thirty kinds of exceptions. Here each becomes one
of ``console.errors``, with the reason in plain words and the next step. Whatever the server had a
hand in (disconnect reasons, channel errors) is cleaned before it becomes part of a text.
"""

import asyncio
import errno
import socket

import asyncssh

from console.errors import (
    AuthError,
    ConnectError,
    KeyFileError,
    ProbeError,
    WatchfloorError,
)
from console.text import clean

REASON_LIMIT = 200

_TIMED_OUT = "Check the address, the port and the firewalls on the way."
_ROUTES = {
    errno.ECONNREFUSED: ("nothing listens there", "Check the port, and that sshd runs."),
    errno.EHOSTUNREACH: ("no route to the host", "Check the network and jump hosts."),
    errno.ENETUNREACH: ("the network cannot be reached", "Check this machine's network."),
    errno.ETIMEDOUT: ("the connection timed out", _TIMED_OUT),
    errno.ECONNRESET: ("the host reset the connection", "It may limit new connections."),
    errno.EMFILE: ("this console has no file descriptor left", "Raise `ulimit -n`."),
}
_AUTH_REASONS = ("authentication failures",)


def place(name: str, address: str, port: int) -> str:
    """Name of a host as errors show it: ``gpu01 (10.0.0.1 port 22)``, cleaned."""
    return f"{clean(name, 80)} ({clean(address, 120)} port {port})"


def auth_error(where: str, user: str, tried: str) -> AuthError:
    """The host refused every key; ``tried`` lists their fingerprints, empty for none."""
    keys = f" (offered: {tried})" if tried else ""
    return AuthError(
        f"the host did not accept a key for {clean(user, 64)}{keys}",
        where=where,
        hint="Check user and key in the inventory and authorized_keys on the host.",
    )


def _from_os(exc: OSError, where: str) -> ConnectError:
    if isinstance(exc, socket.gaierror):
        return ConnectError(
            "the address cannot be resolved", where=where, hint="Check the name and the DNS."
        )
    # A connect to several addresses raises one OSError whose text lists them all.
    for number, (reason, hint) in _ROUTES.items():
        if exc.errno == number or f"[Errno {number}]" in str(exc):
            return ConnectError(reason, where=where, hint=hint)
    return ConnectError(clean(str(exc), REASON_LIMIT), where=where)


def refused_keys(exc: BaseException) -> bool:
    """True when a host that has proved who it is ends the login since it takes none of our keys.

    The caller must know that it has: anybody on the way can say so before the keys are agreed on.
    """
    if isinstance(exc, asyncssh.PermissionDenied):
        return True
    return isinstance(exc, asyncssh.DisconnectError) and any(
        text in exc.reason.lower() for text in _AUTH_REASONS
    )


def _from_disconnect(exc: asyncssh.DisconnectError, where: str) -> ConnectError:
    """The end of a connection. Its code and its text may be anybody's, so it is never more."""
    reason = clean(exc.reason, REASON_LIMIT)
    low = reason.lower()
    if isinstance(exc, asyncssh.KeyExchangeFailed):
        return ConnectError(
            f'no common algorithms: "{reason}"', where=where, hint="Update the host's sshd."
        )
    if "login timeout" in low:
        return ConnectError("the login timed out", where=where, hint="The host may be overloaded.")
    if "keepalive" in low:
        return ConnectError("the host stopped answering (keepalive)", where=where)
    if isinstance(exc, asyncssh.ConnectionLost):
        return ConnectError(
            "the connection was lost",
            where=where,
            hint="The host went away, or refuses new connections for now.",
        )
    if isinstance(exc, asyncssh.ProtocolError | asyncssh.ProtocolNotSupported):
        return ConnectError(
            f'what answers there does not speak SSH properly: "{reason}"',
            where=where,
            hint="Check that the port is sshd's.",
        )
    return ConnectError(f'the host ended the connection and said "{reason}"', where=where)


def told(exc: BaseException, where: str) -> WatchfloorError:
    """The error of ``console.errors`` that says what ``exc`` means for the host ``where``."""
    if isinstance(exc, WatchfloorError):
        return exc
    if isinstance(exc, asyncssh.DisconnectError):
        return _from_disconnect(exc, where)
    if isinstance(exc, asyncssh.ChannelOpenError):
        return ProbeError(
            f"the host opened no channel: {clean(exc.reason, REASON_LIMIT)}",
            where=where,
            hint="The account may be limited to other uses.",
        )
    if isinstance(exc, TimeoutError | asyncio.TimeoutError):
        return ConnectError("the connection timed out", where=where, hint=_TIMED_OUT)
    if isinstance(exc, asyncssh.KeyImportError | asyncssh.KeyEncryptionError):
        return KeyFileError(clean(str(exc), REASON_LIMIT), where=where)
    if isinstance(exc, OSError):
        return _from_os(exc, where)
    kind = type(exc).__name__
    return ConnectError(f"{kind}: {clean(str(exc), REASON_LIMIT)}", where=where)


def not_reached(exc: asyncssh.ChannelOpenError, where: str, hop: str) -> ConnectError:
    """A jump host could not open a connection to the next host."""
    return ConnectError(
        f"jump host {clean(hop, 80)} cannot reach it: {clean(exc.reason, REASON_LIMIT)}",
        where=where,
        hint="Check AllowTcpForwarding and the route on the jump host.",
    )
