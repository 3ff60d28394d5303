"""Carrying a plan out so that it can be undone from any point of it.

For every step: look at what is there, have that on the disk, do it, have that on the disk. Whoever
comes next, after whatever end of this process, knows what may have been done and undoes it.
"""

from __future__ import annotations

from .. import say
from ..refused import Refused
from ..steps import step
from ..steps.base import StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .spool import Entry

MAX_RESULT = 16 << 10


def check(plan: dict[str, Any]) -> None:
    """Raise Refused where a step of the plan is not one that this build carries out."""
    for item in plan["steps"]:
        step(item["kind"]).check(item["args"])


def run(g: Guard, folder: str, entry: Entry) -> str:
    """Do all steps of an entry; why it failed, or empty. Steps that were done stay done."""
    g.world.request = entry["id"]
    for number, item in enumerate(entry["steps"]):
        args = item["args"]
        if item.get("done"):
            continue  # by a process that was ended at the very end
        try:
            each = step(item["kind"])
            if "before" not in item:
                g.world.mark(f"look {number}")
                item["before"] = each.look(args, g.world)
                g.store.save(folder, entry)
            g.world.mark(f"do {number}")
            result = say.clean(each.do(args, item["before"], g.world))
            g.world.mark(f"did {number}")
        except (StepFailed, Refused) as error:
            return say.text(str(error))[:300]
        except Exception as error:  # whatever it is, what was begun is undone
            return f"the step {item['kind']} broke: {type(error).__name__}"
        item["done"] = True
        if result:
            entry["result"] = dict(entry.get("result", {}), **result)
        g.store.save(folder, entry)
    return ""


def over(g: Guard, entry: Entry) -> bool:
    """Whether a process that was ended had come to the end of all steps, the last of which has no
    way back; ``run`` then finds nothing left to do."""
    if not entry["steps"] or not all(item.get("done") for item in entry["steps"][:-1]):
        return False
    item = entry["steps"][-1]
    try:
        return "before" in item and step(item["kind"]).over(item["args"], item["before"], g.world)
    except Exception:  # what cannot be looked at is not known to be over
        return False


def undo(g: Guard, folder: str, entry: Entry) -> str:
    """Undo what was begun, the last first; what could not be undone, or empty."""
    trouble = ""
    for number in range(len(entry["steps"]) - 1, -1, -1):
        item = entry["steps"][number]
        if "before" not in item or item.get("undone"):
            continue
        try:
            each = step(item["kind"])
            if each.undoable:
                g.world.mark(f"undo {number}")
                each.undo(item["args"], item["before"], g.world)
                g.world.mark(f"undid {number}")
        except (StepFailed, Refused) as error:
            trouble = say.text(str(error))[:300]
            continue
        except Exception as error:  # the other steps are undone all the same
            trouble = f"undoing {item['kind']} broke: {type(error).__name__}"
            continue
        item["undone"] = True
        g.store.keep(folder, entry)
    return trouble


def holds(g: Guard, entry: Entry) -> bool:
    """Whether all that was done is still so."""
    for item in entry["steps"]:
        if item.get("done") and not item.get("undone"):
            try:
                if not step(item["kind"]).holds(item["args"], item["before"], g.world):
                    return False
            except Exception:  # what cannot be looked at is not known to hold
                return False
    return True


def again(g: Guard, entry: Entry, seconds: int) -> str:
    """Do again what no longer holds, with what was there before the first time; why not, or
    empty. Its dead-man then has ``seconds``, 0 for none."""
    for number, item in enumerate(entry["steps"]):
        if not item.get("done") or item.get("undone"):
            continue
        try:
            each = step(item["kind"])
            if not each.holds(item["args"], item["before"], g.world):
                g.world.mark(f"again {number}")
                each.do(item["args"], item["before"], g.world)
                each.hold(item["args"], item["before"], seconds, g.world)
        except (StepFailed, Refused) as error:
            return say.text(str(error))[:300]
        except Exception as error:
            return f"the step {item['kind']} broke: {type(error).__name__}"
    return ""


def hold(g: Guard, entry: Entry, seconds: int) -> str:
    """Tell every step how long its own dead-man has from now, 0 for none; why not, or empty."""
    for item in entry["steps"]:
        if not item.get("done") or item.get("undone"):
            continue
        try:
            step(item["kind"]).hold(item["args"], item["before"], seconds, g.world)
        except (StepFailed, Refused) as error:
            return say.text(str(error))[:300]
        except Exception as error:
            return f"the step {item['kind']} broke: {type(error).__name__}"
    return ""
