"""Everything that runs for an account, and what would start something for it again."""

from __future__ import annotations

import os
import re
import signal
import time

from ..world import World
from . import names, procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Running(NamedTuple):
        """What is ended with the sessions, and services and containers that are not."""

        ended: list[procs.Process]
        left: list[procs.Process]
else:
    from collections import namedtuple

    Running = namedtuple("Running", "ended left")

# Containers have users of their own, whose numbers may be those of an account here.
_CONTAINER = re.compile(r"(/machine\.slice/|/kubepods|/docker|/libpod|/lxc|/cri-containerd)")
# These start programs for accounts, in their own group.
_FOR_ACCOUNTS = re.compile(r"(cron|crond|atd|ssh|sshd|sshd?@.*)\.service\Z")
LEAST_SUBORDINATE = 65_536
PAUSE = 0.02


def running(uid: int, world: World) -> Running:
    """Processes of that user id, and of those that are given to it (``/etc/subuid``), by whether a
    session or a job started them."""
    own = f"/user.slice/user-{uid}.slice/"
    given = subordinate(uid, world)
    found = Running([], [])
    for process in procs.processes(world):
        if process.dead or process.kernel or process.pid <= 1:
            continue
        if (process.cgroup + "/").startswith(own):
            found.ended.append(process)
        elif any(first <= each < end for first, end in given for each in process.uids):
            # In a user namespace of the account's own, wherever it was started.
            (found.left if _declared(process.cgroup) else found.ended).append(process)
        elif uid in process.uids and 0 not in process.uids[1:2]:
            (found.left if _declared(process.cgroup) else found.ended).append(process)
    return found


def subordinate(uid: int, world: World) -> list[tuple[int, int]]:
    """Ranges of user ids that the account may use in its own namespaces: first, and one beyond."""
    known = {row[0] for row in procs.accounts(world) if row[2] == str(uid)} | {str(uid)}
    try:
        with open(world.path("/etc/subuid"), encoding="utf-8", errors="replace") as file:
            rows = [line.strip().split(":") for line in file.read(1 << 20).splitlines()]
    except OSError:
        return []
    return [
        (int(row[1]), int(row[1]) + int(row[2]))
        for row in rows
        if len(row) == 3
        and row[0] in known
        and row[1].isdigit()
        and row[2].isdigit()
        # Root, the system's accounts and people's are nobody's to give.
        and int(row[1]) >= LEAST_SUBORDINATE
    ]


def _declared(cgroup: str) -> bool:
    """Whether a container or a service of the host's own runs it."""
    if cgroup.startswith("/user.slice/"):
        return False
    if _CONTAINER.search(cgroup):
        return True
    unit = next((part for part in cgroup.split("/") if part.endswith(".service")), "")
    return bool(unit) and not _FOR_ACCOUNTS.match(unit)


def end(user: str, uid: int, world: World, seconds: float = 10.0) -> list[int]:
    """End all sessions and jobs; numbers of what is still there after that time."""
    if world.has("loginctl"):
        # Signals only: to wait until logind has put everything away is not needed here.
        world.run(["loginctl", "kill-user", "--signal=SIGKILL", "--", user], timeout=10)
        world.run(["loginctl", "terminate-user", "--", user], timeout=10)
    world.mark("sessions.terminated")
    mine = procs.ancestors(world)
    deadline = time.monotonic() + seconds
    while True:
        left = [process for process in running(uid, world).ended if process.pid not in mine]
        if not left or time.monotonic() > deadline:
            return [process.pid for process in left]
        # All are stopped before the first one is killed, or they would start each other again.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in left:
                now = procs.find(process.pid, world)
                if now is not None and now.started == process.started:
                    _signal(process.pid, number)
        time.sleep(PAUSE)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def residual(user: str, uid: int, home: str, world: World) -> list[str]:
    """What may act for the account later, in words. It is told and left alone."""
    lines = []
    for path in (f"/var/spool/cron/crontabs/{user}", f"/var/spool/cron/{user}"):
        if os.path.isfile(world.path(path)):
            lines.append(f"{path} stays: cron asks PAM, which refuses while the account is blocked")
    for folder in ("/var/spool/cron/atjobs", "/var/spool/at"):
        jobs = _owned(world.path(folder), uid)
        if jobs:
            lines.append(f"{jobs} jobs of at stay in {folder}")
    if os.path.exists(world.path(f"/var/lib/systemd/linger/{user}")):
        lines.append(f"{user} may linger: systemd would start its own units at the next boot")
    timers = _owned(world.path(f"{home}/.config/systemd/user"), uid)
    if timers:
        lines.append(f"{timers} units of its own stay in {home}/.config/systemd/user")
    units = sorted({_unit(process.cgroup) for process in running(uid, world).left})
    lines += [f"{unit} runs as this account and goes on" for unit in units[:20]]
    lines.append("its keys and tokens for other hosts are not touched")
    return lines


def _unit(cgroup: str) -> str:
    parts = [part for part in cgroup.split("/") if part.endswith((".service", ".scope"))]
    return parts[-1] if parts else cgroup


def _owned(folder: str, uid: int) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(
                1
                for entry in entries
                if entry.is_file(follow_symlinks=False)
                and entry.stat(follow_symlinks=False).st_uid == uid
                and not entry.name.startswith(".")
            )
    except OSError:
        return 0


def logins(user: str, world: World) -> list[str]:
    """Sessions that logind knows for that user: one line each."""
    done = world.run(["loginctl", "list-sessions", "--no-legend"], timeout=10)
    found = []
    for line in done.out.decode("utf-8", "replace").splitlines():
        parts = line.split()
        if len(parts) >= 3 and parts[2] == user and names.USER.match(parts[2]):
            rest = " ".join(parts[3:])[:80]
            found.append(f"session {parts[0][:16]} {rest}".strip())
    return found
