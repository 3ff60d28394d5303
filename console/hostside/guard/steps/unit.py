"""A service unit stopped and kept down, started, or restarted under a sandbox profile."""

from __future__ import annotations

from ..host import names, units
from ..refused import Refused
from . import file, sandbox
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

# A drop-in and no mask: `systemctl mask --runtime` has no effect where the unit's own file lies in
# /etc, and what serves models mostly does. Below /run it is gone after a reboot, so that nothing
# stands that was not confirmed; what stands is put there again by the guard.
STOPPED = ["# Written by the guard of Watchfloor: this unit is stopped.", "[Unit]",
           "AssertPathExists=!/"]  # fmt: skip
POLITE_S = 15.0
FORCED_S = 15.0
START_S = 300.0
SETTLE_S = 1.0


def stopped_path(name: str) -> str:
    """The drop-in that keeps a unit down."""
    return f"/run/systemd/system/{name}.d/90-watchfloor-stopped.conf"


def hardened_path(name: str) -> str:
    """The drop-in that holds a unit's sandbox profile."""
    return f"/etc/systemd/system/{name}.d/50-watchfloor.conf"


class Unit(Step):
    """``{"name", "op"}`` with ``stop``, ``start``, ``restart``, or ``harden`` with ``lines``."""

    kind = "unit"

    def check(self, args: dict[str, Any]) -> None:
        """A unit that may be touched, and for ``harden`` directives of the list."""
        wanted = {"name", "op"} | ({"lines"} if args.get("op") == "harden" else set())
        if set(args) != wanted or args["op"] not in ("stop", "start", "restart", "harden"):
            raise Refused("step", "the step unit takes a name and stop, start, restart or harden")
        names.unit(args["name"])
        if args["op"] == "harden":
            sandbox.check(args["lines"])

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which unit, what happens to it, and how it is kept so."""
        name, op = args["name"], args["op"]
        if op == "stop":
            return [
                f"{name} is stopped, by force after {POLITE_S:.0f} s, and what depends on it falls "
                "with it",
                f"it is kept down by {stopped_path(name)}, also after a restart of the host, until "
                "that is undone",
            ]
        if op == "start":
            return [
                f"{name} is started",
                f"what keeps it down by an earlier stop is removed: {stopped_path(name)}",
            ]
        if op == "restart":
            return [f"{name} is restarted"]
        return [
            f"{name} is restarted under this sandbox profile, which {hardened_path(name)} keeps:",
            *(f"  {line}" for line in args["lines"]),
            "where it does not run so, the profile is taken away and it is started as before",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """Whether it and those that fall with it run, and the drop-in."""
        name, op = args["name"], args["op"]
        about = units.loaded(name, world)
        before: dict[str, Any] = {
            "active": about.get("ActiveState") in units.RUNNING,
            "enabled": about.get("UnitFileState", ""),
            "invocation": _invocation(name, world),
            "also": [],
        }
        if op != "start":
            fall = units.falling(name, about, world)
            before["also"] = [other for other in fall if units.active(other, world)]
        if op != "restart":
            before["file"] = file.found(world.path(_dropin(args)))
        if op in ("restart", "harden") and held(name, world):
            raise Refused(
                "held", f"{name} is held down by a request that stands", "release that request"
            )
        return before

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Do it and see that it is so."""
        name = args["name"]
        if args["op"] == "stop":
            return _stop(name, world)
        if args["op"] == "harden":
            lines = sandbox.render(args["lines"])
            file.write(world.path(_dropin(args)), lines, 0o644, world)
            world.mark("unit.written")
            _reload(world)
            world.mark("unit.reloaded")
        if args["op"] == "start":
            # What a standing stop-service put there: two people have decided otherwise.
            file.remove(world.path(_dropin(args)))
            world.mark("unit.removed")
            _reload(world)
            world.mark("unit.reloaded")
            _start(name, "start", world)
        else:
            _start(name, "restart", world)
        _start_others(before, world)
        if args["op"] == "harden":
            sandbox.verify(name, args["lines"], world)
        return {"state": "active"}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """The drop-in as it was, and running what ran."""
        name, op = args["name"], args["op"]
        if op != "restart":
            path = world.path(_dropin(args))
            if file.found(path)["lines"] != before["file"]["lines"]:
                file.put_back(path, before["file"], world)
            world.mark("unit.removed")
            _reload(world)  # always: whoever was killed after the removal has not
            world.mark("unit.forgotten")
        if before["active"]:
            # Only what was started since may run under the profile.
            again = op == "harden" and _invocation(name, world) != before["invocation"]
            _start(name, "restart" if again else "start", world)
            _start_others(before, world)
        elif op != "stop" and units.active(name, world):
            _end(name, world)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether it is still stopped and kept so, or still has its profile."""
        name, op = args["name"], args["op"]
        if op == "stop":
            return held(name, world) and not units.active(name, world)
        if op == "harden":
            path = world.path(_dropin(args))
            return file.read(path) == sandbox.render(args["lines"]) and not sandbox.missing(
                name, args["lines"], world
            )
        return units.active(name, world)


def held(name: str, world: World) -> bool:
    """Whether a request keeps the unit down."""
    return file.read(world.path(stopped_path(name))) is not None


def _dropin(args: dict[str, Any]) -> str:
    return (hardened_path if args["op"] == "harden" else stopped_path)(args["name"])


def _invocation(name: str, world: World) -> str:
    """A value that is another one after each start."""
    return units.show(name, world, ("InvocationID",)).get("InvocationID", "")


def _reload(world: World) -> None:
    why = units.reload_units(world)
    if why:
        raise StepFailed(f"systemd does not read its files again: {why}")


def _stop(name: str, world: World) -> dict[str, Any]:
    path = world.path(stopped_path(name))
    file.write(path, ("\n".join(STOPPED) + "\n").encode(), 0o644, world)
    world.mark("unit.written")
    _reload(world)
    world.mark("unit.reloaded")
    killed = _end(name, world)
    return {"state": "stopped", "killed": killed}


def _end(name: str, world: World) -> int:
    """Stop it, by force after a while; how many processes needed force. Raises StepFailed."""
    done = world.run(["systemctl", "stop", "--no-block", "--", name])
    if done.code != 0:
        raise StepFailed(f"{name} cannot be stopped: {done.why}")
    world.mark("unit.stopping")
    if units.wait_ended(name, world, POLITE_S):
        return 0
    left = units.members(name, world)
    world.run(["systemctl", "kill", "--signal=SIGKILL", "--", name])
    if not units.wait_ended(name, world, FORCED_S):
        still = ", ".join(str(process.pid) for process in units.members(name, world)[:5])
        raise StepFailed(f"{name} does not end: {still or 'it'} is still there")
    return len(left)


def _start(name: str, verb: str, world: World) -> None:
    queued = ["--no-block"] if world.early else []
    done = world.run(["systemctl", *queued, verb, "--", name], timeout=START_S)
    if done.code != 0:
        raise StepFailed(f"{name} cannot be started: {done.why}")
    world.mark("unit.started")
    why = units.wait_running(name, world, SETTLE_S * 10, SETTLE_S)
    if why:
        raise StepFailed(f"{why}; see journalctl -u {name}")


def _start_others(before: dict[str, Any], world: World) -> None:
    for other in before["also"]:
        world.run(["systemctl", "start", "--no-block", "--", other])
