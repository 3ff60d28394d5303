"""The host of a simulated build: what it says of itself, and programs that it does not run."""

from __future__ import annotations

from .actions.base import Action
from .steps.simulated import load
from .world import Ran, World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .spawn import Running

_SERVED = {
    "files": 4, "from": "2026-09-01", "image": "", "manifest": "5e" * 32, "root": "/srv/models",
    "served": True, "signer": "modelops", "size": 16_060_522_496,
}  # fmt: skip
_DEFAULT: dict[str, dict[str, Any]] = {
    "isolate": {
        "destroy": True, "dhcp": False, "egress": True, "families": [4, 6],
        "interfaces": ["eth0"], "sshd_port": 22,
    },
    "disconnect-inbound": {"destroy": True, "sshd_port": 22, "translated": False},
    "block-source": {"destroy": True},
    "rollback-model": _SERVED,
    "promote-model": {
        **_SERVED, "evaluation": {
            "metrics": {"accuracy_e4": 9412, "toxicity_e4": 21}, "sha256": "e7" * 32,
            "signer": "modelops",
        },
    },
    "quarantine-model": {
        "device": 64769, "digest": "5e" * 32, "inode": 1311, "root": "/srv/models", "served": True,
    },
    "secure-delete": {
        "also": [], "bytes": 16_060_522_496, "files": 4, "how": "overwrite", "root": "/srv/models",
    },
    "apply-update": {"tool": "apt"},
    "block-user": {"uid": 1000},
    "unblock-user": {"uid": 1000},
}  # fmt: skip


class SimulatedWorld(World):
    """Runs ``ssh-keygen`` for signatures, a guard's own self-test, and nothing else."""

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes = b"",
        timeout: float = 30.0,
        cwd: str = "/",
        fds: Sequence[int] = (),
    ) -> Ran:
        """As the real one for these two; any other program is not there."""
        if not self._runs(argv):
            return Ran(127, b"", b"a simulated host runs no programs")
        return super().run(argv, stdin, timeout, cwd, fds)

    def begin(
        self, argv: Sequence[str], stdin: bytes = b"", fds: Sequence[int] = ()
    ) -> Running | None:
        """As the real one for these two."""
        return super().begin(argv, stdin, fds) if self._runs(argv) else None

    def _runs(self, argv: Sequence[str]) -> bool:
        own = argv[0] == f"{self.place.guard}.trial"  # a guard that is to take this one's place
        return own or argv[0].rpartition("/")[2] == "ssh-keygen"


def facts(act: Action, params: dict[str, Any], world: World) -> dict[str, Any]:
    """From the table of the simulation, else what a plain host would say."""
    found = load(world).get("facts", {}).get(act.name, _DEFAULT.get(act.name, {}))
    return dict(found)


def preview(
    act: Action, params: dict[str, Any], plan: dict[str, Any], world: World
) -> dict[str, list[str]]:
    """From the table of the simulation, else the steps by name."""
    found = load(world).get("preview", {}).get(act.name)
    if type(found) is dict:
        return found
    kinds = ", ".join(item["kind"] for item in plan["steps"])
    return {
        "effect": [f"simulated: {act.words}", f"steps: {kinds}"],
        "residual": ["this guard is a simulation: nothing on this machine is touched"],
        "cut_off": [],
        "remains": [],
    }
