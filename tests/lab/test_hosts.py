"""Real hosts behind real sshd: what the console shows while they live, hang, die and return."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from console.config.loader import load
from console.engine.build import local_engine
from console.engine.protocol import Engine
from console.model.host import HostState
from console.model.view import HostView
from tests.lab.conftest import Fleet
from tests.support.lab import LabHost, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@asynccontextmanager
async def watching(fleet: Fleet) -> AsyncIterator[Engine]:
    """An engine over the three hosts."""
    engine = local_engine(load(only_file=fleet.config, env={}, cwd=fleet.folder))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def until(
    engine: Engine, host: str, condition: Callable[[HostView], object], seconds: float, what: str
) -> HostView:
    """The host's view once ``condition`` holds; an AssertionError that tells how it stood."""
    deadline = time.monotonic() + seconds
    while True:
        view = engine.snapshot().host(host)
        if view is not None and condition(view):
            return view
        if time.monotonic() > deadline:
            stand = f"{view.state} ({view.reason})" if view else "unknown"
            raise AssertionError(f"{host}: not within {seconds:g} s: {what}; it is {stand}")
        await asyncio.sleep(0.05)


async def all_live(engine: Engine, fleet: Fleet) -> None:
    for host in fleet.hosts:
        await until(engine, host.name, lambda v: v.state is HostState.LIVE, 30, "LIVE")


def is_in(*states: HostState) -> Callable[[HostView], bool]:
    return lambda view: view.state in states


async def test_each_tier_sees_what_it_may_and_names_what_it_may_not(fleet: Fleet) -> None:
    async with watching(fleet) as engine:
        await all_live(engine, fleet)
        for tier, host in enumerate(fleet.hosts):
            view = await until(
                engine, host.name, lambda v: v.packages and v.inventory.digests, 60, "inventory"
            )
            assert view.hello is not None
            assert view.hello.tier == tier
            assert view.inventory.os is not None
            assert view.inventory.os.id == "debian"
            ssh = [row for row in view.listeners if row.proto == "tcp" and row.port == 22]
            assert ssh
            if tier == 2:
                assert {row.name for row in ssh} <= {"sshd", "systemd"}
                assert all(row.pid for row in ssh)
                assert view.inventory.digests is not None
                assert view.inventory.digests.sshd.get("permitrootlogin")
                assert view.inventory.digests.firewall
            else:
                assert all(row.pid is None for row in ssh)
                assert view.denied
                assert any("CAP_SYS_PTRACE" in right for right in view.denied.values())


async def test_a_killed_host_is_down_and_comes_back(fleet: Fleet) -> None:
    killed = fleet.hosts[0]
    async with watching(fleet) as engine:
        await all_live(engine, fleet)
        await until(engine, killed.name, lambda v: v.listeners, 30, "listeners")
        killed.kill()
        try:
            down = is_in(HostState.DOWN)
            view = await until(engine, killed.name, down, 90, "DOWN after it was killed")
            assert view.reason
            assert view.listeners, "what was known stays"
            for other in fleet.hosts[1:]:
                await until(engine, other.name, is_in(HostState.LIVE), 1, "others stay LIVE")
        finally:
            killed.boot()
        engine.retry(killed.name)
        await until(engine, killed.name, is_in(HostState.LIVE), 60, "LIVE again")


async def test_a_frozen_host_is_stale_until_it_thaws(fleet: Fleet) -> None:
    frozen = fleet.hosts[1]
    async with watching(fleet) as engine:
        await all_live(engine, fleet)
        frozen.freeze()
        try:
            await until(engine, frozen.name, is_in(HostState.STALE), 20, "STALE while frozen")
            for other in (fleet.hosts[0], fleet.hosts[2]):
                await until(engine, other.name, is_in(HostState.LIVE), 1, "others stay LIVE")
        finally:
            frozen.thaw()
        await until(engine, frozen.name, is_in(HostState.LIVE), 90, "LIVE after it thawed")


async def test_a_cut_link_heals(fleet: Fleet) -> None:
    host = fleet.hosts[2]
    async with watching(fleet) as engine:
        await all_live(engine, fleet)
        host.cut()
        try:
            away = is_in(HostState.STALE, HostState.DOWN)
            await until(engine, host.name, away, 20, "STALE or DOWN while the link is cut")
        finally:
            host.restore()
        await until(engine, host.name, is_in(HostState.LIVE), 120, "LIVE over the healed link")


async def test_a_replaced_host_key_waits_for_a_person(fleet: Fleet) -> None:
    host = fleet.hosts[2]
    async with watching(fleet) as engine:
        await all_live(engine, fleet)
        host.replace_host_key()
        host.run("pkill", "-f", "sshd: wfmon", check=False)
        view = await until(engine, host.name, is_in(HostState.NEW_KEY), 60, "NEW-KEY")
        assert "SHA256:" in view.reason
        engine.retry(host.name)
        kinds = {event.kind for event in engine.events()}
        assert "host.key-changed" in kinds
        view = await until(engine, host.name, lambda v: True, 1, "still there")
        assert view.state is HostState.NEW_KEY
    fleet.write_config()
    async with watching(fleet) as engine:
        await all_live(engine, fleet)


def programs(host: LabHost) -> dict[int, str]:
    """pid to name of the host's processes, by ``ps``."""
    rows = host.run("ps", "-e", "-o", "pid=,comm=").stdout.splitlines()
    return {int(pid): name for pid, name in (row.split(None, 1) for row in rows)}


def ports(host: LabHost) -> set[tuple[str, int]]:
    """Address and port of the host's TCP listeners, by ``ss``."""
    found = set()
    for line in host.run("ss", "-Hltn").stdout.splitlines():
        address, _, port = line.split()[3].rpartition(":")
        found.add((address.strip("[]").replace("*", "::"), int(port)))
    return found


def test_status_agrees_with_ps_and_ss_on_the_hosts(fleet: Fleet) -> None:
    before = {host.name: (programs(host), ports(host)) for host in fleet.hosts}
    done = fleet.watchfloor("--config", str(fleet.config), "status", "--json")
    assert done.returncode == 0, done.stderr
    status = {host["name"]: host for host in json.loads(done.stdout)["hosts"]}
    for host in fleet.hosts:
        known, listening = before[host.name]
        now = programs(host)
        told = status[host.name]
        assert told["state"] == "LIVE"
        tcp = {(r["address"], r["port"]) for r in told["listeners"] if r["proto"] == "tcp"}
        assert tcp == listening == ports(host)
        shown = {row["pid"]: row["name"] for row in told["processes"]}
        stayed = {pid: name for pid, name in known.items() if now.get(pid) == name}
        assert len(stayed) > 5
        assert {pid: shown.get(pid) for pid in stayed} == stayed
        # What came for us: sshd's session, the probe and its children, the relay, the sensor.
        new = {name for pid, name in shown.items() if pid not in known}
        assert new <= {"sshd", "sshd-session", "sh", "python3", "journalctl", "systemd",
                       "(sd-pam)", "nft"}  # fmt: skip


def test_a_host_that_is_away_makes_the_exit_code_1(fleet: Fleet) -> None:
    host = fleet.hosts[0]
    host.cut()
    try:
        done = fleet.watchfloor("--config", str(fleet.config), "status", "--json", timeout=90)
    finally:
        host.restore()
    assert done.returncode == 1
    status = {row["name"]: row for row in json.loads(done.stdout)["hosts"]}
    assert status[host.name]["state"] != "LIVE"
    assert status[host.name]["reason"]
    assert status[fleet.hosts[1].name]["state"] == "LIVE"
    wait_until(host.answers, 20, "the link is back")
