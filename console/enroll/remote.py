"""Runs a printed script on a host over the system's ssh, by an administrator's login.

Nothing of that login is kept. The first connection stays open until a second one has shown that the
administrator can still log in; if it cannot, the first takes sshd's configuration back. That is so
too where the script hangs or somebody presses Ctrl-C.
"""

import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from console.enroll.exchange import MAX_KEPT, Kept, Shown, Takes, TooMuch, pump, uninterrupted
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

SHELL = "sh -s"

# The script and what it has started are told by a variable of their environment. TERM lets its own
# trap take sshd's configuration back; a shell heeds that once the command it waits for has ended.
_END_SCRIPT = """\
main() {{
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
signal() {{
    left=0
    for each in /proc/[0-9]*; do
        tr '\\000' '\\n' <"$each/environ" 2>/dev/null | grep -qx '{mark}' || continue
        left=1
        kill -s "$1" "${{each#/proc/}}" 2>/dev/null || true
    done
}}
signal TERM
tries=0
while [ $left = 1 ] && [ $tries -lt 20 ]; do
    sleep 0.5
    tries=$((tries + 1))
    signal 0
done
[ $left = 0 ] || signal KILL
}}
main
"""


def destination(text: str) -> str:
    """``ADMIN@HOST`` where it is that. Raises UsageError."""
    if not _DESTINATION.fullmatch(text):
        raise UsageError(f"{clean(text, 80)!r} is not ADMIN@HOST")
    return text


def exchange(argv: Sequence[str], data: bytes, seconds: float, out: Takes, err: Takes) -> int:
    """Run ``argv`` with ``data`` as its input; its exit status.

    However this ends, the process has ended too. Raises TimeoutError after ``seconds``, and what
    ``out`` and ``err`` raise.
    """
    with uninterrupted():  # what ends it is this process, not the terminal
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    into, said, told = process.stdin, process.stdout, process.stderr
    if into is None or said is None or told is None:
        raise OSError(f"{argv[0]} has no pipes")
    try:
        pump((into, said, told), data, seconds, out, err)
        return process.wait(10)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    finally:
        process.kill()
        process.wait()
        for pipe in (into, said, told):
            pipe.close()


class Login:
    """An administrator's way to the host called ``name``. ``pinned`` are its host keys by the
    inventory; where there are none, those that the administrator's own ssh knows count."""

    def __init__(
        self, to: str, name: str, pinned: Iterable[str], folder: Path, config: Path | None
    ) -> None:
        self.to = destination(to)
        self.name = name
        self._mark = f"WATCHFLOOR_ENROL={secrets.token_hex(16)}"
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
        with uninterrupted():  # Ctrl-C must not take away what puts sshd's configuration back
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
        out, err = Kept(), Kept()
        try:
            argv = [*self._through("-T"), command]
            status = exchange(argv, b"", LOGIN_S, out.take, err.take)
        except TimeoutError:
            raise ConnectError(f"{self.to} gave no answer in {LOGIN_S:.0f} s") from None
        except TooMuch:
            raise ConnectError(
                f"{self.to} answered with more than {MAX_KEPT >> 10} KiB",
                hint="A start file of that login's shell may print something; it must print none.",
            ) from None
        if status:
            said = clean(err.text.strip(), 200)
            raise ConnectError(f"{self.to}: {said or f'exit status {status}'}")
        return out.text

    def shell(self) -> str:
        """The command by which the administrator is root. Raises ConnectError."""
        if self.ask("id -u").strip() == "0":
            return SHELL
        try:
            self.ask("sudo -n true")
        except ConnectError as error:
            raise ConnectError(
                f"{self.to} is not root, and sudo asks for a password: {error.message}",
                hint="Use a login that may run `sudo -n`, or run the printed script by hand.",
            ) from None
        return f"sudo -n {SHELL}"

    def script(self, shell: str, text: str) -> int:
        """Run a script over the first connection and show its output as the host's.

        Raises TimeoutError.
        """
        marked = f"{shell.removesuffix(SHELL)}env {self._mark} {SHELL}"
        return self._shown([*self._through("-T"), marked], text, SCRIPT_S)

    def _shown(self, argv: list[str], text: str, seconds: float) -> int:
        out, err = Shown(self.name, sys.stdout), Shown(self.name, sys.stderr)
        try:
            return exchange(argv, text.encode(), seconds, out.take, err.take)
        finally:
            out.end()
            err.end()

    def again(self, shell: str) -> bool:
        """Whether a new connection logs in and is root there."""
        argv = [SSH, *self._options, "-T", "-S", "none", "-o", "ControlMaster=no", "--", self.to]
        out, err = Kept(), Shown(self.name, sys.stderr)
        try:
            status = exchange([*argv, shell], b"id -u\n", LOGIN_S, out.take, err.take)
        except (TimeoutError, TooMuch):
            return False
        finally:
            err.end()
        return status == 0 and out.text.strip() == "0"

    def end_script(self, shell: str) -> None:
        """End a script that may still run there; its trap takes back what it was changing."""
        with suppress(TimeoutError):
            argv = [*self._through("-T"), shell]
            self._shown(argv, _END_SCRIPT.format(mark=self._mark), LOGIN_S)

    def keep_open(self, shell: str) -> None:
        """Show by a new connection that logins work; put sshd's configuration back where they do
        not. Raises ConnectError then."""
        if self.again(shell):
            return
        try:
            undone = self._shown([*self._through("-T"), shell], undo_sshd(), LOGIN_S) == 0
        except TimeoutError:
            undone = False
        works = self.again(shell)
        told = "was put back" if undone else "COULD NOT BE PUT BACK"
        raise ConnectError(
            f"after the script {self.to} could not log in again; sshd's configuration {told}, "
            + ("and logins work" if works else "AND IT STILL CANNOT"),
            hint="" if works else "Do not close sessions that you still have on that host.",
        )


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
        login = Login(to, name, pinned, Path(folder), config)
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
                return _to_end(login, shell, script)
            if not login.again(shell):
                raise ConnectError(f"{to} can log in once but not twice; nothing was changed")
            ended = False
            try:
                status = _to_end(login, shell, script)
                ended = True
            finally:
                with uninterrupted():
                    if not ended:
                        sys.stderr.write(f"{name}: ending the script, then trying a new login\n")
                        login.end_script(shell)
                    login.keep_open(shell)
            if learn is not None and status == 0:
                learn(login.ask(f"cat {IDENTITY}"))
            return status


def _to_end(login: Login, shell: str, script: str) -> int:
    try:
        return login.script(shell, script)
    except TimeoutError:
        raise ConnectError(
            f"the script on {login.to} did not end in {SCRIPT_S:.0f} s and was broken off",
            hint="Logins there still work. Find out what hangs, then enrol it again.",
        ) from None
