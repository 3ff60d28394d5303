"""Opens the file of a recording; a packed one is unpacked within bounds, its first line first."""

import os
import stat
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from console.engine.recording import MAX_HEAD, RecordingError
from console.text import clean

MAX_PLAIN = 8 << 30
"""Bytes of a recording after unpacking."""
MAX_RATIO = 200
"""What is packed to less than this share, once it is ``FREELY`` long, was made to fill a disk."""
FREELY = 64 << 20
RESERVE = 256 << 20
"""Bytes that stay free where a recording longer than ``FREELY`` is unpacked."""
PIECE = 1 << 20
Progress = Callable[[float], None]
"""Told now and then how much is read: 0 to 1."""
Head = Callable[[bytes], object]
"""Looks at the first line; raises RecordingError where it is none of a recording."""

HINT = "Name a file that `watchfloor --record FILE` has written."


def opened(path: Path, where: str, head: Head, progress: Progress) -> tuple[IO[bytes], str]:
    """The recording as lines, and why it ends before its time; "" where it does not, so far.

    Raises RecordingError.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        file = os.fdopen(number, "rb", buffering=PIECE)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            file.close()
            raise RecordingError("it is not a file", where=where, hint=HINT)
        magic = file.read(2)
        file.seek(0)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RecordingError(f"it cannot be read: {clean(why)}", where=where, hint=HINT) from None
    if magic != b"\x1f\x8b":
        return file, ""
    with file:
        return _Unpacked(file, where, head).all(progress)


class _Unpacked:
    """What a gzip file holds, in a nameless file of this user; a cut end is no error."""

    def __init__(self, packed: IO[bytes], where: str, head: Head) -> None:
        self._packed = packed
        self._where = where
        self._head = head
        self._first: bytearray | None = bytearray()  # the first line, until it was looked at
        self._done = self._written = 0
        self._looked = 0  # bytes written when free space was looked at

    def all(self, progress: Progress) -> tuple[IO[bytes], str]:
        """The file, at its begin, and why it ends early."""
        size = max(1, os.fstat(self._packed.fileno()).st_size)
        ends = ""
        out = tempfile.TemporaryFile(buffering=PIECE)  # noqa: SIM115  # closed with the recording
        try:
            unpack = zlib.decompressobj(31)
            while not unpack.eof and (data := self._packed.read(1 << 16)):
                self._done += len(data)
                while data and not unpack.eof:
                    self._take(unpack.decompress(data, PIECE), out)
                    data = unpack.unconsumed_tail
                progress(self._done / size / 2)
            out.flush()
        except zlib.error as error:
            ends = f"it is damaged: {clean(str(error))}"
        except OSError as error:
            out.close()
            raise self._no_room(error.strerror or "error") from None
        except BaseException:
            out.close()
            raise
        out.seek(0)
        return out, ends

    def _take(self, piece: bytes, out: IO[bytes]) -> None:
        if self._first is not None:
            self._first += piece
            if b"\n" not in self._first and len(self._first) <= MAX_HEAD:
                return
            piece, self._first = bytes(self._first), None
            self._head(piece[: piece.find(b"\n") + 1] or piece)
        self._written += len(piece)
        if self._written > FREELY:
            self._bounded(out)
        out.write(piece)

    def _bounded(self, out: IO[bytes]) -> None:
        if self._written > min(MAX_PLAIN, MAX_RATIO * self._done):
            so_long = f"{MAX_PLAIN >> 30} GiB"
            if self._written <= MAX_PLAIN:
                so_long = f"{MAX_RATIO} times its size"
            raise RecordingError(
                f"it unpacks to more than {so_long}",
                where=self._where,
                hint="No recording does: it was made to fill your disk.",
            )
        if self._written - self._looked >= FREELY:
            self._looked = self._written
            there = os.statvfs(out.fileno())
            if there.f_bavail * there.f_frsize < RESERVE + FREELY:
                raise self._no_room(f"less than {(RESERVE + FREELY) >> 20} MiB would stay free")

    def _no_room(self, why: str) -> RecordingError:
        return RecordingError(
            f"it cannot be unpacked into {tempfile.gettempdir()}: {why}",
            where=self._where,
            hint="Set TMPDIR to a folder with more room.",
        )
