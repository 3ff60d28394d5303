"""Real hosts for tests: Debian roots booted by systemd-nspawn, each in its own network namespace.

The base root is made once by debootstrap and cached; every host is an overlay over it, so nothing
a test does outlives the test. Addresses are 10.213.N.0/30, between one veth pair and one namespace
a host. Nothing outside the overlay, the namespace and the pair is touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PACKAGES = (
    "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,nftables,iproute2,python3,sudo,"
    "procps,netbase,passwd,adduser"
)
TOOLS = ("debootstrap", "systemd-nspawn", "ip", "nsenter", "mount", "ssh-keygen")
BOOT_SECONDS = 60.0


class LabUnavailable(Exception):
    """Why real hosts cannot be had on this machine."""


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


def cache_dir() -> Path:
    """Where base roots are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "watchfloor-lab"


def base_root(suite: str = "bookworm", packages: str = PACKAGES) -> Path:
    """The cached base root of a Debian suite; made on first use (about a minute).

    Raises LabUnavailable with the reason where it cannot be made.
    """
    if os.geteuid() != 0:
        raise LabUnavailable("real hosts need root")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise LabUnavailable(f"not installed: {', '.join(missing)}")
    digest = hashlib.sha256(packages.encode()).hexdigest()[:8]
    target = cache_dir() / f"{suite}-{digest}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return target
        fresh = target.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        argv = ["debootstrap", "--variant=minbase", f"--include={packages}", suite, str(fresh)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            last = (done.stdout.strip().splitlines() or ["no output"])[-1]
            raise LabUnavailable(f"debootstrap {suite} failed: {last}")
        fresh.rename(target)
    return target


class LabHost:
    """One booted host: ``address``, port 22, its own accounts, journal, units and SSH host key."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"lab{number}"
        self.address = f"10.213.{number}.2"
        self._near = f"10.213.{number}.1"
        self._netns = f"wflab{number}"
        self._veth = f"wflab{number}a"
        self._folder = Path(tempfile.mkdtemp(prefix=f"watchfloor-lab{number}-"))
        self.root = self._folder / "root"
        self._nspawn: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LabHost:
        try:
            self._mount()
            self._network()
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _mount(self) -> None:
        base = base_root()
        for part in ("root", "upper", "work"):
            (self._folder / part).mkdir()
        options = f"lowerdir={base},upperdir={self._folder}/upper,workdir={self._folder}/work"
        _call("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
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
        far = f"wflab{self.number}b"
        _call("ip", "netns", "del", self._netns, check=False)
        _call("ip", "link", "del", self._veth, check=False)
        _call("ip", "netns", "add", self._netns)
        _call("ip", "link", "add", self._veth, "type", "veth", "peer", "name", far)
        _call("ip", "link", "set", far, "netns", self._netns)
        _call("ip", "addr", "add", f"{self._near}/30", "dev", self._veth)
        _call("ip", "link", "set", self._veth, "up")
        for words in (
            ("addr", "add", f"{self.address}/30", "dev", far),
            ("link", "set", far, "up"),
            ("link", "set", "lo", "up"),
        ):
            _call("ip", "-n", self._netns, *words)

    def boot(self) -> None:
        """Start the host and wait until its sshd answers."""
        with (self._folder / "console.log").open("wb") as log:
            self._nspawn = subprocess.Popen(
                [
                    "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
                    f"--network-namespace-path=/run/netns/{self._netns}",
                    f"--directory={self.root}", f"--machine={self.name}",
                    "--resolv-conf=off", "--timezone=off", "--console=pipe",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(self.answers, BOOT_SECONDS, f"{self.name} answers on port 22")
        wait_until(self._booted, BOOT_SECONDS, f"{self.name} has booted")

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
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        return int(children.read_text().split()[0])

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
        with contextlib.suppress(OSError, IndexError, ValueError):
            os.kill(self.init_pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.killpg(self._nspawn.pid, signal.SIGKILL)
        self._nspawn.wait(timeout=20)
        self._nspawn = None

    def close(self) -> None:
        """Remove everything this host was."""
        self.kill()
        _call("ip", "link", "del", self._veth, check=False)
        _call("ip", "netns", "del", self._netns, check=False)
        for _ in range(20):
            if _call("umount", str(self.root), check=False).returncode == 0:
                break
            if not os.path.ismount(self.root):
                break
            time.sleep(0.1)
        if not os.path.ismount(self.root):
            shutil.rmtree(self._folder, ignore_errors=True)
