"""The GPUs of one host: first one line each, then everything that each of them says."""

from collections.abc import Callable, Iterable, Iterator

from console.model.gpu import THROTTLE_REASONS, Gpu
from console.model.history import Series
from console.model.tables import GpuProcess
from console.model.view import HostView
from console.model.words import number, share, size
from console.text import clip
from console.tui.meaning import facts
from console.tui.meaning.values import Value, values
from console.tui.plot.small import small_plots
from console.tui.screens.host_pages import title
from console.tui.style.look import Cell, Look, load_style

CELL = 38
LABEL = 23
GAP = 2
WIDE = 124
"""Cells from which on each GPU's row has room for memory errors, links and partitions."""
HistoryOf = Callable[[str, float], Series]


def gpus(view: HostView, look: Look, width: int, history: HistoryOf | None = None) -> list[Cell]:
    """The page, for a screen of ``width`` cells; with ``history`` each GPU has its plots."""
    driver = view.inventory.driver
    if not view.gpus:
        if driver is not None and driver.error:
            return [[(f" The GPU driver does not answer: {driver.error}", "bad")]]
        return [[(" No GPU on this host.", "dim")]]
    names = {gpu.static.name for gpu in view.gpus}
    kind = f"{len(view.gpus)} x {names.pop() or 'GPU'}" if len(names) == 1 else "GPUs"
    lines: list[Cell] = [
        title(kind, look),
        _head(width),
        *(_row(g, look, width) for g in view.gpus),
    ]
    words = facts.busiest(view)
    if words:
        lines.append([("  busiest: GPU ", "dim"), (words, "bold")])
    lines += [[], title("processes on GPUs, biggest first", look)]
    lines += _processes(view.gpu_processes, width)
    if driver is not None:
        lines += [[], title("driver", look), *_grid([*values(driver, skip=("error",))], width)]
    for gpu in view.gpus:
        lines += [[], title(f"GPU {gpu.index}  {gpu.static.name or '?'}  {gpu.static.uuid}", look)]
        if history is not None:
            kept = tuple(f"gpu.{gpu.index}.{what}" for what in ("util_pct", "mem_pct", "power_w"))
            lines += small_plots(kept, history, look, width)
        mine = [row for row in view.gpu_processes if row.gpu == gpu.index]
        lines += _grid([*_all(gpu)], width)
        if mine:
            lines += _processes(mine, width)
    return lines


def _head(width: int) -> Cell:
    bar = _bar(width)
    busy, memory = f"{'BUSY':>{bar + 5}}", f"{'MEMORY':>{bar + 11}}"
    more = f"{'ECC C/U':>9} {'REMAP':>5} {'LINKS':>5} {'MIG':>3}  " if width >= WIDE else ""
    return [(f"  GPU {busy} {memory} TEMP        POWER    MHz  {more}WORST", "head")]


def _bar(width: int) -> int:
    return max(0, min(20, (width - (102 if width >= WIDE else 76)) // 4))


def _errors(gpu: Gpu) -> Iterator[tuple[str, str]]:
    """Memory errors (corrected/uncorrected), remapped rows, active links, partitions."""
    ecc, static = gpu.counters, gpu.static
    words = f"{_short(ecc.ecc_corrected)}/{_short(ecc.ecc_uncorrected)}"
    if ecc.ecc_corrected is None and ecc.ecc_uncorrected is None:
        words = "off" if static.ecc_mode is False else "-"
    yield (
        f"{words:>9} ",
        "bad"
        if ecc.ecc_uncorrected_volatile
        else ("warn" if ecc.ecc_uncorrected or static.ecc_mode is False else ""),
    )
    known = [n for n in (ecc.remapped_corrected, ecc.remapped_uncorrected) if n is not None]
    failed = "fail" if ecc.remap_failure else _short(sum(known)) if known else "-"
    yield f"{failed:>5} ", "bad" if ecc.remap_failure else "warn" if ecc.remap_pending else ""
    yield f"{number(static.nvlinks_active):>5} ", "warn" if ecc.nvlink_crc_errors else ""
    mig = {True: "on", False: "off", None: "-"}[static.mig_mode]
    yield f"{mig:>3}  ", "" if static.mig_mode else "dim"


def _short(count: int | None) -> str:
    """A count in at most four cells."""
    if count is None:
        return "-"
    return str(count) if count < 10_000 else f"{count // 1000}k" if count < 10**6 else ">1M"


def _row(gpu: Gpu, look: Look, width: int) -> Cell:
    fast = gpu.fast
    part = share(fast.mem_used_mib, fast.mem_total_mib)
    memory = f"{size(fast.mem_used_mib, start='M')}/{size(fast.mem_total_mib, start='M')}"
    power = f"{number(fast.power_w)}/{number(gpu.static.power_limit_w, 0, ' W')}"
    worst = facts.gpu_trouble(gpu)
    mark, words, style = "", "-", "dim"
    if worst is not None:
        mark, words, style = look.mark(worst[1]), worst[2].partition(" ")[2], worst[1]
    old = f"  ({fast.age_s:.0f} s old)" if fast.age_s > 5 else ""
    return [
        (f"  {gpu.index:>3} ", "bold"),
        (look.bar(fast.util_pct, _bar(width)), "ok"),
        (f" {number(fast.util_pct, 0, '%'):>4} ", ""),
        (look.bar(part, _bar(width)), "accent"),
        (f" {memory:>10} ", ""),
        (f"{number(fast.temp_c, 0, ' C'):>4} ", load_style(fast.temp_c, 80, 88)),
        (f"{power:>12} {number(fast.sm_clock_mhz):>6}  ", _near(fast.power_w, gpu)),
        *(_errors(gpu) if width >= WIDE else ()),
        (f"{mark} {words}".strip(), style),
        (old, "warn"),
    ]


def _near(power: float | None, gpu: Gpu) -> str:
    """Style of a power that is at its limit: the GPU is held back."""
    limit = gpu.static.power_limit_w
    return "warn" if power is not None and limit and power >= 0.98 * limit else ""


def _processes(rows: Iterable[GpuProcess], width: int) -> Iterator[Cell]:
    rows = facts.biggest_first(rows)
    if not rows:
        yield [("  none", "dim")]
        return
    shares = any(row.sm_pct is not None for row in rows)
    share = f"{'SM':>5}" if shares else ""
    yield [(f"  GPU KIND     MEMORY{share}  {'PID':12} {'USER':10} PROGRAM", "head")]
    for row in rows:
        share = f" {number(row.sm_pct, 0, '%'):>4}" if shares else ""
        memory = size(row.mem_mib, start="M") if row.reliable else "?"
        room = width - 75 if width >= 110 and not row.tracer else 0
        yield [
            (
                f"  {row.gpu:>3} {row.kind:8} {memory:>6}{share}  {row.pid:<12} "
                f"{row.user or '?':10} ",
                "",
            ),
            (f"{row.name or '?':18}", "bold"),
            (f"  debugger attached: pid {row.tracer}" if row.tracer else "", "bad"),
            (f"  {clip(row.cmdline, room)}", "dim"),
        ]


def _all(gpu: Gpu) -> Iterator[Value]:
    fast = gpu.fast
    held = [name for bit, name in THROTTLE_REASONS if (fast.throttle or 0) & bit]
    if fast.throttle is not None:
        yield Value("limited by", ", ".join(held) or "nothing")
    yield from values(
        fast, skip=("index", "util_pct", "mem_used_mib", "throttle", "age_s", "lost"), known=True
    )
    yield from values(gpu.counters, skip=("index",), known=True)
    static = gpu.static
    same = [  # a pending mode that is the present one says nothing
        pending
        for pending, now in (("ecc_pending", static.ecc_mode), ("mig_pending", static.mig_mode))
        if getattr(static, pending) == now
    ]
    yield from values(static, skip=("index", "name", "uuid", "mem_total_mib", *same), known=True)


def _grid(items: list[Value], width: int) -> list[Cell]:
    """Labelled values in as many columns as fit, read downwards; long ones take a line."""
    across = max(1, (width - GAP) // CELL)
    room = CELL - LABEL - 1
    short = [item for item in items if len(item.text) <= room and len(item.label) < LABEL]
    down = -(-len(short) // across)
    lines: list[Cell] = []
    for y in range(down):
        pieces: list[tuple[str, str]] = [(" " * GAP, "")]
        for item in short[y::down]:
            pieces += [(f"{item.label:{LABEL}}", "dim"), (f"{item.text:{room}} ", item.style)]
        lines.append(pieces)
    lines += [
        [(f"{'':{GAP}}{item.label:{LABEL}}", "dim"), (f" {item.text}", item.style)]
        for item in items
        if item not in short
    ]
    return lines
