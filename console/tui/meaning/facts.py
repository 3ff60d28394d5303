"""What a host's picture means, as numbers and words: pure functions for columns and pages."""

from collections.abc import Iterable, Sequence

from console.model.gpu import Gpu, worst_throttle
from console.model.host import Host, HostState
from console.model.risks import risks as risks
from console.model.risks import risky as risky
from console.model.tables import GpuProcess, Listener
from console.model.view import HostView
from console.model.words import BAD, WARN, share, size, span, without_host, xid_severity
from console.tui.meaning import guards, present
from console.tui.meaning.lately import Odd

LATELY_RANK, NEW_RANK = 3, 4
"""Ranks, as ``trouble`` gives them, of what happened lately and of processes new on a GPU."""


def gpu_load(view: HostView) -> float | None:
    """Mean utilisation of the GPUs that say it, in per cent."""
    known = [gpu.fast.util_pct for gpu in view.gpus if gpu.fast.util_pct is not None]
    return sum(known) / len(known) if known else None


def gpu_memory(view: HostView) -> tuple[float, float] | None:
    """MiB used and present over all GPUs."""
    known = [
        (gpu.fast.mem_used_mib, gpu.fast.mem_total_mib)
        for gpu in view.gpus
        if gpu.fast.mem_used_mib is not None and (gpu.fast.mem_total_mib or 0) >= 1
    ]
    if not known:
        return None
    return sum(used for used, _ in known), sum(total or 0.0 for _, total in known)


def gpu_power(view: HostView) -> float | None:
    """Watts of all GPUs together."""
    known = [gpu.fast.power_w for gpu in view.gpus if gpu.fast.power_w is not None]
    return sum(known) if known else None


def gpu_heat(view: HostView) -> float | None:
    """Temperature of the hottest GPU, degrees Celsius."""
    known = [gpu.fast.temp_c for gpu in view.gpus if gpu.fast.temp_c is not None]
    return max(known) if known else None


def memory(view: HostView) -> float | None:
    """Host memory in use, per cent."""
    fast = view.fast
    if fast is None or fast.mem_total_kib is None or fast.mem_avail_kib is None:
        return None
    return share(fast.mem_total_kib - fast.mem_avail_kib, fast.mem_total_kib)


def gpu_trouble(gpu: Gpu) -> tuple[int, str, str] | None:
    """The worst thing about one GPU: rank (greater is worse), severity and words; None if well."""
    fast, counters = gpu.fast, gpu.counters
    who = f"GPU{gpu.index}"
    xid = f"Xid {counters.last_xid}" if counters.last_xid else ""
    mild = not xid or xid_severity(counters.last_xid) != BAD
    if fast.lost:
        words = f"{who} {fast.lost.removeprefix('GPU is ')}"
        return 13, BAD, words if mild else f"{words}, {xid}"
    if not mild:
        return 12, BAD, f"{who} {xid}"
    if counters.remap_failure:
        return 11, BAD, f"{who} row remap failed"
    if counters.ecc_uncorrected_volatile:
        return 10, BAD, f"{who} ECC {counters.ecc_uncorrected_volatile}"
    if counters.recovery_action:
        return 9, BAD, f"{who} needs recovery"
    if counters.remap_pending or counters.retired_pages_pending:
        return 8, WARN, f"{who} remap pending"
    if xid:
        return 7, WARN, f"{who} {xid}"
    throttle = worst_throttle(fast.throttle)
    if throttle.startswith("hw-"):
        return 6, WARN, f"{who} {throttle}"
    if counters.ecc_uncorrected:
        return 5, WARN, f"{who} ECC {counters.ecc_uncorrected} ever"
    if throttle:
        return 1, "", f"{who} {throttle}"
    return None


def trouble(
    view: HostView, new: Sequence[GpuProcess] = (), lately: Sequence[Odd] = ()
) -> tuple[int, str, str]:
    """The worst about a host: rank, severity, words; (0, "", "") when all is well.

    What its guard says that nobody meant and faults of its GPUs come first, then processes that
    are ``new`` on a GPU, then what happened ``lately``, then listeners that the inventory does not
    declare.
    """
    found = [worst for gpu in view.gpus if (worst := gpu_trouble(gpu)) is not None]
    if (guarded := guards.trouble(view.guard)) is not None:
        found.append(guarded)
    if new:
        gpus, first = newly(new)[0]
        found.append((NEW_RANK, WARN, f"{gpus} new {first.name or first.pid}"))
    if lately:
        found.append((LATELY_RANK, WARN, lately[0].words))
    if extra := undeclared(view):
        found.append((2, WARN, f"{extra} undeclared"))
    return max(found, key=lambda item: item[0], default=(0, "", ""))


def newly(rows: Sequence[GpuProcess]) -> list[tuple[str, GpuProcess]]:
    """New processes on GPUs, once each, with the GPUs that they hold in words: GPU5,6."""
    held: dict[int, list[GpuProcess]] = {}
    for row in rows:
        held.setdefault(row.pid, []).append(row)
    return [
        (f"GPU{','.join(map(str, sorted({row.gpu for row in of})))}", of[0]) for of in held.values()
    ]


def silent(view: HostView) -> bool:
    """Whether a host that has spoken says nothing any more."""
    return (
        view.frame_at is not None
        and not view.workstation
        and view.state not in (HostState.LIVE, HostState.CONNECTING)
    )


def busiest(view: HostView) -> str | None:
    """The GPU that is used most and the process that holds most of it, in words."""
    known = [gpu for gpu in view.gpus if gpu.fast.util_pct is not None]
    if not known:
        return None
    gpu = max(known, key=lambda gpu: (gpu.fast.util_pct, gpu.fast.mem_used_mib or 0.0))
    words = f"{gpu.index} at {gpu.fast.util_pct:.0f}%"
    for row in biggest_first(row for row in view.gpu_processes if row.gpu == gpu.index)[:1]:
        memory = f", {size(row.mem_mib, start='M')}" if row.reliable and row.mem_mib else ""
        words += f", biggest process {row.name or '?'} pid {row.pid} {row.user or '?'}{memory}"
    return words


def biggest_first(rows: Iterable[GpuProcess]) -> list[GpuProcess]:
    """Processes on GPUs, those with most memory first and those that do not say it last."""
    return sorted(rows, key=lambda row: (-(row.mem_mib or 0.0) if row.reliable else 0.0, row.pid))


def why(view: HostView) -> str:
    """The reason of a host's state, without the host's own name, which stands beside it."""
    return without_host(view.name, view.reason)


def declared(host: Host, row: Listener) -> bool | None:
    """Whether the inventory names this listener; None when it names none at all."""
    if not host.listeners:
        return None
    address = f"[{row.address}]" if ":" in row.address else row.address
    forms = (f"{row.proto}/{row.port}", f"{row.proto}/{address}:{row.port}")
    return any(form in host.listeners for form in forms)


def undeclared(view: HostView) -> int:
    """Listeners that the inventory does not name, where it names any."""
    return sum(declared(view.spec, row) is False for row in view.listeners)


def suspects(view: HostView, new: Sequence[GpuProcess], lately: Sequence[Odd] = ()) -> list[str]:
    """What somebody should look at on this host, in words.

    Who is ``new`` on a GPU, what happened ``lately``, who listens.
    """
    out = [
        f"new on {gpus} since this console began: {row.name or '?'} "
        f"(pid {row.pid}, {row.user or '?'})"
        for gpus, row in newly(new)
    ]
    now = present.now()
    out += [f"{odd.sentence}, {span(now - odd.at)} ago" for odd in lately]
    for row in view.listeners:
        if declared(view.spec, row) is False:
            owner = f"{row.name} (pid {row.pid})" if row.name else "its program is not visible"
            out.append(f"listener not declared: {row.key}, {owner}")
    return out


def insecure(view: HostView) -> list[str]:
    """Security settings of the GPUs and the driver that an operator should know of."""
    out = []
    driver = view.inventory.driver
    if driver is not None:
        if driver.cc_dev_tools:
            out.append("confidential computing runs in DevTools mode: memory is not protected")
        if driver.profiling_admin_only is False:
            out.append("any user may read GPU performance counters")
        if driver.peermem:
            out.append("GPUDirect RDMA (nvidia_peermem) is loaded")
        if driver.error:
            out.append(f"the GPU driver does not answer: {driver.error}")
    for gpu in view.gpus:
        if gpu.static.ecc_mode is False:
            out.append(f"GPU {gpu.index}: ECC is off")
        if gpu.static.api_application_clocks_restricted is False:
            out.append(f"GPU {gpu.index}: any user may set application clocks")
    out += [
        f"GPU {row.gpu}: process {row.name or row.pid} has a debugger attached (pid {row.tracer})"
        for row in view.gpu_processes
        if row.tracer
    ]
    return out
