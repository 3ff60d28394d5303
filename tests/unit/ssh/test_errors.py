"""What each failure becomes for a person."""

import errno
import socket

import asyncssh
import pytest

from console.errors import (
    ConnectError,
    HostKeyError,
    KeyFileError,
    ProbeError,
    WatchfloorError,
)
from console.ssh.errors import told

ESCAPES = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202e"


@pytest.mark.parametrize(
    ("exc", "kind", "text"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), ConnectError, "nothing listens there"),
        (OSError(errno.EHOSTUNREACH, "x"), ConnectError, "no route"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] x"),
            ConnectError,
            "nothing listens there",
        ),
        (socket.gaierror(-2, "Name or service not known"), ConnectError, "cannot be resolved"),
        (TimeoutError(), ConnectError, "timed out"),
        (asyncssh.ConnectionLost("Login timeout expired"), ConnectError, "login timed out"),
        (
            asyncssh.ConnectionLost("Server not responding to keepalive"),
            ConnectError,
            "stopped answering",
        ),
        (asyncssh.ConnectionLost("Connection lost"), ConnectError, "was lost"),
        (asyncssh.PermissionDenied("Permission denied"), ConnectError, 'said "Permission denied"'),
        (
            asyncssh.ProtocolError("Too many authentication failures"),
            ConnectError,
            '"Too many authentication failures"',
        ),
        (asyncssh.ProtocolError("Bad packet"), ConnectError, "does not speak SSH properly"),
        (asyncssh.ProtocolNotSupported("Unsupported"), ConnectError, "does not speak SSH"),
        (asyncssh.KeyExchangeFailed("No matching cipher"), ConnectError, "no common algorithms"),
        (asyncssh.HostKeyNotVerifiable("x"), ConnectError, 'said "x"'),
        (asyncssh.ServiceNotAvailable("busy"), ConnectError, 'said "busy"'),
        (asyncssh.ChannelOpenError(1, "no sessions"), ProbeError, "no sessions"),
        (asyncssh.KeyImportError("Invalid"), KeyFileError, "Invalid"),
        (ValueError("odd"), ConnectError, "ValueError: odd"),
    ],
)
def test_every_failure_has_a_kind_and_a_reason(
    exc: Exception, kind: type[WatchfloorError], text: str
) -> None:
    error = told(exc, "gpu01")
    assert type(error) is kind
    assert text in error.message
    assert error.where == "gpu01"


@pytest.mark.parametrize(
    "exc",
    [
        asyncssh.ProtocolError(ESCAPES * 100),
        asyncssh.ChannelOpenError(1, ESCAPES),
        asyncssh.ServiceNotAvailable(ESCAPES),
        asyncssh.KeyExchangeFailed(ESCAPES),
        OSError(ESCAPES),
        RuntimeError(ESCAPES),
    ],
)
def test_what_the_server_says_is_cleaned_and_bounded(exc: Exception) -> None:
    text = str(told(exc, "gpu01"))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text) < 400


def test_our_own_errors_pass_unchanged() -> None:
    error = HostKeyError("x", offered="SHA256:x")
    assert told(error, "gpu01") is error
