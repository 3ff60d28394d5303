"""Logging in to a real sshd, by both transports: host keys, keys, certificates, agent."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from console.errors import (
    AuthError,
    ConfigError,
    ConnectError,
    HostKeyError,
    KeyFileError,
    ProbeError,
    WatchfloorError,
)
from console.model.host import Host
from console.model.link import AskPassphrase
from console.ssh.connect import Timing
from console.ssh.transport import Start, Transports
from tests.support.sink import RecordingSink
from tests.support.sshd import Agent, KeyPair, Sshd, make_key

ECHO = Start("echo hello; echo oops >&2; exec cat", b"first\n")
QUICK = Timing(connect=15, login=15, command=10, close=1)


def start_echo(host: Host) -> Start:
    return ECHO


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No agent, and a home of its own whose keys and settings must not be looked at."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/config").write_text("Host *\n  Port 1\n  NoSuchOption yes\n")
    monkeypatch.setenv("HOME", str(home))


async def talk(
    inventory: dict[str, Host], name: str, ask: AskPassphrase | None = None
) -> RecordingSink:
    """Open a link, exchange lines both ways, close it; the sink has ``link`` for its facts."""
    made = Transports(inventory, ask, timing=QUICK, starter=start_echo)
    sink = RecordingSink()
    link = sink.link = await made.open(inventory[name], sink)
    link.send("focus on")
    assert await sink.lines(3) == [b"hello", b"first", b"focus on"]
    async with asyncio.timeout(2):
        await link.close()
    assert sink.ends == [None]
    link.send("after the end")
    link.pause()
    link.resume()
    await link.close()
    await made.close()
    assert sink.ends == [None]
    assert "oops" in sink.said
    return sink


async def refused(
    inventory: dict[str, Host], name: str, ask: AskPassphrase | None = None
) -> WatchfloorError:
    """Open a link that must fail; the sink must hear nothing of it."""
    made = Transports(inventory, ask, timing=QUICK, starter=start_echo)
    sink = RecordingSink()
    with pytest.raises(WatchfloorError) as caught:
        await made.open(inventory[name], sink)
    await made.close()
    assert not sink.ends
    assert not sink.received
    return caught.value


async def test_a_pinned_key(user: KeyPair, tmp_path: Path, kind: str) -> None:
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        host = server.host("gpu01", key=str(user.path), transport=kind)
        sink = await talk({"gpu01": host}, "gpu01")
        assert sink.link is not None
        facts = sink.link.facts
    assert facts.transport == kind
    assert (facts.host_key, facts.host_key_by) == (server.host_keys[0].fingerprint, "pin")
    assert facts.cipher == "aes128-gcm@openssh.com"
    assert facts.auth == f"publickey {user.fingerprint}"
    assert facts.server.startswith("SSH-2.0-OpenSSH")
    assert facts.kex
    assert facts.post_quantum is ("sntrup" in facts.kex or "mlkem" in facts.kex)


@pytest.mark.parametrize("other_kind", ["ed25519", "ecdsa", "rsa"])
async def test_another_key_is_refused_with_its_fingerprint(
    user: KeyPair, tmp_path: Path, kind: str, other_kind: str
) -> None:
    pinned = make_key(tmp_path / "pinned")
    shown = make_key(tmp_path / "shown", kind=other_kind)
    with Sshd(tmp_path / "a", authorized=[user.public], host_keys=[shown]) as server:
        host = server.host("gpu01", key=str(user.path), transport=kind, host_key=(pinned.public,))
        error = await refused({"gpu01": host}, "gpu01")
        assert isinstance(error, HostKeyError)
        assert error.offered == shown.fingerprint
        assert shown.fingerprint in str(error)
        assert "Accepted" not in server.log  # nothing of ours was shown to a stranger


async def test_a_host_without_a_known_key_is_not_contacted(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        host = server.host("gpu01", key=str(user.path), transport=kind, host_key=())
        error = await refused({"gpu01": host}, "gpu01")
        assert isinstance(error, HostKeyError)
        assert "hosts trust gpu01" in error.hint
        assert "Connection from" not in server.log


async def test_a_host_certificate(user: KeyPair, tmp_path: Path) -> None:
    ca, key = make_key(tmp_path / "ca"), make_key(tmp_path / "key")
    certificate = ca.sign(key, host=True, principals="127.0.0.1,gpu01")
    with Sshd(
        tmp_path / "a", authorized=[user.public], host_keys=[key], host_certificate=certificate
    ) as server:
        host = server.host("gpu01", key=str(user.path), host_ca=(ca.public,))
        sink = await talk({"gpu01": host}, "gpu01")
    assert sink.link is not None
    assert sink.link.facts.host_key_by == "ca"
    assert sink.link.facts.host_key == key.fingerprint


@pytest.mark.parametrize(
    ("principals", "validity"),
    [
        ("127.0.0.1", "-2h:-1h"),
        ("127.0.0.1", "+1h:+2h"),
        ("10.9.9.9,gpu02", "-1h:+1h"),
        ("", "-1h:+1h"),
    ],
    ids=["expired", "not yet valid", "other host", "any host"],
)
async def test_a_host_certificate_that_does_not_hold(
    user: KeyPair, tmp_path: Path, principals: str, validity: str
) -> None:
    ca, key = make_key(tmp_path / "ca"), make_key(tmp_path / "key")
    certificate = ca.sign(key, host=True, principals=principals, validity=validity)
    with Sshd(
        tmp_path / "a", authorized=[user.public], host_keys=[key], host_certificate=certificate
    ) as server:
        host = server.host("gpu01", key=str(user.path), host_ca=(ca.public,))
        error = await refused({"gpu01": host}, "gpu01")
    assert isinstance(error, HostKeyError)
    assert error.offered == key.fingerprint


async def test_a_certificate_of_another_authority(user: KeyPair, tmp_path: Path) -> None:
    ca, ours, key = (make_key(tmp_path / name) for name in ("ca", "ours", "key"))
    certificate = ca.sign(key, host=True, principals="127.0.0.1")
    with Sshd(
        tmp_path / "a", authorized=[user.public], host_keys=[key], host_certificate=certificate
    ) as server:
        host = server.host("gpu01", key=str(user.path), host_ca=(ours.public,))
        error = await refused({"gpu01": host}, "gpu01")
    assert isinstance(error, HostKeyError)


async def test_authorities_are_not_left_to_the_systems_ssh(user: KeyPair, tmp_path: Path) -> None:
    """It takes a certificate without names for any host."""
    ca, key = make_key(tmp_path / "ca"), make_key(tmp_path / "key")
    certificate = ca.sign(key, host=True, principals="")
    with Sshd(
        tmp_path / "a", authorized=[user.public], host_keys=[key], host_certificate=certificate
    ) as server:
        host = server.host(
            "gpu01", key=str(user.path), transport="openssh", host_key=(), host_ca=(ca.public,)
        )
        error = await refused({"gpu01": host}, "gpu01")
        assert type(error) is ConnectError
        assert 'transport = "asyncssh"' in error.hint
        assert "Connection from" not in server.log


async def test_a_refused_login(user: KeyPair, tmp_path: Path, kind: str) -> None:
    with Sshd(tmp_path / "a") as server:
        host = server.host("gpu01", key=str(user.path), transport=kind)
        error = await refused({"gpu01": host}, "gpu01")
    assert type(error) is AuthError
    assert "authorized_keys" in error.hint


async def test_a_loose_key_file_is_refused_before_connecting(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    user.path.chmod(0o640)
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        host = server.host("gpu01", key=str(user.path), transport=kind)
        error = await refused({"gpu01": host}, "gpu01")
        assert isinstance(error, KeyFileError)
        assert "0640" in str(error)
        assert "chmod 600" in str(error)
        assert "Connection from" not in server.log


async def test_an_encrypted_key_is_asked_for_once(tmp_path: Path) -> None:
    locked = make_key(tmp_path / "locked", passphrase="correct horse")
    asked: list[str] = []

    async def person(path: str) -> str | None:
        asked.append(path)
        return "correct horse"

    with Sshd(tmp_path / "a", authorized=[locked.public]) as server:
        inventory = {
            name: server.host(name, key=str(locked.path)) for name in ("gpu01", "gpu02", "gpu03")
        }
        made = Transports(inventory, person, timing=QUICK, starter=start_echo)
        sinks = [RecordingSink() for _ in inventory]
        links = await asyncio.gather(
            *(made.open(host, sink) for host, sink in zip(inventory.values(), sinks, strict=True))
        )
        for link in links:
            await link.close()
        await made.close()
    assert asked == [str(locked.path)]


async def test_a_wrong_passphrase_and_its_absence_are_key_errors(tmp_path: Path) -> None:
    locked = make_key(tmp_path / "locked", passphrase="correct horse")

    async def person(path: str) -> str | None:
        return "battery staple"

    with Sshd(tmp_path / "a", authorized=[locked.public]) as server:
        inventory = {"gpu01": server.host("gpu01", key=str(locked.path))}
        error = await refused(inventory, "gpu01", person)
    assert isinstance(error, KeyFileError)
    assert "battery" not in str(error)
    assert "wrong 3 times" in str(error)


async def test_an_agent_key(
    user: KeyPair, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Agent(tmp_path / "agent") as agent,
        Sshd(tmp_path / "a", authorized=[user.public]) as server,
    ):
        agent.add(user)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.path))
        inventory = {
            "gpu01": server.host("gpu01", agent=True, transport=kind),
            "gpu02": server.host("gpu02", key=f"{user.path}.pub", agent=True, transport=kind),
        }
        for name in inventory:
            sink = await talk(inventory, name)
            assert sink.link is not None
            assert sink.link.facts.auth == f"publickey {user.fingerprint}"


async def test_the_agent_is_not_used_unasked(
    user: KeyPair, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_key(tmp_path / "mine")
    with (
        Agent(tmp_path / "agent") as agent,
        Sshd(tmp_path / "a", authorized=[user.public]) as server,
    ):
        agent.add(user)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.path))
        host = server.host("gpu01", key=str(mine.path), transport=kind)
        error = await refused({"gpu01": host}, "gpu01")
    assert type(error) is AuthError


async def test_keys_of_the_home_folder_are_not_used(
    user: KeyPair, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = make_key(tmp_path / "home/.ssh/id_ed25519")
    empty = Agent(tmp_path / "agent")
    with empty as agent, Sshd(tmp_path / "a", authorized=[default.public]) as server:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.path))
        host = server.host("gpu01", agent=True, transport=kind)
        error = await refused({"gpu01": host}, "gpu01")
        assert isinstance(error, AuthError | KeyFileError)
        assert "Accepted" not in server.log


async def test_a_user_certificate(user: KeyPair, tmp_path: Path, kind: str) -> None:
    ca = make_key(tmp_path / "ca")
    with Sshd(tmp_path / "a", user_ca=ca.public) as server:
        named = ca.sign(user, principals=server.user).rename(tmp_path / "named.pub")
        with_path = server.host("gpu01", key=str(user.path), certificate=str(named), transport=kind)
        await talk({"gpu01": with_path}, "gpu01")
        beside = server.host("gpu02", key=str(user.path), transport=kind)
        assert type(await refused({"gpu02": beside}, "gpu02")) is AuthError
        ca.sign(user, principals=server.user)
        await talk({"gpu02": beside}, "gpu02")


async def test_compression_is_for_the_systems_ssh(user: KeyPair, tmp_path: Path) -> None:
    with Sshd(tmp_path / "a", authorized=[user.public], extra=["Compression yes"]) as server:
        host = server.host("gpu01", key=str(user.path), transport="openssh", compression=True)
        await talk({"gpu01": host}, "gpu01")
        with pytest.raises(ConfigError, match="system's ssh only"):
            await talk(
                {"gpu02": server.host("gpu02", key=str(user.path), compression=True)}, "gpu02"
            )


async def test_keys_are_renewed_and_the_host_key_checked_again(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    size = 5 << 20
    command = Start(f"head -c {size} /dev/zero; exec cat")
    with Sshd(tmp_path / "a", authorized=[user.public], extra=["RekeyLimit 1M"]) as server:
        inventory = {"gpu01": server.host("gpu01", key=str(user.path), transport=kind)}
        made = Transports(inventory, timing=QUICK, starter=lambda host: command)
        sink = RecordingSink()
        link = await made.open(inventory["gpu01"], sink)
        await sink.until(size)
        link.send("still here")
        await sink.lines(1)
        assert sink.received.endswith(b"still here\n")
        await link.close()
        await made.close()
    assert sink.ends == [None]


async def test_the_session_has_no_terminal_and_forwards_nothing(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    command = Start("env; tty; exit 0")
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        inventory = {"gpu01": server.host("gpu01", key=str(user.path), transport=kind)}
        made = Transports(inventory, timing=QUICK, starter=lambda host: command)
        sink = RecordingSink()
        link = await made.open(inventory["gpu01"], sink)
        assert await sink.end() is None
        await link.close()
        await made.close()
    text = sink.received.decode()
    assert "not a tty" in text
    assert "SSH_CONNECTION=" in text
    assert "SSH_AUTH_SOCK" not in text
    assert "SSH_TTY" not in text
    assert "DISPLAY" not in text


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("echo no such thing >&2; exit 127", "status 127: no such thing"),
        ("exit 3", "status 3"),
        ("printf 'bad \\033]52;c;eA==\\007' >&2; exit 1", "status 1: bad \ufffd]52;c;eA==\ufffd"),
    ],
)
async def test_a_probe_that_ends_says_why(
    user: KeyPair, tmp_path: Path, kind: str, command: str, text: str
) -> None:
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        inventory = {"gpu01": server.host("gpu01", key=str(user.path), transport=kind)}
        made = Transports(inventory, timing=QUICK, starter=lambda host: Start(command))
        sink = RecordingSink()
        link = await made.open(inventory["gpu01"], sink)
        error = await sink.end()
        await link.close()
        await made.close()
    assert isinstance(error, ProbeError)
    assert text in str(error)
    assert len(sink.ends) == 1


async def test_a_forced_command_is_what_runs(user: KeyPair, tmp_path: Path, kind: str) -> None:
    line = f'restrict,command="echo forced; exec cat" {user.public}'
    with Sshd(tmp_path / "a", authorized=[line]) as server:
        inventory = {"gpu01": server.host("gpu01", key=str(user.path), transport=kind)}
        made = Transports(inventory, timing=QUICK, starter=lambda host: Start("id"))
        sink = RecordingSink()
        link = await made.open(inventory["gpu01"], sink)
        link.send("resync")
        assert await sink.lines(2) == [b"forced", b"resync"]
        await link.close()
        await made.close()


async def test_a_host_that_dies_is_a_lost_connection(
    user: KeyPair, tmp_path: Path, kind: str
) -> None:
    with Sshd(tmp_path / "a", authorized=[user.public]) as server:
        inventory = {"gpu01": server.host("gpu01", key=str(user.path), transport=kind)}
        made = Transports(inventory, timing=QUICK, starter=start_echo)
        sink = RecordingSink()
        link = await made.open(inventory["gpu01"], sink)
        await sink.lines(2)
        for pid in server.sessions():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        error = await sink.end()
        await link.close()
        await made.close()
    assert isinstance(error, ConnectError | ProbeError)
    assert len(sink.ends) == 1
