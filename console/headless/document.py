"""The JSON of ``watchfloor status --json``, version 1, as docs/status-json.md describes it."""

from collections.abc import Callable
from typing import Any

import msgspec

from console.model.frame import Fast
from console.model.gpu import Gpu, worst_throttle
from console.model.panel import Gauge, Item, Note, Panel, Plot, Row
from console.model.risks import findings
from console.model.view import FleetSnapshot, HostView

VERSION = 1
_TABLES = (
    ("listeners", "listeners"),
    ("flows", "connections"),
    ("gpu_processes", "gpu_processes"),
    ("openers", "weights_openers"),
    ("sessions", "sessions"),
)
_INVENTORY_TABLES = (
    ("packages", "packages"),
    ("python", "python"),
    ("containers", "containers"),
    ("accounts", "accounts"),
    ("mounts", "mounts"),
    ("models", "models"),
)
UNREAD = ("gpus", "processes", "connections", "gpu_processes", "weights_openers", "sessions")
"""Tables that are not read of the workstation."""


def named(row: msgspec.Struct) -> dict[str, Any]:
    """A row as an object, also where it travels as an array."""
    return {name: msgspec.to_builtins(getattr(row, name)) for name in row.__struct_fields__}


def gpu(item: Gpu) -> dict[str, Any]:
    """One GPU: what is asked for most on top, everything else below."""
    fast = named(item.fast)
    fast.pop("index")
    return {
        "index": item.index,
        "name": item.static.name,
        "uuid": item.static.uuid,
        **fast,
        "throttle_reason": worst_throttle(item.fast.throttle),
        "static": named(item.static),
        "counters": named(item.counters),
    }


def counters(fast: Fast | None) -> dict[str, Any] | None:
    """The fast counters of a host without its GPUs; None before the first frame."""
    if fast is None:
        return None
    out = named(fast)
    del out["gpu"]
    out["nics"] = [named(nic) for nic in fast.nics]
    return out


def _said(value: Any) -> Any:
    """The same with null for each empty text and list: of this machine little is read."""
    if isinstance(value, dict):
        return {name: _said(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple) and value:
        return [_said(inner) for inner in value]
    return None if value in ("", [], ()) else value


def _no_panels(host: str) -> tuple[Panel, ...]:
    return ()


def item(found: Item) -> dict[str, Any]:
    """One line of a panel; every kind has the same keys."""
    kind = {Row: "row", Gauge: "gauge", Plot: "plot", Note: "note"}[type(found)]
    text = found.value if isinstance(found, Row) else getattr(found, "text", "")
    return {
        "kind": kind,
        "label": getattr(found, "label", ""),
        "text": text,
        "percent": getattr(found, "percent", None),
        "series": getattr(found, "series", ""),
        "unit": getattr(found, "unit", ""),
        "severity": getattr(found, "severity", ""),
    }


def panel(found: Panel) -> dict[str, Any]:
    """What a plugin shows of a host."""
    return {
        "plugin": found.plugin,
        "title": found.title,
        "at": found.at,
        "stopped": found.stopped,
        "items": [item(one) for one in found.items],
    }


def host(view: HostView, now: float, panels: tuple[Panel, ...] = ()) -> dict[str, Any]:
    """One host, and what plugins show of it."""
    age = view.age(now)
    inventory: dict[str, Any] = {
        name: msgspec.to_builtins(section)
        for name in view.inventory.__struct_fields__
        if (section := getattr(view.inventory, name)) is not None and name != "gpus"
    }
    for field, name in _INVENTORY_TABLES:
        inventory[name] = [named(row) for row in getattr(view, field)]
    if view.workstation:
        inventory = _said(inventory)
    out: dict[str, Any] = {
        "name": view.name,
        "state": view.state.value,
        "age_s": None if age is None else round(age, 3),
        "reason": view.reason,
        "workstation": view.workstation,
        "findings": list(findings(view)),
        "address": view.spec.address,
        "port": view.spec.port,
        "site": view.spec.site,
        "groups": list(view.spec.groups),
        "clock_skew_s": view.clock_skew_s,
        "gpus": [gpu(item) for item in view.gpus],
        "processes": [named(row) for row in view.processes],
    }
    for field, name in _TABLES:
        out[name] = [named(row) for row in getattr(view, field)]
    if view.workstation:
        # Its listeners are always read; an empty list of them says that there are none.
        out |= {name: out[name] or None for name in UNREAD}
        out["listeners"] = [
            row | ({"uid": None} if row["uid"] < 0 else {}) for row in out["listeners"]
        ]
    out |= {
        "counters": counters(view.fast),
        "inventory": inventory,
        "denied": view.denied,
        "facts": view.facts,
        "probe": named(view.hello) if view.hello is not None else None,
        "link": named(view.link) if view.link is not None else None,
        "session": named(view.counts),
        "panels": [panel(found) for found in panels],
    }
    return out


def document(
    snapshot: FleetSnapshot, panels: Callable[[str], tuple[Panel, ...]] = _no_panels
) -> dict[str, Any]:
    """The whole document; ``panels`` gives those of a host by its name."""
    return {
        "version": VERSION,
        "at": snapshot.at,
        "hosts": [host(view, snapshot.at, panels(view.name)) for view in snapshot.hosts],
    }


def encode(snapshot: FleetSnapshot, panels: Callable[[str], tuple[Panel, ...]] = _no_panels) -> str:
    """The document as one line of JSON with a line feed."""
    return msgspec.json.encode(document(snapshot, panels)).decode() + "\n"
