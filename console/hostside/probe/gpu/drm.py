"""GPUs of the kernel's Direct Rendering Manager: cards in sysfs, clients in fdinfo."""

from __future__ import annotations

import os
import re
from typing import Iterable, NamedTuple

from .files import link, names, number, read

DRIVERS = {"amdgpu": "amd", "i915": "intel", "xe": "intel"}
_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SPEEDS = {"2.5": 1, "5": 2, "5.0": 2, "8": 3, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6}
_CARD = re.compile(r"^card\d+$")
_MAX_LINES = 200


class Card(NamedTuple):
    """A GPU with a DRM driver: ``folder`` is its sysfs device folder, ``nodes`` its node names."""

    driver: str
    pci: str
    folder: str
    card: str
    nodes: tuple[str, ...]


class Client(NamedTuple):
    """One open DRM file, as its fdinfo tells. Memory in bytes, engine time in ns or cycles."""

    driver: str
    pci: str
    client: str
    memory: dict[str, int]
    engines: dict[str, int]
    cycles: dict[str, int]
    total_cycles: dict[str, int]
    capacity: dict[str, int]


def cards(sys: str) -> list[Card]:
    """AMD and Intel cards, by number."""
    root = os.path.join(sys, "class/drm")
    all_names = names(root)
    found: list[Card] = []
    numbered = sorted((n for n in all_names if _CARD.match(n)), key=lambda n: int(n[4:]))
    for name in numbered:
        folder = os.path.realpath(os.path.join(root, name, "device"))
        driver = link(folder, "driver")
        if driver not in DRIVERS:
            continue
        nodes = [n for n in all_names if n.startswith("renderD")]
        mine = [n for n in nodes if os.path.realpath(os.path.join(root, n, "device")) == folder]
        pci = os.path.basename(folder).lower()
        found.append(Card(driver, pci, folder, os.path.join(root, name), (name, *mine)))
    return found


def parse_fdinfo(text: str) -> Client | None:
    """A client from the text of ``/proc/PID/fdinfo/FD``; None when it is not a DRM file."""
    plain: dict[str, str] = {}
    sets: dict[str, dict[str, int]] = {}
    for line in text.splitlines()[:_MAX_LINES]:
        key, _, value = line.partition(":")
        if not key.startswith("drm-"):
            continue
        key, value = key[4:].strip(), value.strip()
        if key in ("driver", "pdev", "client-id"):
            plain[key] = value[:64]
            continue
        group, _, name = key.partition("-")
        if key.startswith(("engine-capacity-", "total-cycles-")):
            group, name = key.rsplit("-", 1)[0], key.rsplit("-", 1)[1]
        amount = _amount(value)
        if name and amount is not None:
            sets.setdefault(group, {})[name] = amount
    if "driver" not in plain:
        return None
    # resident counts what is in memory now; memory is the older name; total counts reservations.
    memory = sets.get("resident") or sets.get("memory") or sets.get("total") or {}
    return Client(
        driver=plain["driver"],
        pci=plain.get("pdev", "").lower(),
        client=plain.get("client-id", ""),
        memory=memory,
        engines=sets.get("engine", {}),
        cycles=sets.get("cycles", {}),
        total_cycles=sets.get("total-cycles", {}),
        capacity=sets.get("engine-capacity", {}),
    )


def _amount(value: str) -> int | None:
    digits, _, unit = value.partition(" ")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        return None
    return int(digits) * _UNITS.get(unit.strip(), 1)


def vram_bytes(client: Client) -> int:
    """Bytes of the device's own memory, or of its system memory where it has none of its own."""
    own = {k: v for k, v in client.memory.items() if k.startswith(("vram", "local"))}
    shared = {k: v for k, v in client.memory.items() if k.startswith(("system", "gtt"))}
    return sum((own or shared).values())


def read_client(proc: str, pid: int, fd: str) -> Client | None:
    """The client behind one descriptor, or None."""
    text = read(proc, str(pid), "fdinfo", fd)
    return parse_fdinfo(text) if text else None


class Busy:
    """Share of time that any engine of a GPU was busy, from two readings of its clients."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], tuple[int, int]] = {}
        self._at: float | None = None

    def update(self, clients: Iterable[Client], now: float) -> float | None:
        """Percent since the last call (the busiest engine); None in the first."""
        seen: dict[tuple[str, str], tuple[int, int]] = {}
        capacity: dict[str, int] = {}
        for client in clients:
            capacity.update(client.capacity)
            for engine, spent in client.engines.items():
                seen[client.client, engine] = (spent, 0)
            for engine, spent in client.cycles.items():
                seen[client.client, engine] = (spent, client.total_cycles.get(engine, 0))
        shares: dict[str, float] = {}
        elapsed = (now - self._at) * 1e9 if self._at is not None else 0.0
        for key, (spent, total) in seen.items():
            if key not in self._before:
                continue
            spent_before, total_before = self._before[key]
            span = float(total - total_before) if total else elapsed
            if span > 0 and spent > spent_before:
                share = (spent - spent_before) / span / max(1, capacity.get(key[1], 1))
                shares[key[1]] = shares.get(key[1], 0.0) + share
        first = self._at is None
        self._before, self._at = seen, now
        if first:
            return None
        return round(min(100.0, 100.0 * max(shares.values(), default=0.0)), 1)


def pcie(folder: str) -> dict[str, int | None]:
    """``pcie_gen pcie_gen_max pcie_width pcie_width_max`` of a PCI device folder."""
    return {
        "pcie_gen": _generation(read(folder, "current_link_speed")),
        "pcie_gen_max": _generation(read(folder, "max_link_speed")),
        "pcie_width": number(folder, "current_link_width") or None,
        "pcie_width_max": number(folder, "max_link_width") or None,
    }


def _generation(speed: str | None) -> int | None:
    return _SPEEDS.get((speed or "").split(" ")[0])


def display_active(card: str) -> bool | None:
    """Whether a connector of the card drives a screen; None for a card without connectors."""
    base = os.path.basename(card)
    folder = os.path.dirname(card)
    states = [
        read(folder, name, "enabled") for name in names(folder) if name.startswith(base + "-")
    ]
    return any(state == "enabled" for state in states) if states else None


def hwmon(folder: str) -> str:
    """The device's hwmon folder; empty where there is none."""
    found = names(folder, "hwmon")
    return os.path.join(folder, "hwmon", found[0]) if found else ""


def asleep(folder: str) -> bool:
    """Whether the device is runtime-suspended: reading its sensors would wake it up."""
    return read(folder, "power/runtime_status") == "suspended"
