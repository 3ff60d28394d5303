"""The processes of one host, flat or as a tree, joined with the GPUs and containers they use."""

from collections.abc import Hashable
from dataclasses import replace

from console.model.tables import GpuProcess, Process
from console.model.view import HostView
from console.model.words import size, span
from console.tui.meaning import present
from console.tui.screens.host_tables import Section, column, row_text, sized
from console.tui.style.look import Cell, Look
from console.tui.tables.table_model import Column
from console.tui.tables.tree import Tree

SHORT_ID = 12
"""Characters of a container's id in the table of processes."""


def unit_of(cgroup: str) -> str:
    """The systemd unit that a control group belongs to, or its last part."""
    parts = [part for part in cgroup.split("/") if part]
    for part in reversed(parts):
        if part.endswith((".service", ".scope")):
            return part
    return parts[-1] if parts else ""


class ProcessTable:
    """What the columns of one host's processes look up beside the rows, and the tree."""

    def __init__(self) -> None:
        self.tree = Tree(lambda pid: self._parents.get(pid))
        self.as_tree = False
        self._parents: dict[Hashable, int] = {}
        self._seen: tuple[object, ...] = ()
        self._memory: dict[int, float] = {}  # MiB of all GPUs, by pid
        self._gpus: dict[int, str] = {}
        self._containers: dict[str, str] = {}
        self._skew = 0.0
        self.section = Section(
            "processes",
            tuple(self._kin_dimmed(each) for each in self._columns()),
            self._rows,
            "the process table is on its way",
            key=lambda row: row.pid,
            sort="cpu_pct",
            down=True,
            denied=("processes",),
            text=self._text,
            name=lambda row: row.name,
            copied=lambda row: str(row.pid),
            needs=lambda row: bool(row.exe_deleted or row.tracer),
        )

    def gpu_memory(self, pid: int) -> float | None:
        """MiB that a process holds on all GPUs together; None where it holds none, or unknown."""
        return self._memory.get(pid)

    def container(self, row: Process) -> str:
        """The name of the container that a process is in, its id where no table names it."""
        return self._containers.get(row.container[:SHORT_ID]) or row.container

    def _rows(self, view: HostView) -> tuple[Process, ...]:
        self._skew = view.clock_skew_s or 0.0
        seen = (view.processes, view.gpu_processes, view.containers)
        if len(seen) != len(self._seen) or any(
            new is not old for new, old in zip(seen, self._seen, strict=True)
        ):
            self._seen = seen
            self._parents = {row.pid: row.ppid for row in view.processes}
            self._memory = gpu_memory(view.gpu_processes)
            self._gpus = gpu_indexes(view.gpu_processes)
            self._containers = {row.key[:SHORT_ID]: row.name for row in view.containers}
        return view.processes

    def _text(self, row: Process) -> str:
        return f"{row_text(row)} {self.container(row)}"

    def _age(self, row: Process) -> float:
        return max(0.0, present.now() - (row.started - self._skew))

    def _columns(self) -> tuple[Column[Process], ...]:
        return (
            column("pid", "PID", 7, right=True),
            column("user", "USER", 10, most=16),
            Column("cpu_pct", "CPU", 5, _cpu, lambda row: row.cpu_pct, right=True, unit="%"),
            sized("rss_kib", "MEM", 6, "K"),
            Column(
                "gpu_mem", "GPU MEM", 7, self._gpu_cell, lambda row: self._memory.get(row.pid),
                right=True, unit="M", drop=1,
            ),
            Column("gpus", "GPU", 5, self._gpus_cell, lambda row: self._gpus.get(row.pid), drop=2,
                   most=8),
            column("threads", "THR", 4, right=True, drop=8),
            column("state", "S", 1, drop=7),
            Column("container", "CONTAINER", 14, lambda row, look: [(self.container(row), "")],
                   self.container, drop=4, most=20),
            Column("unit", "UNIT", 20, lambda row, look: [(unit_of(row.cgroup), "")],
                   lambda row: unit_of(row.cgroup), drop=5, most=30),
            Column("age", "AGE", 4, lambda row, look: [(span(self._age(row)), "")], self._age,
                   right=True, unit="s", drop=3),
            column("label", "LABEL", 14, drop=9),
            Column("cmdline", "COMMAND", 30, self._command, lambda row: row.cmdline or row.name,
                   most=1000),
        )  # fmt: skip

    def _gpu_cell(self, row: Process, look: Look) -> Cell:
        if row.pid in self._gpus and row.pid not in self._memory:
            return [("?", "dim")]  # it holds a GPU, and nothing says how much of it
        return [(size(held, start="M") if (held := self._memory.get(row.pid)) else "", "accent")]

    def _gpus_cell(self, row: Process, look: Look) -> Cell:
        return [(self._gpus.get(row.pid, ""), "")]

    def _command(self, row: Process, look: Look) -> Cell:
        cell: list[tuple[str, str]] = []
        if self.as_tree:
            cell.append((self.tree.guide(row.pid, ascii_only=look.ascii_only), "dim"))
        if row.exe_deleted:
            cell.append(("[program deleted] ", "warn"))
        if row.tracer:
            cell.append((f"[traced by {row.tracer}] ", "warn"))
        return [*cell, (row.cmdline or row.name, "")]

    def _kin_dimmed(self, plain: Column[Process]) -> Column[Process]:
        """The column, dim in rows that are there only because something below them matches."""

        def cell(row: Process, look: Look) -> Cell:
            pieces = plain.cell(row, look)
            if self.as_tree and self.tree.kin(row.pid):
                return [(text, "dim") for text, _ in pieces]
            return pieces

        return replace(plain, cell=cell)


def _cpu(row: Process, look: Look) -> Cell:
    return [(f"{row.cpu_pct:.0f}%", "bold" if row.cpu_pct >= 50 else "")]


def gpu_memory(rows: tuple[GpuProcess, ...]) -> dict[int, float]:
    """MiB on all GPUs, by pid.

    A driver lists a process once for computing and once for graphics, each time with all that it
    holds of that GPU; so the greatest counts, not the sum.
    """
    held: dict[tuple[int, int], float] = {}
    for row in rows:
        if row.mem_mib is not None and row.reliable:
            place = (row.pid, row.gpu)
            held[place] = max(held.get(place, 0.0), row.mem_mib)
    total: dict[int, float] = {}
    for (pid, _), mib in held.items():
        total[pid] = total.get(pid, 0.0) + mib
    return total


def gpu_indexes(rows: tuple[GpuProcess, ...]) -> dict[int, str]:
    """The GPUs that a process holds in words (``0-3,6``), by pid."""
    held: dict[int, set[int]] = {}
    for row in rows:
        held.setdefault(row.pid, set()).add(row.gpu)
    return {pid: ranges(sorted(gpus)) for pid, gpus in held.items()}


def ranges(numbers: list[int]) -> str:
    """Ascending numbers in short: ``0-3,6``."""
    out: list[list[int]] = []
    for number in numbers:
        if out and number == out[-1][1] + 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)
