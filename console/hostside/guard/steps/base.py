"""A step: the smallest thing that is done to a host, and undone.

The journal writes what ``look`` found before ``do`` runs, so that whoever comes next can undo it,
wherever the guard was killed. Arguments come from a plan, ``before`` from the journal: both are
JSON of a few KiB.
"""

from __future__ import annotations

from ..refused import Refused
from ..world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class StepFailed(Exception):
    """A step could not be done; what was begun is undone next. The text is for an operator."""


class Step:
    """Base of all kinds. Instances hold nothing."""

    kind = ""
    undoable = True  # False: ``undo`` does nothing, and the action has said so in its preview

    def check(self, args: dict[str, Any]) -> None:
        """Raise Refused where arguments are not what this kind takes."""
        raise Refused("step", f"the step {self.kind} takes no arguments")

    def words(self, args: dict[str, Any]) -> list[str]:
        """What it will do with exactly these arguments, a line each, for whoever signs.

        ``args`` have passed ``check``. Pure, and the same in every build: the console reckons it
        from the plan alone. Whatever argument changes what is done is in it, whole. Capitals say
        what is lost for ever.
        """
        raise NotImplementedError

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """What is there now, and all that ``undo`` needs. Changes nothing."""
        return {}

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Do it; calling it again after it was cut short gives the same end. Raises StepFailed."""
        raise NotImplementedError

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Put back what ``before`` says, whether ``do`` ran, ran in part, or not at all.

        Calling it twice is the same as once. Raises StepFailed where it cannot be put back.
        """
        raise NotImplementedError

    def over(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether all of it is done, of a kind without a way back, though nobody has noted so:
        then it is brought to its end by ``do`` rather than undone."""
        return False

    def ends(self, args: dict[str, Any], other: dict[str, Any]) -> bool:
        """Whether nothing is left of what a step that stands (``other``: kind and args) has done,
        because this one was done after it."""
        return False

    def hold(
        self, args: dict[str, Any], before: dict[str, Any], seconds: int, world: World
    ) -> None:
        """A dead-man that the step itself carries (a time-out in the kernel) runs ``seconds`` from
        now; 0 takes it away, because what was done stands. Raises StepFailed.

        Called when reachability is confirmed, when the second person has ratified, and after a
        ``do`` that puts back what was lost. A kind that cannot set another time makes it permanent:
        the guard's own timer reverts it.
        """
        self.confirm(args, before, world)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether what was done is still so (a firewall restart may have removed it)."""
        return True

    def confirm(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Make permanent what ``do`` armed with a dead-man inside the kernel.

        Called when the token came back over a new connection, and after a ``do`` that puts back a
        standing request whose work was lost (``holds`` was False). Raises StepFailed where the
        dead-man fired first. Nothing to do for all kinds without such a dead-man.
        """
