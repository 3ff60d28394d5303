"""The columns of the fleet: one row a host."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from console.model.host import HostState
from console.model.tables import GpuProcess
from console.model.view import HostView
from console.model.words import number, rate, share, size, span
from console.tui.meaning import facts, guards, present
from console.tui.meaning.lately import Odd
from console.tui.meaning.newcomers import Newcomers
from console.tui.style.look import Cell, Look, load_style
from console.tui.tables.filter import PLACES, Field, Value
from console.tui.tables.table_model import Column
from console.tui.tables.units import RATE, TEXT

GAUGES = 8


def text(view: HostView, newcomers: Newcomers) -> str:
    """What words of the filter look at."""
    spec = view.spec
    parts = (
        spec.name, spec.address, view.state.value, view.reason, spec.site, spec.zone,
        spec.environment, spec.owner, spec.risk, *spec.groups, *spec.tags,
        *(gpu.static.name for gpu in view.gpus[:1]),
        _worst(view, newcomers.of(view), newcomers.lately(view))[0],
    )  # fmt: skip
    return " ".join(parts)


def note(view: HostView, look: Look) -> tuple[str, Cell] | None:
    """For a host that is not LIVE: why, in words, instead of numbers that are old."""
    if view.state is HostState.LIVE or (view.workstation and view.fast is not None):
        return None
    style = look.state(view.state)[1]
    wait = ""
    if view.retry_at is not None and (left := view.retry_at - present.now()) > 0:
        wait = f"  (next try in {span(left)})"
    return "state", [
        (facts.why(view) or "connecting", "" if style == "accent" else style),
        (wait, "dim"),
    ]


def _name(view: HostView, look: Look) -> Cell:
    return [(view.name, "bold" if view.workstation else "")]


def _state(view: HostView, look: Look) -> Cell:
    symbol, style = look.state(view.state)
    age = view.age(present.now())
    old = "" if age is None else f" {span(age)}"
    return [(symbol, style), (f" {view.state.value}", style), (old, "dim")]


def _gpus(view: HostView, look: Look) -> Cell:
    if not view.gpus:
        return [("-", "dim")] if view.fast is not None else []
    pieces: list[tuple[str, str]] = []
    if len(view.gpus) <= GAUGES:
        for gpu in view.gpus:
            if gpu.fast.lost:
                pieces.append((look.mark("bad"), "bad"))
            else:
                load = gpu.fast.util_pct
                pieces.append((look.gauge(load), "dim" if load is None else "ok"))
    else:
        lost = sum(bool(gpu.fast.lost) for gpu in view.gpus)
        pieces = [(f"{len(view.gpus)} GPU", "")]
        if lost:
            pieces.append((f" {lost} lost", "bad"))
    mean = facts.gpu_load(view)
    if mean is not None:
        blank = GAUGES - sum(len(words) for words, _ in pieces)
        pieces.append((f"{'':{max(0, blank)}} {mean:3.0f}%", ""))
    return pieces


def _gpu_memory(view: HostView, look: Look) -> Cell:
    known = facts.gpu_memory(view)
    if known is None:
        return [("-", "dim")]
    used, total = known
    return [
        (
            f"{size(used, start='M')}/{size(total, start='M')}",
            load_style(share(used, total), 97, 101),
        )
    ]


def _power(view: HostView, look: Look) -> Cell:
    watts = facts.gpu_power(view)
    if watts is None:
        return [("-", "dim")]
    return [(f"{watts / 1000:.1f}kW" if watts >= 1000 else f"{watts:.0f}W", "")]


def _heat(view: HostView, look: Look) -> Cell:
    degrees = facts.gpu_heat(view)
    return [(number(degrees, 0, "°" if not look.ascii_only else "C"), load_style(degrees, 80, 88))]


def _worst(
    view: HostView, new: Sequence[GpuProcess] = (), lately: Sequence[Odd] = ()
) -> tuple[str, str]:
    """The worst about a host in words, and its severity; of this workstation, its risks first."""
    if view.workstation and (risks := facts.risks(view)):
        count = "1 risk" if len(risks) == 1 else f"{len(risks)} risks"
        return f"{count}: {', '.join(risks)}", "warn"
    _, severity, words = facts.trouble(view, new, lately)
    return words, severity


def _trouble(
    view: HostView, look: Look, new: Sequence[GpuProcess] = (), lately: Sequence[Odd] = ()
) -> Cell:
    words, severity = _worst(view, new, lately)
    if not words:
        return [("-", "dim")]
    mark = f"{look.mark(severity)} " if severity else ""
    return [(mark + words, severity)]


def _cpu(view: HostView, look: Look) -> Cell:
    value = view.fast.cpu_pct if view.fast else None
    return [(number(value, 0, "%"), load_style(value))]


def _memory(view: HostView, look: Look) -> Cell:
    value = facts.memory(view)
    return [(number(value, 0, "%"), load_style(value, 90, 97))]


def _gpu_processes(view: HostView, look: Look) -> Cell:
    return [(str(len(view.gpu_processes)) if view.fast else "-", "")]


def _listeners(view: HostView, look: Look) -> Cell:
    return [(str(len(view.listeners)) if view.fast else "-", "")]


def _undeclared(view: HostView, look: Look) -> Cell:
    if not view.spec.listeners:
        return [("-", "dim")]
    extra = facts.undeclared(view)
    return [(f"{look.mark('warn')} {extra}", "warn")] if extra else [("0", "dim")]


def _egress(view: HostView, look: Look) -> Cell:
    return [(rate(view.fast.tx_bps if view.fast else None), "")]


def _guard(view: HostView, look: Look) -> Cell:
    return [guards.short(view, present.now())]


def _where(view: HostView, look: Look) -> Cell:
    words = " ".join(filter(None, (view.spec.site, view.spec.environment)))
    return [(words or ("this machine" if view.workstation else ""), "dim")]


def _rank(view: HostView) -> Value:
    return float(_WORST_FIRST.index(view.state))


_WORST_FIRST = (
    HostState.NEW_KEY, HostState.REFUSED, HostState.DOWN, HostState.STALE,
    HostState.CONNECTING, HostState.LIVE,
)  # fmt: skip


def _busiest(view: HostView) -> Value:
    """How busy the busiest GPU is: a mean hides the one that somebody else uses."""
    return max(
        (gpu.fast.util_pct for gpu in view.gpus if gpu.fast.util_pct is not None), default=None
    )


def _share(view: HostView) -> Value:
    known = facts.gpu_memory(view)
    return share(*known) if known else None


def _used(view: HostView) -> Value:
    known = facts.gpu_memory(view)
    return known[0] if known else None


COLUMNS: tuple[Column[HostView], ...] = (
    Column("name", "HOST", 15, _name, lambda v: v.name, most=28),
    Column("state", "STATE", 14, _state, lambda v: v.state.value, order=_rank),
    Column("gpus", "GPUS", 13, _gpus, facts.gpu_load, unit="%", order=_busiest),
    Column(
        "gpu_mem", "GPU MEM", 9, _gpu_memory, _share, True, drop=4, unit="%", amount="gpu_mem_used"
    ),
    Column("power", "POWER", 5, _power, facts.gpu_power, right=True, drop=5, unit="W"),
    Column("temp", "TEMP", 4, _heat, facts.gpu_heat, right=True, drop=2, unit="C"),
    Column("worst", "WORST", 16, _trouble, lambda v: float(facts.trouble(v)[0]), most=48, unit=""),
    Column(
        "guard", "GUARD", 8, _guard, lambda v: guards.short(v, present.now())[0], most=12, drop=6
    ),
    Column(
        "cpu", "CPU", 4, _cpu, lambda v: v.fast.cpu_pct if v.fast else None, True, drop=7, unit="%"
    ),
    Column("mem", "MEM", 4, _memory, facts.memory, right=True, drop=8, unit="%"),
    Column(
        "procs", "ON GPU", 6, _gpu_processes, lambda v: float(len(v.gpu_processes)), True, drop=9,
        unit="",
    ),
    Column(
        "listeners", "LISTEN", 6, _listeners, lambda v: float(len(v.listeners)), True, drop=3,
        unit="",
    ),
    Column(
        "undeclared", "UNDECL", 6, _undeclared, lambda v: float(facts.undeclared(v)), True, drop=1,
        unit="",
    ),
    Column(
        "egress", "EGRESS", 7, _egress, lambda v: v.fast.tx_bps if v.fast else None, True, unit=RATE
    ),
    Column("site", "SITE", 14, _where, lambda v: v.spec.site, drop=10),
)  # fmt: skip


def columns(newcomers: Newcomers) -> tuple[Column[HostView], ...]:
    """The columns, where the worst of a host may be what only events tell of."""

    def cell(view: HostView, look: Look) -> Cell:
        return _trouble(view, look, newcomers.of(view), newcomers.lately(view))

    def value(view: HostView) -> Value:
        return float(facts.trouble(view, newcomers.of(view), newcomers.lately(view))[0])

    def told(view: HostView) -> Value:
        return _worst(view, newcomers.of(view), newcomers.lately(view))[0] or "-"

    return tuple(
        _while_known(
            replace(column, cell=cell, value=value, told=told) if column.id == "worst" else column
        )
        for column in COLUMNS
    )


def _unreached(view: HostView) -> bool:
    """Whether nothing has come from a host for so long that its numbers say nothing of now."""
    return not view.workstation and view.state in (
        HostState.DOWN, HostState.REFUSED, HostState.NEW_KEY
    )  # fmt: skip


def _known(read: Callable[[HostView], Value]) -> Callable[[HostView], Value]:
    """A number that filters and orders may use: none of a host that is out of reach."""
    return lambda view: None if _unreached(view) else read(view)


def _while_known(column: Column[HostView]) -> Column[HostView]:
    """The column, whose number is unknown while its host is out of reach."""
    if column.unit == TEXT:
        return column
    order = None if column.order is None else _known(column.order)
    return replace(column, value=_known(column.value), order=order, raw=column.value)


STAMPS: tuple[Column[HostView], ...] = (
    Column("state", "HOST STATE", 10, _state, lambda v: v.state.value),
    Column("age_s", "HOST AGE", 8, lambda v, look: [], lambda v: v.age(present.now()), unit="s"),
)
"""What an export says of a host besides the columns in view: how old its numbers are."""


def needs_look(view: HostView, new: Sequence[GpuProcess] = (), lately: Sequence[Odd] = ()) -> bool:
    """Whether somebody should look at a host: it is out of reach, or something is wrong there.

    The risks of this workstation stand in its row all day, so a search for news passes over it.
    """
    if view.workstation:
        return False
    if view.state not in (HostState.LIVE, HostState.CONNECTING):
        return True
    return facts.trouble(view, new, lately)[1] in ("warn", "bad")


def _places(view: HostView) -> Value:
    spec = view.spec
    return "\n".join((spec.site, spec.zone, spec.environment, *spec.groups, *spec.tags))


FIELDS = {
    PLACES: Field(_places),
    "gpu_mem_used": Field(_known(_used), "M"),
    "owner": Field(lambda v: v.spec.owner),
    "environment": Field(lambda v: v.spec.environment),
    "risk": Field(lambda v: v.spec.risk),
    "age": Field(lambda v: v.age(present.now()), "s"),
}
"""What a filter may ask for besides the columns."""
