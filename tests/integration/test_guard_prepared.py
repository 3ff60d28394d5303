"""A connection to a guard that is made before the signature is there, over a real sshd."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from console.actions.ask import SIGNED, ask
from console.errors import AuthError, HostKeyError
from console.model.host import Host
from console.ssh import prepared
from console.ssh.guardcall import GuardCaller
from tests.support.sshd import Sshd, make_key

LOOKS = 2000
# The port from which the call came, as a guard sees it; nothing but "empty" without an envelope.
PROGRAM = (
    "import sys,json,os; d=sys.stdin.read(); "
    "print(json.dumps(dict(ok=bool(d), port=os.environ['SSH_CONNECTION'].split()[1], n=len(d))))"
)


def line(public: str) -> str:
    command = shlex.join([sys.executable, "-I", "-c", PROGRAM]).replace('"', '\\"')
    return f'restrict,command="{command}" {public}'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd") as running:
        running.authorize(line(make_key(tmp_path / "login").public))
        yield running


@pytest.fixture
async def caller(server: Sshd) -> AsyncIterator[GuardCaller]:
    made = GuardCaller({}, user=server.user, key=str(server.folder.parent / "login"))
    yield made
    await made.close()
    await gone(server)


async def gone(server: Sshd) -> None:
    """Nobody is logged in any more: no connection was left open."""
    for _ in range(LOOKS):
        if not server.sessions():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"connections are left open: {server.sessions()}")


async def connected(caller: GuardCaller, host: Host) -> str:
    """Prepare; the port from which that connection comes."""
    begun = caller.prepare(host)
    assert begun is not None
    found = await begun
    assert isinstance(found, prepared.Ready)
    return str(found._made.connection.ssh.get_extra_info("sockname")[1])


def logins(server: Sshd) -> int:
    return server.log.count("Accepted publickey")


@pytest.mark.parametrize("op", sorted(SIGNED))
async def test_what_was_signed_leaves_over_the_connection_that_waits(
    server: Sshd, caller: GuardCaller, op: str
) -> None:
    """It is used once: the next envelope, and above all a confirmation, comes from another."""
    host = server.host("gpu01")
    port = await connected(caller, host)
    told, key = await ask(caller, host, op, filler="x" * 100_000)
    assert told["n"] > 100_000
    assert told["port"] == port
    assert key == server.host_keys[0].fingerprint
    assert logins(server) == 1
    again, _ = await ask(caller, host, op)
    assert again["port"] != port
    assert logins(server) == 2


async def test_a_confirmation_never_takes_a_connection_that_waits(
    server: Sshd, caller: GuardCaller
) -> None:
    """It proves that new connections come through, which an older one does not."""
    host = server.host("gpu01")
    port = await connected(caller, host)
    for op in ("confirm", "challenge", "status"):
        told, _ = await ask(caller, host, op)
        assert told["port"] != port
    told, _ = await ask(caller, host, "decide")
    assert told["port"] == port


async def test_preparing_twice_is_once_and_another_host_is_another(
    server: Sshd, caller: GuardCaller
) -> None:
    host = server.host("gpu01")
    first = caller.prepare(host)
    assert caller.prepare(host) is first
    await connected(caller, host)
    await connected(caller, server.host("gpu02"))
    assert logins(server) == 2


async def test_a_signature_that_is_faster_waits_for_the_connection(
    server: Sshd, caller: GuardCaller
) -> None:
    host = server.host("gpu01")
    caller.prepare(host)
    told, _ = await ask(caller, host, "decide")
    assert told["ok"]
    assert logins(server) == 1


async def test_one_that_has_died_is_replaced(server: Sshd, caller: GuardCaller) -> None:
    """The envelope is sent once, over a fresh connection."""
    host = server.host("gpu01")
    port = await connected(caller, host)
    for pid in server.sessions():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await gone(server)
    told, _ = await ask(caller, host, "decide")
    assert told["ok"]
    assert told["port"] != port


async def test_one_that_has_died_without_a_word_is_replaced(
    server: Sshd, caller: GuardCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits longer for it than START_S."""
    monkeypatch.setattr(prepared, "START_S", 0.3)
    host = server.host("gpu01")
    port = await connected(caller, host)
    asleep = server.sessions()
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    try:
        told, _ = await ask(caller, host, "decide")
    finally:
        for pid in asleep:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert told["ok"]
    assert told["port"] != port


async def test_one_that_nobody_uses_is_closed(
    server: Sshd, caller: GuardCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "KEPT_S", 0.2)
    host = server.host("gpu01")
    await connected(caller, host)
    await gone(server)
    assert caller._prepared._kept == {}
    told, _ = await ask(caller, host, "decide")
    assert told["ok"]


async def test_leaving_while_it_connects_leaves_nothing_behind(
    server: Sshd, caller: GuardCaller
) -> None:
    """At whatever moment, be it before the first byte or after the login."""
    for turns in range(0, 60, 3):
        caller.prepare(server.host(f"gpu{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        await caller.close()
    await gone(server)
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert not [name for name in names if name.startswith(("prepare", "close"))]


async def test_giving_up_while_one_waits_for_it_closes_it(
    server: Sshd, caller: GuardCaller
) -> None:
    host = server.host("gpu01")
    caller.prepare(host)
    sending = asyncio.create_task(caller.send(host, b"{}"))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await caller.close()
    await gone(server)


async def test_what_goes_wrong_meanwhile_is_said_when_it_is_needed(
    server: Sshd, caller: GuardCaller, tmp_path: Path
) -> None:
    """Preparing asks nobody and tells nobody; another pin is never served by an older login."""
    host = server.host("gpu01")
    await connected(caller, host)
    other = msgspec.structs.replace(host, host_key=(make_key(tmp_path / "other").public,))
    with pytest.raises(HostKeyError):
        await ask(caller, other, "decide")
    server.authorize()
    begun = caller.prepare(host)
    assert begun is not None
    assert isinstance(await begun, AuthError)
    with pytest.raises(AuthError):
        await ask(caller, host, "decide")
    caller.prepare(host)
    with pytest.raises(AuthError):  # while it is under way
        await ask(caller, host, "decide")


async def test_a_login_key_with_a_passphrase_asks_only_when_something_is_sent(
    server: Sshd, tmp_path: Path
) -> None:
    asked = []

    async def passphrase(path: str) -> str | None:
        asked.append(path)
        return "open sesame"

    key = make_key(tmp_path / "locked", passphrase="open sesame")
    server.authorize(line(key.public))
    caller = GuardCaller({}, user=server.user, key=str(key.path), ask_passphrase=passphrase)
    begun = caller.prepare(server.host("gpu01"))
    assert begun is not None
    await begun
    assert asked == []
    told, _ = await ask(caller, server.host("gpu01"), "decide")
    assert told["ok"]
    assert asked == [str(key.path)]
    await caller.close()


async def test_through_a_jump_host_and_by_the_system_s_ssh(server: Sshd, tmp_path: Path) -> None:
    """The way there is closed with it; the system's ssh is not prepared, and works as before."""
    with Sshd(tmp_path / "jump") as jump:
        key = make_key(tmp_path / "user")
        jump.authorize(key.public)
        known = {"jump": jump.host("jump", key=str(key.path))}
        caller = GuardCaller(known, user=server.user, key=str(tmp_path / "login"))
        behind = server.host("gpu01", jump=("jump",))
        await connected(caller, behind)
        assert logins(jump) == 1
        told, _ = await ask(caller, behind, "decide")
        assert told["ok"]
        assert logins(jump) == 1
        await connected(caller, behind)
        await caller.close()
        await gone(server)
        await gone(jump)
        by_ssh = server.host("gpu01", transport="openssh")
        assert caller.prepare(by_ssh) is None
        told, _ = await ask(caller, by_ssh, "decide")
        assert told["ok"]
