"""A host whose key was replaced: how a running console leaves NEW-KEY, and how it does not."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from console.cli.common import reloader
from console.config.loader import load
from console.engine.build import local_engine
from console.engine.session import LocalEngine
from console.model.host import HostState
from console.model.view import HostView
from tests.support.sshd import KeyPair, Sshd, make_key
from tests.support.watchfloor import watchfloor

HOST = "gpu01"


def write(file: Path, server: Sshd, transport: str) -> None:
    pin = " ".join(server.host_keys[0].public.split()[:2])
    file.write_text(
        f"""
        workstation = false
        history = false
        [[hosts]]
        name = "{HOST}"
        address = "127.0.0.1"
        port = {server.port}
        user = "{server.user}"
        key = "user"
        transport = "{transport}"
        host_key = "{pin}"
        """,
        encoding="utf-8",
    )
    file.chmod(0o600)


@asynccontextmanager
async def console(file: Path) -> AsyncIterator[LocalEngine]:
    flags = argparse.Namespace(config=file, settings=[])
    engine = local_engine(load(only_file=file), reload=reloader(flags))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


async def until(engine: LocalEngine, condition: Callable[[HostView], bool]) -> HostView:
    deadline = time.monotonic() + 30
    while True:
        view = engine.snapshot().host(HOST)
        assert view is not None
        if condition(view):
            return view
        assert time.monotonic() < deadline, (view.state, view.reason)
        if view.state is HostState.DOWN:
            engine.retry(HOST)
        await asyncio.sleep(0.02)


def trust(file: Path, key: KeyPair) -> None:
    """Store the key as a person does, in another terminal."""
    argv = ("--config", str(file), "hosts", "trust", HOST, "--replace")
    done = watchfloor(*argv, "--fingerprint", key.fingerprint)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
async def test_new_key_is_left_by_retry_once_another_key_is_stored(
    tmp_path: Path, transport: str
) -> None:
    user = make_key(tmp_path / "user")
    file = tmp_path / "fleet.toml"
    with Sshd(tmp_path / "sshd", authorized=[user.public]) as server:
        write(file, server, transport)
        old = server.host_keys[0].fingerprint
        async with console(file) as engine:
            await until(engine, lambda view: view.state is HostState.LIVE)
            new = server.replace_host_key()
            view = await until(engine, lambda view: view.state is HostState.NEW_KEY)
            assert f"offered {new.fingerprint}, pinned {old}" in view.reason
            assert f"watchfloor hosts trust {HOST} --replace" in view.reason

            argv = ("--config", str(file), "status", "--plain")
            done = await asyncio.to_thread(watchfloor, *argv)
            assert done.returncode == 1
            line = done.stdout.splitlines()[1]
            assert f"offered {new.fingerprint}, pinned {old}" in line
            assert f"watchfloor hosts trust {HOST} --replace" in line

            connections = server.log.count("Connection from")
            engine.retry(HOST)
            view = await until(engine, lambda view: "still the old one" in view.reason)
            assert view.state is HostState.NEW_KEY
            assert f"watchfloor hosts trust {HOST} --replace" in view.reason
            assert server.log.count("Connection from") == connections, "not tried with old pins"

            whole = file.read_text(encoding="utf-8")
            file.write_text("[[hosts]", encoding="utf-8")
            engine.retry(HOST)
            view = await until(engine, lambda view: "Not read anew" in view.reason)
            assert view.state is HostState.NEW_KEY
            file.write_text(whole, encoding="utf-8")

            await asyncio.to_thread(trust, file, new)
            engine.retry(HOST)
            view = await until(engine, lambda view: view.state is HostState.LIVE)
            assert view.link is not None
            assert view.link.host_key == new.fingerprint
