"""Everything about one row of a table, as a page: its fields, and what other tables say of it."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from console.model.tables import Flow, GpuProcess, Listener, Opener, Process
from console.model.view import HostView
from console.model.words import rate, sentence, size
from console.tui.meaning.events import Row
from console.tui.meaning.values import moment, values, yes_no
from console.tui.screens.host_pages import LABEL, fact, title
from console.tui.screens.network_tables import Heard, Peer
from console.tui.style.look import Cell, Look

MOST = 20
"""Rows of another table that are shown; the rest is counted."""


def row_page(row: Any, view: HostView, look: Look, *, there: bool = True) -> list[Cell]:
    """The page. ``there`` is False when the row has left its table since it was opened."""
    lines: list[Cell] = [title(_name(row), look)]
    if not there:
        words = "is no longer there; this is how it was last seen"
        lines.append([(f"  {look.mark('warn')} {words}", "warn")])
    if isinstance(row, Row):
        return [*lines, *_event(row)]
    lines += _fields(row)
    if isinstance(row, Process):
        lines += _of_process(row, view, look)
    elif isinstance(row, Heard | Flow):
        owner = next((each for each in view.processes if each.pid == row.pid), None)
        if owner is not None:
            lines += [[], title(f"its program: {_name(owner)}", look), *_fields(owner)]
            lines += _of_process(owner, view, look)
    elif isinstance(row, Peer):
        flows = [each for each in view.flows if each.peer == row.peer]
        lines += _group("connections", map(_flow, flows), look)
    return lines


def _name(row: Any) -> str:
    match row:
        case Process():
            return f"process {row.pid} {row.name}"
        case Heard() | Listener():
            return f"listener {row.key}"
        case Flow():
            return f"connections {row.direction} {row.peer} port {row.port}"
        case Peer():
            return f"peer {row.peer}"
        case Row():
            return f"event {row.last.kind}"
    first = getattr(row, "name", "") or getattr(row, row.__struct_fields__[0])
    return f"{type(row).__name__.lower()} {first}"


def _fields(row: msgspec.Struct) -> Iterator[Cell]:
    return (fact(*value) for value in values(row))


def _event(row: Row) -> Iterator[Cell]:
    event = row.last
    yield [(f"  {sentence(event)}", "bold")]
    yield fact("when", moment(event.at))
    yield fact("host", event.host)
    yield fact("about", event.key)
    if row.count > 1:
        yield fact("times", f"{row.count}, the first {moment(row.first_at)}")
    for name, value in event.facts.items():
        yield fact(name.replace("_", " "), yes_no(value))
    yield fact("number in the stream", event.seq)


def _of_process(row: Process, view: HostView, look: Look) -> Iterator[Cell]:
    by_pid = {each.pid: each for each in view.processes}
    yield from _group("parents, nearest first", map(_short, _parents(row, by_pid)), look)
    children = [each for each in view.processes if each.ppid == row.pid and each is not row]
    yield from _group("children", map(_short, children), look)
    held = sorted(
        (each for each in view.gpu_processes if each.pid == row.pid),
        key=lambda each: -(each.mem_mib or 0.0),
    )
    yield from _group("GPUs", map(_on_gpu, held), look)
    ears = [each for each in view.listeners if each.pid == row.pid]
    yield from _group("listens", ((each.key, each.unit or "") for each in ears), look)
    flows = sorted(
        (each for each in view.flows if each.pid == row.pid), key=lambda each: -each.tx_bps
    )
    yield from _group("connections", map(_flow, flows), look)
    opened = [each for each in view.openers if each.pid == row.pid]
    yield from _group("weights", map(_opener, opened), look)
    if row.container:
        boxes = [each for each in view.containers if each.key.startswith(row.container)]
        for box in boxes[:1]:
            yield []
            yield title(f"container {box.name}", look)
            yield from _fields(box)


def _parents(row: Process, by_pid: dict[int, Process]) -> Iterator[Process]:
    """Ancestors, nearest first; a circle, which only a lying host can tell of, ends the walk."""
    seen = {row.pid}
    at = by_pid.get(row.ppid)
    while at is not None and at.pid not in seen:
        seen.add(at.pid)
        yield at
        at = by_pid.get(at.ppid)


def _group(head: str, rows: Iterable[tuple[str, str]], look: Look) -> Iterator[Cell]:
    every = list(rows)
    if not every:
        return
    yield []
    yield title(f"{head} ({len(every)})" if len(every) > 1 else head, look)
    for label, text in every[:MOST]:
        if len(label) >= LABEL:
            yield [(f"  {label}  ", "dim"), (text, "")]
        else:
            yield fact(label, text)
    if len(every) > MOST:
        yield [(f"  and {len(every) - MOST} more", "dim")]


def _short(row: Process) -> tuple[str, str]:
    return f"{row.pid} {row.user}", row.cmdline or row.name


def _on_gpu(row: GpuProcess) -> tuple[str, str]:
    memory = size(row.mem_mib, start="M") if row.reliable else "?"
    share = "" if row.sm_pct is None else f", {row.sm_pct:.0f}% of its multiprocessors"
    return f"GPU {row.gpu} {row.kind}", f"{memory}{share} (from {row.source})"


def _flow(row: Flow) -> tuple[str, str]:
    words = f"{row.count} open, {rate(row.tx_bps)} out, {rate(row.rx_bps)} in, "
    words += f"{size(row.tx_bytes)} sent, {size(row.rx_bytes)} received"
    return f"{row.direction} {row.peer}:{row.port}", words + (f", {row.name}" if row.name else "")


def _opener(row: Opener) -> tuple[str, str]:
    return f"{row.how}{', writes' if row.writable else ''}", row.path
