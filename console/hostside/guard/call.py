"""One call, from an envelope to its answer, under the guard's lock."""

from __future__ import annotations

import os

from . import ops, say
from .refused import Refused
from .state import machine, publish, recover
from .state.spool import STANDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .guard import Guard

    Work = Callable[[Guard], dict[str, Any]]


def answer(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """The answer to one envelope. Raises nothing but what ends the process."""
    return locked(g, lambda g: _checked(g, envelope))


def _checked(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    _ = g.roster, g.policy
    if ops.verb(envelope) not in ops.READERS:
        g.log.check()
        away = _away(g, envelope)
        if away:
            g.record("clock_jump", "", {"seconds": away})
    return ops.run(g, envelope)


def _away(g: Guard, envelope: dict[str, Any]) -> int:
    """How far the clock was set. On a full disk somebody can still say no, which undoes: an
    approval is refused then, as the audit log cannot be written."""
    try:
        return g.mark.check()
    except OSError:
        if envelope["op"] != "decide":
            raise
        return 0


def locked(g: Guard, work: Work) -> dict[str, Any]:
    """Do some work after whatever was left open or is overdue; a refusal becomes an answer."""
    try:
        handle = g.lock()
    except (Refused, OSError) as error:
        return _no(error)
    try:
        g.at_lock()
        g.held = handle
        try:
            g.ready()
            recover.sweep(g)
            found = {"ok": True, **work(g)}
        except (Refused, OSError) as error:
            found = _no(error)
        except Exception as error:  # a defect of ours must not end in silence
            found = _no(Refused("defect", f"the guard has a defect: {type(error).__name__}"))
        if not found["ok"]:
            g.log.refused(found["rule"], found["words"])
        if g.changed:
            publish.write(g)
    finally:
        os.close(handle)
    return found


def _no(error: Refused | OSError) -> dict[str, Any]:
    if isinstance(error, Refused):
        words = say.text(error.words)
        return {"ok": False, "rule": error.rule, "words": words, "hint": error.hint}
    words = f"the host's disk does not do what it should: {error.strerror or type(error).__name__}"
    return {"ok": False, "rule": "disk", "words": words, "hint": "look at the host as root"}


def tick(g: Guard) -> dict[str, Any]:
    """What a timer does: revert what is overdue, put back what was lost, publish."""
    recover.look(g)
    recover.reserve(g)
    g.changed = True
    return {}


def boot(g: Guard) -> dict[str, Any]:
    """The same once after a boot, when no watcher of before is left."""
    for each in g.store.all(STANDING):
        if each.get("ttl"):
            machine.watch(g, each, "ttl", each["ttl"])
    return tick(g)
