"""The plan as this console reckons it: the same pure code as on the host, and words for people."""

from collections.abc import Mapping
from typing import Any

from console.hostside.guard.actions import action
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical
from console.model.guard import About, Pair
from console.text import clean

MAX_LINES = 64
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
    except (Refused, ImportError, KeyError, TypeError, ValueError, AttributeError):
        pairs = [(key, str(params[key])) for key in sorted(params)]
    return tuple((clean(str(label), 60), clean(str(value), 500)) for label, value in pairs)


def effect(made: Mapping[str, Any]) -> tuple[str, ...]:
    """What the steps of a plan do, a line each, by this console's own reckoning."""
    lines = [_step(item["kind"], item["args"]) for item in made["steps"][:MAX_LINES]]
    if len(made["steps"]) > MAX_LINES:
        lines.append(f"and {len(made['steps']) - MAX_LINES} more steps")
    if made["confirm_s"]:
        lines.append(f"undone after {made['confirm_s']} s unless the way in is confirmed")
    if made["ttl_s"]:
        lines.append(f"ends by itself after {made['ttl_s']} s")
    return tuple(clean(line, 300) for line in lines)


_STEP_WORDS = {
    "nft": "load a table of packet rules",
    "flows": "end connections",
    "firewall": "put the host's own firewall rules back",
    "unit": "a unit",
    "file": "write a file",
    "account": "an account",
    "process": "end a process",
    "packages": "install packages",
    "gateway": "change the gateway's keys",
    "rename": "move within one file system",
    "link": "switch the served version",
    "verify": "check every file against its manifest",
    "health": "check that it serves, else go back",
    "space": "check that there is room",
    "destroy": "DESTROY WITHOUT A WAY BACK",
    "collect": "collect evidence",
    "trust": "replace whom this host trusts",
    "undo": "undo what stands",
}


def _step(kind: str, args: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{key} {_value(args[key])}" for key in sorted(args))
    return f"{_STEP_WORDS.get(kind, kind)}: {rest}" if rest else _STEP_WORDS.get(kind, kind)


def _value(value: Any) -> str:
    if isinstance(value, list):
        if value and isinstance(value[0], dict | list):
            return f"{len(value)} entries"
        return " ".join(map(str, value[:8])) + (f" and {len(value) - 8} more" if value[8:] else "")
    if isinstance(value, dict):
        return " ".join(f"{key}={_value(item)}" for key, item in list(value.items())[:8])
    text = str(value)
    return text if len(text) <= 120 else f"{len(text)} characters"


def host_says(preview: object) -> tuple[Pair, ...]:
    """The host's own claims about the effect, bounded and cleaned; labelled by who says so."""
    if not isinstance(preview, dict):
        return ()
    out: list[Pair] = []
    for key, label in _SAYS.items():
        lines = preview.get(key)
        if isinstance(lines, list):
            out += [(label, clean(str(line), 300)) for line in lines[:MAX_LINES]]
            if len(lines) > MAX_LINES:
                out.append((label, f"and {len(lines) - MAX_LINES} more"))
    return tuple(out)
