"""Whether the screen locks by itself, and whether a firewall filters what comes in."""

import configparser
import json
import os
import sys
from pathlib import Path
from typing import Any

from console.fleet.workstation.system import Environment, run, text_of, unknown
from console.text import clean


def screen_lock(env: Environment, inside_ssh: bool, home: Path) -> str:
    """``yes: after 300 s``, ``no``, or why it is unknown."""
    if inside_ssh:
        return unknown("the screen is on another machine")
    if sys.platform == "darwin":
        return unknown("macOS does not tell programs")
    if not (env.get("DISPLAY") or env.get("WAYLAND_DISPLAY")):
        return unknown("no graphical session")
    desktop = env.get("XDG_CURRENT_DESKTOP", "").lower()
    if "kde" in desktop:
        return kde_lock(text_of(home / ".config/kscreenlockerrc"))
    if any(name in desktop for name in ("gnome", "unity", "cinnamon", "budgie")):
        return _gnome_lock("cinnamon" if "cinnamon" in desktop else "gnome")
    return unknown(f"no way to ask the desktop {clean(desktop, 40) or '(not named)'}")


def _gnome_lock(kind: str) -> str:
    locks = run("gsettings", "get", f"org.{kind}.desktop.screensaver", "lock-enabled")
    idle = run("gsettings", "get", f"org.{kind}.desktop.session", "idle-delay")
    if locks.code != 0 or idle.code != 0:
        return unknown(locks.why or idle.why or "gsettings does not know the screen saver")
    seconds = idle.out.split()[-1] if idle.out.split() else ""
    if not seconds.isdigit():
        return unknown("gsettings gave no number")
    if locks.out.strip() != "true":
        return "no: locking is switched off"
    return f"yes: after {seconds} s" if int(seconds) else "no: the session never counts as idle"


def kde_lock(text: str | None) -> str:
    """By kscreenlockerrc; what it does not say is KDE's default: on, five minutes."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(text or "")
        if not parser.getboolean("Daemon", "Autolock", fallback=True):
            return "no: locking is switched off"
        minutes = parser.getfloat("Daemon", "Timeout", fallback=5)
    except (configparser.Error, ValueError):
        return unknown("kscreenlockerrc cannot be read")
    return f"yes: after {minutes * 60:.0f} s" if minutes > 0 else "no: it never locks by itself"


def firewall() -> str:
    """Whether something filters incoming connections, and what."""
    if sys.platform == "darwin":
        return _mac_firewall()
    if _ufw_enabled(text_of(Path("/etc/ufw/ufw.conf"))):
        return "yes: ufw"
    firewalld = run("firewall-cmd", "--state")
    if firewalld.code == 0 and firewalld.out.strip() == "running":
        return "yes: firewalld"
    if os.geteuid() != 0:
        return unknown("reading the rules needs root")
    said = run("nft", "-j", "list", "ruleset")
    if said.code is None:
        return unknown(said.why)
    if said.code != 0:
        return unknown("nft cannot read the rules here")
    return nft_filters(said.out)


def nft_filters(text: str) -> str:
    """By ``nft -j list ruleset``: a chain on the input hook that drops or rejects."""
    try:
        return _filters(json.loads(text)["nftables"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return unknown("the answer of nft cannot be read")


def _filters(items: list[dict[str, Any]]) -> str:
    chains = [item["chain"] for item in items if "chain" in item]
    rules = [item["rule"] for item in items if "rule" in item]
    inputs = [chain for chain in chains if chain.get("hook") == "input"]
    if any(chain.get("policy") == "drop" for chain in inputs):
        return "yes: nftables, default drop"
    reached = {(chain.get("table"), chain.get("name")) for chain in inputs}
    for rule in rules:
        refuses = any("drop" in part or "reject" in part for part in rule.get("expr", ()))
        if refuses and (rule.get("table"), rule.get("chain")) in reached:
            return "yes: nftables, default accept"
    return "no: nothing filters the input hook"


def _ufw_enabled(text: str | None) -> bool:
    lines = (text or "").lower().splitlines()
    return any(line.replace(" ", "") == "enabled=yes" for line in lines)


def _mac_firewall() -> str:
    said = run("/usr/libexec/ApplicationFirewall/socketfilterfw", "--getglobalstate")
    if said.code is None:
        return unknown(said.why)
    return "yes: application firewall" if "enabled" in said.out else "no"
