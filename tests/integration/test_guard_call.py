"""One envelope to a guard over a real sshd, by both transports, and hosts that answer badly."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.actions.ask import ask
from console.errors import AuthError, HostKeyError, LinkError, ProbeError, ProtocolError
from console.ssh.guardcall import MAX_ANSWER, GuardCaller
from tests.support.sshd import Sshd, make_key


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd") as running:
        make_key(tmp_path / "login")
        yield running


def answering(server: Sshd, program: str) -> None:
    """Let the login start that Python program."""
    command = shlex.join([sys.executable, "-I", "-c", program]).replace('"', '\\"')
    public = Path(f"{server.folder.parent}/login.pub").read_text().strip()
    server.authorize(f'restrict,command="{command}" {public}')


def caller(server: Sshd) -> GuardCaller:
    return GuardCaller({}, user=server.user, key=str(server.folder.parent / "login"))


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
async def test_the_whole_envelope_arrives_and_the_host_key_comes_back(
    server: Sshd, transport: str
) -> None:
    answering(
        server, "import sys,json; d=sys.stdin.read(); print(json.dumps(dict(ok=True,n=len(d))))"
    )
    host = server.host("gpu01", transport=transport, user="nobody-else", key="/nowhere")
    told, key = await ask(caller(server), host, "challenge", filler="x" * 200_000)
    assert told["n"] > 200_000
    assert key == server.host_keys[0].fingerprint


@pytest.mark.parametrize(
    ("program", "error", "said"),
    [
        ("import sys; sys.stdin.read(); print('hello')", ProtocolError, "no JSON object"),
        ("import sys; sys.stdin.read(); print('[1]')", ProtocolError, "no JSON object"),
        ("import sys; sys.stdin.read(); print('{}')", ProtocolError, "whether it is ok"),
        ("import sys; sys.stdin.read()", ProbeError, "said nothing"),
        ("import sys; sys.stdin.read(); sys.exit('sudo: a password is required')", ProbeError,
         "a password is required"),
        (f"import sys; sys.stdin.read(); print('x' * {MAX_ANSWER + 10})", ProtocolError,
         "answered more than"),
        ("import sys; sys.stdin.read(); print('[' * 100000)", ProtocolError, "no JSON object"),
    ],
)  # fmt: skip
async def test_a_bad_answer_is_that_host_s_error(
    server: Sshd, program: str, error: type[LinkError], said: str
) -> None:
    answering(server, program)
    with pytest.raises(error, match=said):
        await ask(caller(server), server.host("gpu01"), "status")


async def test_a_key_that_may_not_log_in_and_another_host_key_are_said(
    server: Sshd, tmp_path: Path
) -> None:
    with pytest.raises(AuthError):
        await ask(caller(server), server.host("gpu01"), "status")
    answering(server, "print('{\"ok\": true}')")
    other = make_key(tmp_path / "other")
    with pytest.raises(HostKeyError):
        await ask(caller(server), server.host("gpu01", host_key=(other.public,)), "status")


async def test_an_envelope_that_is_too_large_is_not_sent(server: Sshd) -> None:
    with pytest.raises(ProtocolError, match="larger than"):
        await caller(server).call(server.host("gpu01"), json.dumps("x" * (256 << 10)).encode())
