"""The host of a simulated build: what it says of itself, and programs that it does not run."""

from __future__ import annotations

from .actions.base import Action
from .refused import Refused
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
    "than": "2026-09-01",
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
    """From the table of the simulation, else what a plain host would say. Raises Refused where the
    table tells of ``processes`` or ``models`` and has another one, or none."""
    table = load(world)
    if act.name == "kill-process" and "processes" in table:
        return _process(params, table["processes"])
    found = dict(table.get("facts", {}).get(act.name, _DEFAULT.get(act.name, {})))
    if "model" in params and "models" in table:
        told = _version(params, table["models"])
        found.update({name: value for name, value in told.items() if name in found})
    return found


def _process(params: dict[str, Any], rows: dict[str, Any]) -> dict[str, Any]:
    """As the real action judges it. ``rows``: by process id its start in clock ticks since boot,
    its program, and why it is never ended, empty where it may be."""
    start, exe, why = rows.get(str(params["pid"]), (-1, "", ""))
    if start != params["start_time"]:
        raise Refused(
            "no-process", f"the process {params['pid']} with that start is not there",
            f"process {params['pid']} began {start} ticks after the boot" if start >= 0 else
            "look at the process table again",
        )  # fmt: skip
    if why:
        raise Refused("floor", f"the process {params['pid']} is never ended: {why}")
    return {} if params["exe"] == exe else {"exe": exe}


def _version(params: dict[str, Any], models: dict[str, Any]) -> dict[str, Any]:
    """What is known of that version. ``models``: by name, ``current`` and the ``versions``, each
    with its number of files and bytes."""
    model, version = params["model"], params.get("to", params.get("version"))
    about = models.get(model)
    if about is None:
        raise Refused(
            "model", f"no model on this host is called {model}",
            f"there are: {', '.join(sorted(models)) or 'none'}",
        )  # fmt: skip
    if version not in about["versions"]:
        raise Refused(
            "model", f"the model {model} has no version {version} here",
            f"there are: {', '.join(sorted(about['versions']))}",
        )  # fmt: skip
    files, size = about["versions"][version]
    served = about["current"]
    told = {"files": files, "size": size, "from": served, "than": served}
    # What is taken away may be in use; what is switched to was in use once.
    return {**told, "served": version == served} if "version" in params else told


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
