"""The plan as this console reckons it: the same pure code as on the host, and words for people."""

from collections.abc import Mapping
from typing import Any

from console.hostside.guard.actions import action
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import step
from console.hostside.guard.trust import canonical
from console.model.guard import About, Pair
from console.text import clean

MAX_LINES = 64  # of what the host says
MAX_EFFECT, MAX_LINE = 200, 2000
_SAYS = {
    "effect": "effect",
    "cut_off": "is cut off",
    "residual": "cannot be closed",
    "remains": "remains",
}


def about(name: str) -> About:
    """What kind of action it is; an unknown one is of high risk. Never raises."""
    try:
        act = action(name)
    except (Refused, ImportError):
        return About(words="an action that this console does not know", high_risk=True)
    return About(
        words=act.words,
        direction=act.direction,
        people=act.people,
        inverse=act.inverse,
        dead_man=act.dead_man,
        high_risk=act.high_risk,
        starter=act.starter,
        long=act.long,
        ratify=act.ratify,
        break_glass=act.break_glass,
    )


def plan(
    name: str, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
) -> dict[str, Any]:
    """The whole plan by docs/guard.md. Raises Refused."""
    act = action(name)
    act.check(params)
    made = act.render(params, facts, policy)
    for item in made["steps"]:
        step(item["kind"]).check(item["args"])  # of facts, which the host may tell as it likes
    return {
        "action": name,
        "params": params,
        "v": 1,
        **{key: made[key] for key in ("steps", "confirm_s", "ttl_s")},
    }


def digest(document: dict[str, Any]) -> str:
    """The sha256 of its canonical bytes. Raises Refused."""
    return canonical.sha256(canonical.write(document))


def shown(name: str, params: dict[str, Any]) -> tuple[Pair, ...]:
    """Parameters for a person, the most important first. Never raises."""
    try:
        pairs = action(name).say(params)
    except Exception:  # noqa: BLE001,RUF100  # of a state document they may be anything
        pairs = [(key, params[key]) for key in sorted(params)]
    return tuple((clean(text(label), 60), clean(text(value), 500)) for label, value in pairs)


def text(value: object) -> str:
    """Whatever a host has sent, as text. Never raises."""
    try:
        return str(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or too deep
        return "not shown: too large"


def effect(made: Mapping[str, Any], policy: Mapping[str, Any]) -> tuple[str, ...]:
    """What the steps of a plan do, by this console's own reckoning: lines that are never cut, since
    a person signs them. ``made`` comes from ``plan``, with the same ``policy``. Raises Refused."""
    lines = [line for item in made["steps"] for line in step(item["kind"]).words(item["args"])]
    if made["confirm_s"] and policy.get("unconfirmed") == "keep":
        lines.append("it stays though nobody confirms the way in, by the policy")
    elif made["confirm_s"]:
        lines.append(f"undone after {made['confirm_s']} s unless the way in is confirmed")
    if made["ttl_s"]:
        lines.append(f"ends by itself after {made['ttl_s']} s")
    if len(lines) > MAX_EFFECT or any(len(line) > MAX_LINE for line in lines):
        raise Refused("effect", "its effect is longer than anybody can judge before signing")
    return tuple(clean(line, MAX_LINE) for line in lines)


def host_says(preview: object) -> tuple[Pair, ...]:
    """The host's own claims about the effect, bounded and cleaned; labelled by who says so."""
    if not isinstance(preview, dict):
        return ()
    out: list[Pair] = []
    for key, label in _SAYS.items():
        lines = preview.get(key)
        if isinstance(lines, list):
            out += [(label, clean(text(line), 300)) for line in lines[:MAX_LINES]]
            if len(lines) > MAX_LINES:
                out.append((label, f"and {len(lines) - MAX_LINES} more"))
    return tuple(out)
