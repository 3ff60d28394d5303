"""The pages of one host that are text: the overview and the facts of the inventory."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from console.model.history import Series
from console.model.host import HostState
from console.model.tables import GpuProcess
from console.model.view import HostView
from console.model.words import number, rate, size, span
from console.tui import facts
from console.tui.look import Cell, Look, load_style
from console.tui.values import values

LABEL = 24
SUSPECTS = 8
"""Lines of the overview for what needs a look; the tables hold the rest."""
HistoryOf = Callable[[str, float], Series]
PLOTS = (
    ("cpu_pct", "CPU", 100.0),
    ("mem_pct", "memory", 100.0),
    ("gpu_util_pct", "GPU mean", 100.0),
    ("gpu_power_w", "GPU power", 0.0),
    ("tx_bps", "egress", 0.0),
    ("rx_bps", "ingress", 0.0),
)


def fact(label: str, value: object, style: str = "") -> Cell:
    """One labelled value; what is not known is a dash."""
    text = "-" if value is None or value == "" else str(value)
    return [(f"  {label:{LABEL - 1}} ", "dim"), (text, style if text != "-" else "dim")]


def title(words: str, look: Look) -> Cell:
    """Head of a group of facts."""
    return [(f" {words} ", "bold"), (look.rule * 40, "dim")]


def overview(
    view: HostView, look: Look, history: HistoryOf, width: int, new: Sequence[GpuProcess] = ()
) -> list[Cell]:
    """Who it is, what needs a look, how it has been, how it is reached, what may not be seen.

    ``new`` are the processes that took a GPU since the console began.
    """
    lines: list[Cell] = [*_standing(view, look)]
    suspects = facts.suspects(view, new)
    if suspects:
        lines += [[], title("needs a look", look), *_warnings(suspects[:SUSPECTS], look)]
        if len(suspects) > SUSPECTS:
            lines.append([(f"    and {len(suspects) - SUSPECTS} more", "warn")])
    if view.facts:
        lines += [[], title("this machine", look)]
        for name, value in view.facts.items():
            words = facts.risky(name, value)
            mark = f"  {look.mark('warn')} {words}" if words else ""
            lines.append([*fact(name, value, "warn" if words else ""), (mark, "warn")])
    plots = list(_plots(view, look, history, width)) or [[("  nothing measured yet", "dim")]]
    lines += [[], title("the last ten minutes", look), *plots]
    warnings = facts.insecure(view)
    if warnings:
        lines += [[], title("GPU security", look), *_warnings(warnings, look)]
    if not view.workstation:
        lines += [[], title("connection", look), *_link(view)]
    if view.denied:
        lines += [[], title("not visible with this account", look)]
        lines += [fact(what, f"needs {right}", "warn") for what, right in view.denied.items()]
    if not view.workstation:
        lines += [[], title("probe", look), *_probe(view)]
    return lines


def _warnings(words: Sequence[str], look: Look) -> Iterator[Cell]:
    return ([("  ", ""), (f"{look.mark('warn')} ", "warn"), (text, "warn")] for text in words)


def _standing(view: HostView, look: Look) -> Iterator[Cell]:
    symbol, style = look.state(view.state)
    age = view.age(time.time())
    old = "" if age is None else f" (last frame {span(age)} ago)"
    yield [(f" {symbol} {view.state.value}", style), (old, "dim"), (f"  {facts.why(view)}", style)]
    if view.state is HostState.NEW_KEY:
        yield [("   Compare the fingerprint with the host's console before you store it:", "")]
        yield [(f"   watchfloor hosts trust {view.name} --replace", "bold")]
    spec, os_, kernel = view.spec, view.inventory.os, view.inventory.kernel
    if not view.workstation:
        yield fact("address", f"{spec.user}@{spec.address} port {spec.port}")
    yield fact("system", f"{os_.pretty}, {kernel.release if kernel else ''}" if os_ else None)
    hardware = view.inventory.hardware
    if hardware is not None:
        yield fact(
            "hardware", f"{hardware.vendor} {hardware.product}, BIOS {hardware.bios_version}"
        )
    fast = view.fast
    if fast is not None:
        yield fact("up", span(fast.uptime_s))
        load = " ".join(f"{value:.2f}" for value in fast.load) if fast.load else None
        yield fact("load", f"{load} on {fast.cpus} cores")
        memory = f"{number(facts.memory(view), 0, '%')} of {size(fast.mem_total_kib, start='K')}"
        yield fact("memory", memory, load_style(facts.memory(view), 90, 97))
    where = (spec.site, spec.zone, spec.environment)
    yield fact("where", " / ".join(part for part in where if part))
    yield fact("owner", spec.owner)
    if view.clock_skew_s is not None and abs(view.clock_skew_s) > 2:
        yield fact("clock", f"{view.clock_skew_s:+.0f} s against this machine", "warn")


def _plots(view: HostView, look: Look, history: HistoryOf, width: int) -> Iterator[Cell]:
    room = max(10, min(120, width - LABEL - 24))
    now = time.time()
    step = 600.0 / room
    for name, label, top in PLOTS:
        series = history(name, 600.0)
        if not series.points:
            continue
        values: list[float | None] = [None] * room
        for point in series.points:
            at = room - 1 - int((now - point.at) / step)
            if 0 <= at < room:
                held = values[at]
                values[at] = point.high if held is None else max(held, point.high)
        most = max(point.high for point in series.points)
        last = series.points[-1].last
        yield [
            (f"  {label:{LABEL}}", "dim"),
            (look.plot(_joined(values, series.step_s, step), top or most), "accent"),
            (f" {_reading(name, last)}, most {_reading(name, most)}", ""),
        ]


def _joined(values: list[float | None], measured: float, step: float) -> list[float | None]:
    """Cells that no sample can have hit, because they are shorter than its step, are filled."""
    reach = int(measured / step) + 1
    out: list[float | None] = []
    since = reach + 1
    for value in values:
        since = 0 if value is not None else since + 1
        out.append(value if value is not None or since > reach or not out else out[-1])
    return out


def _reading(name: str, value: float) -> str:
    if name.endswith("_bps"):
        return rate(value)
    return f"{value:.0f} W" if name.endswith("_w") else f"{value:.0f}%"


def _link(view: HostView) -> Iterator[Cell]:
    link, counts = view.link, view.counts
    if link is not None:
        yield fact(
            "host key", f"{link.host_key} (by {link.host_key_by})" if link.host_key else None
        )
        yield fact("server", link.server)
        yield fact("key exchange", link.kex, "" if link.post_quantum else "warn")
        if link.post_quantum is False:
            yield fact("", "not safe against a later quantum computer", "warn")
        yield fact("cipher", link.cipher)
        yield fact("login", link.auth)
        yield fact("over", " > ".join((*link.jump, view.name)) if link.jump else "directly")
    words = f"{counts.frames} in {counts.connects} connections, {size(counts.bytes)}"
    yield fact("frames", words)
    if counts.resyncs or counts.refused_lines or counts.dropped_rows or counts.dropped_events:
        words = f"{counts.resyncs} resyncs, {counts.refused_lines} refused lines, "
        words += f"{counts.dropped_rows} rows and {counts.dropped_events} events dropped"
        yield fact("trouble", words, "warn")


def _probe(view: HostView) -> Iterator[Cell]:
    hello, cost = view.hello, view.cost
    if hello is None:
        yield fact("", "has not spoken yet")
        return
    yield fact("version", f"{hello.probe}, sha256 {hello.sha256[:16]}")
    words = {0: "agentless: this key opens a shell on that host", 1: "forced command", 2: "sensor"}
    yield fact(
        "tier", f"{hello.tier}, {words.get(hello.tier, '?')}", "warn" if not hello.tier else ""
    )
    yield fact("runs as", f"{hello.user} (uid {hello.uid}), Python {hello.python}")
    if cost is not None:
        yield fact("costs", f"{cost.cpu_pct:.2f}% of a core, {size(cost.rss_kib, start='K')}")
        if cost.late or cost.dropped:
            yield fact("", f"{cost.late} late ticks, {cost.dropped} events dropped", "warn")


def inventory_facts(view: HostView, look: Look) -> list[Cell]:
    """Sections of the inventory that are not tables."""
    lines: list[Cell] = []
    inventory = view.inventory
    for name in ("os", "kernel", "hardware", "digests"):
        section = getattr(inventory, name)
        if section is not None:
            lines += [title(name, look), *_struct(section), []]
    for nic in inventory.nics or ():
        lines += [title(f"network interface {nic.name}", look), *_struct(nic, skip=("name",)), []]
    return lines or [[(" The inventory is on its way.", "dim")]]


def _struct(item: Any, *, skip: tuple[str, ...] = ()) -> Iterator[Cell]:
    return (fact(*value) for value in values(item, skip=skip))
