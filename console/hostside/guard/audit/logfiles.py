"""The files of the audit log: opened safely, read by lines, and the tree at the end of it."""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
from hashlib import sha256

from . import tlog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

STRIDE = 64  # records from one entry of the index to the next
CHUNK = 1 << 20
FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC


class State:
    """The tree over the first ``size`` records, which end at byte ``offset`` of the file.

    ``last`` is the sha256 of the newest line as hex digits (empty at first), ``start`` where it
    begins, ``edge`` the right edge of the tree.
    """

    __slots__ = ("edge", "last", "new", "offset", "size", "start")

    def __init__(self) -> None:
        self.size = 0
        self.offset = 0
        self.start = 0
        self.last = ""
        self.edge: list[bytes] = []
        self.new: dict[int, int] = {}  # offsets that the index on the disk has not yet

    def add(self, line: bytes) -> None:
        """One more line, without its newline, is in the file."""
        if self.size % STRIDE == 0:
            self.new[self.size // STRIDE] = self.offset
        tlog.push(self.edge, self.size, tlog.leaf(line))
        self.size += 1
        self.start = self.offset
        self.offset += len(line) + 1
        self.last = sha256(line).hexdigest()

    def joins(self, handle: int) -> bool:
        """Whether the file has, where this state ends, the line that it ends with."""
        if not self.size:
            return True
        line = os.pread(handle, self.offset - self.start, self.start)
        return line[-1:] == b"\n" and sha256(line[:-1]).hexdigest() == self.last

    def save(self, folder: str) -> None:
        """Keep it, so that the next call need not read the whole log."""
        if self.new:
            first = min(self.new)
            index = os.open(folder + "/index", os.O_RDWR | os.O_CREAT | FLAGS, 0o600)
            try:
                if os.fstat(index).st_size >= 8 * first:
                    packed = [struct.pack(">Q", self.new[key]) for key in sorted(self.new)]
                    os.ftruncate(index, 8 * first)
                    os.pwrite(index, b"".join(packed), 8 * first)
            finally:
                os.close(index)
            self.new.clear()
        kept = {
            "size": self.size, "offset": self.offset, "start": self.start, "last": self.last,
            "edge": [hashed.hex() for hashed in self.edge],
        }  # fmt: skip
        write_json(folder + "/edge", kept)

    def near(self, number: int, folder: str, handle: int) -> tuple[int, int]:
        """An offset at or before record ``number``, and the number of the record there."""
        key = number // STRIDE
        at = self.new.get(key)
        if at is None:
            try:
                index = os.open(folder + "/index", os.O_RDONLY | FLAGS)
            except OSError:
                return 0, 0
            try:
                packed = os.pread(index, 8, 8 * key)
            finally:
                os.close(index)
            if len(packed) != 8:
                return 0, 0
            at = int(struct.unpack(">Q", packed)[0])
        if at and (at >= self.offset or os.pread(handle, 1, at - 1) != b"\n"):
            return 0, 0
        return at, key * STRIDE


def load(folder: str) -> State | None:
    """The state kept by the last call, or None where there is none that can be used."""
    kept = read_json(folder + "/edge", 16 << 10)
    state = State()
    try:
        state.edge = [bytes.fromhex(hashed) for hashed in kept["edge"]]
        state.size, state.offset = int(kept["size"]), int(kept["offset"])
        state.start, state.last = int(kept["start"]), str(kept["last"])
    except (KeyError, TypeError, ValueError):
        return None
    whole = all(len(hashed) == 32 for hashed in state.edge)
    if not whole or len(state.edge) != bin(state.size).count("1"):
        return None
    return state if 0 <= state.start <= state.offset else None


def follow(handle: int, state: State) -> list[bytes]:
    """Add the records after the state's end to it; the lines at the end that are no records.

    Lines that are no records count where a ``repaired`` record after them holds their digest.
    """
    from .log import parse

    torn: list[bytes] = []
    for line in lines(handle, state.offset, os.fstat(handle).st_size):
        record = parse(line)
        if not torn:
            if record and record.get("seq") == state.size and record.get("prev") == state.last:
                state.add(line)
            else:
                torn.append(line)
            continue
        if record and record.get("ev") == "repaired" and record.get("torn") == digest(torn):
            for bad in torn:
                state.add(bad)
            torn = []
            if record.get("seq") == state.size and record.get("prev") == state.last:
                state.add(line)
                continue
        torn.append(line)
    return torn


def walk(handle: int) -> tuple[State, list[bytes]]:
    """The state of the whole file, read from its begin, and what ``follow`` says of its end."""
    state = State()
    return state, follow(handle, state)


def digest(torn: list[bytes]) -> str:
    """The sha256 of lines that are no records, as a ``repaired`` record holds it."""
    return sha256(b"\n".join(torn)).hexdigest()


def lines(handle: int, at: int, end: int) -> Iterator[bytes]:
    """The lines from offset ``at`` to ``end``; the last may lack its newline."""
    rest = b""
    while at < end:
        data = os.pread(handle, min(CHUNK, end - at), at)
        if not data:
            break
        at += len(data)
        found = (rest + data).split(b"\n")
        rest = found.pop()
        yield from found
    if rest:
        yield rest


def ends(handle: int) -> bool:
    """Whether the file is empty or ends with a newline."""
    size = os.fstat(handle).st_size
    return not size or os.pread(handle, 1, size - 1) == b"\n"


def open_log(path: str) -> int:
    """The log, opened to read and append, made where it is missing. Raises OSError, also where it
    is a link, no plain file, or not this account's alone."""
    flags = os.O_RDWR | os.O_APPEND | FLAGS
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        folder = os.path.dirname(path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle = os.open(path, flags | os.O_CREAT, 0o600)
        _sync(folder)
    found = os.fstat(handle)
    plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
    if not plain or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        os.close(handle)
        raise OSError(errno.EPERM, "it is no file of the guard alone")
    return handle


def _sync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Write every byte. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def read_json(path: str, limit: int) -> dict[str, Any]:
    """A small file of ours as an object; empty where it is missing or is none."""
    try:
        handle = os.open(path, os.O_RDONLY | FLAGS)
    except OSError:
        return {}
    try:
        found = json.loads(os.pread(handle, limit, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    finally:
        os.close(handle)
    return found if type(found) is dict else {}


def write_json(path: str, value: dict[str, Any]) -> None:
    """Replace a small file as a whole. Not synced: each can be made again from the log."""
    handle = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | FLAGS, 0o600)
    try:
        write_all(handle, json.dumps(value, separators=(",", ":")).encode())
    finally:
        os.close(handle)
    os.rename(path + ".new", path)
