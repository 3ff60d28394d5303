"""Sandbox directives of a service: which there are, what they may say, and whether they hold."""

from __future__ import annotations

import re

from ..host import units
from ..refused import Refused
from .base import StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

MAX = 60
# Only values that take something away: a profile never opens what the unit itself closes.
_PATHS = r"([+-]{0,2}/[A-Za-z0-9/._+@:-]{0,200})( [+-]{0,2}/[A-Za-z0-9/._+@:-]{0,200}){0,40}"
_YES = (
    "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "PrivateIPC", "PrivateNetwork",
    "PrivateUsers", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
    "ProtectControlGroups", "ProtectClock", "ProtectHostname", "RestrictRealtime",
    "RestrictSUIDSGID", "RestrictNamespaces", "LockPersonality", "MemoryDenyWriteExecute",
    "RemoveIPC", "PrivateMounts",
)  # fmt: skip
_WORDS = {
    "ProtectSystem": r"yes|full|strict",
    "ProtectHome": r"yes|read-only|tmpfs",
    "ProtectProc": r"noaccess|invisible|ptraceable",
    "ProcSubset": r"pid",
    "DevicePolicy": r"closed|strict",
    "SystemCallArchitectures": r"native",
    "KeyringMode": r"private",
    "UMask": r"0[0-7]{3}",
    "TasksMax": r"[1-9][0-9]{0,6}",
    "OOMPolicy": r"stop|kill",
}
_SETS = {
    "CapabilityBoundingSet": r"|CAP_[A-Z_]{1,30}( CAP_[A-Z_]{1,30}){0,40}",
    "RestrictAddressFamilies": r"none|AF_[A-Z0-9]{1,16}( AF_[A-Z0-9]{1,16}){0,20}",
    "ReadOnlyPaths": _PATHS,
    "ReadWritePaths": _PATHS,
    "InaccessiblePaths": _PATHS,
    "NoExecPaths": _PATHS,
    "ExecPaths": _PATHS,
}
# What systemd shows in another form than it is written: that it is there is all that is compared.
_SHOWN = {
    "SystemCallFilter": r"~?@?[a-z0-9_-]{1,40}( @?[a-z0-9_-]{1,40}){0,60}",
    "IPAddressDeny": r"any",
    "IPAddressAllow": r"(localhost|link-local|[0-9a-f.:]{2,39}(/[0-9]{1,3})?)"
    r"( (localhost|link-local|[0-9a-f.:]{2,39}(/[0-9]{1,3})?)){0,40}",
    "DeviceAllow": r"(/dev/[A-Za-z0-9/._-]{1,80}|char-[a-z0-9*-]{1,40}) [rwm]{1,3}",
    "TemporaryFileSystem": r"/[A-Za-z0-9/._+@-]{0,200}(:ro)?",
    "SystemCallErrorNumber": r"E[A-Z0-9]{2,15}",
    "SocketBindDeny": r"any",
    "SocketBindAllow": r"(ipv[46]:)?((tcp|udp):)?[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?",
    **dict.fromkeys(("MemoryMax", "MemoryHigh", "MemorySwapMax"), r"(0|[1-9][0-9]{0,12})[KMGT]?"),
    **dict.fromkeys(
        ("LimitCORE", "LimitNOFILE", "LimitNPROC", "LimitFSIZE", "LimitMEMLOCK"),
        r"(0|[1-9][0-9]{0,12})[KMGT]?",
    ),
}
_FORMS = {**dict.fromkeys(_YES, "yes"), **_WORDS, **_SETS, **_SHOWN}


def check(lines: Any) -> None:
    """Raise Refused where a line is no ``Directive=value`` of the list."""
    if type(lines) is not list or not 0 < len(lines) <= MAX:
        raise Refused("profile", f"a profile has 1 to {MAX} directives")
    for line in lines:
        name, equals, value = line.partition("=") if type(line) is str else ("", "", "")
        form = _FORMS.get(name)
        if form is None or not equals:
            raise Refused("profile", "a directive of the profile is not in the guard's list")
        if re.fullmatch(form, value) is None:
            raise Refused("profile", f"{name} may not have that value in a profile")


def render(lines: list[str]) -> bytes:
    """The drop-in."""
    head = ["# Written by the guard of Watchfloor: the declared profile.", "[Service]"]
    return ("\n".join([*head, *lines]) + "\n").encode()


def missing(name: str, lines: list[str], world: World) -> list[str]:
    """Directives that systemd does not report for the unit."""
    wanted: dict[str, list[str]] = {}
    for line in lines:
        key, _, value = line.partition("=")
        wanted.setdefault(key, []).append(value)
    about = units.show(name, world, tuple(wanted))
    return [key for key, values in wanted.items() if not _same(key, values, about.get(key))]


def _same(key: str, values: list[str], shown: str | None) -> bool:
    if shown is None:
        return False
    if key in _SHOWN:
        return shown not in ("", "infinity")
    if key in _SETS:
        tokens = {token.lower() for value in values for token in value.split()} - {"none"}
        found = {token.lower() for token in shown.split()} - {"none"}
        # Paths and families of the unit's own file are added to, never taken away.
        return tokens == found if key == "CapabilityBoundingSet" else tokens <= found
    return shown == values[-1]


def verify(name: str, lines: list[str], world: World) -> None:
    """Raise StepFailed where the unit, or the process that runs, is not under its profile."""
    lost = missing(name, lines, world)
    if lost:
        raise StepFailed(f"{name} runs without {', '.join(lost)}: another drop-in stands above it")
    pid = units.show(name, world, ("MainPID",)).get("MainPID", "0")
    if "NoNewPrivileges=yes" not in lines or pid in ("", "0"):
        return
    try:
        with open(world.path(f"/proc/{pid}/status"), encoding="ascii", errors="replace") as file:
            status = file.read()
    except OSError:
        raise StepFailed(f"{name} ended while its profile was checked") from None
    if "NoNewPrivs:\t1" not in status:
        raise StepFailed(f"the process {pid} of {name} may still gain privileges")
