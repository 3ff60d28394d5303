"""Somebody who looks at a deadline when nobody calls: a process that outlives its session, and
where systemd runs, a timer of it as well, because systemd may end that process with the session."""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..world import World

GRACE_S = 0.2
STEP_S = 5.0
MAX_HANDLES = 4096
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def arm(argv: list[str], seconds: int, world: World, name: str) -> None:
    """Have ``argv`` run in ``seconds``, by the time since boot. ``name`` is that of one deadline:
    systemd refuses a second timer of it."""
    until = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
    apart(lambda: _watch(argv, until, seconds, world, name))


def _watch(argv: list[str], until: float, seconds: int, world: World, name: str) -> None:
    os.closerange(3, MAX_HANDLES)  # above all the guard's lock
    if not world.place.base and os.path.isdir("/run/systemd/system"):
        timer = ["systemd-run", "--quiet", "--collect", f"--on-active={seconds}s"]
        timer.append(f"--unit=watchfloor-deadline-{name}")
        ran = world.run([*timer, "--timer-property=AccuracySec=500ms", "--", *argv], timeout=5.0)
        for number in ENDING if not ran.code else ():
            signal.signal(number, signal.SIG_DFL)  # not the only one: it holds up no shutdown
    while True:
        left = until - time.clock_gettime(time.CLOCK_BOOTTIME)
        if left <= 0:
            break
        time.sleep(min(left + GRACE_S, STEP_S))
    os.execv(argv[0], argv)  # noqa: S606  (a program without a shell is what is wanted)


def apart(work: Callable[[], None]) -> bool:
    """Run ``work`` in a process that belongs to no session, with nothing open; True once it is
    under way, False where there can be no more processes."""
    try:
        first = os.fork()
    except OSError:
        return False
    if first:
        _, status = os.waitpid(first, 0)
        return status == 0
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
    except OSError:
        os._exit(1)
    try:
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        work()
    except BaseException:  # there is nobody to tell; the next call finds what is left open
        os._exit(1)
    os._exit(0)
