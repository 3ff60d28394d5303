"""What a name in parameters may look like, and which names are never acted on.

A name that passes here may stand in an argument list or in a path of ours as it is: it begins
with a letter, a digit or an underscore, and has no slash, no space and nothing that a shell, nft,
sshd or nginx reads as more than a name.
"""

from __future__ import annotations

import re

from ..refused import Refused
from ..trust import floors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,120}\.service\Z")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,31}\Z")
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}(:[a-z0-9-]{1,15})?\Z")
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+:~^_-]{0,127}\Z")
CLIENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
PATH = re.compile(r"/[^\x00-\x1f\x7f]{1,1023}\Z")

# Stricter than the floors, because these are never a model's service: all of systemd, and logins.
_MORE_UNITS = re.compile(r"(systemd-.*|init|user|getty|emergency|rescue|polkit)(@.*)?\.[a-z]+\Z")
SSHD = ("sshd", "sshd-session", "sshd-auth")
CORE = (
    "/usr/lib/systemd/", "/lib/systemd/", "/usr/bin/dbus-daemon", "/usr/bin/dbus-broker",
    "/sbin/init", "/usr/sbin/init",
)  # fmt: skip
CORE_UNITS = ("systemd-", "dbus.", "dbus-broker.")
OURS = "/usr/libexec/watchfloor/"
OUR_ACCOUNTS = ("wfops", "wfmon", "wfsensor")


def protected_unit(name: str) -> bool:
    """Whether the guard never stops, restarts or changes it."""
    return floors.protected_unit(name) or _MORE_UNITS.match(name) is not None


def protected_user(name: str) -> bool:
    """Whether the account is never blocked."""
    return floors.protected_account(name) or name in OUR_ACCOUNTS


def text(pattern: re.Pattern[str], value: Any, what: str) -> str:
    """``value`` where it is such a name. Raises Refused."""
    if type(value) is not str or pattern.match(value) is None:
        raise Refused("parameters", f"that is no name of {what}")
    return value


def number(value: Any, least: int, most: int, what: str) -> int:
    """``value`` where it is an integer of that range. Raises Refused."""
    if type(value) is not int or not least <= value <= most:
        raise Refused("parameters", f"{what} must be from {least} to {most}")
    return value


def unit(value: Any) -> str:
    """The name of a service unit that may be acted on. Raises Refused."""
    name = text(UNIT, value, "a service unit (such as vllm.service)")
    if protected_unit(name):
        raise Refused("floor", f"{name} is never touched by the guard")
    return name


def user(value: Any) -> str:
    """The name of an account that may be acted on. Raises Refused."""
    name = text(USER, value, "an account")
    if protected_user(name):
        raise Refused("floor", f"the account {name} is never touched by the guard")
    return name
