"""What blocking or opening an account would do, for previews."""

from __future__ import annotations

from ..world import World
from . import sessions, shadow, sshd

SHOWN = 20


def block(user: str, uid: int, world: World) -> dict[str, list[str]]:
    """Sessions and processes that end, and what may act for the account later."""
    found = shadow.account(user, world)
    runs = sessions.running(uid, world)
    effect = [
        f"the account {user} ({uid}) is "
        + ("locked already" if found is not None and found.locked else "locked")
        + " and expires, so that PAM refuses it, with a key too",
        _keys(user, world),
        f"{len(runs.ended)} processes are ended by force",
    ]
    effect += [f"process {item.pid} {item.exe or item.command}"[:160] for item in
               runs.ended[:SHOWN]]  # fmt: skip
    home = found.home if found is not None else ""
    residual = sessions.residual(user, uid, home, world)
    others = shadow.twins(user, uid, world)
    if others:
        residual.append(f"{', '.join(others[:5])} has the same number and may still log in")
    return {
        "effect": effect,
        "residual": residual,
        "cut_off": [f"{user}: {line}" for line in sessions.logins(user, world)[:SHOWN]],
        "remains": ["sessions that end do not come back when it is released"],
    }


def _keys(user: str, world: World) -> str:
    if not world.has("sshd"):
        return "there is no sshd on this host"
    if sshd.included(world):
        return f"sshd refuses it by name: DenyUsers {user} in {sshd.drop_in(user)}"
    return "sshd does not read /etc/ssh/sshd_config.d: keys are refused by PAM alone"


def unblock(user: str, world: World) -> dict[str, list[str]]:
    """What is open afterwards."""
    found = shadow.account(user, world)
    effect = []
    if found is not None and found.locked and not found.empty:
        effect.append(f"the password of {user} counts again")
    if found is not None and found.expired:
        effect.append(f"the account {user} no longer expires")
    residual = []
    if sshd.denied(user, world):
        effect.append(f"sshd no longer refuses {user}: a block-user that stands is ended")
    elif sshd.refuses(user, world):
        residual.append(f"sshd goes on to refuse {user}: its own configuration says DenyUsers")
    return {
        "effect": effect or [f"nothing: {user} is neither locked nor expired"],
        "residual": residual,
        "cut_off": [],
        "remains": [],
    }
