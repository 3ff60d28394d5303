"""Calm lines of text: for people without a screen, and for screen readers."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from console.model.event import Event
from console.model.host import HostState
from console.model.risks import findings
from console.model.view import FleetSnapshot, HostView
from console.model.words import (
    BAD,
    WARN,
    number,
    rate,
    sentence,
    severity,
    share,
    size,
    span,
    utc,
    without_host,
)
from console.text import clean

FOLDED = 3  # hosts after the first with the same reason, from which on they are counted


def words(view: HostView) -> str:
    """A host in a few words; why it is not LIVE where it is not."""
    if view.state is not HostState.LIVE and not view.workstation:
        return without_host(view.name, view.reason) or "connecting"
    out = []
    if view.gpus:
        loads = [gpu.fast.util_pct for gpu in view.gpus if gpu.fast.util_pct is not None]
        mean = f" {sum(loads) / len(loads):.0f}%" if loads else ""
        lost = sum(bool(gpu.fast.lost) for gpu in view.gpus)
        out.append(count(len(view.gpus), "GPU") + mean + (f", {lost} lost" if lost else ""))
    fast = view.fast
    if fast is not None:
        free = share(fast.mem_avail_kib, fast.mem_total_kib)
        memory = None if free is None else 100 - free
        cpu, used = _spoken(number(fast.cpu_pct, 0, "%")), _spoken(number(memory, 0, "%"))
        out.append(f"cpu {cpu}, memory {used}")
        out.append(f"out {_spoken(rate(fast.tx_bps))}")
    out.append(count(len(view.listeners), "listener"))
    if view.denied:
        out.append(count(len(view.denied), "thing") + " denied")
    told = ", ".join(out)
    found = findings(view)
    return f"{told}; WARNING: {', '.join(found)}" if found else told


def _spoken(words: str) -> str:
    """A number in words that a screen reader says: it passes over a dash."""
    return "unknown" if words == "-" else words


def count(number: int, what: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _cause(view: HostView) -> tuple[HostState, str]:
    """State and what keeps a host from LIVE; nothing for one that is LIVE or begins."""
    lost = view.state is not HostState.LIVE and not view.workstation
    return view.state, view.reason if lost else ""


def table(snapshot: FleetSnapshot, files: Sequence[str] = ()) -> str:
    """All hosts, one line each, under a line that counts them; ``files`` as in ``summary``.

    Where many hosts in a row are kept from LIVE by one and the same thing, it is said once.
    """
    wide = max([len(view.name) for view in snapshot.hosts] + [4])
    lines = [summary(snapshot, files)]
    for _, group in groupby(snapshot.hosts, _cause):
        first, *rest = group
        folded = len(rest) if len(rest) >= FOLDED and _cause(first)[1] else 0
        for view in [first] if folded else [first, *rest]:
            age = view.age(snapshot.at)
            old = "" if age is None else span(age)
            lines.append(f"{view.name:{wide}}  {view.state.value:10} {old:>4}  {words(view)}")
        if folded:
            lines.append(
                f"  and {folded} more hosts with the same, {rest[0].name} to {rest[-1].name}"
            )
    return "\n".join(lines) + "\n"


def summary(snapshot: FleetSnapshot, files: Sequence[str] = ()) -> str:
    """The fleet in one line; ``files`` of the configuration were read, the last one is the user's.

    Without hosts it says what to do next.
    """
    hosts = [view for view in snapshot.hosts if not view.workstation]
    if not hosts:
        step = f"add hosts to {clean(files[-1])}" if files else "run `watchfloor config init`"
        return f"no hosts are configured: {step}"
    states = Counter(view.state.value for view in hosts)
    counted = ", ".join(f"{states[state]} {state}" for state in HostState if states[state])
    gpus = [gpu for view in hosts for gpu in view.gpus]
    watts = sum(gpu.fast.power_w or 0 for gpu in gpus)
    used = sum(gpu.fast.mem_used_mib or 0 for gpu in gpus)
    return f"{count(len(hosts), 'host')}: {counted}; {count(len(gpus), 'GPU')}, {watts:.0f} W, " + (
        f"{size(used, start='M')} GPU memory in use"
    )


def event_line(event: Event) -> str:
    """One event: when (UTC), where, how bad where it is, what."""
    return f"{utc(event.at)}Z {event.host or 'watchfloor'} {warned([event], sentence(event))}"


def warned(events: Sequence[Event], told: str) -> str:
    """What ``events`` say behind the severity of the worst of them, in a word: WARNING or BAD."""
    levels = {severity(event) for event in events}
    level = "BAD: " if BAD in levels else "WARNING: " if WARN in levels else ""
    return level + told
