"""secure-delete: what was a model here is destroyed, with an honest word of what may be left."""

from __future__ import annotations

import os
import stat

from ..model import erase, medium, models
from ..model.folders import Folder, entry, mount_id, plain, under
from ..refused import Refused
from ..steps.destroy import in_use
from .base import DESTROY, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

MAX_ALSO = 32
_OVERWRITE = {"also": list, "bytes": int, "files": int, "how": str, "root": str}
_CRYPTO = {
    "also": list, "header": str, "how": str, "mapping": str, "root": str, "uuid": str,
}  # fmt: skip
NO_WAY_BACK = "THIS CANNOT BE UNDONE. THERE IS NO INVERSE."


class SecureDelete(Action):
    """``{"path", "device", "inode", "kind"}`` with ``kind`` ``file`` or ``tree``, below a folder
    of policy.models. A tree that is a LUKS volume by itself loses its keys instead."""

    name = "secure-delete"
    words = "Destroy a file or folder of a model. This cannot be undone"
    direction = DESTROY
    high_risk = True
    starter = "requester"
    long = True

    def check(self, params: dict[str, Any]) -> None:
        """A plain path, and which inode it must be."""
        exactly(params, path=str, device=int, inode=int, kind=str)
        plain(params["path"])
        if params["kind"] not in ("file", "tree"):
            raise Refused("parameters", "kind is file or tree")
        if params["device"] < 0 or params["inode"] < 1:
            raise Refused("parameters", "device and inode are those of stat")

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """What lies there: how much, other names of the same files, or the volume's keys."""
        path = params["path"]
        root = _root(path, models.roots(world))
        model = models.is_current(path, root, world)
        if model:
            raise Refused(
                "running",
                f"{path} holds the version of {model} that is served",
                "roll back or quarantine it first",
            )
        folder, name = os.path.split(world.path(path))
        try:
            with Folder(folder) as at:
                return _look(at, name, params, root, world)
        except FileNotFoundError:
            raise Refused("path", f"{path} is not there") from None

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step, which says everything it will touch."""
        shape = _CRYPTO if facts.get("how") == "crypto" else _OVERWRITE
        models.check_facts(facts, **shape)
        if len(facts["also"]) > MAX_ALSO or any(type(path) is not str for path in facts["also"]):
            raise Refused("facts", "the other names that this host tells are no short list")
        for path in facts["also"]:
            plain(path)
        root = models.declared(facts["root"], policy)
        for path in (params["path"], *facts["also"]):
            if path != root and not any(under(path, folder) for folder in policy["models"]):
                raise Refused("policy", f"{path} is not below a folder of policy.models")
        args = {
            "device": params["device"], "how": facts["how"], "inode": params["inode"],
            "path": params["path"], "root": root,
        }  # fmt: skip
        if facts["how"] == "crypto":
            args.update({name: facts[name] for name in ("header", "mapping", "uuid")})
        else:
            args.update(
                also=facts["also"], bytes=facts["bytes"], files=facts["files"],
                kind=params["kind"],
            )  # fmt: skip
        return {"steps": [{"kind": "destroy", "args": args}], "confirm_s": 0, "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What the host says would happen, and what may be left. Raises Refused where in use."""
        args = plan["steps"][0]["args"]
        if args["how"] == "crypto":
            effect = [
                f"the keys of the LUKS volume {args['uuid']} on {args['header']} are erased: "
                f"ALL that lies in {args['path']} is lost at once",
                f"it is unmounted and {args['mapping']} is closed first",
            ]
            remains = ["a backup of the LUKS header with its passphrase would open it again"]
        else:
            effect, remains = self._overwrite(args, world)
        return {
            "effect": [*effect, NO_WAY_BACK],
            "residual": [],
            "cut_off": [],
            "remains": remains,
        }

    def _overwrite(self, args: dict[str, Any], world: World) -> tuple[list[str], list[str]]:
        path = world.path(args["path"])
        folder, name = os.path.split(path)
        with Folder(folder) as at:
            remains = in_use(erase.scan(at, name), at, path, world)
            remains += medium.keeps(medium.under(at, world), world)
        effect = [
            f"{args['path']}: {args['files']} files, {args['bytes']} bytes, overwritten once with "
            "random bytes, discarded and unlinked",
            *(
                f"the same file is also called {other}: that name goes too"
                for other in args["also"]
            ),
        ]
        return effect, remains

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The path, and which inode it must be."""
        return [
            ("DESTROY", params["path"]),
            ("kind", params["kind"]),
            ("device and inode", f"{params['device']}, {params['inode']}"),
        ]


def _root(path: str, roots: list[str]) -> str:
    for root in roots:
        if path == root or under(path, root):
            return root
    raise Refused(
        "policy",
        f"{path} is not below a folder that policy.models declares",
        "only models are deleted by the guard",
    )


def _look(at: int, name: str, params: dict[str, Any], root: str, world: World) -> dict[str, Any]:
    found = entry(name, at)
    if found is None:
        left = [each for each in os.listdir(at) if each.startswith(".destroying-")]
        hint = f"a deletion that was cut short left {left[0]} beside it: name that" if left else ""
        raise Refused("path", f"{params['path']} is not there", hint)
    if (found.st_dev, found.st_ino) != (params["device"], params["inode"]):
        raise Refused("path", f"{params['path']} is another file than was named: look again")
    is_kind = stat.S_ISREG if params["kind"] == "file" else stat.S_ISDIR
    if not is_kind(found.st_mode):
        raise Refused("path", f"{params['path']} is no {params['kind']}")
    facts: dict[str, Any] = {"also": [], "how": "overwrite", "root": root}
    look = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    try:
        is_mount = mount_id(look) != mount_id(at)
    finally:
        os.close(look)
    if is_mount:
        volume = medium.luks(found.st_dev, world)
        if volume is None:
            raise Refused("mount", f"{params['path']} is a mount point and no LUKS volume")
        facts.update(how="crypto", header=volume.header, uuid=volume.uuid, mapping=volume.mapping)
        return facts
    if params["path"] == root:
        raise Refused("policy", f"{root} is declared as a whole: name what lies in it")
    tree = erase.scan(at, name)
    facts.update(files=tree.files, bytes=tree.bytes)
    elsewhere = tree.elsewhere()
    if elsewhere:
        facts["also"] = _other_names(elsewhere, params["path"], world)
    return facts


def _other_names(elsewhere: dict[tuple[int, int], int], path: str, world: World) -> list[str]:
    """Where else the same files have a name. Raises Refused where one is not found."""
    left = dict(elsewhere)
    found = []
    for root in models.roots(world):
        with Folder(world.path(root)) as top:
            for where, _, files, handle in os.fwalk(".", dir_fd=top, follow_symlinks=False):
                for name in files:
                    full = os.path.normpath(f"{root}/{where}/{name}")
                    if full == path or under(full, path):
                        continue
                    status = os.stat(name, dir_fd=handle, follow_symlinks=False)
                    key = (status.st_dev, status.st_ino)
                    if left.get(key, 0) > 0:
                        left[key] -= 1
                        found.append(full)
    missing = sum(left.values())
    if missing:
        raise Refused(
            "links",
            f"files in {path} have {missing} more names outside the folders of policy.models",
            "find them with find -samefile, or the same bytes would stay under these names",
        )
    if len(found) > MAX_ALSO:
        raise Refused("links", f"{path} shares {len(found)} files with others: remove these first")
    return sorted(found)
