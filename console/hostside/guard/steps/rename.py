"""A folder renamed within one file system, by handles of the folders that hold it."""

from __future__ import annotations

import errno
import os
import stat

from ..model.folders import Failing, Folder, entry, plain
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World


class Rename(Step):
    """The folder ``from``, of that ``device`` and ``inode``, is called ``to``.

    The folder of ``to`` is made where it is missing, and is the owner's alone (0700).
    """

    kind = "rename"

    def check(self, args: dict[str, Any]) -> None:
        """Raise Refused unless there are two plain paths and two numbers."""
        if set(args) != {"from", "to", "device", "inode"}:
            raise Refused("step", "rename takes from, to, device and inode")
        if type(args["device"]) is not int or type(args["inode"]) is not int:
            raise Refused("step", "device and inode are whole numbers")
        plain(args["from"])
        plain(args["to"])

    def words(self, args: dict[str, Any]) -> list[str]:
        """From where to where, and which folder it must be."""
        return [
            f"{args['from']} (device {args['device']}, inode {args['inode']}) is moved away, so "
            "that nothing finds it there",
            f"to {args['to']}, in a folder that only root enters; nothing is deleted",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """Under which of the names it is."""
        return {"at": "from" if self._is(args, "from", world) else "elsewhere"}

    def _is(self, args: dict[str, Any], end: str, world: World) -> bool:
        folder, name = os.path.split(world.path(args[end]))
        try:
            with Folder(folder) as at:
                return _same(entry(name, at), args)
        except FileNotFoundError:
            return False

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Rename it, if it is not already."""
        if not self._is(args, "to", world):
            with Failing(args["to"]):
                _closed_folder(os.path.dirname(world.path(args["to"])), world)
            _move(args, "from", "to", world)
        return {"now": args["to"]}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Rename it back, if it is not already."""
        if before["at"] == "from" and not self._is(args, "from", world):
            _move(args, "to", "from", world)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether it still has the new name."""
        try:
            return self._is(args, "to", world)
        except (OSError, Refused):
            return False


def _same(found: os.stat_result | None, args: dict[str, Any]) -> bool:
    return (
        found is not None
        and stat.S_ISDIR(found.st_mode)
        and (found.st_dev, found.st_ino) == (args["device"], args["inode"])
    )


def _closed_folder(path: str, world: World) -> None:
    outer, name = os.path.split(path)
    with Folder(outer) as at:
        try:
            os.mkdir(name, 0o700, dir_fd=at)
            os.fsync(at)
        except FileExistsError:
            pass
        world.mark("rename.folder")
        with Folder(name, at) as inner:
            found = os.fstat(inner)
            if found.st_uid != os.geteuid():
                raise StepFailed(f"{path} belongs to somebody else")
            if found.st_mode & 0o077:
                os.fchmod(inner, 0o700)


def _move(args: dict[str, Any], source: str, target: str, world: World) -> None:
    here, name = os.path.split(world.path(args[source]))
    there, other = os.path.split(world.path(args[target]))
    with Failing(f"the renaming of {args[source]}"), Folder(here) as at, Folder(there) as to:
        if not _same(entry(name, at), args):
            raise StepFailed(f"{args[source]} is not the folder that was signed for, or gone")
        if entry(other, to) is not None:
            raise StepFailed(f"{args[target]} is there already")
        world.mark("rename.checked")
        try:
            os.rename(name, other, src_dir_fd=at, dst_dir_fd=to)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EBUSY):
                raise StepFailed(
                    f"{args[source]} is a mount, or lies on another file system than {there}"
                ) from error
            raise
        os.fsync(to)
        os.fsync(at)
