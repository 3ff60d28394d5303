"""The ``:`` line: what was typed, which action is meant, and what Tab makes of it."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import NamedTuple

from console.text import clean
from console.tui.control.actions import Action, verbs

_ELSEWHERE = {
    "host": "open a host first, by Enter or :host NAME",
    "fleet": "go to the fleet first, by :fleet",
    "table": "it is for a view with rows",
    "replay": "it is for a recording, `watchfloor replay FILE`",
}
"""By place, what to do before its verbs can be used."""
OFFERED = 20
"""So many candidates are shown when Tab cannot decide."""


class Command(NamedTuple):
    """``:verb rest``."""

    verb: str
    rest: str


class CommandError(ValueError):
    """A command that cannot be carried out; the message is for the person who typed it."""


def parse(typed: str) -> Command:
    """Split what was typed, with or without the colon."""
    verb, _, rest = typed.strip().removeprefix(":").strip().partition(" ")
    return Command(verb, rest.strip())


def resolve(command: Command, offered: Mapping[str, Action]) -> Action:
    """The action of a verb, or of the only verb that begins so. Raises CommandError."""
    if command.verb in offered:
        return offered[command.verb]
    if command.verb == "q":
        return offered["quit"]
    fitting = [verb for verb in offered if command.verb and verb.startswith(command.verb)]
    if len(fitting) == 1:
        return offered[fitting[0]]
    if fitting:
        raise CommandError(f":{clean(command.verb, 40)} may be {', '.join(sorted(fitting))}")
    for place, words in _ELSEWHERE.items():
        if command.verb in verbs(place):
            raise CommandError(f":{command.verb} is not for this view: {words}")
    near = get_close_matches(command.verb, offered, 1, 0.5)
    hint = f"did you mean :{near[0]}?" if near else f"here: {' '.join(sorted(offered))}"
    raise CommandError(f"no command :{clean(command.verb, 40)} in this view; {hint}")


def pattern_and_filter(rest: str) -> tuple[str, str]:
    """``gpu* /temp>80 @fra`` is the pattern ``gpu*`` and the filter ``temp>80 @fra``."""
    head, slash, tail = f" {rest}".partition(" /")
    words = head.split()
    pattern = " ".join(word for word in words if not word.startswith("@"))
    terms = [tail.strip() if slash else "", *(word for word in words if word.startswith("@"))]
    return pattern, " ".join(filter(None, terms))


def fitting(pattern: str, names: Sequence[str]) -> list[str]:
    """The names that a person means: that one, those of a glob, or those that it is a part of."""
    if pattern in names:
        return [pattern]
    if any(sign in pattern for sign in "*?["):
        return [name for name in names if fnmatchcase(name.lower(), pattern.lower())]
    return [name for name in names if pattern.lower() in name.lower()]


def complete(
    typed: str,
    offered: Mapping[str, Action],
    candidates: Callable[[Action, str], Iterable[str]],
) -> tuple[str, list[str]]:
    """What was typed made longer as far as that is certain, and what it may become.

    ``candidates`` gives whole arguments of an action that begin with what was typed of one.
    """
    head = typed.removeprefix(":").lstrip()
    verb, space, rest = head.partition(" ")
    if not space:
        whole = [f":{name}{' ' if offered[name].takes else ''}" for name in sorted(offered)]
        whole = [name for name in whole if name.startswith(f":{verb}")]
        shown = [name.strip(" :") for name in whole]
    else:
        try:
            action = resolve(Command(verb, rest), offered)
        except CommandError:
            return typed, []
        shown = [text for text in candidates(action, rest.lstrip()) if text.startswith(rest)]
        whole = [f":{verb} {text}" for text in shown]
    longer = os.path.commonprefix(whole)  # noqa: RUF071  # of words, not of paths
    return longer or typed, list(dict.fromkeys(shown))[:OFFERED] if len(shown) > 1 else []
