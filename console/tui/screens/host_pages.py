"""The pages of one host that are text: the overview and the facts of the inventory."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from console.model.history import Series
from console.model.host import HostState
from console.model.tables import GpuProcess
from console.model.view import HostView
from console.model.words import number, rate, size, span
from console.tui.meaning import facts, present
from console.tui.meaning.guards import guard_facts
from console.tui.meaning.lately import Odd
from console.tui.meaning.values import moment, values
from console.tui.plot.small import small_plots
from console.tui.screens.network_tables import Heard
from console.tui.screens.process_table import ranges
from console.tui.style.look import Cell, Look, load_style

LABEL = 24
SUSPECTS = 8
"""Lines of the overview for what needs a look; the tables hold the rest."""
HistoryOf = Callable[[str, float], Series]
PLOTS = ("cpu_pct", "mem_pct", "gpu_util_pct", "gpu_power_w", "tx_bps", "rx_bps")
WIDE = 120
"""Cells from which on a plot has two lines."""


def fact(label: str, value: object, style: str = "") -> Cell:
    """One labelled value; what is not known is a dash."""
    text = "-" if value is None or value == "" else str(value)
    return [(f"  {label:{LABEL - 1}} ", "dim"), (text, style if text != "-" else "dim")]


def title(words: str, look: Look) -> Cell:
    """Head of a group of facts."""
    return [(f" {words} ", "bold"), (look.rule * 40, "dim")]


def overview(
    view: HostView,
    look: Look,
    history: HistoryOf,
    width: int,
    new: Sequence[GpuProcess] = (),
    ears: Sequence[Heard] = (),
    lately: Sequence[Odd] = (),
) -> list[Cell]:
    """What needs a look, who it is, how it has been, how it is reached, what may not be seen.

    ``new`` are the processes that took a GPU since the console began, ``ears`` the listeners with
    what is known of when they opened, ``lately`` what events told of that needs a look.
    """
    lines: list[Cell] = [*_state(view, look)]
    suspects = facts.suspects(view, new, lately)
    if suspects:
        lines += [[], title("needs a look", look), *_warnings(suspects[:SUSPECTS], look)]
        if len(suspects) > SUSPECTS:
            lines.append([(f"    and {len(suspects) - SUSPECTS} more", "warn")])
    guarded = [fact(*each) for each in guard_facts(view, present.now())]
    if guarded:
        lines += [[], title("guard", look), *guarded]
    lines += [[], title("now" if view.state is HostState.LIVE else "as last seen", look)]
    lines += [*_most(view, ears, look), *_standing(view)]
    if view.facts:
        lines += [[], title("this machine", look)]
        for name, value in view.facts.items():
            words = facts.risky(name, value)
            mark = f"  {look.mark('warn')} {words}" if words else ""
            lines.append([*fact(name, value, "warn" if words else ""), (mark, "warn")])
    plots = _plots(look, history, width) or [[("  nothing measured yet", "dim")]]
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


def _state(view: HostView, look: Look) -> Iterator[Cell]:
    symbol, style = look.state(view.state)
    age = view.age(present.now())
    old = "" if age is None else f" (last frame {span(age)} ago)"
    yield [(f" {symbol} {view.state.value}", style), (old, "dim"), (f"  {facts.why(view)}", style)]
    if view.frame_at is not None and age is not None and facts.silent(view):
        yield [(f"   silent since {moment(view.frame_at)}, {span(age)} ago.", style),
               (" All numbers below are from then.", "")]  # fmt: skip
    if view.state is HostState.NEW_KEY:
        yield [("   Compare the fingerprint with the host's console before you store it:", "")]
        yield [(f"   watchfloor hosts trust {view.name} --replace", "bold")]


def _most(view: HostView, ears: Sequence[Heard], look: Look) -> Iterator[Cell]:
    """Who uses most: what a person looks for first when something is slow or odd."""
    if view.gpus:
        yield fact("busiest GPU", facts.busiest(view))
    told = sorted((ear for ear in ears if ear.told), key=lambda ear: -(ear.since or 0.0))
    for ear in told[:1]:
        age = span(present.now() - (ear.since or 0.0))
        who = f" of {ear.name} (pid {ear.pid})" if ear.name else ", its program is not visible"
        words = ", not declared" if ear.declared == "no" else ""
        style = "warn" if words else ""
        yield fact("newest listener", f"{ear.key}{who}, opened {age} ago{words}", style)
    busy = max(view.processes, key=lambda row: row.cpu_pct, default=None) or next(
        iter(view.summary.top_cpu if view.summary else ()), None
    )
    if busy is not None:
        words = f"{busy.name} (pid {busy.pid}, {busy.user}), {busy.cpu_pct:.0f}% of a core"
        yield fact("busiest process", words)
    out = max((row for row in view.flows if not row.loopback), key=lambda row: row.tx_bps,
              default=None)  # fmt: skip
    if out is not None and out.tx_bps:
        words = f"{out.peer} port {out.port}, {rate(out.tx_bps)}"
        yield fact("most egress to", words + (f" by {out.name}" if out.name else ""))


def _standing(view: HostView) -> Iterator[Cell]:
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


def _plots(look: Look, history: HistoryOf, width: int) -> list[Cell]:
    return small_plots(PLOTS, history, look, width, now=present.now(), tall=width >= WIDE)


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
    firmware = [*_firmware(view)]
    if firmware:
        lines += [title("firmware", look), *firmware, []]
    for name in ("os", "kernel", "hardware", "driver", "digests"):
        section = getattr(inventory, name)
        if section is not None:
            lines += [title(name, look), *_struct(section), []]
    for nic in inventory.nics or ():
        lines += [title(f"network interface {nic.name}", look), *_struct(nic, skip=("name",)), []]
    return lines or [[(" The inventory is on its way.", "dim")]]


def _firmware(view: HostView) -> Iterator[Cell]:
    """Every version that an update would change, together; the same of several GPUs once."""
    hardware, driver = view.inventory.hardware, view.inventory.driver
    if hardware is not None:
        bios = f"{hardware.bios_vendor} {hardware.bios_version} of {hardware.bios_date or '?'}"
        yield fact("BIOS", bios if hardware.bios_version else None)
        yield fact("BMC", hardware.bmc)
        yield fact("microcode", hardware.microcode)
    if driver is not None and driver.vendor:
        cuda = f", CUDA {driver.cuda}" if driver.cuda else ""
        yield fact("GPU driver", f"{driver.vendor} {driver.version}{cuda}")
    for label, field in (("VBIOS", "vbios"), ("GSP", "gsp_firmware"), ("InfoROM", "inforom_image")):
        by_version: dict[str, list[int]] = {}
        for gpu in view.gpus:
            by_version.setdefault(getattr(gpu.static, field), []).append(gpu.index)
        by_version.pop("", None)
        style = "warn" if len(by_version) > 1 else ""  # GPUs of one host that are not alike
        for version, indexes in by_version.items():
            yield fact(label, f"{version}  (GPU {ranges(sorted(indexes))})", style)
    for nic in view.inventory.nics or ():
        if nic.firmware:
            yield fact(f"NIC {nic.name}", f"{nic.firmware}  ({nic.driver} {nic.driver_version})")


def _struct(item: Any, *, skip: tuple[str, ...] = ()) -> Iterator[Cell]:
    return (fact(*value) for value in values(item, skip=skip))
