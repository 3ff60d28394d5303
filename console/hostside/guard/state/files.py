"""Files as root handles them under attack: opened without following links, checked on the handle,
written whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import stat

from ..place import Place
from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_ENTRY = 1 << 20


def unsafe(path: str, why: str) -> Refused:
    """The refusal of a file that somebody else may have had a hand in."""
    return Refused("file-unsafe", f"{path} is not used: {why}", "look at it on the host as root")


class Files:
    """Reads and writes for one ``place``.

    On a real host only root's files count. Below a base folder, where nothing is real, those of
    the running user count too. ``mark`` is called between two writes.
    """

    def __init__(self, place: Place, mark: Callable[[str], None]) -> None:
        self.owners = {0, os.geteuid()} if place.base else {0}
        self.mark = mark

    def handle(self, path: str) -> int:
        """An open file to read: a regular one, of root, with one name, that nobody else may
        write, in a folder of the same kind. Raises Refused and FileNotFoundError."""
        folder, name = os.path.split(path)
        try:
            within = os.open(folder, FOLDER)
        except FileNotFoundError:
            raise
        except OSError:
            raise unsafe(folder, "it is no folder") from None
        try:
            self._mine(folder, os.fstat(within))
            handle = os.open(name, READ, dir_fd=within)
        except FileNotFoundError:
            raise
        except OSError:
            raise unsafe(path, "it is a link or cannot be opened") from None
        finally:
            os.close(within)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise unsafe(path, "it is no regular file")
            if status.st_nlink != 1:
                raise unsafe(path, "it has a second name")
            self._mine(path, status)
        except Refused:
            os.close(handle)
            raise
        return handle

    def _mine(self, path: str, status: os.stat_result) -> None:
        if status.st_uid not in self.owners:
            raise unsafe(path, "its owner is not root")
        if status.st_mode & 0o022:
            raise unsafe(path, "others than its owner may write it")

    def read(self, path: str, limit: int = MAX_ENTRY) -> bytes:
        """What is in it, at most ``limit`` bytes. Raises Refused and FileNotFoundError."""
        handle = self.handle(path)
        try:
            parts, left = [], limit + 1
            while left > 0:
                part = os.read(handle, left)
                if not part:
                    break
                parts.append(part)
                left -= len(part)
        finally:
            os.close(handle)
        if left <= 0:
            raise unsafe(path, f"it is longer than {limit} bytes")
        return b"".join(parts)

    def read_json(self, path: str, limit: int = MAX_ENTRY) -> dict[str, Any]:
        """A JSON object. Raises Refused and FileNotFoundError."""
        try:
            value = json.loads(self.read(path, limit))
        except (ValueError, RecursionError):
            value = None
        if type(value) is not dict:
            raise unsafe(path, "it is no JSON object")
        return value

    def write(
        self, path: str, data: bytes, mode: int = 0o600, group: int = -1, lasting: bool = True
    ) -> None:
        """Replace it as a whole; where it is ``lasting``, on the disk when this returns. Raises
        OSError."""
        folder = os.path.dirname(path)
        temporary = f"{path}.new"
        try:
            os.unlink(temporary)  # of a process that was ended: the lock is ours
        except FileNotFoundError:
            pass
        handle = os.open(temporary, NEW, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            if group >= 0:
                os.fchown(handle, -1, group)
            os.fchmod(handle, mode)
            if lasting:
                os.fsync(handle)
        except OSError:
            os.unlink(temporary)
            raise
        finally:
            os.close(handle)
        self.mark(f"written {os.path.basename(path)[:16]}")
        os.rename(temporary, path)
        if lasting:
            sync(folder)

    def write_json(self, path: str, value: dict[str, Any], mode: int = 0o600) -> None:
        """The same for a JSON object, in ASCII: names of files need be no text at all."""
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        self.write(path, text.encode("ascii"), mode)

    def move(self, source: str, target: str) -> bool:
        """Rename it; False where somebody else was first. Raises OSError."""
        try:
            os.rename(source, target)
        except FileNotFoundError:
            return False
        sync(os.path.dirname(target))
        if os.path.dirname(source) != os.path.dirname(target):
            sync(os.path.dirname(source))
        return True

    def remove(self, path: str) -> None:
        """Remove it if it is there."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            raise unsafe(path, "it is a folder") from None

    def folder(self, path: str, mode: int = 0o700) -> None:
        """Make it where it is not there, with all above it, and check that it is ours."""
        try:
            os.mkdir(path, mode)
            os.chmod(path, mode)  # whatever the umask is: ours lets nobody else in
        except FileExistsError:
            pass
        except FileNotFoundError:
            self.folder(os.path.dirname(path), 0o755)
            return self.folder(path, mode)
        try:
            handle = os.open(path, FOLDER)
        except OSError:
            raise unsafe(path, "it is no folder") from None
        try:
            self._mine(path, os.fstat(handle))
        finally:
            os.close(handle)


def sync(folder: str) -> None:
    """Bring a folder's names to the disk."""
    handle = os.open(folder, FOLDER)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock(path: str, wait: bool = True) -> int:
    """Lock a file of ours; its handle, or -1 where another process holds it. The kernel lets go
    of it when the process ends, however it ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        return -1
    return handle
