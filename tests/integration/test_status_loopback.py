"""``watchfloor --config FILE status --json`` against a real sshd here, beside ``ps`` and ``ss``."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.sshd import KeyPair, Sshd, make_key

ROOT = Path(__file__).resolve().parents[2]
NAME = "wf-status-child"
EVERY_4, EVERY_6 = "0.0.0.0", "::"  # noqa: S104  # on purpose: nobody is served there
IPV6 = Path("/proc/net/if_inet6").exists() and bool(Path("/proc/net/if_inet6").read_text())


@pytest.fixture
def user(tmp_path: Path) -> KeyPair:
    if missing := [tool for tool in ("ps", "ss") if not shutil.which(tool)]:
        pytest.skip(f"needs {' and '.join(missing)} (packages procps, iproute2)")
    return make_key(tmp_path / "user")


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a name that nobody else has."""
    program = tmp_path / NAME
    program.symlink_to(str(shutil.which("sleep")))
    process = subprocess.Popen([str(program), "3600"])
    yield process
    process.kill()
    process.wait()


def output(*argv: str) -> list[list[str]]:
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30)
    return [line.split() for line in done.stdout.splitlines()]


def processes() -> dict[int, tuple[int, int]]:
    """pid to (parent, user id), by ``ps``."""
    rows = output("ps", "-e", "-o", "pid=,ppid=,euid=")
    return {int(pid): (int(parent), int(uid)) for pid, parent, uid in rows}


def listeners() -> set[tuple[str, str, int]]:
    """(protocol, address, port), by ``ss``: listening TCP and unconnected UDP sockets."""
    found = set()
    for proto, flag in (("tcp", "-Hltn"), ("udp", "-Hlun")):
        for row in output("ss", flag):
            address, _, port = row[3].rpartition(":")
            address = address.strip("[]").partition("%")[0]
            # ss says * for a socket of both families.
            found.add((proto, {"*": "::"}.get(address, address), int(port)))
    return found


def status(server: Sshd, user: KeyPair, folder: Path, *, transport: str) -> dict[str, Any]:
    """The one host of the document that the command prints; it must end with 0."""
    config = folder / "fleet.toml"
    pin = " ".join(server.host_keys[0].public.split()[:2])
    config.write_text(
        "workstation = false\n"
        f'state_dir = "{folder}/state"\n'
        "[[hosts]]\n"
        'name = "here"\n'
        'address = "127.0.0.1"\n'
        f"port = {server.port}\n"
        f'user = "{server.user}"\n'
        f'key = "{user.path}"\n'
        f'host_key = "{pin}"\n'
        f'python = "{sys.executable}"\n'
        f'transport = "{transport}"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "console", "--config", str(config), "status", "--json"],
        check=False, capture_output=True, text=True, timeout=100, cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT),
             "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["version"] == 1
    (host,) = document["hosts"]
    found: dict[str, Any] = host
    return found


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
def test_processes_and_listeners_match_ps_and_ss(
    user: KeyPair, tmp_path: Path, child: subprocess.Popen[bytes], transport: str
) -> None:
    with (
        Sshd(tmp_path / "a", authorized=[user.public]) as server,
        contextlib.ExitStack() as opened,
    ):
        mine = opened.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()
        every = opened.enter_context(socket.create_server((EVERY_4, 0))).getsockname()
        want = {("tcp", *mine), ("tcp", *every)}
        if IPV6:
            # The bytes of the two addresses are alike, and so are the ports: yet two sockets.
            six = socket.create_server((EVERY_6, every[1]), family=socket.AF_INET6)
            udp = opened.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            udp.bind(("::1", 0))
            want |= {
                ("tcp", *opened.enter_context(six).getsockname()[:2]),
                ("udp", *udp.getsockname()[:2]),
            }
        sshd_key = ("tcp", "127.0.0.1", server.port)
        daemon = server.pid
        looked = time.time()
        before, before_l = processes(), listeners()
        host = status(server, user, tmp_path, transport=transport)
        after, after_l = processes(), listeners()

    assert host["state"] == "LIVE"
    assert 0 <= host["age_s"] < 30
    shown = {row["pid"]: row for row in host["processes"]}
    # Other tests start and end processes meanwhile: what was there all the time must be shown,
    # and what is shown must have been there before, or be younger than the first look.
    stable = {pid for pid in before if before[pid] == after.get(pid)}
    assert len(stable) > 5
    assert stable <= set(shown)
    for pid in stable:
        assert (shown[pid]["ppid"], shown[pid]["uid"]) == before[pid], shown[pid]
    # Start times are counted in ticks since a boot time of whole seconds.
    assert all(row["started"] > looked - 2 for pid, row in shown.items() if pid not in before)
    assert (shown[child.pid]["name"], shown[child.pid]["ppid"]) == (NAME, os.getpid())
    assert shown[child.pid]["cmdline"].endswith(f"/{NAME} 3600")

    listed = {(row["proto"], row["address"], row["port"]): row for row in host["listeners"]}
    assert before_l & after_l <= set(listed)
    assert want <= set(listed)
    for key in want:
        assert (listed[key]["pid"], listed[key]["uid"]) == (os.getpid(), os.geteuid()), key
    assert (listed[sshd_key]["pid"], listed[sshd_key]["name"]) == (daemon, "sshd")
