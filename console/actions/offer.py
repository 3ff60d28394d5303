"""Which actions there are for one person, by this console's own roster and policy."""

from typing import Any

from console.actions import plan
from console.actions.around import Trusted
from console.actions.forms import fields
from console.hostside.guard.actions import action as action_of
from console.hostside.guard.refused import Refused
from console.model.guard import TWO_BEFORE, ActionAbout


def offer(name: str, trusted: Trusted | None, person: str, why: str) -> ActionAbout:
    """One action with the fields of its form; ``why`` nothing may be asked for here, or empty."""
    modes: tuple[str, ...] = (TWO_BEFORE,)
    policy: dict[str, Any] = {}
    if trusted is not None:
        policy = trusted.policy.doc
        try:
            modes = trusted.policy.rule(action_of(name)).modes
        except (Refused, ImportError) as error:
            why = why or (error.words if isinstance(error, Refused) else "it is not known")
        if not (trusted.roster.may(person, "request", name)) and not why:
            why = f"{person} may not request {name}"
    return ActionAbout(
        name=name, about=plan.about(name), fields=fields(name, policy), modes=modes, why_not=why
    )
