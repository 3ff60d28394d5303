"""What a host says of an action before it: its own facts and preview, or those of a simulation."""

from __future__ import annotations

from .. import say
from ..actions.base import Action

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard


def facts(g: Guard, act: Action, params: dict[str, Any]) -> dict[str, Any]:
    """What the plan needs to know of this host. Raises Refused."""
    if g.effector != "real" and act.name not in OWN:
        from ..simulation import facts as simulated

        return simulated(act, params, g.world)
    return act.facts(params, g.world)


def preview(
    g: Guard, act: Action, params: dict[str, Any], plan: dict[str, Any]
) -> dict[str, list[str]]:
    """What the host says would happen, foreign names in it made plain. Raises Refused."""
    if g.effector != "real" and act.name not in OWN:
        from ..simulation import preview as simulated

        found = simulated(act, params, plan, g.world)
    else:
        found = act.preview(params, plan, g.world)
    cleaned: dict[str, list[str]] = say.clean(found)
    return cleaned


OWN = frozenset(("release", "install-roster", "install-policy", "install-guard"))
