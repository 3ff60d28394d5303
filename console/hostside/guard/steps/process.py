"""One process ended: that one and no other that has its number by now."""

from __future__ import annotations

import os
import signal
import time

from .. import say
from ..host import names, procs
from ..refused import Refused
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

POLITE_S = 5.0
FORCED_S = 5.0
PAUSE = 0.02
# System calls by number, the same on every architecture: Python 3.8 does not know them by name.
PIDFD_SEND_SIGNAL, PIDFD_OPEN = 424, 434


def check(args: dict[str, Any]) -> None:
    """Raise Refused where these are not ``pid``, ``start_time`` and ``exe``."""
    names.number(args["pid"], 2, 1 << 22, "the number of a process")
    names.number(args["start_time"], 0, (1 << 53) - 1, "the start time of a process")
    names.text(names.PATH, args["exe"], "an executable's path")


def same(args: dict[str, Any], world: World) -> procs.Process | None:
    """That very process, None where it has ended. Raises Refused where it is one that the guard
    never ends. Number and start decide; its program it can change at any time."""
    process = procs.find(args["pid"], world)
    if process is None or process.dead or process.started != args["start_time"]:
        return None
    why = procs.why_never(process, world)
    if why:
        raise Refused("floor", f"the process {process.pid} is never ended: {why}")
    return process


class EndProcess(Step):
    """``{"pid", "start_time", "exe"}``: SIGTERM, and SIGKILL five seconds later. ``exe`` is what it
    was seen to run (``say.path``), ``named`` what the request calls it where that is not so."""

    kind = "process"
    undoable = False

    def check(self, args: dict[str, Any]) -> None:
        """Number, start time (clock ticks since boot) and executable."""
        if set(args) - {"named"} != {"pid", "start_time", "exe"}:
            raise Refused("step", "the step process takes pid, start_time and exe")
        check(args)
        check({**args, "exe": args.get("named", args["exe"])})

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which process, and how it is ended."""
        return [
            f"the process {args['pid']}, which runs {args['exe']} and began {args['start_time']} "
            f"ticks after the boot, is ended: SIGTERM, and SIGKILL {POLITE_S:.0f} s later",
            "no other process is, if that one is gone; NOTHING BRINGS IT BACK",
            *([f"THE REQUEST NAMES ANOTHER PROGRAM: {args['named']}"] if "named" in args else []),
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """Whether it is there."""
        return {"there": same(args, world) is not None}

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """End it. The handle is opened first and the process looked at then, so that what is
        signalled is what was looked at."""
        handle = _open(args["pid"])
        try:
            process = same(args, world)
            if process is None:
                return {"ended": "it had ended before"}
            changed = ran(process, args["exe"])
            _send(handle, args["pid"], signal.SIGTERM)
            world.mark("process.terminated")
            if _gone(args, world, POLITE_S):
                return {"ended": "SIGTERM", **changed}
            if same(args, world) is not None:
                _send(handle, args["pid"], signal.SIGKILL)
            world.mark("process.killed")
            if not _gone(args, world, FORCED_S):
                raise StepFailed(
                    f"the process {args['pid']} does not end: it waits inside the kernel"
                )
            return {"ended": "SIGKILL", **changed}
        except Refused as refused:
            raise StepFailed(refused.words) from None
        finally:
            if handle >= 0:
                os.close(handle)

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Nothing brings a process back."""

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether that very process is gone."""
        return _gone(args, world, 0.0)


def ran(process: procs.Process, exe: str) -> dict[str, str]:
    """What a process runs, where that is not ``exe``."""
    now = say.path(process.exe)
    return {} if exe in (now, process.exe) else {"ran": f"{now} by then, and no longer {exe}"}


def _gone(args: dict[str, Any], world: World, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        process = procs.find(args["pid"], world)
        if process is None or process.dead or process.started != args["start_time"]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)


def _open(pid: int) -> int:
    """A handle of the process, -1 where the kernel has none (before 5.3) or it is gone."""
    opener = getattr(os, "pidfd_open", None)
    try:
        if opener is not None:
            handle: int = opener(pid)
            return handle
        return _call(PIDFD_OPEN, pid, 0)
    except OSError:
        return -1


def _send(handle: int, pid: int, number: signal.Signals) -> None:
    try:
        if handle < 0:
            # Between the look and this, microseconds apart, the number could only be taken over
            # after the kernel went once around all of them.
            os.kill(pid, number)
            return
        sender = getattr(signal, "pidfd_send_signal", None)
        if sender is not None:
            sender(handle, number)
        else:
            _call(PIDFD_SEND_SIGNAL, handle, int(number), None, 0)
    except ProcessLookupError:
        pass
    except OSError as error:
        raise StepFailed(f"the process {pid} cannot be signalled: {error.strerror}") from None


def _call(number: int, *args: Any) -> int:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    done: int = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(part or 0) for part in args))
    if done < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return done
