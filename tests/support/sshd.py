"""A real OpenSSH server on loopback for tests, apart from the machine's own.

    with Sshd(tmp_path, authorized=[user.public]) as server:
        host = server.host("gpu01", key=str(user.path))

It has its own configuration, host keys and log, runs as the test's user, and logs in that same
user. As root it needs the privilege separation folder ``/run/sshd``, which is made when missing.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pytest

from console.model.host import Host

DEADLINE_S = 20.0


def need_openssh() -> None:
    """Skip the calling test where OpenSSH's server or tools are missing."""
    missing = [name for name in ("sshd", "ssh", "ssh-keygen", "ssh-agent") if not program(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (package openssh-server)")


def program(name: str) -> str:
    """Full path of a program, also outside a user's PATH; empty when missing."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or ""


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class KeyPair:
    """A key pair made by ssh-keygen."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def public(self) -> str:
        """The public key line."""
        return Path(f"{self.path}.pub").read_text(encoding="utf-8").strip()

    @property
    def certificate(self) -> Path:
        """Where ``sign`` put the certificate."""
        return Path(f"{self.path}-cert.pub")

    @property
    def fingerprint(self) -> str:
        """``SHA256:...`` as ssh-keygen prints it."""
        return keygen("-l", "-f", f"{self.path}.pub").split()[1]

    def sign(
        self,
        other: "KeyPair",
        *,
        principals: str,
        host: bool = False,
        validity: str = "-1h:+1h",
        options: Sequence[str] = (),
    ) -> Path:
        """Issue a certificate for ``other`` (a user's, or a host's)."""
        flags = ["-h"] if host else []
        flags += [part for option in options for part in ("-O", option)]
        names = ["-n", principals] if principals else []
        keygen(
            *flags,
            *("-s", str(self.path), "-I", "test", *names, "-V", validity),
            f"{other.path}.pub",
        )
        return other.certificate


def keygen(*arguments: str) -> str:
    """Run ssh-keygen quietly; its standard output."""
    done = subprocess.run(
        [program("ssh-keygen"), *arguments],
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return done.stdout


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> KeyPair:
    """Make a key pair at ``path`` (mode 0600)."""
    keygen("-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path))
    return KeyPair(path)


class Sshd:
    """``sshd -D`` on a port of loopback, from entering the context until leaving it."""

    def __init__(
        self,
        folder: Path,
        *,
        authorized: Sequence[str] = (),
        host_keys: Sequence[KeyPair] = (),
        host_certificate: Path | None = None,
        user_ca: str = "",
        command: str = "",
        extra: Sequence[str] = (),
    ) -> None:
        """``authorized`` are authorized_keys lines; ``command`` forces a command on every login.

        ``folder`` keeps everything (made when missing); without ``host_keys`` one Ed25519 key is
        made. ``extra`` are lines of sshd_config.
        """
        need_openssh()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.user = getpass.getuser()
        self.port = 0
        self.host_keys = list(host_keys) or [make_key(folder / "host_key")]
        self._log = folder / "sshd.log"
        self._authorized = folder / "authorized_keys"
        self.authorize(*authorized)
        self._lines = [
            *(f"HostKey {key.path}" for key in self.host_keys),
            *([f"HostCertificate {host_certificate}"] if host_certificate else []),
            *([f"ForceCommand {command}"] if command else []),
            *extra,
        ]
        if user_ca:
            (folder / "user_ca.pub").write_text(user_ca + "\n", encoding="utf-8")
            self._lines.append(f"TrustedUserCAKeys {folder / 'user_ca.pub'}")
        self._process: subprocess.Popen[bytes] | None = None

    def authorize(self, *lines: str) -> None:
        """Replace what may log in; holds for the next login."""
        self._authorized.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self._authorized.chmod(0o600)

    @property
    def pid(self) -> int:
        """Process id of the listening sshd."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What sshd has logged."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def sessions(self) -> list[int]:
        """Process ids of everything that sshd started and that still runs, parents first."""
        found: list[int] = []
        todo = [self.pid]
        while todo:
            parent = todo.pop(0)
            path = Path(f"/proc/{parent}/task/{parent}/children")
            with contextlib.suppress(OSError):
                children = [int(pid) for pid in path.read_text(encoding="ascii").split()]
                found += children
                todo += children
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to sshd and all its sessions (SIGSTOP: a frozen host)."""
        for pid in [self.pid, *self.sessions()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def host(self, name: str, *, key: str = "", **more: object) -> Host:
        """This server as a host of an inventory, its key pinned unless ``host_ca`` is given."""
        pins = tuple(pair.public for pair in self.host_keys)
        values: dict[str, object] = {
            "name": name,
            "address": "127.0.0.1",
            "port": self.port,
            "user": self.user,
            "key": key,
            "host_key": () if "host_ca" in more else pins,
            **more,
        }
        return Host(**values)  # type: ignore[arg-type]  # a test's keyword arguments

    def __enter__(self) -> "Sshd":
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            self.port = free_port()
            self._start()
            if self._wait(deadline):
                return self
            said = self.log
            self._stop()
            if "Address already in use" not in said or time.monotonic() > deadline:
                raise RuntimeError(f"sshd did not start: {said}")

    def _start(self) -> None:
        config = self.folder / "sshd_config"
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"PidFile {self.folder / 'sshd.pid'}",
            f"AuthorizedKeysFile {self._authorized}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "MaxStartups 500",
            "MaxSessions 500",
            "UseDNS no",
            "PrintMotd no",
            "PrintLastLog no",
            "LogLevel VERBOSE",
            # Debian's bash reads ~/.bashrc also for a command by ssh, unless it is a shell within a
            # shell. What whoever runs the tests has there may take seconds, or wait for a lock.
            "SetEnv SHLVL=2",
            *self._lines,
        ]
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._log.write_bytes(b"")
        self._process = subprocess.Popen(
            [program("sshd"), "-D", "-f", str(config), "-E", str(self._log)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait(self, deadline: float) -> bool:
        """Until the port is served; False when sshd ended instead."""
        assert self._process is not None
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if "Server listening" in self.log:
                return True
            time.sleep(0.01)
        return False

    def _stop(self) -> None:
        """End sshd, and with it every session that it started."""
        process = self._process
        if process is None:
            return
        self.signal(signal.SIGCONT)
        rest = self.sessions()
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=5)
        for pid in rest:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process = None

    def replace_host_key(self) -> KeyPair:
        """Set up anew: another first host key at the same port; sessions end."""
        self._stop()
        path = self.host_keys[0].path
        for old in (path, Path(f"{path}.pub")):
            old.unlink()
        self.host_keys[0] = make_key(path)
        self._start()
        if not self._wait(time.monotonic() + DEADLINE_S):
            raise RuntimeError(f"sshd did not start again: {self.log}")
        return self.host_keys[0]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()


class Agent:
    """A real ssh-agent; ``path`` is for SSH_AUTH_SOCK."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "agent.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, pair: KeyPair) -> None:
        """Load a key without a passphrase."""
        subprocess.run(
            [program("ssh-add"), "-q", str(pair.path)],
            check=True,
            env={**os.environ, "SSH_AUTH_SOCK": str(self.path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
        )

    def __enter__(self) -> "Agent":
        self._process = subprocess.Popen(
            [program("ssh-agent"), "-D", "-a", str(self.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + DEADLINE_S
        while not self.path.exists():
            assert time.monotonic() < deadline, "ssh-agent did not start"
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=5)
