"""Files that the terminal writes: whole or not at all, for this user only."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_new(path: Path, data: bytes, *, make: bool = False) -> None:
    """Write a file that is not there yet; ``make`` its folder too. Raises OSError.

    FileExistsError where something of that name is there; it is left alone.
    """

    def put(temporary: str) -> None:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            _exclusive(path, data)

    _write(path, data, put, make=make)


def replace(path: Path, data: bytes) -> None:
    """Write a file, in place of the one that may be there; its folder is made. Raises OSError."""
    _write(path, data, lambda temporary: os.replace(temporary, path), make=True)


def _write(path: Path, data: bytes, put: Callable[[str], None], *, make: bool) -> None:
    try:
        if make:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
    handle, temporary = tempfile.mkstemp(prefix=".watchfloor-", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        put(temporary)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _exclusive(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError:
        path.unlink(missing_ok=True)
        raise
