"""Three network namespaces: a host that serves a stream, management, and an attacker.

Each of the other two has a wire of its own to the host, with IPv4 and IPv6. What runs in them are
small programs of this file; ``Driver`` runs the guard's steps in the host's namespace.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MGMT4, MGMT6 = "10.209.1.2", "fd09:1::2"
EVIL4, EVIL6 = "10.209.66.2", "fd09:66::2"
HOST = {MGMT4: "10.209.1.1", MGMT6: "fd09:1::1", EVIL4: "10.209.66.1", EVIL6: "fd09:66::1"}
NETWORKS = ["10.209.1.0/24", "fd09:1::/64"]
WIRES = ["wfmgmt", "wfevil"]
API, SSH = 8000, 2222
DEADLINE_S = 20.0

SERVER = """
    import socket, threading
    server = socket.create_server(("::", 8000), family=socket.AF_INET6, dualstack_ipv6=True)
    def serve(one):
        try:
            while True:
                one.sendall(b"x" * 4096)
        except OSError:
            pass
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
CLIENT = """
    import json, socket, sys, time
    one = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
    one.settimeout(float(sys.argv[3]))
    print("ready", one.recv(1) != b"", flush=True)
    last, how, size = 0.0, "", 0
    while not how:
        try:
            data = one.recv(65536)
            how = "" if data else "eof"
            if data:
                last, size = time.monotonic(), size + len(data)
        except socket.timeout:
            how = "silence"
        except OSError as error:
            how = type(error).__name__
    print(json.dumps({"last": last, "end": time.monotonic(), "how": how, "bytes": size}))
"""


def need() -> None:
    """Skip where namespaces cannot be made."""
    missing = [name for name in ("ip", "nft", "unshare", "nsenter", "sshd") if not _path(name)]
    if os.geteuid() or missing:
        pytest.skip(f"needs root and {', '.join(missing) or 'its rights'}")


def _path(name: str) -> str:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""


def run(*argv: str, check: bool = True, stdin: str = "") -> str:
    """Run a program; its output."""
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
    )
    assert not check or done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout


def until(test: Any, seconds: float = DEADLINE_S) -> float:
    """Ask until it is true; how long that took. Fails at the deadline."""
    began = time.monotonic()
    while not test():
        assert time.monotonic() - began < seconds, "it did not come true in time"
    return time.monotonic() - began


class Running:
    """A program of this file in a namespace."""

    def __init__(self, argv: list[str]) -> None:
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def line(self, seconds: float = DEADLINE_S) -> str:
        """Its next line."""
        out = self._process.stdout
        assert out is not None
        assert select.select([out], [], [], seconds)[0], "it said nothing"
        return out.readline().strip()

    def say(self, text: str) -> None:
        """Write a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout):
            assert end is not None
            with contextlib.suppress(OSError):
                end.close()


class Driver(Running):
    """The guard's steps in the host's namespace."""

    def __init__(self, namespace: str) -> None:
        super().__init__(
            ["ip", "netns", "exec", namespace, "unshare", "--mount", sys.executable, "-m",
             "tests.support.netdriver"]
        )  # fmt: skip

    def ask(self, call: str, **what: Any) -> dict[str, Any]:
        """The whole answer: ``value`` or ``failed`` and ``words``, ``began`` and ``ended``."""
        self.say(json.dumps({"call": call, **what}))
        reply: dict[str, Any] = json.loads(self.line())
        return reply

    def value(self, call: str, **what: Any) -> Any:
        """What a call gives."""
        reply = self.ask(call, **what)
        assert "value" in reply, reply
        return reply["value"]


class NetLab:
    """The namespaces, with a stream at port 8000 of the host and a real sshd at 2222."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        name = f"wf{os.getpid()}"
        self.host, self.mgmt, self.evil = name + "h", name + "m", name + "e"
        self._running: list[Running] = []

    def start(self) -> None:
        """Build it all."""
        for name in (self.host, self.mgmt, self.evil):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for wire, other, ends in (
            ("wfmgmt", self.mgmt, (MGMT4, MGMT6)),
            ("wfevil", self.evil, (EVIL4, EVIL6)),
        ):
            peer = ["type", "veth", "peer", "name", "eth0", "netns", other]
            run("ip", "-n", self.host, "link", "add", wire, *peer)
            for namespace, device, addresses in (
                (self.host, wire, [HOST[end] for end in ends]),
                (other, "eth0", list(ends)),
            ):
                for address in addresses:
                    where = [address + ("/64" if ":" in address else "/24"), "dev", device]
                    nodad = ["nodad"] if ":" in address else []
                    run("ip", "-n", namespace, "addr", "add", *where, *nodad)
                run("ip", "-n", namespace, "link", "set", device, "up")
        self._sshd()
        server = self.program(self.host, SERVER)
        assert server.line() == "ready"

    def _sshd(self) -> None:
        for name in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name))
        (self.folder / "config").write_text(
            f"Port {SSH}\nHostKey {self.folder}/host\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {self.folder}/user.pub\nPermitRootLogin yes\nPidFile none\n"
            "UseDNS no\n"
        )
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        log, config = str(self.folder / "log"), str(self.folder / "config")
        argv = [_path("sshd"), "-D", "-E", log, "-f", config]
        self._running.append(Running(["ip", "netns", "exec", self.host, *argv]))
        until(lambda: f":{SSH} " in self.inside(self.host, "ss", "-Hltn"))

    def program(self, namespace: str, text: str, *argv: str) -> Running:
        """Start one of the programs above."""
        code = textwrap.dedent(text)
        one = Running(["ip", "netns", "exec", namespace, sys.executable, "-c", code, *argv])
        self._running.append(one)
        return one

    def driver(self) -> Driver:
        """A process that runs steps in the host's namespace."""
        one = Driver(self.host)
        self._running.append(one)
        return one

    def client(self, namespace: str, address: str, silence: float = 5.0) -> Running:
        """A client that reads the stream until it ends, and then tells when and how."""
        one = self.program(namespace, CLIENT, address, str(API), str(silence))
        assert one.line() == "ready True"
        return one

    def inside(self, namespace: str, *argv: str, check: bool = True) -> str:
        """Run a program in a namespace."""
        return run("ip", "netns", "exec", namespace, *argv, check=check)

    def connects(self, namespace: str, address: str, port: int, seconds: float = 0.5) -> bool:
        """Whether a TCP connection comes about."""
        code = (
            "import socket,sys\n"
            "try: socket.create_connection((sys.argv[1],int(sys.argv[2])),float(sys.argv[3]))\n"
            "except OSError: print('no')\nelse: print('yes')"
        )
        argv = (sys.executable, "-c", code, address, str(port), str(seconds))
        return self.inside(namespace, *argv).strip() == "yes"

    def ssh(self, address: str, *command: str) -> list[str]:
        """The arguments of an SSH session to the host from management."""
        options = ["-F", "none", "-i", str(self.folder / "user"), "-p", str(SSH), "-o"]
        options += ["StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o"]
        options += ["LogLevel=ERROR", "-o", "ConnectTimeout=5", "-o", "BatchMode=yes"]
        return ["ip", "netns", "exec", self.mgmt, "ssh", *options, f"root@{address}", *command]

    def session(self, address: str) -> Running:
        """An SSH session that gives back each line."""
        one = Running(self.ssh(address, "cat"))
        self._running.append(one)
        one.say("hello")
        assert one.line() == "hello"
        return one

    def clear(self) -> None:
        """Take every rule out of the host, and end the drivers and clients of a test."""
        run("ip", "netns", "exec", self.host, "nft", "flush", "ruleset")
        for one in self._running[2:]:
            one.stop()
        del self._running[2:]

    def stop(self) -> None:
        """Take it all down."""
        for one in self._running:
            one.stop()
        for name in (self.host, self.mgmt, self.evil):
            for pid in run("ip", "netns", "pids", name, check=False).split():
                with contextlib.suppress(OSError):
                    os.kill(int(pid), 9)
            run("ip", "netns", "del", name, check=False)


@contextlib.contextmanager
def netlab(folder: Path) -> Iterator[NetLab]:
    """The lab, for as long as the block lasts."""
    need()
    lab = NetLab(folder)
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()
