"""Service units as systemd knows them: state, processes, and what falls with them."""

from __future__ import annotations

import time

from ..refused import Refused
from ..world import World
from . import names, procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

RUNNING = ("active", "activating", "reloading", "refreshing", "deactivating")
# A unit that has one of these to another one stops when the other one is stopped.
FALLS_WITH = ("RequiredBy", "BoundBy", "ConsistsOf", "PropagatesStopTo")
SHOWN = (
    "Id", "Names", "LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID",
    "ControlGroup", "ExecStart", "TriggeredBy", "Restart", "User", *FALLS_WITH,
)  # fmt: skip
MAX_FALLING = 200
PAUSE = 0.02


def show(name: str, world: World, properties: Iterable[str] = SHOWN) -> dict[str, str]:
    """Properties of a unit by name; empty where systemd does not answer. A property that is
    listed several times (``ExecStart``) has its lines joined."""
    done = world.run(
        ["systemctl", "show", "--no-pager", "-p", ",".join(properties), "--", name], timeout=10
    )
    found: dict[str, str] = {}
    if done.code != 0:
        return found
    for line in done.out.decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key] = f"{found[key]}\n{value}" if key in found else value
    return found


def loaded(name: str, world: World) -> dict[str, str]:
    """Properties of a unit that is there and may be touched. Raises Refused."""
    about = show(name, world)
    if not about:
        raise Refused("no-systemd", "systemd does not answer on this host")
    if about.get("LoadState") not in ("loaded", "masked"):
        raise Refused("no-unit", f"{name} is not known to systemd on this host")
    # An alias or another name of a protected unit is that unit.
    for other in [about.get("Id", ""), *about.get("Names", "").split()]:
        _not_protected(other)
    for line in about.get("ExecStart", "").splitlines():
        program = line.partition("path=")[2].partition(" ;")[0]
        if program.rpartition("/")[2] in names.SSHD or names.OURS in line:
            raise Refused("floor", f"{name} runs {program}, which the guard never touches")
    return about


def _not_protected(name: str) -> None:
    if names.protected_unit(name):
        raise Refused("floor", f"{name} is never touched by the guard")


def falling(name: str, about: dict[str, str], world: World) -> list[str]:
    """Units that stop when ``name`` is stopped. Raises Refused where a protected one would."""
    found: list[str] = []
    waiting = [name]
    known = about
    while waiting:
        current = waiting.pop()
        if current != name:
            known = show(current, world, FALLS_WITH)
        for kind in FALLS_WITH:
            for other in known.get(kind, "").split():
                if other == name or other in found:
                    continue
                if names.protected_unit(other):
                    raise Refused(
                        "floor",
                        f"{other} needs {name} and would stop with it: the guard never stops it",
                        f"loosen the Requires= or BindsTo= of {other} first",
                    )
                found.append(other)
                waiting.append(other)
        if len(found) > MAX_FALLING:
            raise Refused("too-much", f"more than {MAX_FALLING} units would stop with {name}")
    return sorted(found)


def active(name: str, world: World) -> bool:
    """Whether the unit runs, starts or ends just now."""
    return show(name, world, ("ActiveState",)).get("ActiveState") in RUNNING


def members(name: str, world: World) -> list[procs.Process]:
    """Processes of the unit, those in control groups below its own among them."""
    group = show(name, world, ("ControlGroup",)).get("ControlGroup", "")
    # systemd forgets the group when the unit has ended; what it left is still named by it.
    return [
        process
        for process in procs.processes(world)
        if not process.dead and _inside(process.cgroup, group, name)
    ]


def _inside(cgroup: str, group: str, name: str) -> bool:
    if group and (cgroup == group or cgroup.startswith(group + "/")):
        return True
    return cgroup.startswith("/system.slice/") and name in cgroup.split("/")


def wait_ended(name: str, world: World, seconds: float) -> bool:
    """Whether the unit came to its end, with all its processes, in that time."""
    deadline = time.monotonic() + seconds
    while True:
        if not active(name, world) and not members(name, world):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)


def wait_running(name: str, world: World, seconds: float, settle: float) -> str:
    """Wait until the unit is active and stays so for ``settle`` seconds; else why not. Early in
    the start of the system it only comes to run after the guard has ended: then nobody waits."""
    if world.early:
        return ""
    deadline = time.monotonic() + seconds
    since = 0.0
    while True:
        about = show(name, world, ("ActiveState", "Job", "SubState", "Result", "Type"))
        state, now = about.get("ActiveState", ""), time.monotonic()
        if state == "active":
            if about.get("Type") == "oneshot" or (since and now - since >= settle):
                return ""
            since = since or now
        # A restart goes through inactive, with its job still there.
        elif state in ("failed", "inactive") and about.get("Job", "") in ("", "0"):
            if about.get("Type") == "oneshot" and about.get("Result") == "success":
                return ""
            return f"{name} is {state} ({about.get('Result', 'unknown')})"
        else:
            since = 0.0
        if now > deadline:
            return f"{name} is still {state or 'unknown'} after {int(seconds)} s"
        time.sleep(PAUSE)


def reload_units(world: World) -> str:
    """Make systemd read its files again; why not, empty where it did."""
    done = world.run(["systemctl", "daemon-reload"], timeout=60)
    return done.why if done.code != 0 else ""
