"""Checks of the types that documents are made of. Each raises Refused and names the field."""

from __future__ import annotations

import re

from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    Check = Callable[[Any, str], None]

MAX_TIME = 2**40  # the year 36812: a bound, not a rule

NAME = re.compile(r"[a-z][a-z0-9._-]{0,31}\Z")
ACTION = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
HOST_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
HEX64 = re.compile(r"[0-9a-f]{64}\Z")
HEX128 = re.compile(r"[0-9a-f]{128}\Z")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}\Z")
BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
NONCE = re.compile(r"[A-Za-z0-9._-]{16,160}\Z")
MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
METRIC = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


def wrong(field: str, words: str) -> NoReturn:
    """Refuse because of ``field``, which is a name of ours or one that was checked."""
    raise Refused("document", f"the field {field} {words}", "see docs/guard.md for what it takes")


def like(pattern: str | re.Pattern[str], words: str) -> Check:
    """A text that the pattern matches from its start. ``\\d`` and its kin are not used: digits are
    ASCII digits. A pattern that is seldom needed is a text, which is compiled at its first use."""

    def check(value: Any, field: str) -> None:
        if type(value) is not str or not re.match(pattern, value):
            wrong(field, f"is not {words}")

    return check


def one_of(*allowed: str) -> Check:
    """One of these texts."""

    def check(value: Any, field: str) -> None:
        if type(value) is not str or value not in allowed:
            wrong(field, "is not one of " + ", ".join(allowed))

    return check


def whole(low: int, high: int) -> Check:
    """An integer from ``low`` to ``high``; true and false are none."""

    def check(value: Any, field: str) -> None:
        if type(value) is not int or not low <= value <= high:
            wrong(field, f"is not a whole number from {low} to {high}")

    return check


def words(low: int, high: int) -> Check:
    """A text of ``low`` to ``high`` characters without blanks at its ends."""

    def check(value: Any, field: str) -> None:
        if type(value) is not str or not low <= len(value) <= high or value != value.strip():
            wrong(field, f"is not a text of {low} to {high} characters without outer spaces")

    return check


def truth(value: Any, field: str) -> None:
    """true or false."""
    if type(value) is not bool:
        wrong(field, "is not true or false")


def thing(value: Any, field: str) -> None:
    """Any JSON object; whoever uses it checks what is in it."""
    if type(value) is not dict:
        wrong(field, "is not an object")


def empty(value: Any, field: str) -> None:
    """An empty object: a rule that is not understood must not be passed over."""
    if type(value) is not dict or value:
        wrong(field, "is not an empty object, and this version knows no rule for it")


def listed(item: Check, low: int, high: int) -> Check:
    """A list without repetition, ``low`` to ``high`` items of the kind ``item``."""

    def check(value: Any, field: str) -> None:
        if type(value) is not list or not low <= len(value) <= high:
            wrong(field, f"is not a list of {low} to {high} items")
        for entry in value:
            item(entry, field)
        if len({repr(entry) for entry in value}) != len(value):
            wrong(field, "has an item twice")

    return check


def mapped(key: re.Pattern[str], item: Check, low: int, high: int) -> Check:
    """An object of ``low`` to ``high`` entries, its names of the form ``key``."""

    def check(value: Any, field: str) -> None:
        if type(value) is not dict or not low <= len(value) <= high:
            wrong(field, f"is not an object of {low} to {high} entries")
        for name, entry in value.items():
            if not key.match(name):
                wrong(field, "has an entry whose name is not allowed")
            item(entry, f"{field}.{name}")

    return check


def shaped(**fields: Check) -> Check:
    """An object with exactly these fields."""

    def check(value: Any, field: str) -> None:
        if type(value) is not dict:
            wrong(field, "is not an object")
        for name in value:
            if name not in fields:
                # The name is foreign: it is said only where it looks like a field of ours.
                wrong(field, "has an unknown field" + (f" {name}" if METRIC.match(name) else ""))
        for name, item in fields.items():
            if name not in value:
                wrong(f"{field}.{name}" if field else name, "is missing")
            item(value[name], f"{field}.{name}" if field else name)

    return check


name = like(NAME, "a name of a-z, 0-9, dot, dash and underscore, at most 32 long")
action = like(ACTION, "the name of an action")
host_id = like(HOST_ID, "the id of a host")
digest = like(HEX64, "a SHA-256 of 64 hex digits")
fingerprint = like(FINGERPRINT, "a key's fingerprint SHA256:…")
time = whole(0, MAX_TIME)
