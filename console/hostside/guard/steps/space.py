"""Room on the disk, looked at before anything is changed. It changes nothing itself."""

from __future__ import annotations

import os

from ..model.folders import Failing, Folder, plain
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World


class Space(Step):
    """``path`` (a folder) has ``bytes`` and ``files`` left on its file system."""

    kind = "space"
    undoable = False

    def check(self, args: dict[str, Any]) -> None:
        """Raise Refused unless there is a path and two numbers."""
        if set(args) != {"path", "bytes", "files"}:
            raise Refused("step", "space takes path, bytes and files")
        if type(args["bytes"]) is not int or type(args["files"]) is not int:
            raise Refused("step", "bytes and files are whole numbers")
        plain(args["path"])

    def words(self, args: dict[str, Any]) -> list[str]:
        """How much room there must be, and where."""
        return [
            f"it goes on only if {args['path']} has room for {args['bytes']} bytes and "
            f"{args['files']} files"
        ]

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Raise StepFailed where there is less."""
        with Failing(args["path"]), Folder(world.path(args["path"])) as at:
            found = os.fstatvfs(at)
        free = found.f_bavail * found.f_frsize
        if free < args["bytes"]:
            raise StepFailed(
                f"{args['path']} has {free >> 20} MiB left, and {args['bytes'] >> 20} are needed"
            )
        if found.f_files and found.f_favail < args["files"]:  # 0: a file system without inodes
            raise StepFailed(f"{args['path']} has no inodes left for {args['files']} files")
        return {"free": free}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Nothing was changed."""
