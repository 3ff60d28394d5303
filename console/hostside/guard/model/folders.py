"""Folders and files by handles: no link is followed, no mount is crossed without being told."""

from __future__ import annotations

import errno
import os
import stat

from ..refused import Refused
from ..steps.base import StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MAX_PATH = 1024


def plain(path: str) -> str:
    """``path``, if it is absolute and names one place only: no ``.``, ``..``, ``//`` or end ``/``.

    Raises Refused.
    """
    parts = path.split("/")
    if len(path) > MAX_PATH or not path.startswith("/") or len(parts) < 2:
        raise Refused("path", "the path is not absolute, or longer than 1024 characters")
    if any(part in ("", ".", "..") for part in parts[1:]):
        raise Refused("path", "the path has an empty, . or .. component: write it without them")
    if any(not letter.isprintable() for letter in path):
        raise Refused("path", "the path has characters that cannot be shown")
    return path


def under(path: str, root: str) -> bool:
    """Whether ``path`` lies below ``root``, both as ``plain`` returns them."""
    return path.startswith(root + "/")


def open_folder(path: str, at: int | None = None) -> int:
    """A handle on the folder ``path``, each component opened from the one before.

    ``path`` is absolute, or relative to the handle ``at``. Raises Refused where a component is a
    link or no folder, OSError where it is not there.
    """
    handle = os.open("/" if at is None else ".", FOLDER, dir_fd=at)
    try:
        for part in filter(None, path.split("/")):
            handle, old = _enter(part, handle, path), handle
            os.close(old)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _enter(part: str, at: int, path: str) -> int:
    if part == "..":
        raise Refused("path", f"{path} has a .. component")
    try:
        return os.open(part, FOLDER, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused("path", f"{part} in {path} is a link or no folder") from error
        raise


class Folder:
    """A handle as a context: ``with Folder(path) as handle``."""

    def __init__(self, path: str, at: int | None = None) -> None:
        self._path, self._at = path, at
        self._handle = -1

    def __enter__(self) -> int:
        self._handle = open_folder(self._path, self._at)
        return self._handle

    def __exit__(self, *exc: object) -> None:
        os.close(self._handle)


def entry(name: str, at: int) -> os.stat_result | None:
    """What ``name`` in the folder ``at`` is, itself and not what it leads to; None: not there."""
    try:
        return os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return None


def open_file(name: str, at: int, flags: int = FILE) -> int:
    """A handle on the regular file ``name`` in the folder ``at``. Raises Refused."""
    try:
        handle = os.open(name, flags, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise Refused("path", f"{name} is not a regular file") from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Refused("path", f"{name} is not a regular file")
    return handle


def read_small(name: str, at: int, most: int) -> bytes | None:
    """The bytes of a small regular file, None where it is not there. Raises Refused."""
    try:
        handle = open_file(name, at)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Refused("size", f"{name} is larger than {most} bytes")
    return data


def write_new(name: str, data: bytes, at: int, mode: int = 0o644) -> None:
    """Put a file in place as a whole: written beside it, synced, renamed over it."""
    beside = f".{name}.new"
    handle = os.open(
        beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode,
        dir_fd=at,
    )  # fmt: skip
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(beside, name, src_dir_fd=at, dst_dir_fd=at)
    os.fsync(at)


def mount_id(handle: int) -> int:
    """The mount that an open file lies on. A bind mount has its own, the device does not tell."""
    with open(f"/proc/self/fdinfo/{handle}", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    return -1


class Failing:
    """Turns what goes wrong inside into StepFailed: ``with Failing("the switch of model x")``."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Refused):
            raise StepFailed(error.words) from error
        if isinstance(error, OSError):
            raise StepFailed(f"{self._what}: {error.strerror or error}") from error
