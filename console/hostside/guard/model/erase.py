"""Files overwritten, discarded and unlinked, by handles of their folders.

One pass of random bytes is enough for every medium that writes in place (NIST SP 800-88 revision
1, section 2.4); a second pass reaches nothing that the first one did not.
"""

from __future__ import annotations

import errno
import os
import stat

from ..refused import Refused
from ..world import World
from .folders import FOLDER, entry, mount_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CHUNK = 1 << 20
TELL = 32 << 20
MAX_ENTRIES = 100_000
MAX_DEPTH = 32
_PUNCH = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE (linux/falloc.h)
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Found:
    """What lies at a path: how much, which inodes, and files with names elsewhere."""

    def __init__(self) -> None:
        self.files = self.bytes = 0
        self.inodes: set[tuple[int, int]] = set()
        self.names: dict[tuple[int, int], int] = {}  # regular files: names seen here
        self.links: dict[tuple[int, int], int] = {}  # and names that there are

    def add(self, status: os.stat_result) -> None:
        """Count one entry."""
        key = (status.st_dev, status.st_ino)
        first = key not in self.inodes
        self.inodes.add(key)
        if stat.S_ISREG(status.st_mode):
            self.names[key] = self.names.get(key, 0) + 1
            self.links[key] = status.st_nlink
            if first:
                self.files += 1
                self.bytes += status.st_size

    def elsewhere(self) -> dict[tuple[int, int], int]:
        """Inodes that have more names than were seen here, and how many more."""
        return {
            key: self.links[key] - seen
            for key, seen in self.names.items()
            if self.links[key] > seen
        }


def scan(at: int, name: str) -> Found:
    """Look at ``name`` in the folder ``at`` and at all below it.

    Raises Refused at a mount, at a device file, and where it is too much or too deep.
    """
    found = Found()
    for _, _, status in each(at, name, mount_id(at)):
        found.add(status)
        if len(found.inodes) > MAX_ENTRIES:
            raise Refused("size", f"more than {MAX_ENTRIES} entries: name a smaller part of it")
    return found


def each(
    at: int, name: str, mount: int, depth: int = 0
) -> Iterator[tuple[int, str, os.stat_result]]:
    """``name`` and all below it, what is in a folder before the folder: handle of the folder that
    holds it, name, status. Raises Refused at a mount or a device file."""
    if depth > MAX_DEPTH:
        raise Refused("path", f"it is more than {MAX_DEPTH} folders deep")
    look = os.open(name, _LOOK, dir_fd=at)
    try:
        status = os.fstat(look)
        if mount_id(look) != mount:
            raise Refused("mount", f"{_shown(name)} is a mount point", "unmount it first")
    finally:
        os.close(look)
    if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
        raise Refused("path", f"{_shown(name)} is a device file")
    if stat.S_ISDIR(status.st_mode):
        inner = os.open(name, FOLDER, dir_fd=at)
        try:
            now = os.fstat(inner)
            if (now.st_dev, now.st_ino) != (status.st_dev, status.st_ino):
                raise Refused("path", f"{_shown(name)} was replaced while it was looked at")
            for each_name in sorted(os.listdir(inner)):
                yield from each(inner, each_name, mount, depth + 1)
        finally:
            os.close(inner)
    yield at, name, status


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)


class Eraser:
    """Erases what a scan has found, and nothing that came after it. ``total`` are its bytes."""

    def __init__(self, total: int, found: Found, world: World) -> None:
        self._total, self._found, self._world = total, found, world
        self.done = self._told = 0
        self.files = 0
        self.strange = 0
        self.punched = True
        self._seen: set[tuple[int, int]] = set()

    @property
    def missing(self) -> int:
        """How many files of the scan were not there any more: somebody has taken them out."""
        return len(set(self._found.names) - self._seen)

    def tree(self, at: int, name: str) -> None:
        """Overwrite and unlink all of it; what is gone already is gone, and what is none of it is
        left and counted. Raises Refused, OSError."""
        for folder, part, status in each(at, name, mount_id(at)):
            if (status.st_dev, status.st_ino) not in self._found.inodes:
                self.strange += 1
                continue
            if stat.S_ISREG(status.st_mode):
                self.file(folder, part, status)
            self._world.mark("destroy.unlink")
            if not stat.S_ISDIR(status.st_mode):
                os.unlink(part, dir_fd=folder)
            elif not self._emptied(folder, part):
                continue
            os.fsync(folder)

    def _emptied(self, at: int, name: str) -> bool:
        try:
            os.rmdir(name, dir_fd=at)
        except OSError as error:
            if error.errno == errno.ENOTEMPTY and self.strange:
                return False
            raise
        return True

    def file(self, at: int, name: str, status: os.stat_result) -> None:
        """Overwrite one regular file, drop it from the page cache, and give its blocks back."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            handle = os.open(name, flags, dir_fd=at)
        except OSError as error:
            raise Refused("in-use", f"{_shown(name)} cannot be written: {_why(error)}") from error
        try:
            found = os.fstat(handle)
            if (found.st_dev, found.st_ino) != (status.st_dev, status.st_ino):
                raise Refused("path", f"{_shown(name)} was replaced while it was looked at")
            self._seen.add((found.st_dev, found.st_ino))
            for start, end in _extents(handle, found.st_size):
                self._random(handle, start, end)
            os.fdatasync(handle)
            self._world.mark("destroy.written")
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            self.punched = _punch(handle, found.st_size) and self.punched
            os.ftruncate(handle, 0)
            os.fsync(handle)
            self._world.mark("destroy.discarded")
        finally:
            os.close(handle)
        self.files += 1

    def _random(self, handle: int, start: int, end: int) -> None:
        while start < end:
            wrote = os.pwrite(handle, os.urandom(min(CHUNK, end - start)), start)
            start += wrote
            self.done += wrote
            self._world.mark("destroy.chunk")
            if self.done - self._told >= TELL:
                self._told = self.done
                self._world.progress(self.done, max(self._total, self.done), "bytes overwritten")


def _why(error: OSError) -> str:
    words: dict[Any, str] = {
        errno.ETXTBSY: "a process runs it or it is swap",
        errno.EPERM: "it is sealed or immutable (chattr -i)",
        errno.EROFS: "the file system is read-only",
    }
    return words.get(error.errno, error.strerror or "unknown")


def _extents(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Parts of a file that hold data: holes have nothing to overwrite, and writing fills them."""
    at = 0
    while at < size:
        try:
            start = os.lseek(handle, at, os.SEEK_DATA)
            end = os.lseek(handle, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # only a hole is left
            start, end = at, size  # a file system that does not tell
        yield start, min(end, size)
        at = end


def _punch(handle: int, size: int) -> bool:
    """Give the blocks of a file back; False where the file system cannot."""
    import ctypes

    if size == 0:
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(libc, "fallocate64", None) or libc.fallocate
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return bool(fallocate(handle, _PUNCH, 0, size) == 0)


def remove_name(at: int, name: str, inode: tuple[int, int]) -> bool:
    """Unlink another name of a file that was overwritten; False where it is gone already."""
    found = entry(name, at)
    if found is None:
        return False
    if (found.st_dev, found.st_ino) != inode:
        raise Refused("path", f"{_shown(name)} is not the same file any more")
    os.unlink(name, dir_fd=at)
    os.fsync(at)
    return True
