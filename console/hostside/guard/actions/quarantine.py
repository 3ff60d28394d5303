"""quarantine-model: a version is put where no service finds it, and can be put back."""

from __future__ import annotations

import hashlib
import os
import stat

from ..model import holders, manifest, models
from ..model.folders import Folder, entry
from ..refused import Refused
from .base import CONTAIN, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

MAX_LOOKED_AT = 20_000
MAX_DEEP = 32


class QuarantineModel(Action):
    """``{"model", "version"}``. The version that is served is taken away after its service was
    stopped; ``release`` puts it back and starts the service."""

    name = "quarantine-model"
    words = "Take a version of a model away from every service, to be put back by release"
    direction = CONTAIN
    ratify = True
    break_glass = True
    inverse = "release"
    dead_man = "timer"

    def check(self, params: dict[str, Any]) -> None:
        """A model and a version by plain names."""
        exactly(params, model=str, version=str)
        models.check_name(params["model"], "model")
        models.check_name(params["version"], "version")

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """Where it lies, which folder it is, and whether it is served. Its manifest needs no
        signature here: what is suspected is taken away all the same."""
        model, version = params["model"], params["version"]
        root = models.find(model, world)
        try:
            with Folder(world.path(models.version_folder(root, model, version))) as at:
                found = os.fstat(at)
                try:
                    data = manifest.read(at)[0]
                except Refused:
                    data = b""
        except FileNotFoundError:
            raise Refused("model", f"the model {model} has no version {version} here") from None
        try:
            served = models.current(root, model, world) == version
        except Refused:
            served = True  # nobody can say what is served: be careful
        name = data or b"%d:%d" % (found.st_dev, found.st_ino)
        return {
            "device": found.st_dev,
            "digest": hashlib.sha256(name).hexdigest(),
            "inode": found.st_ino,
            "root": root,
            "served": served,
        }

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """The service stopped where it serves this version; then the folder renamed."""
        models.check_facts(facts, device=int, digest=str, inode=int, root=str, served=bool)
        models.check_digest(facts["digest"], "digest of the version")
        model, version = params["model"], params["version"]
        root = models.declared(facts["root"], policy)
        steps = []
        if facts["served"]:
            service = models.adapter(model, policy)["service"]
            steps.append({"kind": "unit", "args": {"name": service, "op": "stop"}})
        name = f"{model}-{version}-{facts['digest'][:8]}"
        steps.append(
            {
                "kind": "rename",
                "args": {
                    "device": facts["device"],
                    "from": models.version_folder(root, model, version),
                    "inode": facts["inode"],
                    "to": f"{root}/{models.QUARANTINE}/{name}",
                },
            }
        )
        rule = policy["actions"].get(self.name, {})
        return {"steps": steps, "confirm_s": 0, "ttl_s": rule.get("ttl_s", 0)}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What the host says would happen, and who has it open."""
        rename = plan["steps"][-1]["args"]
        stopped = [step["args"]["name"] for step in plan["steps"] if step["kind"] == "unit"]
        path = world.path(rename["from"])
        with Folder(path) as at:
            inodes, unseen = inodes_below(at)
            held = holders.holders(inodes, path, world) + holders.mounted(at, path, world)
        effect = [f"{name} is stopped and stays stopped until release" for name in stopped]
        effect += [
            f"{rename['from']} is moved to {rename['to']}, which only root can enter",
            "release moves it back" + (" and starts the service" if stopped else ""),
        ]
        residual = ["copies elsewhere: other hosts, registries, caches, backups, memory of a GPU"]
        if any(hold.how != holders.UNSEEN for hold in held):
            residual.append("who has files of it open goes on reading them until it ends")
        return {
            "effect": effect,
            "residual": residual + unseen,
            "cut_off": [f"everybody who uses {name}" for name in stopped] + holders.say(held),
            "remains": ["nothing is deleted"],
        }

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The model and the version."""
        return [("model", params["model"]), ("version", params["version"])]


def inodes_below(at: int) -> tuple[set[tuple[int, int]], list[str]]:
    """Device and inode of the folder and of what is in it, as far as ``MAX_LOOKED_AT`` and
    ``MAX_DEEP``; and lines that say what was not looked at. Nothing in it stops a quarantine."""
    top = os.fstat(at)
    found = {(top.st_dev, top.st_ino)}
    lost = deep = 0
    waiting: list[str] = ["."]
    while waiting and len(found) <= MAX_LOOKED_AT:
        where = waiting.pop()
        try:
            with Folder(where, at) as handle:
                for name in os.listdir(handle):
                    about = entry(name, handle)
                    if about is None:
                        lost += 1
                        continue
                    found.add((about.st_dev, about.st_ino))
                    if not stat.S_ISDIR(about.st_mode):
                        continue
                    if where.count("/") < MAX_DEEP:
                        waiting.append(f"{where}/{name}")
                    else:
                        deep += 1
                    if len(found) > MAX_LOOKED_AT:
                        break
        except (OSError, Refused):
            lost += 1
    lines = []
    if deep:
        lines.append(
            f"{deep} folders lie more than {MAX_DEEP} deep: who has those open is not told"
        )
    if lost:
        lines.append(f"{lost} entries changed while they were looked at: who has them is not told")
    if len(found) > MAX_LOOKED_AT:
        lines.append(f"more than {MAX_LOOKED_AT} entries: who has the rest open is not told")
    return found, lines
