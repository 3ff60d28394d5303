"""What a service is doing, for previews: processes, listeners, connections, and what needs it."""

from __future__ import annotations

import re

from ..host import procs, units
from ..world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NamedTuple

    class Sockets(NamedTuple):
        """Addresses that processes listen on, and how many connections each peer has."""

        listening: list[str]
        peers: dict[str, int]
else:
    from collections import namedtuple

    Sockets = namedtuple("Sockets", "listening peers")

SHOWN = 20
_PID = re.compile(r"pid=([0-9]+)")


def sockets(pids: Iterable[int], world: World) -> Sockets:
    """Sockets of TCP and UDP that these processes hold, as ``ss`` has them."""
    wanted, found = set(pids), Sockets([], {})
    done = world.run(["ss", "-H", "-n", "-a", "-t", "-u", "-p"], timeout=10)
    for line in done.out.decode("utf-8", "replace").splitlines():
        parts = line.split()
        if len(parts) < 6 or not wanted & {int(pid) for pid in _PID.findall(line)}:
            continue
        kind, state, local, remote = parts[0], parts[1], parts[4], parts[5]
        if state in ("LISTEN", "UNCONN"):
            found.listening.append(f"{kind} {local}")
        else:
            address = remote.rpartition(":")[0].strip("[]")
            found.peers[address] = found.peers.get(address, 0) + 1
    return found


def _processes(found: list[procs.Process]) -> list[str]:
    lines = [f"process {item.pid} {item.exe or item.command}"[:160] for item in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"and {len(found) - SHOWN} more processes")
    return lines


def _cut_off(pids: Iterable[int], world: World) -> list[str]:
    found = sockets(pids, world)
    lines = [f"nobody is answered on {where} any more" for where in sorted(set(found.listening))]
    peers = sorted(found.peers, key=lambda peer: -found.peers[peer])
    lines += [f"{found.peers[peer]} connections with {peer} end" for peer in peers[:SHOWN]]
    if len(peers) > SHOWN:
        rest = sum(found.peers[peer] for peer in peers[SHOWN:])
        lines.append(f"{rest} connections with {len(peers) - SHOWN} other addresses end")
    return lines[: 3 * SHOWN]


def stop(name: str, world: World) -> dict[str, list[str]]:
    """What a stop would end."""
    about = units.show(name, world)
    members = units.members(name, world)
    fall = [other for other in units.falling(name, about, world) if units.active(other, world)]
    state = about.get("ActiveState", "unknown")
    effect = [
        f"{name} is {state} ({about.get('UnitFileState') or 'no unit file'}) and is stopped",
        "after 15 s its processes are ended by force",
        "it cannot be started until this is released; after a reboot the guard holds it again",
        *_processes(members),
        *[f"{other} needs it and stops too" for other in fall[:SHOWN]],
    ]
    residual = [f"{other} goes on to listen for it" for other in _triggers(about)]
    residual.append("root on the host can still start it by other means: then the guard says so")
    return {
        "effect": effect,
        "residual": residual,
        "cut_off": _cut_off([item.pid for item in members], world),
        "remains": [],
    }


def _triggers(about: dict[str, str]) -> list[str]:
    return about.get("TriggeredBy", "").split()


def start(name: str, world: World) -> dict[str, list[str]]:
    """What a start would do."""
    from ..steps import unit

    about = units.show(name, world)
    program = about.get("ExecStart", "").partition("path=")[2].partition(" ;")[0]
    effect = [f"{name} is {about.get('ActiveState', 'unknown')} and is started"]
    if unit.held(name, world):
        effect.append("the stop-service that stands for it is ended")
    if program:
        effect.append(f"it runs {program}"[:200] + f" as {about.get('User') or 'root'}")
    return {"effect": effect, "residual": [], "cut_off": [], "remains": []}


def restart(name: str, lines: list[str], world: World) -> dict[str, list[str]]:
    """What a restart under a profile would do."""
    from ..steps import sandbox

    members = [item.pid for item in units.members(name, world)]
    lost = set(sandbox.missing(name, lines, world))
    now = [line for line in lines if line.partition("=")[0] not in lost]
    return {
        "effect": [
            f"{name} is restarted with {len(lines)} directives, {len(now)} of which hold now",
            *lines,
            "if it does not come up, or a directive does not hold, it runs as before again",
        ],
        "residual": ["what the service wrote or sent before is not undone"],
        "cut_off": [line.replace(" any more", " while it restarts") for line in
                    _cut_off(members, world)],
        "remains": [],
    }  # fmt: skip


def kill(process: procs.Process, world: World) -> dict[str, list[str]]:
    """What the end of one process would do."""
    unit = next(
        (part for part in reversed(process.cgroup.split("/")) if part.endswith(".service")), ""
    )
    residual = ["files and connections that it handed to other processes stay"]
    if unit:
        restarts = units.show(unit, world, ("Restart",)).get("Restart", "no")
        if restarts not in ("no", ""):
            residual.append(f"{unit} starts it again (Restart={restarts}): stop-service ends that")
    children = [item for item in procs.processes(world) if item.ppid == process.pid]
    residual += [f"its child {item.pid} {item.exe} goes on" for item in children[:SHOWN]]
    return {
        "effect": [
            f"the process {process.pid} {process.exe} gets SIGTERM, and SIGKILL after 5 s",
            f"it runs as user {process.uids[1] if len(process.uids) > 1 else '?'}"
            + (f" in {unit}" if unit else ""),
        ],
        "residual": residual,
        "cut_off": _cut_off([process.pid], world),
        "remains": ["there is no way back: what it had in memory is gone"],
    }
