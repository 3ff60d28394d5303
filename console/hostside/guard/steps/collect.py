"""Evidence collected, packed and signed."""

from __future__ import annotations

import os
import re
import shutil
import time

from ..host import evidence, names, pack
from ..refused import Refused
from . import file
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

    from ..world import World

    # Writes one part; why it was cut short, or empty.
    Gather = Callable[[str, int, IO[bytes], World], str]

FOLDER = "/var/lib/watchfloor/guard/evidence"
NAME = re.compile(r"[0-9a-f]{64}\.tar\.gz\Z")  # the request's id
MAX_SINCE = 30 * 86400
KEPT_BYTES = 2 << 30
SPARE_BYTES = 256 << 20


def check(since_s: Any, include: Any) -> None:
    """Raise Refused where these are no window and no parts."""
    names.number(since_s, 60, MAX_SINCE, "since_s")
    if type(include) is not list or not include:
        raise Refused("parameters", "include is a list of parts")
    for part in include:
        if part not in evidence.PARTS:
            raise Refused("parameters", "the parts are " + ", ".join(evidence.PARTS))
    if len(set(include)) != len(include):
        raise Refused("parameters", "a part is named twice")


class Collect(Step):
    """``{"since_s", "include"}``. The pack stays when the request is over."""

    kind = "collect"

    def check(self, args: dict[str, Any]) -> None:
        """A window in seconds, and parts."""
        if set(args) != {"since_s", "include"}:
            raise Refused("step", "the step collect takes since_s and include")
        check(args["since_s"], args["include"])

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which parts in which order, and how far back."""
        wanted = [part for part in evidence.PARTS if part in args["include"]]
        return [
            f"collected, in this order: {', '.join(wanted)}",
            f"journal and logins of the last {args['since_s']} s",
            "packed and signed by the host; the pack stays there, for root alone, and may hold "
            "secrets of processes' arguments",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """The name that the pack will have. Raises StepFailed where there is no room or no
        key."""
        folder = world.path(FOLDER)
        if not os.path.isdir(folder):
            raise StepFailed(f"{FOLDER} is not there: enrolment makes it")
        kept = sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder))
        if kept > KEPT_BYTES:
            raise StepFailed(f"{FOLDER} holds {kept >> 20} MiB already: move older packs away")
        spare = shutil.disk_usage(folder).free
        need = len(args["include"]) * evidence.PART_BYTES + SPARE_BYTES
        if spare < need:
            raise StepFailed(f"{FOLDER} has {spare >> 20} MiB free, {need >> 20} MiB may be needed")
        if not os.path.isfile(pack.key(world)):
            raise StepFailed("this host has no audit key yet: enrolment makes it")
        return {"name": names.text(NAME, f"{world.request}.tar.gz", "a pack")}

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Collect anew, pack and sign. A pack that is complete is kept as it is."""
        name = names.text(NAME, before["name"], "a pack")
        path = f"{world.path(FOLDER)}/{name}"
        if not os.path.lexists(path):
            self.undo(args, before, world)
            make(name, args, world, evidence.collect)
        self.undo(args, before, world)
        return about(name, world)

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Remove what was not finished; evidence that is complete is never destroyed."""
        clear(names.text(NAME, before["name"], "a pack"), world)

    def over(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether the pack is complete: evidence is not thrown away, and nothing was changed."""
        return self.holds(args, before, world)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether the pack is there."""
        return os.path.isfile(f"{world.path(FOLDER)}/{before['name']}")


def make(name: str, args: dict[str, Any], world: World, gather: Gather) -> None:
    """Collect by ``gather``, pack, sign and give it its name. Raises StepFailed."""
    work = _work(name, world)
    try:
        os.mkdir(work, 0o700)
        _fill(work, name, args, world, gather)
        world.mark("collect.packed")
        os.chmod(f"{work}/pack", 0o600)
        os.rename(f"{work}/pack", f"{world.path(FOLDER)}/{name}")
        file.sync(world.path(FOLDER))
    except OSError as error:
        raise StepFailed(f"evidence cannot be written: {error.strerror}") from None
    world.mark("collect.named")


def about(name: str, world: World) -> dict[str, Any]:
    """Name, size and sha256 of a pack."""
    size, sha256 = pack.digest(f"{world.path(FOLDER)}/{name}")
    return {"name": name, "size": size, "sha256": sha256}


def clear(name: str, world: World) -> None:
    """Remove what was not finished."""
    shutil.rmtree(_work(name, world), ignore_errors=True)


def _work(name: str, world: World) -> str:
    return f"{world.path(FOLDER)}/.{name}.work"


def _fill(work: str, name: str, args: dict[str, Any], world: World, gather: Gather) -> None:
    wanted = [part for part in evidence.PARTS if part in args["include"]]
    begun, parts = int(time.time()), []
    for done, part in enumerate(wanted):
        world.progress(done, len(wanted) + 1, f"collects {part}")
        with open(f"{work}/{part}", "wb") as target:
            cut = gather(part, args["since_s"], target, world)
        size, sha256 = pack.digest(f"{work}/{part}")
        parts.append({"name": part, "size": size, "sha256": sha256, "cut": cut})
        world.mark("collect.part")
    world.progress(len(wanted), len(wanted) + 1, "packs and signs")
    host, boot = pack.identity(world)
    manifest = {
        "kind": "evidence", "v": 1, "name": name, "host_id": host, "boot_id": boot,
        "begun": begun, "ended": int(time.time()), "since_s": args["since_s"], "parts": parts,
    }  # fmt: skip
    with open(f"{work}/manifest.json", "wb") as target:
        target.write(pack.canonical(manifest))
    why = pack.sign(f"{work}/manifest.json", world)
    if why:
        raise StepFailed(f"the evidence cannot be signed with the host's audit key: {why}")
    members = ["manifest.json", "manifest.json.sig", *wanted]
    pack.archive(work, members, name[: -len(".tar.gz")], f"{work}/pack")
