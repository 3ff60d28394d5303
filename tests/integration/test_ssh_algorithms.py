"""What is negotiated, and servers that offer only what should not be used any more."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from console.errors import ConnectError
from console.ssh.connect import Timing
from console.ssh.transport import Start, Transports
from tests.support.sink import RecordingSink
from tests.support.sshd import KeyPair, Sshd, program

TIMING = Timing(connect=10, login=5, command=5, close=1)


def offered(what: str) -> set[str]:
    """Algorithms that the installed OpenSSH knows."""
    done = subprocess.run([program("ssh"), "-Q", what], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


WEAK = {
    "key exchange": ("kex", "diffie-hellman-group14-sha1", "KexAlgorithms {}"),
    "mac": ("mac", "hmac-sha1", "Ciphers aes128-ctr\nMACs {}"),
    "short mac": ("mac", "umac-64@openssh.com", "Ciphers aes128-ctr\nMACs {}"),
    "cipher": ("cipher", "aes128-cbc", "Ciphers {}"),
}


@pytest.mark.parametrize("part", list(WEAK))
async def test_a_server_with_weak_algorithms_only_is_refused(
    user: KeyPair, tmp_path: Path, kind: str, part: str
) -> None:
    what, name, lines = WEAK[part]
    if name not in offered(what):
        pytest.skip(f"this OpenSSH has no {name}")
    extra = lines.format(name).split("\n")
    with Sshd(tmp_path / "a", authorized=[user.public], extra=extra) as server:
        host = server.host("gpu01", key=str(user.path), transport=kind)
        made = Transports({}, timing=TIMING, starter=lambda host: Start("cat"))
        for _ in range(5):
            with pytest.raises(ConnectError) as caught:
                await made.open(host, RecordingSink())
            # Both sides notice. A server that resets the connection before our side has read its
            # offer is told as a lost connection, and on a busy machine that happens.
            if caught.value.message != "the connection was lost":
                break
        await made.close()
    assert type(caught.value) is ConnectError
    assert "no common algorithms" in caught.value.message
    assert "sshd" in caught.value.hint


async def test_a_mac_is_a_strong_one_where_the_cipher_needs_it(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    extra = ["Ciphers aes256-ctr", "MACs hmac-sha1,umac-64@openssh.com,hmac-sha2-256"]
    with Sshd(tmp_path / "a", authorized=[user.public], extra=extra) as server:
        host = server.host("gpu01", key=str(user.path), transport=kind)
        made = Transports({}, timing=TIMING, starter=lambda host: Start("cat"))
        link = await made.open(host, RecordingSink())
        facts = link.facts
        async with asyncio.timeout(5):
            await link.close()
        await made.close()
    assert (facts.cipher, facts.mac) == ("aes256-ctr", "hmac-sha2-256")
