"""A file or a tree destroyed: overwritten in place, or the keys of its whole volume erased.

It cannot be undone. Its first act is a new name under which nothing else finds it
(``.destroying-INODE``); up to there it is put back. Its second is another (``.begun`` after that),
from where on it can only be brought to its end.
"""

from __future__ import annotations

import os
import stat

from ..model import erase, holders, medium, models
from ..model.folders import Failing, Folder, entry, mount_id, open_folder, plain
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

_OVERWRITE = {
    "how": str, "path": str, "root": str, "kind": str, "device": int, "inode": int, "files": int,
    "bytes": int, "also": list,
}  # fmt: skip
_CRYPTO = {
    "how": str, "path": str, "root": str, "device": int, "inode": int, "header": str, "uuid": str,
    "mapping": str,
}  # fmt: skip
_TRIM_S = 900.0


class Destroy(Step):
    """``how`` is ``overwrite`` (path, kind, device, inode, and what lies there) or ``crypto``
    (a volume mounted at path, its header's device, UUID and mapping)."""

    kind = "destroy"

    def check(self, args: dict[str, Any]) -> None:
        """Raise Refused unless everything is of its type, and paths are plain."""
        shape = _CRYPTO if args.get("how") == "crypto" else _OVERWRITE
        if set(args) != set(shape) or args["how"] not in ("crypto", "overwrite"):
            raise Refused("step", "destroy takes the arguments of overwrite or of crypto")
        for name, kind in shape.items():
            if type(args[name]) is not kind:
                raise Refused("step", f"{name} of destroy is not {kind.__name__}")
        plain(args["path"])
        plain(args["root"])
        for path in args.get("also", ()):
            plain(path)
        if args["how"] == "crypto":
            plain(args["header"])
        elif args["kind"] not in ("file", "tree"):
            raise Refused("step", "kind of destroy is not file or tree")

    def words(self, args: dict[str, Any]) -> list[str]:
        """What is lost, in capitals."""
        if args["how"] == "crypto":
            which = f"(root {args['root']}, device {args['device']}, inode {args['inode']})"
            return [
                f"ALL THAT LIES IN {args['path']} IS LOST FOR EVER {which}",
                f"THE KEYS OF THE LUKS VOLUME {args['uuid']} ON {args['header']} ARE ERASED",
                f"it is unmounted, and {args['mapping']} is closed, before that",
                "THERE IS NO WAY BACK",
            ]
        what = "THE FILE" if args["kind"] == "file" else "THE FOLDER AND ALL THAT IS IN IT"
        which = f"(root {args['root']}, device {args['device']}, inode {args['inode']})"
        return [
            f"{what} IS LOST FOR EVER: {args['path']} {which}",
            f"{args['files']} FILES, {args['bytes']} BYTES ARE OVERWRITTEN, DISCARDED AND UNLINKED",
            *(f"THE SAME FILE UNDER ANOTHER NAME IS LOST TOO: {path}" for path in args["also"]),
            "THERE IS NO WAY BACK",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """Whether it is there, so that a second run knows that it may be gone by the first."""
        if args["how"] == "crypto":
            return {"there": True}
        folder, name = os.path.split(world.path(args["path"]))
        with Folder(folder) as at:
            names = (name, hidden(args), begun(args))
            return {"there": any(_is(entry(each, at), args) for each in names)}

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Destroy it. Raises StepFailed; before the first byte is overwritten, nothing changed."""
        if not before["there"]:
            raise StepFailed(f"{args['path']} is not what was signed for, or gone")
        with Failing(f"the destruction of {args['path']}"):
            return crypto(args, world) if args["how"] == "crypto" else overwrite(args, world)

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """The old name, if nothing was overwritten yet. Raises StepFailed where a part is gone:
        the rest has to be destroyed by a request of its own."""
        if args["how"] == "crypto":
            return
        folder, name = os.path.split(world.path(args["path"]))
        with Failing(f"the way back of {args['path']}"), Folder(folder) as at:
            if name != begun(args) and entry(begun(args), at) is not None:
                rest = os.path.join(os.path.dirname(args["path"]), begun(args))
                raise StepFailed(f"a part of {args['path']} is destroyed; delete the rest: {rest}")
            if entry(hidden(args), at) is not None and entry(name, at) is None:
                os.rename(hidden(args), name, src_dir_fd=at, dst_dir_fd=at)
                os.fsync(at)

    def over(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether it was there, and nothing of it is now."""
        return bool(before["there"]) and self.holds(args, before, world)

    def ends(self, args: dict[str, Any], other: dict[str, Any]) -> bool:
        """Whether it destroyed what a standing quarantine has put away."""
        if other["kind"] != "rename":
            return False
        path, kept = str(args["path"]), str(other["args"]["to"])
        return kept == path or kept.startswith(path + "/")

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether nothing is left under either name."""
        if args["how"] == "crypto":
            return keyslots(args["header"], world) == 0
        return not self.look(args, world)["there"]


def hidden(args: dict[str, Any]) -> str:
    """The name of what is about to be destroyed, and is still whole."""
    return f".destroying-{args['inode']}"


def begun(args: dict[str, Any]) -> str:
    """The name of what is destroyed in part."""
    return hidden(args) + ".begun"


def _is(found: os.stat_result | None, args: dict[str, Any]) -> bool:
    if found is None or (found.st_dev, found.st_ino) != (args["device"], args["inode"]):
        return False
    wanted = stat.S_ISREG if args["kind"] == "file" else stat.S_ISDIR
    return wanted(found.st_mode)


def in_use(found: erase.Found, handle: int, path: str, world: World) -> list[str]:
    """Raise Refused where anybody has any of it open, mapped or mounted; else lines that say
    which processes could not be looked at."""
    held = holders.holders(found.inodes, path, world) + holders.mounted(handle, path, world)
    unseen = [hold for hold in held if hold.how == holders.UNSEEN]
    held = [hold for hold in held if hold.how != holders.UNSEEN]
    if held:
        raise Refused(
            "in-use",
            f"{path} is in use: {'; '.join(holders.say(held, 4))}",
            "stop these first: what they hold would outlive the deletion",
        )
    return holders.say(unseen, 4)


def overwrite(args: dict[str, Any], world: World) -> dict[str, Any]:
    """The whole of it. Raises Refused and OSError."""
    path = world.path(args["path"])
    folder, name = os.path.split(path)
    with Folder(folder) as at:
        if _is(entry(begun(args), at), args):
            found = erase.scan(at, begun(args))  # the rest of an earlier run
            _no_names(found, args, world)
        else:
            if not _is(entry(hidden(args), at), args):
                if entry(name, at) is None:
                    return _before(args, at, world)
                _hide(args, at, path, world)
            world.mark("destroy.hidden")
            # Nobody can find it any more; who was quicker than the new name is seen now.
            found = _signed(at, hidden(args), args, world)
            in_use(found, at, os.path.join(folder, hidden(args)), world)
            os.rename(hidden(args), begun(args), src_dir_fd=at, dst_dir_fd=at)
            os.fsync(at)
            world.mark("destroy.begun")
        unseen = in_use(found, at, os.path.join(folder, begun(args)), world)
        under = medium.under(at, world)
        eraser = erase.Eraser(args["bytes"], found, world)
        for handle, other, inode in _also(args, world):
            # After a run that was cut short, the name may be that of a new file by now.
            if inode in found.inodes:
                erase.remove_name(handle, other, inode)
            os.close(handle)
            world.mark("destroy.also")
        eraser.tree(at, begun(args))
        left = _left(eraser, args)
        words = _trim(under, world)
        world.progress(max(args["bytes"], 1), max(args["bytes"], 1), "bytes overwritten")
        return {
            "destroyed": args["path"],
            "files": eraser.files,
            "bytes": eraser.done,
            "discard": words if eraser.punched else f"no holes could be made; {words}",
            **({"left": left} if left else {}),
            "remains": [*([left] if left else []), *unseen, *medium.keeps(under, world)],
        }


def _left(eraser: erase.Eraser, args: dict[str, Any]) -> str:
    """What outlives it because somebody was quicker, in words. Raises Refused where it lies there
    still, for then nobody may think that the place is empty."""
    words = []
    if eraser.missing:
        words.append(
            f"A PART IS LEFT: {eraser.missing} files were taken out while it was destroyed, and "
            "are somewhere else, whole"
        )
    if eraser.strange:
        words.append(f"{eraser.strange} entries were put into it meanwhile, and were not touched")
        raise Refused("changed", f"{args['path']}: {'; '.join(words)}")
    return "".join(words)


def _before(args: dict[str, Any], at: int, world: World) -> dict[str, Any]:
    """It was destroyed by an earlier run, which was ended before it could say so."""
    under = medium.under(at, world)
    return {
        "destroyed": args["path"],
        "discard": _trim(under, world),
        "remains": [
            "the guard was ended at the end of it: that every block was overwritten is not noted",
            *medium.keeps(under, world),
        ],
    }


def _hide(args: dict[str, Any], at: int, path: str, world: World) -> None:
    """Check all that was signed for, and give it the other name."""
    name = os.path.basename(path)
    if not _is(entry(name, at), args):
        raise Refused("path", f"{args['path']} is not the {args['kind']} that was signed for")
    model = models.is_current(args["path"], args["root"], world)
    if model:
        raise Refused("running", f"{args['path']} holds the version of {model} that is served")
    found = _signed(at, name, args, world)
    in_use(found, at, path, world)
    os.rename(name, hidden(args), src_dir_fd=at, dst_dir_fd=at)
    os.fsync(at)


def _signed(at: int, name: str, args: dict[str, Any], world: World) -> erase.Found:
    """What lies there. Raises Refused where it is not what was signed for."""
    found = erase.scan(at, name)
    if (found.files, found.bytes) != (args["files"], args["bytes"]):
        raise Refused("changed", f"{args['path']} has changed since this was signed")
    _all_links(found, args, world)
    return found


def _no_names(found: erase.Found, args: dict[str, Any], world: World) -> None:
    """Raise Refused where what is left of an earlier run has names that were not signed for: one
    may have been put into it since."""
    left = found.elsewhere()
    for handle, _, inode in _also(args, world):
        os.close(handle)
        left[inode] = left.get(inode, 0) - 1
    if any(count > 0 for count in left.values()):
        raise Refused("links", f"files in {args['path']} have names that were not signed for")


def _all_links(found: erase.Found, args: dict[str, Any], world: World) -> None:
    """Raise Refused where a file has a name that was not signed for."""
    left = found.elsewhere()
    for handle, name, inode in _also(args, world):
        os.close(handle)
        if inode not in left:
            raise Refused("changed", f"{name} is no name of what was signed for")
        left[inode] -= 1
    if any(left.values()):
        raise Refused("links", f"files in {args['path']} have names that were not signed for")
    for path in args["also"]:
        model = models.is_current(path, _root_of(path, world), world)
        if model:
            raise Refused("running", f"{path} belongs to the version of {model} that is served")


def _root_of(path: str, world: World) -> str:
    for root in models.roots(world):
        if path.startswith(root + "/"):
            return root
    raise Refused("policy", f"{path} is not below a folder of policy.models")


def _also(args: dict[str, Any], world: World) -> list[tuple[int, str, tuple[int, int]]]:
    """Other names of the same files that are still there: folder's handle, name, inode."""
    found = []
    for path in args["also"]:
        folder, name = os.path.split(world.path(path))
        handle = open_folder(folder)
        status = entry(name, handle)
        if status is None or not stat.S_ISREG(status.st_mode):
            os.close(handle)
            continue
        found.append((handle, name, (status.st_dev, status.st_ino)))
    return found


def _trim(under: medium.Medium, world: World) -> str:
    """Tell the medium which blocks are free."""
    if not under.discards:
        return "the medium takes no discard"
    world.progress(1, 1, "discarding free blocks")
    done = world.run(["fstrim", "--", under.point], timeout=_TRIM_S)
    return "free blocks were discarded" if done.code == 0 else f"no discard: {done.why}"


def crypto(args: dict[str, Any], world: World) -> dict[str, Any]:
    """Unmount and close the volume, then erase every key slot of its header. Raises Refused."""
    header, mapping = args["header"], args["mapping"]
    _unmount(args, world)
    world.mark("destroy.unmounted")
    if mapping and os.path.exists(world.path(f"/dev/mapper/{mapping}")):
        done = world.run(["cryptsetup", "close", "--", mapping])
        if done.code != 0:
            raise Refused("in-use", f"the volume {mapping} cannot be closed: {done.why}")
    world.mark("destroy.closed")
    found = world.run(["cryptsetup", "luksUUID", "--", header])
    if found.code != 0 or found.out.decode("ascii", "replace").strip() != args["uuid"]:
        raise Refused("path", f"{header} is not the LUKS volume that was signed for")
    if keyslots(header, world):
        done = world.run(["cryptsetup", "--batch-mode", "erase", "--", header], timeout=120)
        if done.code != 0:
            raise Refused("medium", f"the keys of {header} cannot be erased: {done.why}")
    world.mark("destroy.erased")
    left = keyslots(header, world)
    if left != 0:
        raise Refused("medium", f"{header} still has {left} key slots")
    world.progress(1, 1, "key slots erased")
    return {
        "destroyed": args["path"],
        "remains": [
            "the encrypted blocks stay and nobody can read them without the erased keys",
            "a backup of the LUKS header with a passphrase of that time would open them again",
        ],
    }


def _unmount(args: dict[str, Any], world: World) -> None:
    point = world.path(args["path"])
    folder, name = os.path.split(point)
    with Folder(folder) as at:
        found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
        try:
            status = os.fstat(found)
            is_mount = mount_id(found) != mount_id(at)
        finally:
            os.close(found)
    if not is_mount:
        return
    if (status.st_dev, status.st_ino) != (args["device"], args["inode"]):
        raise Refused("path", f"{args['path']} is not the volume that was signed for")
    done = world.run(["umount", "--", point])
    if done.code != 0:
        raise Refused("in-use", f"{args['path']} cannot be unmounted: {done.why}")


def keyslots(header: str, world: World) -> int:
    """How many key slots of a LUKS header are in use. Raises Refused."""
    done = world.run(["cryptsetup", "luksDump", "--", header])
    if done.code != 0:
        raise Refused("medium", f"{header} is no LUKS volume: {done.why}")
    count, section = 0, ""
    for line in done.out.decode("utf-8", "replace").splitlines():
        if line and not line[0].isspace():
            section = line
            count += line.startswith("Key Slot") and line.endswith("ENABLED")
        elif section.startswith("Keyslots:") and line.strip()[:1].isdigit():
            count += line.startswith("  ") and not line.startswith("   ")
    return count
