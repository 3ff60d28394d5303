"""What every call does first: end what a dead process left, and undo what is overdue."""

from __future__ import annotations

import os

from ..refused import Refused
from . import journal, machine
from .files import lock
from .spool import JOURNAL, SPOOL, STANDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..guard import Guard
    from .spool import Entry

RESERVE = 256 << 10


def sweep(g: Guard) -> None:
    """Finish or revert what was left open. Never raises for one entry: the others come too."""
    for folder, work in ((JOURNAL, _journal), (STANDING, _standing), (SPOOL, _spool)):
        for entry in g.store.all(folder):
            _apart(g, entry, work)


def _apart(g: Guard, entry: Entry, work: Callable[[Guard, Entry], None]) -> None:
    """Work on one entry; where that fails, nothing more is done with it in this call."""
    try:
        if not busy(g, entry["id"]):
            work(g, entry)
    except Exception:
        g.store.failed.add(entry["id"])
        g.changed = True


def busy(g: Guard, rid: str) -> bool:
    """Whether a process of its own is at work on it."""
    path = worker_lock(g, rid)
    if not os.path.lexists(path):
        return False
    handle = lock(path, wait=False)
    if handle < 0:
        return True
    os.close(handle)
    g.files.remove(path)
    return False


def worker_lock(g: Guard, rid: str) -> str:
    """The file that the process of a long action holds locked."""
    return f"{g.place.state}/working-{rid[:32]}"


def _journal(g: Guard, entry: Entry) -> None:
    state = entry["state"]
    if state == "EXECUTING":
        if entry.get("tell") and entry["steps"]:
            g.tell(entry, again=True)
        if journal.over(g, entry):
            machine.finish(g, entry, anew=True)
            return
        machine.fail(g, entry, "crashed", "the guard was ended while it was carried out")
    elif state == "REVERTING":
        g.tell(entry, again=True)
        machine.undo_again(g, JOURNAL, entry)
    elif state == "APPLIED":
        if entry.get("tell") or entry.get("after"):
            machine.settle(g, entry, again=True)
        _overdue(g, entry)
    else:
        machine.settle(g, entry, again=True)


def _overdue(g: Guard, entry: Entry) -> None:
    for need, deadline in sorted(entry["needs"].items()):
        if g.clock.over(deadline, at_reboot=True):
            words = {
                "confirm": "nobody confirmed over a new connection that the host is reachable",
                "ratify": "no second person approved it in time",
            }[need]
            machine.revert(g, JOURNAL, entry, words)
            return
    if entry.get("ttl") and g.clock.over(entry["ttl"], at_reboot=False):
        machine.revert(g, JOURNAL, entry, "its time is over")


def _standing(g: Guard, entry: Entry) -> None:
    if entry["state"] == "STANDING":
        if os.path.lexists(g.store.path(JOURNAL, entry["id"])):
            g.store.remove(JOURNAL, entry["id"])
        if entry.get("ttl") and g.clock.over(entry["ttl"], at_reboot=False):
            machine.revert(g, STANDING, entry, "its time is over")
    elif entry["state"] == "REVERTING":
        g.tell(entry, again=True)
        machine.undo_again(g, STANDING, entry)
    else:
        machine.close(g, STANDING, entry)


def _spool(g: Guard, entry: Entry) -> None:
    if entry["state"] == "EXECUTING":  # ended before anything was done
        entry["steps"] = []
        entry["state"], entry["to"], entry["why"] = "REVERTING", "FAILED", "ended before it began"
        g.note(entry, "crashed", why=entry["why"])
        g.store.save(SPOOL, entry)
        machine.undo_again(g, SPOOL, entry)
        return
    if entry["state"] == "REVERTING":
        g.tell(entry, again=True)
        machine.undo_again(g, SPOOL, entry)
        return
    if entry["state"] == "CLOSED":
        g.tell(entry, again=True)
        machine.close(g, SPOOL, entry)
        return
    if entry.get("tell"):  # it came when the disk was full
        g.tell(entry, again=True)
        g.store.save(SPOOL, entry)
    why = ""
    if g.clock.now() >= entry["expires"]:
        why = "expired"
    elif entry["boot"] != g.clock.boot_id:
        why = "the host was booted anew"
    else:
        try:
            if entry["trust"] != g.trust:
                why = "the roster or the policy was changed"
        except Refused:
            return
    if why:
        machine.shut(g, entry, "expired" if why == "expired" else "void", why)


def look(g: Guard) -> None:
    """Put back what was done and is no longer so: the approval of it still counts."""
    for folder, work in ((JOURNAL, _applied), (STANDING, _look)):
        for entry in g.store.all(folder):
            if entry["state"] in ("APPLIED", "STANDING"):
                _apart(g, entry, work)


def _applied(g: Guard, entry: Entry) -> None:
    _look(g, entry, JOURNAL)


def _look(g: Guard, entry: Entry, folder: str = STANDING) -> None:
    if not journal.holds(g, entry):
        _put_back(g, folder, entry)
    elif entry.get("holds") is False or entry.get("trouble"):
        entry["holds"] = True
        entry.pop("trouble", None)
        g.note(entry, "holds_again")
        g.store.save(folder, entry)
        g.tell(entry)
        g.store.save(folder, entry)


def _put_back(g: Guard, folder: str, entry: Entry) -> None:
    g.changed = True
    first = entry.get("holds", True)
    entry["holds"] = False
    if first:
        entry["lost"] = entry.get("lost", 0) + 1
        g.note(entry, "isolation_lost" if entry["action"] == "isolate" else "lost")
        g.store.save(folder, entry)
        g.tell(entry)
        g.world.mark("lost")
    left = [g.clock.left(each) for each in entry.get("needs", {}).values() if each]
    trouble = journal.again(g, entry, min(left, default=0))
    if trouble:
        if entry.get("trouble") != trouble:
            g.note(entry, "not_reapplied", why=trouble)
    else:
        entry["holds"] = True
        g.note(entry, "reapplied")
    entry["trouble"] = trouble
    g.store.save(folder, entry)
    g.tell(entry)
    g.store.save(folder, entry)


def reserve(g: Guard) -> None:
    """Keep room on the disk, so that a full one does not stop an undoing."""
    path = f"{g.place.state}/reserve"
    if not os.path.lexists(path):
        try:
            g.files.write(path, b"\0" * RESERVE)
        except OSError:
            return
