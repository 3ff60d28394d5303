"""One signature, in a process of its own: ``python -I -S -B signer.py``.

It loads no plugin and no configuration. It reads one order, a line of JSON, parses the document
again by the rules that the hosts use, has it signed by ``/usr/bin/ssh-keygen`` in an environment
made here, and prints lines of JSON: ``{"ask": KIND, "text": ...}`` where a person is needed (the
answer is a line on standard input), at last ``{"signature": ...}`` or ``{"error": ...}``. The end
of standard input ends everything.
"""

import contextlib
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from console.text import clean
from console.trust.askpass import Askpass, answer

SSH_KEYGEN = "/usr/bin/ssh-keygen"
MAX_ORDER = 512 << 10
MAX_OUT = 16 << 10
LIMIT_S = 180.0
TOUCH = "Confirm user presence"


class SignerError(Exception):
    """Nothing was signed; the text is for a person."""


def environment(askpass: str) -> dict[str, str]:
    """All that ssh-keygen is told: no agent, no provider of keys, no terminal, our helper."""
    return {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "DISPLAY": "none",
        "SSH_ASKPASS": askpass,
        "SSH_ASKPASS_REQUIRE": "force",
    }


def check(order: dict[str, Any]) -> bytes:
    """The bytes to be signed, parsed as the hosts will. Raises SignerError."""
    from console.hostside.guard.refused import Refused
    from console.trust.kinds import parse_for

    try:
        data = str(order["data"]).encode("utf-8")
        parse_for(data, str(order["namespace"]))
    except Refused as refused:
        raise SignerError(f"refused by the signer: {refused.words}") from None
    except (KeyError, UnicodeEncodeError):
        raise SignerError("the order is incomplete") from None
    return data


def key_of(order: dict[str, Any]) -> str:
    """The private key's file: absolute, and no ``.pub``, which would make an agent sign."""
    path = str(order.get("key", ""))
    if not os.path.isabs(path) or path.endswith(".pub") or "\0" in path:
        raise SignerError("`signing_key` must be the absolute path of a private key file")
    if not os.path.isfile(path):
        raise SignerError("the file of the signing key is not there")
    return path


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _asked(question: str) -> str | None:
    """What the person answers; raises SignerError at the end of input."""
    pin = "PIN" in question
    _say({"ask": "pin" if pin else "passphrase", "text": clean(question, 300)})
    line = sys.stdin.readline()
    if not line:
        raise SignerError("given up")
    told = json.loads(line).get("answer")
    return told if isinstance(told, str) else None


class _Run:
    """ssh-keygen at work, and what it says."""

    def __init__(self, key: str, namespace: str, askpass: Askpass) -> None:
        self._askpass = askpass
        self._parts = {1: bytearray(), 2: bytearray()}
        self._touch = False
        self._held: list[socket.socket] = []
        self.process = subprocess.Popen(
            [SSH_KEYGEN, "-Y", "sign", "-f", key, "-n", namespace],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(askpass.program), cwd="/", start_new_session=True,
        )  # fmt: skip

    def text(self, number: int) -> str:
        return self._parts[number].decode("utf-8", "replace")

    def to_end(self, data: bytes) -> None:
        """Until it has ended. Raises SignerError."""
        process = self.process
        into, out, err = process.stdin, process.stdout, process.stderr
        if into is None or out is None or err is None:
            raise SignerError("ssh-keygen has no pipes")
        try:
            into.write(data)
            into.close()
        except BrokenPipeError:
            pass  # it has ended already and says why
        with selectors.DefaultSelector() as waits:
            waits.register(out, selectors.EVENT_READ, 1)
            waits.register(err, selectors.EVENT_READ, 2)
            waits.register(self._askpass, selectors.EVENT_READ, 3)
            waits.register(sys.stdin, selectors.EVENT_READ, 4)
            open_pipes = 2
            while open_pipes:
                ready = waits.select(LIMIT_S)
                if not ready:
                    raise SignerError(f"nobody touched the key for {LIMIT_S:.0f} s")
                for key, _ in ready:
                    if key.data == 3:
                        self._question()
                    elif key.data == 4:
                        raise SignerError("given up")  # a line nobody asked for, or the end
                    elif not self._read(key.data, key.fd):
                        waits.unregister(key.fileobj)
                        open_pipes -= 1
        process.wait(timeout=10)

    def end(self) -> None:
        """End ssh-keygen where it has not, and whoever waits at our socket."""
        for line in self._held:
            answer(line, None)
        if self.process.returncode is None:  # not waited for, so the number is still its own
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # with the helper that it has started
            self.process.wait(timeout=10)

    def _question(self) -> None:
        taken = self._askpass.take(self.process.pid)
        if taken is None:
            return
        question, line = taken
        if TOUCH in question:
            self._tell_touch(question)
            self._held.append(line)  # the helper is ended by ssh-keygen once the key was touched
            return
        told: str | None = None
        try:
            told = _asked(question)
        finally:
            answer(line, told)

    def _read(self, number: int, fd: int) -> bool:
        part = os.read(fd, 4096)
        if len(self._parts[number]) < MAX_OUT:
            self._parts[number] += part
        if number == 2 and TOUCH in self.text(2):
            self._tell_touch(self.text(2))
        return bool(part)

    def _tell_touch(self, text: str) -> None:
        if not self._touch:
            self._touch = True
            _say({"ask": "touch", "text": clean(text.strip(), 300)})


def sign(order: dict[str, Any]) -> str:
    """The armored signature. Raises SignerError."""
    data = check(order)
    key = key_of(order)
    with Askpass() as askpass:
        try:
            run = _Run(key, str(order["namespace"]), askpass)
        except OSError as error:
            why = error.strerror or "it cannot be run"
            raise SignerError(f"{SSH_KEYGEN}: {why}; install openssh-client") from None
        try:
            run.to_end(data)
        finally:
            run.end()
    signature = run.text(1)
    if run.process.returncode != 0 or not signature.startswith("-----BEGIN SSH SIGNATURE-----"):
        last = [line for line in run.text(2).splitlines() if line.strip()]
        said = clean(last[-1], 300) if last else f"it ended with status {run.process.returncode}"
        raise SignerError(f"ssh-keygen made no signature: {said}")
    return signature


def _given_up(number: int, frame: object) -> None:
    """On the way out of it all that was made is cleared away."""
    raise SignerError("given up")


def main() -> int:
    """Serve one order."""
    signal.signal(signal.SIGTERM, _given_up)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold a PIN
    try:
        line = sys.stdin.readline(MAX_ORDER)
        order = json.loads(line)
        if not isinstance(order, dict):
            raise SignerError("the order is none")
        _say({"signature": sign(order)})
    except SignerError as error:
        _say({"error": str(error)})
        return 1
    except ValueError:
        _say({"error": "the order is no JSON"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
