"""What an operator should know of a machine before anything else, whatever happens on it."""

from console.model.host import Host
from console.model.view import HostView

SHELL = "its key opens a shell on this host"

_RISKY = {
    "administrator": ("yes", "administrator"),
    "ssh session": ("yes", "inside an SSH session"),
    "forwarded agent": ("yes", "forwarded agent"),
    "disk encryption /": ("no", "disk not encrypted"),
    "disk encryption home": ("no", "home not encrypted"),
    "screen lock": ("no", "no screen lock"),
    "firewall": ("no", "no firewall"),
}


def risky(name: str, value: str) -> str:
    """Why a fact about this workstation makes work from it risky, in words; "" if it does not."""
    if name == "unencrypted keys":
        return "unencrypted keys" if value[:1].isdigit() else ""
    start, words = _RISKY.get(name, ("", ""))
    return words if start and value.startswith(start) else ""


def risks(view: HostView) -> list[str]:
    """What makes work from this workstation risky."""
    return [words for name, value in view.facts.items() if (words := risky(name, value))]


def exposed(spec: Host) -> tuple[str, ...]:
    """What the way in which a host is watched opens to whoever has the console's key."""
    return (SHELL,) if spec.tier == 0 else ()


def findings(view: HostView) -> tuple[str, ...]:
    """All of it for one row, in words."""
    return tuple(risks(view)) if view.workstation else exposed(view.spec)
