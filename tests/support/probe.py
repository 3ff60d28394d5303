"""A real probe as a child process, spoken with over pipes or a socket, and read as a console does.

Every frame goes through the console's own decoder; sequence numbers, counts and checksums of
tables are checked on the way, so that a test only says what it waits for.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import msgspec

from console.fleet.decode import decode
from console.model.frame import MAX_LINE, Frame, ProbeEvent
from console.ssh.payload import payload

ISOLATED = ("-I", "-S", "-u", "-c")


@contextmanager
def running(argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended in any case: a test that fails must not wait for it."""
    with subprocess.Popen(list(argv)) as process:
        try:
            yield process
        finally:
            process.kill()


class Talk:
    """One conversation with a probe.

    ``argv`` stands before the loader's arguments; it ends with an interpreter when ``python``.
    """

    def __init__(
        self,
        argv: Sequence[str] = (),
        *,
        python: bool = False,
        over_socket: bool = False,
    ) -> None:
        self.sent = payload()
        interpreter = [] if python else [os.path.realpath(sys.executable)]
        whole: list[str] = [*argv, *interpreter, *ISOLATED, self.sent.loader]
        self._socket: socket.socket | None = None
        if over_socket:
            self._socket, theirs = socket.socketpair()
            with theirs:
                self.child: subprocess.Popen[bytes] = subprocess.Popen(
                    whole, stdin=theirs.fileno(), stdout=theirs.fileno()
                )
            self._read_fd = self._write_fd = self._socket.fileno()
        else:
            self.child = subprocess.Popen(whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self.child.stdin is not None
            assert self.child.stdout is not None
            self._read_fd = self.child.stdout.fileno()
            self._write_fd = self.child.stdin.fileno()
        self.tables: dict[str, dict[int | str, list[Any]]] = {}
        self.sections: dict[str, Any] = {}
        self.denied: dict[str, str] = {}
        self.events: list[ProbeEvent] = []
        self.frames: list[Frame] = []
        self.raw = bytearray()
        self._rest = b""
        self._write(b"%d\n" % len(self.sent.source) + self.sent.source)

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._write_fd, data) :]

    def say(self, line: str) -> None:
        """Send one verb."""
        self._write(line.encode() + b"\n")

    def hang_up(self) -> None:
        """End the probe's input; its output can still be read."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_WR)
        elif self.child.stdin is not None:
            self.child.stdin.close()

    def close(self) -> None:
        """End the conversation; the probe must follow within five seconds."""
        self.hang_up()
        if self._socket is not None:
            self._socket.close()
        if self.child.stdout is not None:
            self.child.stdout.close()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError("the probe went on after the end of its input") from None

    def frame(self, seconds: float = 20.0) -> Frame | None:
        """The next frame, checked and applied; None at the end of the stream."""
        until = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._read_fd], [], [], left)[0]:
                raise AssertionError(f"no frame within {seconds:g} s")
            data = os.read(self._read_fd, 1 << 18)
            if not data:
                return None
            self._rest += data
            self.raw += data
        line, _, self._rest = self._rest.partition(b"\n")
        assert len(line) < MAX_LINE
        frame = decode(line).frame
        assert frame.seq == len(self.frames) + 1
        if self.frames:
            assert frame.mono >= self.frames[-1].mono
            assert (frame.host, frame.boot) == (self.frames[0].host, self.frames[0].boot)
        self.frames.append(frame)
        self._apply(frame)
        return frame

    def _apply(self, frame: Frame) -> None:
        if frame.k:
            self.tables, self.sections = {}, {}
        for name, delta in frame.t.items():
            table = self.tables.setdefault(name, {})
            if delta.off:
                del self.tables[name]
                continue
            for raw in delta.set:
                row = msgspec.json.decode(raw)
                table[row[0]] = row
            for key in delta.gone:
                del table[key]
            if delta.n is not None:
                checksum = 0
                for key in table:
                    checksum ^= crc32(str(key).encode())
                assert (delta.n, delta.x) == (len(table), checksum)
        if frame.denied is not None:
            self.denied = frame.denied
        if frame.i is not None:
            known = msgspec.structs.asdict(frame.i)
            self.sections.update({k: v for k, v in known.items() if v is not None})
        self.events.extend(frame.e)

    def until(self, condition: Callable[[Frame], Any], seconds: float = 30.0) -> Frame:
        """Read frames until one makes ``condition`` true."""
        deadline = time.monotonic() + seconds
        while True:
            frame = self.frame(max(0.1, deadline - time.monotonic()))
            assert frame is not None, "the probe ended"
            if condition(frame):
                return frame

    def event(self, kind: str, key: str | None = None, seconds: float = 30.0) -> ProbeEvent:
        """The first event of that kind (and key), now or later."""
        found: list[ProbeEvent] = []

        def look(_: object = None) -> bool:
            found[:] = [e for e in self.events if e.kind == kind and key in (None, e.key)]
            return bool(found)

        if not look():
            self.until(look, seconds)
        return found[0]
