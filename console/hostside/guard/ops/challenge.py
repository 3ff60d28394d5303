"""``challenge``: what a request has to be bound to, and what would happen."""

from __future__ import annotations

from ..actions import action
from ..refused import Refused
from ..state import checks, effects, machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """The challenge. Keeps nothing."""
    name, params = envelope.get("action"), envelope.get("params")
    if type(name) is not str or type(params) is not dict:
        raise Refused("envelope", "a challenge names an action and its parameters")
    act = action(name)
    rule = g.policy.rule(act)
    act.check(params)
    _ = g.roster
    facts = effects.facts(g, act, params)
    made = machine.plan(g, name, params, facts)
    now = g.clock.now()
    return {
        "now": now,
        "host_id": g.host_id,
        "host_keys": g.host_keys,
        "boot_id": g.clock.boot_id,
        "nonce": g.nonces.issue(now, checks.bound(params, facts, name, g)),
        "facts": facts,
        "policy": g.trust,
        "guard": g.digest,
        "roster_text": g.roster_text,
        "policy_text": g.policy_text,
        "preview": effects.preview(g, act, params, made),
        "modes": list(rule.modes),
        "effector": g.effector,
    }
