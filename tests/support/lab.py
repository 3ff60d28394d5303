"""Real hosts for tests: Debian roots booted by systemd-nspawn, each in its own network namespace.

Every host is an overlay over a cached base root (``labroot``) whose upper layer is a tmpfs, mounted
in a mount namespace that only this host has. One process holds both namespaces, and it, the host
and the test process are tied to each other: when the test process ends in whatever way, the kernel
kills the host and takes away its mounts, its addresses and its link.

Addresses are 10.213.N.0/30, between one veth pair and one namespace a host.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from tests.support.labroot import PACKAGES, TIED, LabUnavailable, base_root, cache_dir

__all__ = ["LabHost", "LabUnavailable", "base_root", "wait_until"]

BOOT_SECONDS = 60.0
SWEEP_SECONDS = 5.0
OTHER_RUN_SECONDS = 120.0
# What a container does not have by itself and a real host has.
CAPABILITIES = "CAP_NET_ADMIN,CAP_AUDIT_READ"

_HOLDER = """\
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir "$2/root" "$2/upper" "$2/work"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
ip link set lo up
echo ready
exec sleep infinity
"""

_IN_CGROUPS = """\
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done
shift
exec "$@"
"""


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll ``condition``; AssertionError naming ``what`` when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


def _call(
    *argv: str, check: bool = True, timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, check=check, capture_output=True, text=True, timeout=timeout)


def _cgroups(name: str) -> list[Path]:
    """Where the systemd of a host keeps its units: a folder of its own, or hosts would share it."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, kind, path = line.split(":", 2)
        for _, mount, fstype, options, *_ in mounts:
            unified = kind == "" and fstype == "cgroup2"
            if unified or (kind == "name=systemd" and kind in options.split(",")):
                found.append(Path(mount + path) / name)
    return found


class LabHost:
    """One booted host: ``address``, port 22, its own accounts, journal, units and SSH host key."""

    def __init__(self, number: int, packages: str = PACKAGES) -> None:
        self.number = number
        self.packages = packages
        self.name = f"lab{number}"
        self.address = f"10.213.{number}.2"
        self._near = f"10.213.{number}.1"
        self._veth = f"wflab{number}a"
        self._folder = cache_dir() / "hosts" / self.name
        self._cgroups: list[Path] = []
        self._lock: IO[bytes] | None = None
        self._holder: subprocess.Popen[str] | None = None
        self._nspawn: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LabHost:
        try:
            base = base_root(packages=self.packages)
            self._claim()
            self._hold(base)
            self._furnish()
            self._network()
            self._start()
        except (OSError, subprocess.CalledProcessError) as error:
            self.close()
            said = (getattr(error, "stderr", "") or str(error)).strip()
            raise LabUnavailable(f"{self.name} cannot be set up: {said}") from error
        except BaseException:
            self.close()
            raise
        try:
            self._wait_booted()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def root(self) -> Path:
        """The host's root folder, seen through the process that holds its mounts."""
        assert self._holder is not None
        return Path(f"/proc/{self._holder.pid}/root{self._folder}/root")

    def _claim(self) -> None:
        """One run at a time has this number; another run is waited for."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._cgroups = _cgroups(f"wflab{self.number}")
        self._lock = self._folder.with_suffix(".lock").open("wb")
        deadline = time.monotonic() + OTHER_RUN_SECONDS
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LabUnavailable(f"another run has {self.name}") from None
                time.sleep(0.5)

    def _hold(self, base: Path) -> None:
        argv = [*TIED, "unshare", "--mount", "--net", "--propagation", "private"]
        self._holder = subprocess.Popen(
            [*argv, "sh", "-ec", _HOLDER, "sh", str(base), str(self._folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != "ready\n":
            raise OSError(self._holder.stderr.read())

    def _furnish(self) -> None:
        (self.root / "etc/hostname").write_text(self.name + "\n")
        (self.root / "etc/machine-id").write_text("")
        for old in (self.root / "etc/ssh").glob("ssh_host_*"):
            old.unlink()
        self._make_host_key()

    def _make_host_key(self) -> None:
        key = self.root / "etc/ssh/ssh_host_ed25519_key"
        for path in (key, key.with_suffix(".pub")):
            path.unlink(missing_ok=True)
        _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key))

    def _network(self) -> None:
        assert self._holder is not None
        pid = str(self._holder.pid)
        far = f"wflab{self.number}b"
        _call("ip", "link", "del", self._veth, check=False)
        _call("ip", "link", "add", self._veth, "type", "veth", "peer", "name", far, "netns", pid)
        _call("ip", "addr", "add", f"{self._near}/30", "dev", self._veth)
        _call("ip", "link", "set", self._veth, "up")
        inside = ("nsenter", "--target", pid, "--net", "ip")
        _call(*inside, "addr", "add", f"{self.address}/30", "dev", far)
        _call(*inside, "link", "set", far, "up")

    def boot(self) -> None:
        """Start the host again and wait until its sshd answers."""
        self._start()
        self._wait_booted()

    def _start(self) -> None:
        assert self._holder is not None
        self._sweep()
        for folder in self._cgroups:
            folder.mkdir(exist_ok=True)
        cgroups = [str(folder) for folder in self._cgroups]
        pid = str(self._holder.pid)
        with (self.root.parent / "console.log").open("wb") as log:
            self._nspawn = subprocess.Popen(
                [
                    *TIED, "sh", "-ec", _IN_CGROUPS, "sh", *cgroups, "--",
                    "nsenter", "--target", pid, "--mount", "--net", "--",
                    # systemd-nspawn leaves its host running when it is killed; a namespace of
                    # processes ends as a whole.
                    "unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                    "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
                    "--network-namespace-path=/proc/self/ns/net",
                    f"--capability={CAPABILITIES}",
                    f"--directory={self._folder}/root", f"--machine={self.name}",
                    "--resolv-conf=off", "--timezone=off", "--console=pipe",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _wait_booted(self) -> None:
        wait_until(self._answers_or_died, BOOT_SECONDS, f"{self.name} answers on port 22")
        wait_until(self._booted, BOOT_SECONDS, f"{self.name} has booted")

    def _answers_or_died(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            said = (self.root.parent / "console.log").read_text(errors="replace").strip()
            last = said.splitlines()[-1] if said else "silent"
            raise LabUnavailable(f"systemd-nspawn does not boot {self.name}: {last}")
        return self.answers()

    def _sweep(self) -> None:
        """Remove the control groups of a host that has ended: the kernel keeps them.

        They are busy for a moment after the last process was killed.
        """
        deadline = time.monotonic() + SWEEP_SECONDS
        while left := [folder for folder in self._cgroups if folder.is_dir()]:
            for folder in left:
                for path, _, _ in os.walk(folder, topdown=False):
                    with contextlib.suppress(OSError):
                        Path(path).rmdir()
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)

    def _booted(self) -> bool:
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in ("running", "degraded")

    def answers(self, port: int = 22) -> bool:
        """True when something accepts a connection and speaks SSH there."""
        try:
            with socket.create_connection((self.address, port), timeout=1) as sock:
                return sock.recv(4) == b"SSH-"
        except OSError:
            return False

    @property
    def init_pid(self) -> int:
        """Pid of the host's systemd, as this machine sees it."""
        assert self._nspawn is not None
        pid = self._nspawn.pid
        for _ in ("systemd-nspawn", "systemd"):
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return pid

    def pids(self) -> list[int]:
        """All processes of the host, as this machine numbers them."""
        namespace = os.readlink(f"/proc/{self.init_pid}/ns/pid")
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if os.readlink(entry / "ns/pid") == namespace:
                    found.append(int(entry.name))
        return found

    def run(
        self, *argv: str, check: bool = True, timeout: float = 60.0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the host as root."""
        return subprocess.run(
            ["nsenter", "--target", str(self.init_pid), "--all", "--", *argv],
            check=check, capture_output=True, text=True, timeout=timeout, input=stdin,
        )  # fmt: skip

    def in_network(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine in the host's network, whether the host is up or not."""
        assert self._holder is not None
        return _call("nsenter", "--target", str(self._holder.pid), "--net", *argv, check=check)

    @property
    def network_pid(self) -> int:
        """A process that is in the host's network for as long as the host exists."""
        assert self._holder is not None
        return self._holder.pid

    def popen(self, *argv: str) -> subprocess.Popen[str]:
        """Start a program on the host as root and leave it running."""
        return subprocess.Popen(
            ["nsenter", "--target", str(self.init_pid), "--all", "--", *argv],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    @property
    def host_key_line(self) -> str:
        """The host's public key, as a line for the inventory."""
        text = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        return " ".join(text.split()[:2])

    def replace_host_key(self) -> None:
        """Give the host another key and make its sshd use it for new connections."""
        self._make_host_key()
        self.run("systemctl", "restart", "ssh")
        wait_until(self.answers, 20, f"{self.name} answers with its new key")

    def add_account(self, user: str, public_key: str, options: str = "") -> None:
        """An ordinary account with /bin/sh that accepts ``public_key``."""
        if self.run("id", user, check=False).returncode != 0:
            self.run("useradd", "--create-home", "--shell", "/bin/sh", user)
        home = f"/home/{user}"
        line = f"{options} {public_key}".strip() + "\n"
        self.run("install", "-d", "-m", "700", "-o", user, "-g", user, f"{home}/.ssh")
        self.run("tee", f"{home}/.ssh/authorized_keys", stdin=line)
        self.run("chown", f"{user}:{user}", f"{home}/.ssh/authorized_keys")
        self.run("chmod", "600", f"{home}/.ssh/authorized_keys")

    def freeze(self, names: Sequence[str] = ()) -> None:
        """SIGSTOP every process of the host, or those whose command name is given."""
        self._signal(signal.SIGSTOP, names)

    def thaw(self, names: Sequence[str] = ()) -> None:
        """SIGCONT what ``freeze`` stopped."""
        self._signal(signal.SIGCONT, names)

    def _signal(self, number: signal.Signals, names: Sequence[str]) -> None:
        for pid in self.pids():
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                if not names or name in names:
                    os.kill(pid, number)

    def cut(self) -> None:
        """Take the host's link down, without a word to anybody."""
        _call("ip", "link", "set", self._veth, "down")

    def restore(self) -> None:
        """Bring the link up again."""
        _call("ip", "link", "set", self._veth, "up")

    def kill(self) -> None:
        """Power off without a shutdown."""
        if self._nspawn is None:
            return
        with contextlib.suppress(OSError):
            os.killpg(self._nspawn.pid, signal.SIGKILL)
        self._nspawn.wait(timeout=20)
        self._nspawn = None

    def power_cycle(self) -> None:
        """Power off and on again: the kernel's rules are gone, and it is another boot."""
        self.kill()
        self.in_network("nft", "flush", "ruleset")
        self.boot()

    def close(self) -> None:
        """Remove everything this host was."""
        if self._holder is None and self._nspawn is None:
            if self._lock is not None:
                self._lock.close()
            return  # nothing was made, and what has this number's names is another run's
        self.kill()
        if self._holder is not None:
            self._holder.kill()
            self._holder.communicate(timeout=20)
            self._holder = None
        _call("ip", "link", "del", self._veth, check=False)
        self._sweep()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
