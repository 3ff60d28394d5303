"""A fleet by GPU: which digit and style a GPU has, and which hosts stand in which line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from console.model import words
from console.model.gpu import Gpu
from console.model.host import HostState
from console.model.view import HostView
from console.model.words import share
from console.text import cell_width, clip
from console.tui.meaning import facts
from console.tui.style.look import Cell, Look, Piece

FEWEST_CELLS = 8
"""Cells of a host, also where no host has so many GPUs: a state's word needs them."""
MOST_CELLS = 16
LONGEST_NAME = 20
GAP = 2
OLD_S = 15.0
"""A sample older than this is not shown as if it were of now."""


def _use(gpu: Gpu) -> float | None:
    return gpu.fast.util_pct


def _memory(gpu: Gpu) -> float | None:
    return share(gpu.fast.mem_used_mib, gpu.fast.mem_total_mib)


def _temperature(gpu: Gpu) -> float | None:
    return gpu.fast.temp_c


def _power(gpu: Gpu) -> float | None:
    return share(gpu.fast.power_w, gpu.static.power_limit_w or gpu.static.power_max_limit_w)


@dataclass(frozen=True)
class Number:
    """One number of a GPU; a digit of the map stands for ten of its unit."""

    id: str
    title: str
    digit: str  # what a digit means
    unit: str
    read: Callable[[Gpu], float | None]


NUMBERS = (
    Number("util", "use", "tens of per cent", "%", _use),
    Number("mem", "memory in use", "tens of per cent", "%", _memory),
    Number("temp", "temperature", "tens of degrees C", " C", _temperature),
    Number("power", "power", "tens of per cent of its limit", "%", _power),
)


def number_of(id: str) -> Number | None:
    """The number of that id."""
    return next((number for number in NUMBERS if number.id == id), None)


def cell(gpu: Gpu, number: Number, look: Look) -> Piece:
    """One character of one GPU, and its style. A fault takes the place of the digit."""
    if gpu.fast.lost:
        return "X", "bad"
    fault = facts.gpu_trouble(gpu)
    if fault is not None and fault[1]:
        return "!", fault[1]
    if gpu.fast.age_s > OLD_S:
        return "?", "warn"
    value = number.read(gpu)
    if value is None or value != value:  # not a number
        return ("." if look.ascii_only else "·"), "dim"
    digit = int(min(max(value, 0.0), 99.0) / 10)
    return str(digit), f"heat{digit}"


def cells(view: HostView, number: Number, look: Look, room: int) -> Cell:
    """What stands beside a host's name in ``room`` cells: its GPUs, or why they are not known."""
    if view.state is not HostState.LIVE and not view.workstation:
        symbol, style = look.state(view.state)
        told = f"{symbol} {view.state.value}"
        if len(told) > room:
            told = view.state.value
        return [(clip(told, room, ellipsis="~" if look.ascii_only else "…"), style)]
    out: list[Piece] = []
    for gpu in view.gpus[:room]:
        text, style = cell(gpu, number, look)
        if out and out[-1][1] == style:
            text, style = out.pop()[0] + text, style
        out.append((text, style))
    if len(view.gpus) > room:
        out[-1] = (out[-1][0][:-1] + ("+" if look.ascii_only else "…"), out[-1][1])
    return out


def shown(view: HostView) -> bool:
    """Whether a host has a place in the map: it has GPUs, or nobody knows whether it has."""
    if view.gpus:
        return True
    return not view.workstation and (view.state is not HostState.LIVE or view.frame_at is None)


@dataclass
class Layout:
    """Lines of the map: a heading, or the hosts that stand beside each other."""

    name: int = 0  # cells of a name
    room: int = FEWEST_CELLS  # cells of the GPUs
    across: int = 1
    lines: list[str | tuple[HostView, ...]] = field(default_factory=list)
    without: int = 0  # hosts that have no GPU
    place: dict[str, tuple[int, int]] = field(default_factory=dict)  # line and column by host

    @property
    def block(self) -> int:
        """Cells of one host with the gap behind it."""
        return self.name + 1 + self.room + GAP


def layout(hosts: Sequence[HostView], width: int) -> Layout:
    """As many hosts beside each other as fit into ``width`` cells, sites below each other."""
    sites: dict[str, list[HostView]] = {}
    out = Layout()
    most = 0
    for view in hosts:
        if not shown(view):
            out.without += 1
            continue
        sites.setdefault(view.spec.site, []).append(view)
        out.name = max(out.name, cell_width(view.name))
        most = max(most, len(view.gpus))
    out.name = min(out.name, LONGEST_NAME, max(4, width - FEWEST_CELLS - 2))
    out.room = min(max(most, FEWEST_CELLS), MOST_CELLS, max(FEWEST_CELLS, width - out.name - 2))
    out.across = max(1, (width - 1 + GAP) // out.block)
    for site, there in sorted(sites.items()):
        if len(sites) > 1 or site:
            where = site or "no site"
            out.lines.append(f"{where}: {len(there)} host{'' if len(there) == 1 else 's'}")
        for begin in range(0, len(there), out.across):
            row = tuple(there[begin : begin + out.across])
            for column, view in enumerate(row):
                out.place[view.name] = (len(out.lines), column)
            out.lines.append(row)
    return out


def scale(number: Number, look: Look) -> Cell:
    """The legend: what digits and signs mean."""
    dot = "." if look.ascii_only else "·"
    return [
        (" ", ""),
        *((str(digit), f"heat{digit}") for digit in range(10)),
        (f" {number.title}, {number.digit}   ", ""),
        ("X", "bad"),
        (" lost   ", ""),
        ("!", "bad"),
        (" fault   ", ""),
        ("?", "warn"),
        (" old   ", ""),
        (dot, "dim"),
        (" does not say", ""),
    ]


def in_words(view: HostView, number: Number, look: Look) -> Cell:
    """One host in a sentence."""
    symbol, style = look.state(view.state)
    out: list[Piece] = [(f" {view.name} ", "bold"), (f"{symbol} {view.state.value} ", style)]
    if view.state is not HostState.LIVE and not view.workstation:
        return [*out, (facts.why(view), style)]
    values = [number.read(gpu) for gpu in view.gpus]
    told = " ".join(words.number(value, 0, number.unit) for value in values)
    out.append((f" {number.title}: {told}", ""))
    rank, severity, worst = facts.trouble(view)
    if rank and severity:
        out.append((f"  {look.mark(severity)} {worst}", severity))
    return out
