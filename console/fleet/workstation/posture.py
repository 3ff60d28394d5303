"""Everything that decides whether privileged work should start from this machine."""

from pathlib import Path

from console.fleet.workstation.desktop import firewall, screen_lock
from console.fleet.workstation.disks import encryption
from console.fleet.workstation.keyfiles import unencrypted_keys
from console.fleet.workstation.session import session_facts
from console.fleet.workstation.system import Environment, Facts
from console.text import clean


def posture(env: Environment, home: Path) -> Facts:
    """Facts by short name. What cannot be found out says ``unknown`` and why; nothing is guessed.

    Runs tools of the system: call it in a thread.
    """
    facts = session_facts(env)
    inside = facts["ssh session"].startswith("yes")
    facts |= {
        "unencrypted keys": unencrypted_keys(home / ".ssh"),
        "disk encryption /": encryption(Path("/")),
        "disk encryption home": encryption(home),
        "screen lock": screen_lock(env, inside, home),
        "firewall": firewall(),
    }
    return {name: clean(text, 200) for name, text in facts.items()}
