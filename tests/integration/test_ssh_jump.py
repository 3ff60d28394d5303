"""Jump hosts by real servers: strictly checked, shared, closed when unused; and the key scan."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from console.errors import AuthError, ConnectError, HostKeyError, LinkError
from console.model.host import Host
from console.model.link import Link
from console.ssh.connect import Timing
from console.ssh.scan import fetch_host_key
from console.ssh.transport import Start, Transports
from tests.support.sink import RecordingSink
from tests.support.sshd import Sshd, free_port, make_key, need_openssh

TIMING = Timing(connect=15, login=15, command=10, close=1)


def start(host: Host) -> Start:
    return Start("echo hello; exec cat")


class Site:
    """Two jump hosts and a target, and the inventory that names them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.user = make_key(folder / "user")
        self.outer, self.inner, self.target = (
            stack.enter_context(Sshd(folder / name, authorized=[self.user.public]))
            for name in ("outer", "inner", "target")
        )
        self.other = make_key(folder / "other")

    def inventory(self, kind: str) -> dict[str, Host]:
        both = {"key": str(self.user.path), "transport": kind}
        hosts = [
            self.outer.host("outer", **both),
            self.inner.host("inner", jump=("outer",), **both),
            self.target.host("gpu01", jump=("outer",), **both),
            self.target.host("gpu02", jump=("inner",), **both),
            self.target.host("gpu03", jump=("outer", "inner"), **both),
        ]
        return {host.name: host for host in hosts}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    need_openssh()
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


async def opened(made: Transports, host: Host) -> tuple[Link, RecordingSink]:
    sink = RecordingSink()
    link = await made.open(host, sink)
    assert await sink.lines(1) == [b"hello"]
    return link, sink


def logins(server: Sshd) -> int:
    return server.log.count("Accepted publickey")


async def until(holds: Callable[[], bool], said: Callable[[], str]) -> None:
    """Poll what another process writes; fails with ``said()`` after ten seconds."""
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(said())


async def until_idle(server: Sshd) -> None:
    """Wait until nobody is connected to the server."""
    await until(lambda: not server.sessions(), lambda: server.log)


@pytest.mark.parametrize(
    ("name", "hops"),
    [("gpu01", ("outer",)), ("gpu02", ("outer", "inner")), ("gpu03", ("outer", "inner"))],
)
async def test_a_host_behind_jump_hosts(
    site: Site, kind: str, name: str, hops: tuple[str, ...]
) -> None:
    inventory = site.inventory(kind)
    made = Transports(inventory, timing=TIMING, starter=start)
    link, sink = await opened(made, inventory[name])
    assert link.facts.jump == hops
    assert link.facts.host_key == site.target.host_keys[0].fingerprint
    link.send("verb")
    assert await sink.lines(2) == [b"hello", b"verb"]
    await link.close()
    await made.close()
    assert sink.ends == [None]


async def test_one_connection_to_a_jump_host_serves_all(site: Site) -> None:
    inventory = site.inventory("asyncssh")
    made = Transports(inventory, timing=TIMING, starter=start)
    links = await asyncio.gather(
        *(opened(made, inventory[name]) for name in ("gpu01", "gpu02", "gpu03", "gpu01", "gpu02"))
    )
    assert (logins(site.outer), logins(site.inner), logins(site.target)) == (1, 1, 5)
    for link, _ in links[:-1]:
        await link.close()
    assert site.outer.sessions()
    last, sink = links[-1]
    last.send("still here")
    assert await sink.lines(2) == [b"hello", b"still here"]
    await last.close()
    await until_idle(site.inner)
    await until_idle(site.outer)  # the last user has left
    again, _ = await opened(made, inventory["gpu02"])
    assert logins(site.outer) == 2
    await again.close()
    await made.close()


async def test_losing_a_jump_host_ends_what_is_behind_it_and_heals(site: Site) -> None:
    inventory = site.inventory("asyncssh")
    made = Transports(inventory, timing=TIMING, starter=start)
    links = [await opened(made, inventory[name]) for name in ("gpu01", "gpu02", "gpu03")]
    for pid in site.outer.sessions():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for link, sink in links:
        assert isinstance(await sink.end(), ConnectError)
        assert len(sink.ends) == 1
        await link.close()
    link, _ = await opened(made, inventory["gpu02"])
    await link.close()
    await made.close()


async def test_a_jump_host_with_another_key_stops_the_way(site: Site, kind: str) -> None:
    inventory = site.inventory(kind)
    inventory["outer"] = msgspec.structs.replace(inventory["outer"], host_key=(site.other.public,))
    made = Transports(inventory, timing=TIMING, starter=start)
    with pytest.raises(HostKeyError, match="outer"):
        await made.open(inventory["gpu03"], RecordingSink())
    await made.close()
    assert logins(site.outer) == logins(site.inner) == logins(site.target) == 0


async def test_a_target_with_another_key_is_noticed_through_a_jump_host(
    site: Site, kind: str
) -> None:
    inventory = site.inventory(kind)
    host = msgspec.structs.replace(inventory["gpu02"], host_key=(site.other.public,))
    made = Transports(inventory, timing=TIMING, starter=start)
    with pytest.raises(HostKeyError) as caught:
        await made.open(host, RecordingSink())
    await made.close()
    assert caught.value.offered == site.target.host_keys[0].fingerprint
    assert logins(site.target) == 0


async def test_many_hosts_behind_a_refusing_jump_host_log_in_once(site: Site) -> None:
    site.outer.authorize()
    inventory = site.inventory("asyncssh")
    made = Transports(inventory, timing=TIMING, starter=start)
    names = ["gpu01", "gpu02", "gpu03"] * 5
    results = await asyncio.gather(
        *(made.open(inventory[name], RecordingSink()) for name in names), return_exceptions=True
    )
    assert {type(result) for result in results} == {AuthError}
    with pytest.raises(AuthError):  # and not again at once
        await made.open(inventory["gpu01"], RecordingSink())
    await made.close()
    assert site.outer.log.count("Connection from") == 1


async def test_a_jump_host_that_cannot_go_on_is_named(site: Site, kind: str) -> None:
    inventory = site.inventory(kind)
    host = msgspec.structs.replace(inventory["gpu01"], port=free_port())
    made = Transports(inventory, timing=TIMING, starter=start)
    with pytest.raises(ConnectError) as caught:
        await made.open(host, RecordingSink())
    await made.close()
    assert "jump host" in str(caught.value)
    if kind == "asyncssh":
        await until_idle(site.outer)


async def test_giving_up_on_a_slow_jump_host_leaves_nothing(site: Site) -> None:
    inventory = site.inventory("asyncssh")
    made = Transports(inventory, timing=TIMING, starter=start)
    site.inner.signal(signal.SIGSTOP)
    opening = asyncio.create_task(made.open(inventory["gpu02"], RecordingSink()))
    await until(lambda: logins(site.outer) > 0, lambda: site.outer.log)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await until_idle(site.outer)
    await made.close()


async def test_host_keys_are_fetched_without_a_login(tmp_path: Path) -> None:
    need_openssh()
    keys = [make_key(tmp_path / name, kind=name) for name in ("ed25519", "rsa")]
    with Sshd(tmp_path / "a", host_keys=keys) as server:
        host = server.host("gpu01", host_key=())
        found = await fetch_host_key(host, {"gpu01": host}, timing=TIMING)
    assert [item.fingerprint for item in found] == [key.fingerprint for key in keys]
    assert [item.line for item in found] == [" ".join(key.public.split()[:2]) for key in keys]
    assert [item.kind for item in found] == ["ssh-ed25519", "ssh-rsa"]


async def test_host_keys_are_fetched_through_jump_hosts(site: Site) -> None:
    inventory = site.inventory("asyncssh")
    host = msgspec.structs.replace(inventory["gpu02"], host_key=())
    found = await fetch_host_key(host, inventory, timing=TIMING)
    assert [item.fingerprint for item in found] == [site.target.host_keys[0].fingerprint]
    assert logins(site.target) == 0


async def test_a_scan_that_reaches_nobody_says_so(site: Site, tmp_path: Path) -> None:
    inventory = site.inventory("asyncssh")
    for name in ("gpu01", "outer"):
        host = msgspec.structs.replace(inventory[name], port=free_port(), host_key=())
        with pytest.raises(LinkError) as caught:
            await fetch_host_key(host, inventory, timing=TIMING)
        assert type(caught.value) is ConnectError


async def test_a_jump_host_that_is_not_among_the_chosen_ones_is_still_the_way(
    site: Site, tmp_path: Path
) -> None:
    """What ``--hosts gpu02`` leaves out of the fleet is not left out of the route."""
    inventory = site.inventory("asyncssh")
    lines = ["workstation = false", "history = false"]
    for host in (inventory["outer"], inventory["inner"], inventory["gpu02"]):
        lines += ["[[hosts]]", f"name = {host.name!r}", f"address = {host.address!r}"]
        lines += [f"port = {host.port}", f"user = {host.user!r}", f"key = {host.key!r}"]
        lines += [f"host_key = {host.host_key[0]!r}", f"jump = {list(host.jump)!r}"]
    file = tmp_path / "fleet.toml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    argv = [sys.executable, "-m", "console", "--config", str(file), "--hosts", "gpu02", "status"]
    done = await asyncio.create_subprocess_exec(*argv, "--json", stdout=subprocess.PIPE)
    out, _ = await done.communicate()
    (row,) = json.loads(out)["hosts"]
    assert (row["name"], row["state"]) == ("gpu02", "LIVE"), row["reason"]
    assert row["link"]["jump"] == ["outer", "inner"]
    assert done.returncode == 0
