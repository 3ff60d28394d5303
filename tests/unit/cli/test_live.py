"""``status`` and ``watch`` as programs, on a real sshd of this machine with the real probe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sshd import Sshd, free_port, make_key
from tests.support.watchfloor import PYTHON, ROOT, watchfloor


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sshd]]:
    """One host that is live, and others that cannot be for different reasons."""
    folder = tmp_path_factory.mktemp("live")
    user, loose = make_key(folder / "user"), make_key(folder / "loose")
    make_key(folder / "locked", passphrase="open sesame")
    loose.path.chmod(0o644)
    with Sshd(folder / "sshd", authorized=[user.public]) as server:
        host_key = " ".join(server.host_keys[0].public.split()[:2])
        file = folder / "fleet.toml"
        file.write_text(
            f"""
            workstation = false
            history = false
            [defaults]
            address = "127.0.0.1"
            user = "{server.user}"
            key = "user"
            host_key = "{host_key}"
            [[hosts]]
            name = "here"
            port = {server.port}
            [[hosts]]
            name = "gone"
            port = {free_port()}
            [[hosts]]
            name = "loose"
            port = {server.port}
            key = "loose"
            [[hosts]]
            name = "locked"
            port = {server.port}
            key = "locked"
            """,
            encoding="utf-8",
        )
        file.chmod(0o600)
        yield file, server


def test_a_live_host_is_0_and_a_whole_document(fleet: tuple[Path, Sshd]) -> None:
    file, server = fleet
    done = watchfloor("--config", str(file), "--hosts", "here", "status", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    [host] = json.loads(done.stdout)["hosts"]
    assert (host["name"], host["state"], host["reason"]) == ("here", "LIVE", "")
    assert host["age_s"] < 30
    assert server.pid in {row["pid"] for row in host["processes"]}
    mine = [row for row in host["listeners"] if row["port"] == server.port]
    assert [(row["proto"], row["address"]) for row in mine] == [("tcp", "127.0.0.1")]
    assert host["inventory"]["kernel"]["release"] == os.uname().release


def test_hosts_that_are_not_live_are_1_and_say_why(fleet: tuple[Path, Sshd]) -> None:
    file, _ = fleet
    argv = ("--config", str(file), "status", "--hosts", "gone,loose,locked", "--timeout", "20")
    done = watchfloor(*argv)
    assert (done.returncode, done.stderr) == (1, "")
    head, *lines = done.stdout.splitlines()
    assert head.startswith("3 hosts: 1 DOWN, 2 REFUSED;")
    told = {line.split()[0]: line for line in lines}
    assert "nothing listens there" in told["gone"]
    assert "passphrase" in told["locked"]
    assert "can be read by others (mode 0644). Run: chmod 600" in told["loose"]


def started(file: Path, *words: str, hosts: str = "here") -> subprocess.Popen[str]:
    """``watch`` on some hosts, running."""
    return subprocess.Popen(
        [*PYTHON, "--config", str(file), "--hosts", hosts, "watch", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_watch_prints_one_object_a_line(fleet: tuple[Path, Sshd]) -> None:
    child = started(fleet[0], "--json", hosts="here,gone")
    assert child.stdout is not None
    lines: list[dict[str, object]] = []
    wanted = {("host", "here", "LIVE"), ("host", "gone", "DOWN"), ("event", "here", None)}
    while wanted:
        lines.append(json.loads(child.stdout.readline()))
        last = lines[-1]
        wanted.discard((str(last["type"]), str(last["host"]), last.get("state")))
    child.terminate()
    rest, said = child.communicate(timeout=20)
    assert (child.returncode, said) == (1, "")
    lines += [json.loads(line) for line in rest.splitlines()]
    told = [line["key"] for line in lines if line.get("kind") == "host.state"]
    assert {"LIVE", "DOWN"} <= set(told)


def test_watch_ends_by_itself(fleet: tuple[Path, Sshd]) -> None:
    argv = ("--config", str(fleet[0]), "watch", "--plain", "--hosts", "gone", "--seconds", "2")
    done = watchfloor(*argv)
    assert (done.returncode, done.stderr) == (1, "")
    assert "nothing listens there" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_watch_in_order(fleet: tuple[Path, Sshd], number: signal.Signals) -> None:
    child = started(fleet[0], "--json")
    assert child.stdout is not None
    while '"LIVE"' not in child.stdout.readline():
        assert child.poll() is None
    child.send_signal(number)
    _, said = child.communicate(timeout=20)
    assert (child.returncode, said) == (0, "")


def test_watch_ends_when_nobody_reads_any_more(fleet: tuple[Path, Sshd]) -> None:
    child = started(fleet[0], "--json")
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline()
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    assert (child.wait(timeout=30), said) == (1, "")
