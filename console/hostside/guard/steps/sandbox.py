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
_CAPABILITY = r"CAP_(IPC_LOCK|SYS_NICE|NET_BIND_SERVICE)"
# Where services keep their own data, and not where the system, its units or the guard do.
_DATA = (
    r"[+-]{0,2}/(srv|opt|mnt|data|scratch|run|var/(lib|cache|log|tmp))"
    r"/(?!(systemd|dbus|watchfloor|udev|user|lock|sudo)(/| |\Z))"
    r"[A-Za-z0-9_][A-Za-z0-9/._+@:-]{0,200}"
)
_BELOW = r"[+-]{0,2}/[A-Za-z0-9_][A-Za-z0-9/._+@:-]{0,200}"
# No prefix that is shorter than 8 bits: half of all addresses are no restriction.
_ADDRESS = r"(localhost|link-local|[0-9a-f.:]{2,39}(/([89]|[1-9][0-9]{1,2}))?)"
# What opens again a part of what another line of the same profile closes, and nothing else.
_NEEDS = {
    "ReadWritePaths": ("ProtectSystem=strict",),
    "ExecPaths": ("NoExecPaths=/",),
    "IPAddressAllow": ("IPAddressDeny=any",),
    "DeviceAllow": ("DevicePolicy=closed", "DevicePolicy=strict"),
    "SocketBindAllow": ("SocketBindDeny=any",),
}
_YES = (
    "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "PrivateIPC", "PrivateNetwork",
    "PrivateUsers", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
    "ProtectControlGroups", "ProtectClock", "ProtectHostname", "RestrictRealtime",
    "RestrictSUIDSGID", "RestrictNamespaces", "LockPersonality", "MemoryDenyWriteExecute",
    "RemoveIPC", "PrivateMounts",
)  # fmt: skip
_WORDS = {
    "ProtectSystem": r"strict",
    "ProtectHome": r"yes|tmpfs",
    "ProtectProc": r"invisible|ptraceable",
    "ProcSubset": r"pid",
    "DevicePolicy": r"closed|strict",
    "SystemCallArchitectures": r"native",
    "KeyringMode": r"private",
    "UMask": r"0027|0077",
    "TasksMax": r"[1-9][0-9]{0,6}",
    "OOMPolicy": r"stop|kill",
}
_SETS = {
    # Systemd adds what a drop-in names to what the unit has: only what is harmless to have.
    "CapabilityBoundingSet": rf"|{_CAPABILITY}( {_CAPABILITY}){{0,2}}",
    "RestrictAddressFamilies": r"none|AF_(UNIX|INET6?)( AF_(UNIX|INET6?)){0,2}",
    "ReadOnlyPaths": _PATHS,
    "ReadWritePaths": rf"{_DATA}( {_DATA}){{0,40}}",
    "InaccessiblePaths": _PATHS,
    "NoExecPaths": _PATHS,
    "ExecPaths": rf"{_BELOW}( {_BELOW}){{0,40}}",
}
# What systemd shows in another form than it is written: that it is there is all that is compared.
_SHOWN = {
    "SystemCallFilter": r"@system-service|~@?[a-z0-9_-]{1,40}( @?[a-z0-9_-]{1,40}){0,60}",
    "IPAddressDeny": r"any",
    "IPAddressAllow": rf"{_ADDRESS}( {_ADDRESS}){{0,40}}",
    "DeviceAllow": r"(/dev/(nvidia[A-Za-z0-9/_-]{0,40}|dri/[A-Za-z0-9]{1,20}|kfd|null|zero|full"
    r"|u?random|infiniband/[a-z0-9_]{1,20})|char-(nvidia[a-z0-9*-]{0,20}|drm|kfd)) [rw]{1,2}",
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
        if "/../" in value + "/":
            raise Refused("profile", f"{name} has a path with .. in a profile")
        needs = _NEEDS.get(name)
        if needs and not any(each in lines for each in needs):
            raise Refused("profile", f"{name} is only taken beside {' or '.join(needs)}")


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
    if "SystemCallFilter=@system-service" in lines:
        shown = units.show(name, world, ("SystemCallFilter",)).get("SystemCallFilter", "")
        if shown.startswith("~"):
            raise StepFailed(
                f"{name} names system calls that it may not make: a list of those that it may "
                "would open some of them"
            )
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
