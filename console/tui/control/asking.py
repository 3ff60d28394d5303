"""What ``:act`` takes: an action, hosts, and values of its fields; and whether that is all."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import NamedTuple

from console.model.guard import ActionAbout
from console.text import clean
from console.tui.control.commands import CommandError

REASON = "reason"
MODE = "mode"
EXPIRES = "expires"
ASKED_TOO = (MODE, EXPIRES, REASON)
"""What a form has beside the parameters of its action."""


class Asked(NamedTuple):
    """An action, "" for none yet, patterns of hosts, and values by name of the field."""

    action: str
    hosts: tuple[str, ...]
    values: dict[str, str]


def parse_asked(rest: str) -> Asked:
    """Read ``ACTION HOST... NAME=VALUE... reason=WHY``; the reason is all that follows its sign."""
    head, sign, reason = f" {rest.strip()}".partition(f" {REASON}=")
    words = head.split()
    values = dict(word.split("=", 1) for word in words if "=" in word)
    if sign:
        values[REASON] = reason.strip().strip("\"'").strip()
    plain = [word for word in words if "=" not in word]
    return Asked(plain[0] if plain else "", tuple(plain[1:]), values)


def meant_hosts(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The hosts of these names and globs. Part of a name is none: too much hangs on it.

    Raises CommandError.
    """
    found: list[str] = []
    for pattern in patterns:
        glob = any(sign in pattern for sign in "*?[")
        fits = [name for name in names if name == pattern or (glob and fnmatchcase(name, pattern))]
        if not fits:
            near = get_close_matches(pattern, names, 3, 0.5)
            hint = f"nearest: {', '.join(near)}" if near else "Tab completes names"
            raise CommandError(f"no host is called {clean(pattern, 60)}; {hint}")
        found += fits
    return list(dict.fromkeys(found))


def the_action(name: str, every: Sequence[ActionAbout]) -> ActionAbout:
    """The action of that name. Raises CommandError where there is none, or it is not the
    operator's to ask for."""
    found = next((each for each in every if each.name == name), None)
    if found is None:
        near = get_close_matches(name, [each.name for each in every], 3, 0.5)
        hint = f"nearest: {', '.join(near)}" if near else "Tab completes names"
        raise CommandError(f"no action is called {clean(name, 40)}; {hint}")
    if found.why_not:
        raise CommandError(f"{found.name}: not by you: {found.why_not}")
    return found


def unknown_names(action: ActionAbout, values: Mapping[str, str]) -> str:
    """What is wrong with the names of values, in words; empty: nothing."""
    known = [field.name for field in action.fields]
    for name in values:
        if name not in (*known, *ASKED_TOO):
            takes = ", ".join(known) or "nothing"
            return f"{action.name} has no {clean(name, 40)}; it takes {takes}"
    return ""


def needed(action: ActionAbout, name: str) -> bool:
    """Whether a field must not be empty: what the action needs, and the reason always."""
    field = next((each for each in action.fields if each.name == name), None)
    return name != EXPIRES and (
        field is None or not (field.optional or field.kind in ("list", "flag"))
    )


def filled(action: ActionAbout, values: Mapping[str, str]) -> dict[str, str]:
    """Every field with its value or what the policy suggests, the mode, the minutes until it runs
    out (empty: as the policy has it), and the reason."""
    out = {field.name: values.get(field.name, field.default) for field in action.fields}
    out[MODE] = values.get(MODE) or action.modes[0]
    out[EXPIRES] = values.get(EXPIRES, "")
    out[REASON] = values.get(REASON, "")
    return out


def lacking(action: ActionAbout, values: Mapping[str, str]) -> list[str]:
    """Names of what must still be filled in."""
    return [name for name, value in values.items() if not value.strip() and needed(action, name)]


def completions(typed: str, every: Sequence[ActionAbout], hosts: Sequence[str]) -> Iterator[str]:
    """The whole line, longer by an action, a host, or the name of a field."""
    *before, last = typed.split(" ")
    if not before:
        yield from (each.name for each in every if each.name.startswith(last))
        return
    head = " ".join(before)
    if f" {REASON}=" in f" {typed}":
        return
    action = next((each for each in every if each.name == before[0]), None)
    fields = action.fields if action is not None else ()
    choices = {field.name: field.choices for field in fields}
    choices[MODE] = action.modes if action is not None else ()
    name, sign, value = last.partition("=")
    if sign:
        yield from (f"{head} {name}={each}" for each in choices.get(name, ())
                    if each.startswith(value))  # fmt: skip
        return
    names = [*(f"{field.name}=" for field in fields), f"{EXPIRES}=", f"{REASON}="]
    if action is not None and len(action.modes) > 1:
        names.append(f"{MODE}=")
    given = {word.partition("=")[0] for word in before if "=" in word}
    for each in (*hosts, *(one for one in names if one[:-1] not in given)):
        if each.startswith(last):
            yield f"{head} {each}"
