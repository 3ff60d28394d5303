"""Where facts are read from and what time it is, so that tests can hand in another of both."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT = 512

_unsafe = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Place:
    """One host as files and clocks.

    ``proc`` is the process file system; ``root`` is put before ``/etc``, ``/run``, ``/var`` and
    ``/dev``. ``mono`` decides deadlines, ``wall`` and ``boot`` (seconds since boot) are reported.
    """

    def __init__(
        self,
        proc: str = "/proc",
        root: str = "",
        mono: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        boot: Callable[[], float] = _since_boot,
    ) -> None:
        self.proc = proc
        self.root = root
        self.mono = mono
        self.wall = wall
        self.boot = boot

    @property
    def real(self) -> bool:
        """True when this is the machine itself and not a picture of one."""
        return self.proc == "/proc" and not self.root

    def path(self, absolute: str) -> str:
        """``absolute`` below the root of this place."""
        return self.root + absolute


def slurp(path: str, limit: int = 65_536) -> bytes:
    """One read of at most ``limit`` bytes: enough for what the kernel answers in one piece."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(handle, limit)
    finally:
        os.close(handle)


def _rest(handle: int, limit: int) -> bytes:
    """What an open file holds, at most ``limit`` bytes; closes it."""
    try:
        parts = []
        left = limit
        while left > 0:
            part = os.read(handle, min(left, 262_144))
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def slurp_all(path: str, limit: int = 8 << 20) -> bytes:
    """The whole file, at most ``limit`` bytes: for what the kernel answers a page at a time."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return _rest(handle, limit)


def read_file(path: str, limit: int = 1 << 20) -> bytes:
    """At most ``limit`` bytes of a regular file that somebody else may have put there.

    Raises OSError for anything else. A pipe would wait for a writer for ever, a file with a lease
    on it until the holder lets go, and to open a device may be to act on it: so what it is is
    asked without opening it.
    """
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        handle = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(place)
    return _rest(handle, limit)


def listing(path: str, limit: int = 20_000) -> list[str]:
    """Names in a folder, sorted; of a folder with more than ``limit`` some ``limit`` of them.

    Raises OSError when it cannot be listed.
    """
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in islice(entries, limit))


def first_line(path: str) -> str:
    """The first line of a small file as text, empty when it cannot be read."""
    try:
        return words(slurp(path, 4096).split(b"\n", 1)[0])
    except OSError:
        return ""


def words(raw: bytes | str, limit: int = MAX_TEXT) -> str:
    """Foreign bytes as one line of text of at most ``limit`` characters, without controls."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    if len(text) > limit:
        text = text[: limit - 1] + "\u2026"
    if text.isascii() and text.isprintable():
        return text
    return _unsafe.sub("\ufffd", text)
