"""A long action in a process of its own: calls go on meanwhile, and see how far it is."""

from __future__ import annotations

import os
import time

from ..refused import Refused
from . import deadman, publish, recover
from .files import lock
from .spool import JOURNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..guard import Guard
    from .spool import Entry

EVERY_S = 0.5


def detach(g: Guard, held: int, entry: Entry, work: Callable[[], None]) -> bool:
    """Run ``work`` apart; the entry counts as busy until its process has ended. ``held`` is the
    handle of the guard's lock, which stays with the caller."""
    path = recover.worker_lock(g, entry["id"])
    busy = lock(path, wait=False)
    if busy < 0:
        raise Refused("busy", "a process is at work on it already")

    def run() -> None:
        os.close(held)
        own: list[int] = []
        g.resume = lambda: own.append(g.lock())
        g.world.progress = _progress(g, entry)
        work()
        publish.write(g)
        g.files.remove(path)
        os._exit(0)  # the kernel lets go of both locks

    done = deadman.apart(run)
    os.close(busy)
    return done


def _progress(g: Guard, entry: Entry) -> Callable[[int, int, str], None]:
    last = [0.0]

    def progress(done: int, total: int, words: str) -> None:
        entry["progress"] = {"done": done, "total": total, "words": words[:200]}
        now = time.monotonic()
        if now < last[0] + EVERY_S and done < total:
            return
        last[0] = now
        g.store.save(JOURNAL, entry)
        handle = lock(f"{g.place.state}/lock", wait=False)
        if handle >= 0:
            publish.write(g)
            os.close(handle)

    return progress
