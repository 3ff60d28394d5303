"""The numbers that history has: what they are called, their unit, and the scale they need."""

import math
from collections.abc import Iterable

from console.model.words import rate, size

TITLES = {
    "cpu_pct": "CPU",
    "mem_pct": "memory",
    "gpu_util_pct": "GPU use, mean",
    "gpu_power_w": "GPU power, all",
    "tx_bps": "egress",
    "rx_bps": "ingress",
    "psi_mem": "memory pressure",
}
_GPU = {"util_pct": "use", "mem_pct": "memory", "temp_c": "temperature", "power_w": "power"}
_UNITS = ("pct", "bps", "w", "c", "bytes", "mib", "kib", "s", "ms")
_ORDER = [*TITLES]


def title(name: str) -> str:
    """What a number is called: ``gpu.3.temp_c`` is "GPU 3 temperature"."""
    if name in TITLES:
        return TITLES[name]
    head, _, rest = name.partition(".")
    index, _, what = rest.partition(".")
    if head == "gpu" and what:
        return f"GPU {index} {_GPU.get(what, what)}"
    return name


def unit(name: str) -> str:
    """The unit that the end of a name tells; "" where it tells none."""
    if name == "psi_mem":
        return "pct"
    end = name.rpartition("_")[2]
    return end if end in _UNITS and end != name else ""


def reading(name: str, value: float) -> str:
    """A value with its unit: 63%, 1.5M/s, 412 W, 54 C; a dash for what is no number."""
    if not math.isfinite(value):
        return "-"
    match unit(name):
        case "bps":
            return rate(value)
        case "pct":
            return f"{value:.0f}%" if value >= 10 or value == int(value) else f"{value:.1f}%"
        case "w":
            return f"{value / 1000:.1f} kW" if value >= 10_000 else f"{value:.0f} W"
        case "c":
            return f"{value:.0f} C"
        case "bytes":
            return size(value)
        case "mib" | "kib" as kind:
            return size(value, start=kind[0].upper())
        case "s" | "ms" as kind:
            return f"{value:.3g} {kind}"
    return f"{value:.4g}"


def scale(name: str, low: float, high: float) -> tuple[float, float]:
    """Bottom and top of a plot that has to show ``low`` to ``high``.

    Per cent are always drawn from 0 to 100 and amounts from 0, so that heights can be compared;
    temperatures in whole tens around what there was.
    """
    kind = unit(name)
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    if kind == "pct" and low >= 0 and high <= 100:
        return 0.0, 100.0
    if kind == "c":
        bottom = math.floor(low / 10) * 10.0
        return bottom, max(math.ceil(high / 10) * 10.0, bottom + 20)
    base = 1024.0 if kind in ("bps", "bytes", "mib", "kib") else 1000.0
    top = _round_up(max(abs(low), abs(high)), base)
    return (-top if low < 0 else 0.0), top


def _round_up(value: float, base: float) -> float:
    """The next round number of a few digits, counted in thousands or in 1024s."""
    if not math.isfinite(value) or value <= 0:
        return 1.0
    power = math.floor(math.log(value, base))
    part = base**power
    for step in (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 30, 40, 50, 60, 80,
                 100, 150, 200, 250, 300, 400, 500, 600, 800):  # fmt: skip
        if step * part >= value:
            return step * part
    return part * base


def ordered(names: Iterable[str]) -> list[str]:
    """Names as a person steps through them: the host's own, then GPU by GPU, then the rest."""

    def place(name: str) -> tuple[int, int, str]:
        if name in _ORDER:
            return 0, _ORDER.index(name), name
        head, _, rest = name.partition(".")
        index = rest.partition(".")[0]
        if head == "gpu":
            return 1, int(index) if index.isdecimal() else 1 << 30, name
        return 2, 0, name

    return sorted(set(names), key=place)
