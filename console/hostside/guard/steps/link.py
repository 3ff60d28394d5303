"""The ``current`` link of a model switched to another version, and its service started anew.

Both are one step, because the way back is the same two things in the same order: first the link,
then the service. A note beside the link says that the service may run with either version, so
that whoever comes after a kill knows whether it must be started once more.
"""

from __future__ import annotations

import os
import stat

from ..host import names, units
from ..model import models
from ..model.folders import Failing, Folder, entry, plain
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

BESIDE, NOTE = ".current.watchfloor", ".switching.watchfloor"
START_S = 600.0
SETTLE_S = 0.5


class Switch(Step):
    """In ``root``/``model``: ``current`` from version ``from`` to ``to``; then ``service``."""

    kind = "link"

    def check(self, args: dict[str, Any]) -> None:
        """Raise Refused unless names are plain and the service may be touched."""
        if set(args) != {"root", "model", "from", "to", "service"}:
            raise Refused("step", "link takes root, model, from, to and service")
        if any(type(value) is not str for value in args.values()):
            raise Refused("step", "the arguments of link are texts")
        plain(args["root"])
        models.check_name(args["model"], "model")
        models.check_name(args["to"], "version")
        if args["from"]:
            models.check_name(args["from"], "version")
        names.unit(args["service"])

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which model, from which version to which, and whose service."""
        before = f"version {args['from']}" if args["from"] else "no version"
        back = before if args["from"] else "no version, with the service as it was"
        return [
            f"{args['model']} in {args['root']} is switched from {before} to version {args['to']}",
            f"{args['service']} is restarted; where it does not start, it goes back to {back}",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """The version that is served, whether the service runs, and which versions were served."""
        with Folder(_folder(args, world)) as at:
            version = models.read_current(at)
        units.loaded(args["service"], world)
        known = models.served(args["root"], args["model"], world)
        if version and not known and models.roots_own(args["root"], args["model"], world):
            known = [version]
        return {
            "version": version,
            "active": units.active(args["service"], world),
            "served": known,
        }

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Switch atomically, then start the service anew."""
        with Failing(f"the switch of {args['model']}"), Folder(_folder(args, world)) as at:
            now = models.read_current(at)
            if before["version"] != args["from"] or now not in (args["from"], args["to"]):
                raise StepFailed(
                    f"current of {args['model']} leads to {now or 'nothing'}, and not to "
                    f"{args['from'] or 'nothing'} as when this was signed"
                )
            with Folder(f"{models.VERSIONS}/{args['to']}", at):
                pass  # it is a folder and no link
            _note(at)
            world.mark("link.noted")
            if now != args["to"]:
                _switch(args["to"], at, world)
            world.mark("link.switched")
            after = [*before["served"], args["to"]]
            models.remember_served(args["root"], args["model"], after, world)
            _restart(args["service"], world)
            world.mark("link.restarted")
            _forget(at)
        return {"from": args["from"], "to": args["to"]}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """The link as it was, and the service started anew where it may have seen the other."""
        with Failing(f"the way back of {args['model']}"), Folder(_folder(args, world)) as at:
            now = models.read_current(at)
            if now not in (before["version"], args["to"]):
                raise StepFailed(
                    f"current of {args['model']} leads to {now or 'nothing'}: somebody changed it"
                )
            if now != before["version"]:
                _note(at)
                world.mark("link.noted")
                if before["version"]:
                    _switch(before["version"], at, world)
                else:
                    os.unlink(models.CURRENT, dir_fd=at)
                    os.fsync(at)
                world.mark("link.switched back")
            models.remember_served(args["root"], args["model"], before["served"], world)
            if entry(NOTE, at) is None:
                return
            if before["active"]:
                _restart(args["service"], world)
            else:
                done = world.run(["systemctl", "stop", "--", args["service"]], timeout=120)
                if done.code != 0:
                    raise StepFailed(f"{args['service']} cannot be stopped: {done.why}")
            world.mark("link.restarted")
            _forget(at)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether the link still leads to the version."""
        try:
            return models.current(args["root"], args["model"], world) == str(args["to"])
        except (OSError, Refused):
            return False


def _folder(args: dict[str, Any], world: World) -> str:
    return world.path(models.folder(args["root"], args["model"]))


def _switch(version: str, at: int, world: World) -> None:
    found = entry(BESIDE, at)
    if found is not None:
        if not stat.S_ISLNK(found.st_mode):
            raise StepFailed(f"{BESIDE} is in the way and is no link")
        os.unlink(BESIDE, dir_fd=at)
    os.symlink(f"{models.VERSIONS}/{version}", BESIDE, dir_fd=at)
    world.mark("link.made")
    os.rename(BESIDE, models.CURRENT, src_dir_fd=at, dst_dir_fd=at)
    os.fsync(at)


def _note(at: int) -> None:
    try:
        os.symlink("the service may run with either version", NOTE, dir_fd=at)
    except FileExistsError:
        return
    os.fsync(at)


def _forget(at: int) -> None:
    for name in (BESIDE, NOTE):  # the note last: it says that there is something to do
        try:
            os.unlink(name, dir_fd=at)
        except FileNotFoundError:
            continue
    os.fsync(at)


def _restart(service: str, world: World) -> None:
    # Versions that ended at their start have used up the unit's allowance of starts; the way back
    # must not be refused for that.
    world.run(["systemctl", "reset-failed", "--", service])
    done = world.run(["systemctl", "restart", "--no-block", "--", service])
    if done.code != 0:
        raise StepFailed(f"{service} cannot be started anew: {done.why}")
    why = units.wait_running(service, world, START_S, SETTLE_S)
    if why:
        raise StepFailed(f"{why}; see journalctl -u {service}")
