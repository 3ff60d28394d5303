"""Runs a printed script on a host over the system's ssh, by an administrator's login.

Nothing of that login is kept. The first connection stays open until a second one has shown that the
administrator can still log in; if it cannot, the first takes sshd's configuration back.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from console.enroll.guardfiles import ETC
from console.enroll.guardscript import undo_sshd
from console.errors import ConnectError, UsageError
from console.model.host import Host
from console.text import clean

SSH = "/usr/bin/ssh"
LOGIN_S = 120.0
SCRIPT_S = 600.0
_DESTINATION = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,63})@([A-Za-z0-9_][A-Za-z0-9._:%-]{0,254})"
)
_CALM = (
    "ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes", "PermitLocalCommand=no",
    "StrictHostKeyChecking=yes", "ConnectTimeout=20", "ServerAliveInterval=15",
)  # fmt: skip
IDENTITY = f"{ETC}/identity.json"
_KEYS = "cat /etc/ssh/ssh_host_*_key.pub"


def destination(text: str) -> str:
    """``ADMIN@HOST`` where it is that. Raises UsageError."""
    if not _DESTINATION.fullmatch(text):
        raise UsageError(f"{clean(text, 80)!r} is not ADMIN@HOST")
    return text


class Login:
    """An administrator's way to one host. ``pinned`` are its host keys by the inventory; where
    there are none, those that the administrator's own ssh knows count."""

    def __init__(self, to: str, pinned: Iterable[str], folder: Path, config: Path | None) -> None:
        self.to = destination(to)
        self._socket = str(folder / "s")
        self._options = [word for option in _CALM for word in ("-o", option)]
        if config is not None:
            self._options = ["-F", str(config), *self._options]
        lines = [" ".join(line.split()[:2]) for line in pinned]
        if lines:
            known = folder / "known_hosts"
            known.write_text("".join(f"watchfloor {line}\n" for line in lines), encoding="utf-8")
            for option in (f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=/dev/null",
                           "HostKeyAlias=watchfloor"):  # fmt: skip
                self._options += ["-o", option]

    @contextmanager
    def first(self) -> Iterator[None]:
        """The first connection, open until this ends. Raises ConnectError."""
        argv = [SSH, *self._options, "-M", "-N", "-T", "-S", self._socket,
                "-o", "ControlPersist=no", "--", self.to]  # fmt: skip
        master = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        try:
            self._opened(master)
            yield
        finally:
            subprocess.run(self._through("-O", "exit"), capture_output=True, check=False)
            try:
                master.wait(10)
            except subprocess.TimeoutExpired:
                master.kill()
                master.wait()

    def _opened(self, master: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + LOGIN_S
        while subprocess.run(self._through("-O", "check"), capture_output=True,
                             check=False).returncode:  # fmt: skip
            if master.poll() is not None or time.monotonic() > until:
                raise ConnectError(
                    f"{self.to} cannot be logged in to; nothing was changed",
                    hint=f"Try: ssh {self.to}",
                )
            time.sleep(0.1)

    def _through(self, *flags: str) -> list[str]:
        return [SSH, *self._options, "-S", self._socket, "-o", "ControlMaster=no", *flags,
                "--", self.to]  # fmt: skip

    def ask(self, command: str) -> str:
        """What a short command prints, over the first connection. Raises ConnectError."""
        done = subprocess.run(
            [*self._through("-T"), command], stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=LOGIN_S,
        )  # fmt: skip
        if done.returncode:
            said = clean(done.stderr.decode("utf-8", "replace").strip(), 200)
            raise ConnectError(f"{self.to}: {said or f'exit status {done.returncode}'}")
        return done.stdout.decode("utf-8", "replace")

    def shell(self) -> str:
        """The command by which the administrator is root. Raises ConnectError."""
        if self.ask("id -u").strip() == "0":
            return "sh -s"
        try:
            self.ask("sudo -n true")
        except ConnectError as error:
            raise ConnectError(
                f"{self.to} is not root, and sudo asks for a password: {error.message}",
                hint="Use a login that may run `sudo -n`, or run the printed script by hand.",
            ) from None
        return "sudo -n sh -s"

    def script(self, shell: str, text: str) -> int:
        """Run a script over the first connection; its output goes where ours goes."""
        sys.stdout.flush()
        return subprocess.run(
            [*self._through("-T"), shell], input=text.encode(), check=False, timeout=SCRIPT_S
        ).returncode

    def again(self, shell: str) -> bool:
        """Whether a new connection logs in and is root there."""
        argv = [SSH, *self._options, "-T", "-S", "none", "-o", "ControlMaster=no", "--", self.to]
        try:
            done = subprocess.run(
                [*argv, shell], input=b"id -u\n", stdout=subprocess.PIPE, check=False,
                timeout=LOGIN_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0 and done.stdout.strip() == b"0"


def copies(found: str, name: str, hosts: Iterable[Host]) -> list[str]:
    """Other hosts of the inventory that have one of the public keys in ``found``."""
    keys = {" ".join(line.split()[:2]) for line in found.splitlines()}
    return [
        host.name for host in hosts
        if host.name != name and any(" ".join(line.split()[:2]) in keys for line in host.host_key)
    ]  # fmt: skip


def enrol(
    to: str, name: str, script: str, hosts: Iterable[Host], *, changes: bool,
    config: Path | None = None, learn: Callable[[str], None] | None = None,
) -> int:  # fmt: skip
    """Run ``script`` on ``name``; its exit status. Raises ConnectError and UsageError.

    ``changes`` False: it only looks, so no second connection is needed. ``learn`` is given the
    host's ``identity.json`` once the script has ended well, over the same connection.
    """
    every = list(hosts)
    pinned = next((host.host_key for host in every if host.name == name), ())
    with tempfile.TemporaryDirectory(prefix="watchfloor-") as folder:
        login = Login(to, pinned, Path(folder), config)
        with login.first():
            other = copies(login.ask(_KEYS), name, every)
            if other:
                raise UsageError(
                    f"{name} has the host key of {', '.join(other)}: one is a copy of the other; "
                    "nothing was changed",
                    hint=f"On {name}: rm /etc/ssh/ssh_host_* /etc/watchfloor/identity.json; "
                    "ssh-keygen -A; restart sshd. Then pin its new key.",
                )
            shell = login.shell()
            if not changes:
                return login.script(shell, script)
            if not login.again(shell):
                raise ConnectError(f"{to} can log in once but not twice; nothing was changed")
            status = login.script(shell, script)
            if login.again(shell):
                if learn is not None and status == 0:
                    learn(login.ask(f"cat {IDENTITY}"))
                return status
            undone = login.script(shell, undo_sshd()) == 0 and login.again(shell)
            raise ConnectError(
                f"after the script {to} could not log in again; sshd's configuration was "
                + ("put back, and logins work" if undone else "put back, AND IT STILL CANNOT"),
                hint="" if undone else "Do not close sessions that you still have on that host.",
            )
