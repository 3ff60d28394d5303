"""What root on the host itself may say, as arguments. sudo gives ``wfops`` none of it."""

from __future__ import annotations

import os
import sys

from . import call
from .refused import Refused
from .state import publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .guard import Guard
    from .trust.policy import Policy

USAGE = (
    "usage: guard (tick | boot | repair | clock-reset | status | verify)\n"
    "       guard (install-roster | install-policy) FILE\n"
)


def command(g: Guard, arguments: list[str], genuine: Callable[[], bool]) -> int:
    """Carry out one of them and print the answer; the exit status."""
    from .main import say

    known: dict[str, Callable[[Guard], dict[str, Any]]] = {
        "tick": call.tick,
        "boot": call.boot,
        "repair": _repair,
        "clock-reset": _clock_reset,
        "status": lambda g: {"state": publish.state(g)},
        "verify": lambda g: _verify(g, genuine),
    }
    name, rest = arguments[0], arguments[1:]
    g.world.early = name == "boot"
    if g.caller.user == "wfops" or (os.geteuid() and not g.place.base):
        found: dict[str, Any] = {"ok": False, "rule": "root", "words": "only root on the host"}
    elif name in known and not rest:
        found = call.locked(g, known[name])
    elif name in ("install-roster", "install-policy") and len(rest) == 1:
        found = call.locked(g, lambda g: _install(g, name.partition("-")[2], rest[0]))
    else:
        sys.stderr.write(USAGE)
        return 2
    say(found)
    return 0 if found["ok"] else 1


def _repair(g: Guard) -> dict[str, Any]:
    g.changed = True
    g.log.repair()
    return {}


def _clock_reset(g: Guard) -> dict[str, Any]:
    before = g.mark.reset()
    g.nonces.void()  # used ones may be forgotten by now: none of before counts any more
    g.record("clock_reset", "", {"before": before})
    return {"before": before}


def _verify(g: Guard, genuine: Callable[[], bool]) -> dict[str, Any]:
    """Whether everything that the guard stands on is as it should be."""
    if not genuine():
        raise Refused(
            "code",
            "the code that is kept for this guard is not what its file says",
            f"look at the host; then remove {g.place.state}/code",
        )
    g.log.check()
    for name in ("roster", "policy"):
        getattr(g, name)
    if not g.host_keys:
        raise Refused("host-key", "no public host key of sshd was found")
    _floors(g.policy)
    return {"guard": g.digest, "trust": g.trust, "host_id": g.host_id, "effector": g.effector}


def _floors(policy: Policy) -> None:
    """Raise Refused where a line of the policy is below a floor: not even root installs that, as
    every call would refuse the action."""
    from .actions import NAMES, action

    policy.check(action(each) for each in NAMES)


def _install(g: Guard, what: str, path: str) -> dict[str, Any]:
    """Root's own act: the first roster and policy, or the way back in when keys are lost. It is
    recorded, and consoles see that nobody has signed it."""
    from .trust.people import Roster
    from .trust.policy import Policy

    data = g.files.read(os.path.realpath(path), 64 << 10)
    new = Roster(data) if what == "roster" else Policy(data)
    if isinstance(new, Policy):
        _floors(new)
    g.record(f"root_install_{what}", "", {"sha256": new.sha256, "serial": new.serial})
    g.files.folder(f"{g.place.etc}/chain", 0o755)
    target = f"{g.place.etc}/{what}"
    try:
        former = g.files.read(f"{target}.json", 64 << 10)
    except FileNotFoundError:
        former = b""
    if former:
        serial = (Roster(former) if what == "roster" else Policy(former)).serial
        g.files.write(f"{g.place.etc}/chain/{what}-{serial}.json", former, 0o644)
        try:
            signatures = g.files.read(f"{target}.sigs", 256 << 10)
            g.files.write(f"{g.place.etc}/chain/{what}-{serial}.sigs", signatures, 0o644)
        except FileNotFoundError:
            pass
    g.files.write_json(f"{target}.sigs", {"signatures": []}, 0o644)
    g.files.write(f"{target}.json", data, 0o644)
    return {"sha256": new.sha256, "serial": new.serial}
