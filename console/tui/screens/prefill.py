"""What the row under the cursor already says of an action's parameters. Pure functions."""

from typing import Any

from console.model.tables import Flow, ModelVersion, Process, Session
from console.model.view import HostView
from console.tui.screens.network_tables import Peer
from console.tui.screens.process_table import unit_of

TICKS = 100
"""Clock ticks of a second, as Linux shows them to every program of the architectures there are."""
_SERVICES = ("stop-service", "start-service", "restart-hardened")
_MODELS = ("quarantine-model", "rollback-model", "promote-model")


def prefilled(action: str, row: Any, view: HostView) -> dict[str, str]:
    """Values by name of the field; empty where the row says nothing of them."""
    process = _process(row, view)
    if action == "kill-process" and process is not None:
        return of_process(process, view)
    if action == "block-source":
        return _source(row)
    if action in _SERVICES:
        unit = unit_of(process.cgroup) if process is not None else getattr(row, "unit", "") or ""
        return {"service": unit} if unit.endswith(".service") else {}
    if action in _MODELS and isinstance(row, ModelVersion):
        which = "to" if action == "rollback-model" else "version"
        return {"model": row.source, which: row.version}
    if action in ("block-user", "unblock-user"):
        user = process.user if process is not None else getattr(row, "user", "")
        return {"user": user} if user else {}
    return {}


def completed(action: str, values: dict[str, str], view: HostView) -> dict[str, str]:
    """The same with the start and the program of the process whose number was given."""
    pid = values.get("pid", "").strip()
    if action != "kill-process" or not pid or values.get("start_time", "").strip():
        return values
    process = next((each for each in view.processes if str(each.pid) == pid), None)
    known = of_process(process, view) if process is not None else {}
    return {**values, **{name: text for name, text in known.items() if not values.get(name)}}


def of_process(process: Process, view: HostView) -> dict[str, str]:
    """Number, start in ticks and program; what the probe could not see is left out."""
    found = {"pid": str(process.pid)}
    boot = view.inventory.kernel.boot_time if view.inventory.kernel is not None else None
    if boot is not None and process.started >= boot:
        found["start_time"] = str(round((process.started - boot) * TICKS))
    if process.exe:
        found["exe"] = process.exe
    return found


def _process(row: Any, view: HostView) -> Process | None:
    if isinstance(row, Process):
        return row
    pid = getattr(row, "pid", None)
    return next((each for each in view.processes if each.pid == pid), None) if pid else None


def _source(row: Any) -> dict[str, str]:
    if isinstance(row, Peer | Flow):
        return {} if row.loopback else {"source": row.peer}
    if isinstance(row, Session) and row.source:
        return {"source": row.source}
    return {}
