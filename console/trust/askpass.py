"""Where ssh-keygen's questions go: a helper of ours, which passes them on over a private socket.

ssh-keygen runs the program of ``SSH_ASKPASS`` with the question as its argument and takes the
answer from its output. Ours lives in a folder that only this user can enter, for one signature.
Other processes of this user can reach the socket too, so an answer is only given to a process that
ssh-keygen has started, and one to each.
"""

import os
import shutil
import socket
import struct
import sys
import tempfile
from types import TracebackType

_HELPER = """\
#!{python} -ISB
import socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({path!r})
    line.sendall(sys.argv[1].encode("utf-8", "replace")[:2000])
    line.shutdown(socket.SHUT_WR)
    answer = b""
    while len(answer) < 4096:
        part = line.recv(4096)
        if not part:
            break
        answer += part
if answer[:1] != b"+":
    sys.exit(1)
sys.stdout.buffer.write(answer[1:] + b"\\n")
"""
MAX_QUESTION = 2000


class Askpass:
    """The helper and its socket, from entering the context until leaving it."""

    def __init__(self) -> None:
        self._folder = ""
        self._socket: socket.socket | None = None
        self._served: set[int] = set()

    def __enter__(self) -> "Askpass":
        self._folder = tempfile.mkdtemp(prefix="watchfloor-ask-")  # mode 0700
        server = socket.socket(socket.AF_UNIX)
        self._socket = server
        server.bind(self._folder + "/s")
        server.listen(4)
        number = os.open(self.program, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
        with open(number, "w", encoding="utf-8") as file:
            python = os.path.realpath(sys.executable)
            file.write(_HELPER.format(python=python, path=self._folder + "/s"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def program(self) -> str:
        """Absolute path of the helper."""
        return self._folder + "/askpass"

    def fileno(self) -> int:
        """Ready to read when a question has come."""
        assert self._socket is not None  # noqa: S101  # within the context only
        return self._socket.fileno()

    def take(self, parent: int) -> tuple[str, socket.socket] | None:
        """The question that has come and whom to answer.

        None where it is not from a child of the process ``parent``, or a second one of that child.
        """
        assert self._socket is not None  # noqa: S101
        line, _ = self._socket.accept()
        line.settimeout(5.0)
        try:
            self._admit(line, parent)
            question = b""
            while len(question) < MAX_QUESTION:
                part = line.recv(MAX_QUESTION)
                if not part:
                    break
                question += part
        except OSError:
            line.close()
            return None
        return question.decode("utf-8", "replace"), line

    def _admit(self, line: socket.socket, parent: int) -> None:
        """Raise OSError unless ``line`` is from the helper as ``parent`` has started it."""
        size = struct.calcsize("3i")
        credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        peer, user, _ = struct.unpack("3i", credentials)
        if user != os.geteuid() or peer in self._served or not self._helps(peer, parent):
            raise PermissionError
        self._served.add(peer)

    def _helps(self, peer: int, parent: int) -> bool:
        """Whether ``peer`` runs our helper, as a child of ``parent`` and in its session."""
        with open(f"/proc/{peer}/stat", "rb") as file:
            # After the name, which is in brackets and may hold anything: state, parent.
            above = int(file.read(4096).rpartition(b")")[2].split()[1])
        with open(f"/proc/{peer}/cmdline", "rb") as file:
            words = file.read(4096).split(b"\0")
        return (
            above == parent
            and os.getsid(peer) == os.getsid(parent)
            and os.fsencode(self.program) in words[:3]
        )


def answer(line: socket.socket, words: str | None) -> None:
    """Give the answer, or None for none, and hang up."""
    try:
        line.sendall(b"" if words is None else b"+" + words.encode("utf-8", "replace"))
    except OSError:
        pass
    finally:
        line.close()
