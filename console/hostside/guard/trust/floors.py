"""What is compiled in and no policy can lower; a policy may only ask for more.

Source: docs/guard.md. Times are seconds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    from ..actions.base import Action

    class Floor(NamedTuple):
        """The least that an action needs: people, user verification, and which modes exist."""

        people: int
        require_uv: bool
        modes: tuple[str, ...]
else:
    from collections import namedtuple

    class Floor(namedtuple("Floor", "people require_uv modes")):
        """The least that an action needs: people, user verification, and which modes exist."""

        __slots__ = ()


REQUEST_TTL = 3600
APPROVAL_TTL = 900
RATIFY = 1800  # one signature alone never holds longer than this
BREAK_GLASS_TTL = 1800
BREAK_GLASS_EVERY = 86400  # per person, and only after the last one was reviewed
BREAK_GLASS_REASON = 40  # characters
MAX_NONCES = 64
PENDING_HOST = 10
CLOCK_BACK = 120  # a clock further back than this locks the guard
QUORUM = 2

# Actions that change who is trusted, by name: they are neutral to the host itself.
TRUST = frozenset(("install-roster", "install-policy", "install-guard"))

ACCOUNTS = frozenset(("root", "wfops", "wfmon"))
PROGRAMS = frozenset(
    (
        "/usr/sbin/sshd",
        "/usr/lib/openssh/sshd-session",
        "/usr/libexec/openssh/sshd-session",
        "/usr/lib/openssh/sshd-auth",
        "/usr/libexec/openssh/sshd-auth",
        "/usr/bin/sudo",
        "/usr/lib/systemd/systemd",
        "/lib/systemd/systemd",
    )
)
PROGRAM_FOLDERS = ("/usr/libexec/watchfloor/",)
# Units by the start of their name, up to the first dot or @, and whole kinds of units.
UNITS = frozenset(
    (
        "ssh", "sshd", "init", "dbus", "dbus-broker", "user", "systemd-journald",
        "systemd-logind", "systemd-networkd", "systemd-resolved", "systemd-udevd",
    )
)  # fmt: skip
UNIT_KINDS = (".slice", ".scope", ".target", ".mount", ".swap")


def floor(action: Action) -> Floor:
    """The floor of an action, by its direction and what the action itself says."""
    serious = action.direction in ("open", "destroy") or action.name in TRUST
    modes = ["two_before"]
    if action.direction == "contain":
        if action.ratify:
            modes.append("one_then_ratify")
        if action.break_glass:
            modes.append("break_glass")
    return Floor(max(action.people, 2) if serious else max(action.people, 1), serious, tuple(modes))


def stands(action: Action) -> bool:
    """Whether what an action does stands until it is released, and so may have a time to end."""
    return action.direction == "contain" and bool(action.inverse)


def protected_account(account: str) -> bool:
    """Whether an account is never blocked and its sessions never ended."""
    return account in ACCOUNTS


def protected_unit(unit: str) -> bool:
    """Whether a unit is never stopped, restarted or changed: the way in, the guard, the sensor."""
    stem = unit.split(".", 1)[0].split("@", 1)[0]
    return stem in UNITS or stem.startswith("watchfloor") or unit.endswith(UNIT_KINDS)


def protected_program(path: str) -> bool:
    """Whether no process of this program is ever ended (``path`` as ``/proc/PID/exe`` has it)."""
    if path.endswith(" (deleted)"):  # the kernel's word for a program that was replaced since
        path = path[: -len(" (deleted)")]
    return path in PROGRAMS or path.startswith(PROGRAM_FOLDERS)


def protected_source(source: str, management: list[str]) -> bool:
    """Whether an address or prefix touches a management network or loopback, and is never blocked.

    Raises ValueError where ``source`` is neither.
    """
    import ipaddress

    found = ipaddress.ip_network(source)
    for known in [*management, "127.0.0.0/8", "::1/128"]:
        other = ipaddress.ip_network(known)
        if found.version == other.version and found.overlaps(other):
            return True
        if found.version != other.version and _mapped(found, other):
            return True
    return False


def _mapped(one: object, two: object) -> bool:
    """Whether an IPv4-mapped IPv6 prefix covers an IPv4 network."""
    import ipaddress

    for six, four in ((one, two), (two, one)):
        if isinstance(six, ipaddress.IPv6Network) and isinstance(four, ipaddress.IPv4Network):
            inside = ipaddress.IPv6Network((0xFFFF << 32 | int(four[0]), 96 + four.prefixlen))
            if six.overlaps(inside):
                return True
    return False
