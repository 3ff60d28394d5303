"""A file of a declared place, written as a whole and put back."""

from __future__ import annotations

import os
import re
import stat

from ..host import names
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

MAX = 64 << 10
LINE = re.compile(r"[^\x00-\x1f\x7f]{0,1000}\Z")
# The only places that this kind of step writes to: ours alone, by their names.
PLACES = (
    re.compile(r"/etc/systemd/system/(?P<unit>[^/]+)\.d/50-watchfloor\.conf\Z"),
    re.compile(r"/run/systemd/system/(?P<unit>[^/]+)\.d/90-watchfloor-stopped\.conf\Z"),
)


def read(path: str) -> bytes | None:
    """What a file of ours holds, None where there is none. Raises StepFailed where it is no plain
    file of root's own, that nobody else may write."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StepFailed(f"{path} cannot be opened: {error.strerror}") from None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_nlink != 1:
            raise StepFailed(f"{path} is no plain file of root's own")
        if about.st_mode & 0o022:
            raise StepFailed(f"{path} may be written by others than root")
        data = b""
        while len(data) <= MAX and (more := os.read(handle, MAX + 1 - len(data))):
            data += more
    finally:
        os.close(handle)
    if len(data) > MAX:
        raise StepFailed(f"{path} is larger than {MAX} bytes")
    return data


def write(path: str, data: bytes, mode: int, world: World) -> None:
    """Write a file as a whole: beside it first, then by a rename. Raises StepFailed."""
    folder, _, name = path.rpartition("/")
    beside = f"{folder}/.{name}.watchfloor"
    try:
        os.makedirs(folder, mode=0o755, exist_ok=True)
        if os.path.islink(folder):
            raise StepFailed(f"{folder} is a link")
        try:
            os.unlink(beside)
        except FileNotFoundError:
            pass
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        world.mark("file.beside")
        os.rename(beside, path)
        sync(folder)
    except OSError as error:
        raise StepFailed(f"{path} cannot be written: {error.strerror}") from None


def remove(path: str, made_folder: bool = False) -> None:
    """Remove a file of ours, and its folder where we made it and it is empty. Raises StepFailed."""
    folder, _, name = path.rpartition("/")
    try:
        for gone in (f"{folder}/.{name}.watchfloor", path):
            try:
                os.unlink(gone)
            except (FileNotFoundError, NotADirectoryError):
                pass
        if made_folder:
            try:
                os.rmdir(folder)
            except OSError:
                pass  # something else lies there by now, or it is gone
        if os.path.isdir(folder):
            sync(folder)
    except OSError as error:
        raise StepFailed(f"{path} cannot be removed: {error.strerror}") from None


def sync(folder: str) -> None:
    """Make what was renamed or removed in a folder last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def found(path: str) -> dict[str, Any]:
    """What ``put_back`` needs: the lines that are there (None: no file) and the folder."""
    data = read(path)
    folder = path.rpartition("/")[0]
    return {
        "lines": None if data is None else data.decode("utf-8", "surrogateescape").split("\n"),
        "folder": os.path.isdir(folder),
    }


def put_back(path: str, before: dict[str, Any], world: World) -> None:
    """Put back what ``found`` saw. Raises StepFailed."""
    if before["lines"] is None:
        remove(path, made_folder=not before["folder"])
    else:
        write(path, "\n".join(before["lines"]).encode("utf-8", "surrogateescape"), 0o644, world)


class WriteFile(Step):
    """``{"path", "lines"}``: the file holds exactly these lines."""

    kind = "file"

    def check(self, args: dict[str, Any]) -> None:
        """Only places of ``PLACES``, for units that may be touched."""
        if set(args) != {"path", "lines"} or type(args["path"]) is not str:
            raise Refused("step", "the step file takes a path and lines")
        place = next((found for form in PLACES if (found := form.match(args["path"]))), None)
        if place is None:
            raise Refused("floor", "the guard does not write to that path")
        names.unit(place.group("unit"))
        lines = args["lines"]
        if type(lines) is not list or not 0 < len(lines) <= 200:
            raise Refused("step", "the step file takes 1 to 200 lines")
        if not all(type(line) is str and LINE.match(line) for line in lines):
            raise Refused("step", "a line of the file holds what no line may")

    def words(self, args: dict[str, Any]) -> list[str]:
        """The path, and what it will hold."""
        from hashlib import sha256

        digest = sha256(_bytes(args)).hexdigest()
        return [f"{args['path']} is written as a whole: {len(args['lines'])} lines, {digest}"]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """What is there now."""
        return found(world.path(args["path"]))

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Write it."""
        write(world.path(args["path"]), _bytes(args), 0o644, world)
        return {}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Put back what was there."""
        put_back(world.path(args["path"]), before, world)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether it still holds these lines."""
        return read(world.path(args["path"])) == _bytes(args)


def _bytes(args: dict[str, Any]) -> bytes:
    return ("\n".join(args["lines"]) + "\n").encode()
