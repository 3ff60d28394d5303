"""The host as steps and previews see it: programs and files, nothing hidden."""

from __future__ import annotations

import os

from .place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NamedTuple

    from .spawn import Running

    class Ran(NamedTuple):
        """How a program ended; 127: it is not there, 124: it ran too long."""

        code: int
        out: bytes
        err: bytes

        @property
        def why(self) -> str: ...
else:
    from collections import namedtuple

    class Ran(namedtuple("Ran", "code out err")):
        __slots__ = ()

        @property
        def why(self):
            return self.err.decode("utf-8", "replace").strip()[:300] or f"exit {self.code}"


ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/", "TERM": "dumb"}
MAX_OUT = 8 << 20
LATE = 124


def _late(timeout: float) -> Ran:
    return Ran(LATE, b"", b"it ran longer than %d s" % int(timeout))


def _found(program: str) -> str:
    """The path of a program. Raises FileNotFoundError."""
    if "/" in program:
        return program
    for folder in ENV["PATH"].split(":"):
        if os.access(f"{folder}/{program}", os.X_OK):
            return f"{folder}/{program}"
    raise FileNotFoundError


class World:
    """What may be acted on.

    ``mark`` is called at every point between two writes; it does nothing, and exists so that a
    test can end the process there. ``progress`` tells how far a long step is.
    """

    def __init__(
        self,
        place: Place,
        mark: Callable[[str], None] | None = None,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> None:
        self.place = place
        self.early = False  # the system is starting, and waits for us: wait for none of its jobs
        self.asked: dict[tuple[bytes, bytes], Any] = {}  # signatures that OpenSSH looks at already
        self.request = ""  # id of the request that is carried out: what is kept has its name
        self.mark = mark or (lambda point: None)
        self.progress = progress or (lambda done, total, words: None)

    def path(self, absolute: str) -> str:
        """``absolute`` where this build looks for it."""
        return self.place.path(absolute)

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30.0, cwd: str = "/",
        fds: Sequence[int] = (),
    ) -> Ran:  # fmt: skip
        """Run a program by its argument list, never by a shell, in a fixed environment. ``fds``
        are open files that it gets under the same numbers."""
        if cwd == "/":
            running = self.begin(argv, stdin, fds)
            if running is not None:
                return self.ended(running, timeout)
        import subprocess  # 4 ms that most calls do not need

        try:
            done = subprocess.run(
                list(argv), input=stdin, capture_output=True, timeout=timeout, env=ENV, cwd=cwd,
                check=False, pass_fds=fds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return _late(timeout)
        except OSError as error:
            return Ran(127, b"", (error.strerror or "cannot be run").encode())
        return Ran(done.returncode, done.stdout[:MAX_OUT], done.stderr[:MAX_OUT])

    def begin(
        self, argv: Sequence[str], stdin: bytes = b"", fds: Sequence[int] = ()
    ) -> Running | None:
        """The same, begun; to be waited for by ``ended``. None where it has to be run as a whole:
        programs are started in ``/``, where only the guard itself is sure to be."""
        try:
            if os.getcwd() != "/":
                return None
            from . import spawn

            return spawn.start(_found(argv[0]), argv, stdin, ENV, fds)
        except OSError:
            return None  # the other way says why

    def ended(self, running: Running, timeout: float) -> Ran:
        """How a program that was begun ended, ``timeout`` seconds after its begin at most."""
        code, out, err = running.result(timeout, MAX_OUT)
        return _late(timeout) if code == LATE else Ran(code, out, err)

    def has(self, program: str) -> bool:
        """Whether a program is there to be run."""
        return any(os.access(f"{folder}/{program}", os.X_OK) for folder in ENV["PATH"].split(":"))
