"""The host's own sshd: what it would do for a user, and a drop-in of ours that refuses one."""

from __future__ import annotations

from ..steps import file
from ..steps.base import StepFailed
from ..world import World
from . import listen, units

PROGRAM = "/usr/sbin/sshd"  # by its path: it refuses to run by its name alone
UNITS = ("ssh.service", "sshd.service")
RELOAD_S = 10.0


def drop_in(user: str) -> str:
    """The file that refuses one user. One a user, so that two requests never share one; its name
    comes before those of others, though DenyUsers adds up wherever it stands."""
    return f"/etc/ssh/sshd_config.d/00-watchfloor-deny-{user}.conf"


def settings(user: str, world: World) -> dict[str, list[str]]:
    """What sshd would go by for that user, by keyword in small letters; empty where it cannot
    say. Read from the files, not from the daemon that runs."""
    spec = f"user={user},host=localhost,addr=127.0.0.1"
    done = world.run([PROGRAM, "-T", "-C", spec], timeout=10)
    found: dict[str, list[str]] = {}
    if done.code != 0:
        return found
    for line in done.out.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key.lower(), []).extend(value.split())
    return found


def refuses(user: str, world: World) -> bool:
    """Whether the files refuse that user by name."""
    return user in settings(user, world).get("denyusers", [])


def deny(user: str, world: World) -> str:
    """Make sshd refuse the user. ``sshd`` where it does now, ``pam`` where only PAM's account
    stage refuses, ``none`` where there is no sshd. Raises StepFailed where keys would go on."""
    if not world.has("sshd"):
        return "none"
    path = world.path(drop_in(user))
    wrong = world.run([PROGRAM, "-t"], timeout=10)
    if wrong.code != 0:
        raise StepFailed(f"sshd does not accept its own configuration: {wrong.why}")
    file.write(path, _text(user), 0o600, world)
    world.mark("sshd.written")
    wrong = world.run([PROGRAM, "-t"], timeout=10)
    harm = [name for name in ("root", "wfops", "wfmon") if refuses(name, world)]
    if wrong.code == 0 and not harm and refuses(user, world):
        reload_daemon(world)
        return "sshd"
    file.remove(path)
    world.mark("sshd.removed")
    if settings(user, world).get("usepam") == ["yes"]:
        return "pam"
    raise StepFailed(
        f"sshd would go on to accept keys of {user}: it does not read "
        "/etc/ssh/sshd_config.d, and UsePAM is no"
    )


def allow(user: str, world: World) -> None:
    """Take the refusal away. Raises StepFailed."""
    path = world.path(drop_in(user))
    if not world.has("sshd"):
        return
    there = file.read(path) is not None
    file.remove(path)
    world.mark("sshd.removed")
    # Also where it was gone already: whoever removed it may have been cut short.
    reload_daemon(world, must=there)


def denied(user: str, world: World) -> bool:
    """Whether our drop-in for that user is there, as we write it."""
    return file.read(world.path(drop_in(user))) == _text(user)


def reload_daemon(world: World, must: bool = True) -> None:
    """Make a running sshd read its files again, and wait until it listens by them: it opens its
    sockets anew. Started for each connection, it reads them anyway. Raises StepFailed."""
    for name in UNITS:
        about = units.show(name, world, ("ActiveState", "MainPID"))
        pid = about.get("MainPID", "0")
        if about.get("ActiveState") != "active" or not pid.isdigit() or pid == "0":
            continue
        before = listen.listeners(world).get(int(pid), set())
        done = world.run(["systemctl", "reload", "--", name], timeout=30)
        if done.code != 0:
            if must:
                raise StepFailed(f"{name} does not read its files again: {done.why}")
            return
        _wait_anew(name, int(pid), before, world)
        return
    if must:
        _hang_up(world)


def _wait_anew(name: str, pid: int, before: set[int], world: World) -> None:
    import time

    deadline = time.monotonic() + RELOAD_S
    while before:
        now = listen.listeners(world).get(pid, set())
        if now and not now & before:
            return
        if time.monotonic() > deadline:
            raise StepFailed(f"{name} does not listen with its new files; see journalctl -u {name}")
        time.sleep(0.02)


def _hang_up(world: World) -> None:
    """For hosts without systemd: the signal that the daemon knows, by its own pid file."""
    import os
    import signal

    from . import procs

    try:
        with open(world.path("/run/sshd.pid"), encoding="ascii") as text:
            process = procs.find(int(text.read(16)), world)
    except (OSError, ValueError):
        return
    if process is not None and process.exe.rpartition("/")[2] == "sshd":
        os.kill(process.pid, signal.SIGHUP)


def _text(user: str) -> bytes:
    head = "# Written by the guard of Watchfloor: this account is blocked."
    return f"{head}\nDenyUsers {user}\n".encode()


def included(world: World) -> bool:
    """Whether the main file reads the folder of our drop-in."""
    try:
        with open(world.path("/etc/ssh/sshd_config"), "rb") as main:
            lines = main.read(256 << 10).decode("utf-8", "replace").splitlines()
    except OSError:
        return False
    parts = [line.split() for line in lines]
    return any(
        part[0].lower() == "include" and any("sshd_config.d/" in path for path in part[1:])
        for part in parts
        if part
    )
