"""Reading ssh's own log: facts, and the kind of a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import (
    AuthError,
    ConnectError,
    HostKeyError,
    KeyFileError,
    WatchfloorError,
)
from console.ssh.openssh_log import SshLog
from console.text import clean

SESSION = """\
OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.14 4 Jun 2024
debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 \x1b[31m
debug1: kex: algorithm: sntrup761x25519-sha512
debug1: kex: host key algorithm: ssh-ed25519
debug1: kex: server->client cipher: aes128-gcm@openssh.com MAC: <implicit> compression: none
debug1: Server host key: ssh-ed25519 SHA256:aaaa/bbbb+cccc
debug1: Host '127.0.0.1' is known and matches the ED25519 host key.
debug1: Offering public key: /k ED25519 SHA256:dddd explicit
debug1: Server accepts key: /k ED25519 SHA256:dddd explicit
debug1: Entering interactive session.
"""


def read(text: str, *, hops: tuple[str, ...] = ()) -> SshLog:
    log = SshLog("gpu01", hops)
    for line in text.splitlines():
        log.line(line)
    return log


def test_facts_of_a_session() -> None:
    log = read(SESSION)
    facts = log.facts()
    assert log.interactive
    assert facts.kex == "sntrup761x25519-sha512"
    assert facts.post_quantum is True
    assert (facts.cipher, facts.mac) == ("aes128-gcm@openssh.com", "")
    assert (facts.host_key, facts.host_key_by) == ("SHA256:aaaa/bbbb+cccc", "pin")
    assert facts.auth == "publickey SHA256:dddd"
    assert facts.server.startswith("SSH-2.0-OpenSSH_9.2p1")
    assert "\x1b" not in facts.server


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("root@h: Permission denied (publickey).", AuthError, "Permission denied"),
        (
            "debug1: SSH2_MSG_NEWKEYS received\n"
            "Received disconnect from h port 22:2: Too many authentication failures",
            AuthError,
            "Too many",
        ),
        (
            "Received disconnect from h port 22:2: Too many authentication failures\n"
            "Disconnected from h port 22",
            ConnectError,
            'said "Too many authentication failures"',
        ),
        ("Host key verification failed.", HostKeyError, "another key"),
        (
            "Certificate invalid: name is not a listed principal\nHost key verification failed.",
            HostKeyError,
            "name is not a listed principal",
        ),
        ("ssh: connect to host h port 1: Connection refused", ConnectError, "nothing listens"),
        ("ssh: Could not resolve hostname h: Name or service", ConnectError, "be resolved"),
        ("Timeout, server h not responding.", ConnectError, "keepalive"),
        (
            "kex_exchange_identification: Connection closed by remote host",
            ConnectError,
            "host closed",
        ),
        ("Unable to negotiate with h: no matching cipher found.", ConnectError, "algorithms"),
        ('Load key "/k": error in libcrypto', KeyFileError, "Load key"),
        ("what is this", ConnectError, "ssh: what is this"),
        ("", ConnectError, "ssh ended"),
    ],
)
def test_the_kind_of_a_failure(text: str, kind: type[WatchfloorError], message: str) -> None:
    error = read(text).error()
    assert type(error) is kind
    assert message in error.message


FORGED = (
    "Host key verification failed.",
    "Certificate invalid: x",
    "root@h: Permission denied (publickey).",
    "No ED25519 host key is known for h and you have requested strict checking.",
    "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
    "no such identity: /k",
    'Load key "/k": x',
)


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("code", [2, 9, 14])
def test_what_the_peer_says_is_only_quoted(forged: str, code: int) -> None:
    log = read(
        f"Received disconnect from h port 22:{code}: {forged}\nDisconnected from h: {forged}"
    )
    error = log.error()
    assert type(error) is ConnectError
    assert error.message == f'the host ended the connection and said "{forged}"'
    assert type(read(f"ssh_dispatch_run_fatal: {forged}").error()) is ConnectError


@pytest.mark.parametrize("forged", FORGED)
def test_a_banner_decides_nothing(forged: str) -> None:
    log = SshLog("gpu01", ())
    log.line(forged, hop=True)
    log.line("Connection closed by h port 22")
    error = log.error()
    assert type(error) is ConnectError
    assert error.message == "the host closed the connection"


def test_a_changed_key_names_the_fingerprint() -> None:
    log = read("debug1: Server host key: ssh-ed25519 SHA256:zzzz\nHost key verification failed.")
    error = log.error()
    assert isinstance(error, HostKeyError)
    assert error.offered == "SHA256:zzzz"


def test_a_failure_at_a_jump_host_says_where() -> None:
    log = SshLog("gpu01", ("bastion",))
    log.line("root@b: Permission denied (publickey).", hop=True)
    assert "on the way, at bastion" in str(log.error())


@given(st.lists(st.text(max_size=300), max_size=30))
def test_any_text_gives_a_clean_error(lines: list[str]) -> None:
    log = SshLog("gpu01", ())
    for line in lines:
        log.line(line)
    text = str(log.error())
    assert text == clean(text, 4_000)
