"""Which processes have declared weight files open or mapped.

Weights are usually mapped and their descriptor closed, so both are looked at. A process in a
container sees the files under another path, and whoever hides uses a hard link or a mount: a file
is also known by device and inode.
"""

from __future__ import annotations

import os
import stat
from itertools import islice

from .denied import Denied
from .fair import in_turn
from .owners import queued
from .place import Place, slurp, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any

    from .owners import Holdings
    from .procs import Process
    from .proctable import ProcessTable

    Event = Callable[[str, str, dict[str, Any]], None]

MAX_FILES = 20_000
MAX_ROWS = 8192
MAX_MAPS = 16 << 20  # bytes of one process's maps
MAPS_S = 0.3  # for the maps of all; who is not reached in it is first the next time
WALK_S = 60.0
_WRITE = os.O_WRONLY | os.O_RDWR


class Weights:
    """The declared folders and files, and what lies in them (walked again each minute)."""

    def __init__(self, place: Place, declared: Iterable[str]) -> None:
        self._place = place
        roots = {os.path.realpath(place.path(path)) for path in declared}
        self.roots = tuple(sorted(roots))
        self._below = tuple(root.rstrip("/") + "/" for root in self.roots)
        self._until = 0.0
        self.names: set[str] = set()
        self.by_inode: dict[tuple[int, int], str] = {}
        self.inodes: set[int] = set()  # on whatever device

    def __bool__(self) -> bool:
        return bool(self.roots)

    def walk(self) -> None:
        """Learn the files again when a minute has passed."""
        now = self._place.mono()
        if now < self._until:
            return
        self._until = now + WALK_S
        self.names = set()
        self.by_inode = {}
        self.inodes = set()
        left = MAX_FILES
        for root in self.roots:
            if os.path.isfile(root):
                self._learn(root)
            stack = [root]
            while stack and left > 0:
                # Whoever may write there must not be able to make a walk long: every entry
                # counts, not only files.
                try:
                    with os.scandir(stack.pop()) as entries:
                        for entry in islice(entries, left):
                            left -= 1
                            if entry.is_dir(follow_symlinks=False):
                                stack.append(entry.path)
                            else:
                                self._learn(entry.path)
                except OSError:
                    continue

    def _learn(self, path: str) -> None:
        try:
            about = os.lstat(path)
        except OSError:
            return
        if stat.S_ISREG(about.st_mode):
            self.names.add(os.path.basename(path))
            self.by_inode[about.st_dev, about.st_ino] = path
            self.inodes.add(about.st_ino)

    def maybe(self, path: str) -> bool:
        """True for a path that lies in a declared folder, or has the name of a file in one."""
        return (
            path.startswith(self._below)
            or path in self.roots
            or path.rsplit("/", 1)[-1] in self.names
        )

    def same(self, path: str, device: int, inode: int) -> str:
        """The declared path of an open file, or empty when it only has the same name."""
        known = self.by_inode.get((device, inode))
        if known is not None:
            return known
        return path if path.startswith(self._below) or path in self.roots else ""


class _Maps:
    """What the maps of one process said when they were last read."""

    __slots__ = ("cut", "files", "late", "refused", "start", "turn")

    def __init__(self, start: int) -> None:
        self.start = start
        self.turn = 0
        self.files: list[tuple[str, bool]] = []
        self.cut = False
        self.late = False  # read for the first time, of a process that was there before the probe
        self.refused = False


class Openers:
    """Table ``openers``; emits ``weights.opened`` for what appears after the first sample."""

    def __init__(
        self, place: Place, weights: Weights, table: ProcessTable, denied: Denied, event: Event
    ) -> None:
        self._place = place
        self._weights = weights
        self._table = table
        self._denied = denied
        self._event = event
        self._rows: dict[int | str, list[Any]] = {}
        self._first = True
        self._turn = 0
        self._maps: dict[int, _Maps] = {}
        self._old: dict[int, int] = {}  # start by pid of those that were there at the first sample

    def sample(self, holdings: Callable[[], Holdings]) -> dict[int | str, list[Any]]:
        """Rows by key."""
        held = holdings()
        complete = held.complete
        found: dict[tuple[int, str, str], bool] = {}
        for pid, descriptor, path in held.files:
            real = self._opened(pid, descriptor, path)
            if real:
                key = (pid, "fd", real)
                found[key] = found.get(key, False) or self._writable(pid, descriptor)
        if self._first:
            self._old = {process.pid: process.start for process in self._table.by_pid.values()}
        complete = self._look_at_maps() and complete
        for pid, maps in self._maps.items():
            found.update(((pid, "map", path), writable) for path, writable in maps.files)
        self._denied.set("openers", None if complete else self._denied.ptrace)
        self._rows = self._make(found)
        self._first = False
        return self._rows

    def _opened(self, pid: int, descriptor: str, path: str) -> str:
        try:
            about = os.stat(f"{self._place.proc}/{pid}/fd/{descriptor}")
        except OSError:
            return ""
        if not stat.S_ISREG(about.st_mode):
            return ""
        return self._weights.same(path, about.st_dev, about.st_ino)

    def _writable(self, pid: int, descriptor: str) -> bool:
        try:
            text = slurp(f"{self._place.proc}/{pid}/fdinfo/{descriptor}", 1024)
        except OSError:
            return False
        return fd_flags(text) & _WRITE != 0

    def _look_at_maps(self) -> bool:
        """Read maps as far as the time allows; False when some may not be read."""
        by_pid = self._table.by_pid
        for pid, maps in list(self._maps.items()):
            process = by_pid.get(pid)
            if process is None or process.start != maps.start:
                del self._maps[pid]
        self._turn += 1
        # Of each user first what was not looked at for the longest time.
        oldest = sorted(by_pid.values(), key=lambda process: self._turn_of(process.pid))
        queues = queued(self._place, oldest)
        left = in_turn(queues, self._visit, self._place.mono, MAPS_S)
        late = [process for process, _ in left if self._turn - self._turn_of(process.pid) > 1]
        cut = sorted(pid for pid, maps in self._maps.items() if maps.cut)
        reasons = []
        if cut:
            some = ", ".join(map(str, cut[:4]))
            reasons.append(f"fewer mappings: those of {len(cut)} processes are cut ({some})")
        if late:
            reasons.append(f"fewer mappings: {len(late)} processes wait for their turn")
        self._denied.set("openers.maps", "; ".join(reasons) or None)
        return not any(maps.refused for maps in self._maps.values())

    def _turn_of(self, pid: int) -> int:
        maps = self._maps.get(pid)
        return maps.turn if maps is not None else 0

    def _visit(self, item: tuple[Process, int]) -> None:
        process = item[0]
        maps = self._maps.get(process.pid)
        if maps is None:
            maps = self._maps[process.pid] = _Maps(process.start)
        maps.late = maps.turn == 0 and self._old.get(process.pid) == process.start
        maps.turn = self._turn
        maps.refused = False
        try:
            maps.files, maps.cut = self._mapped(process)
        except PermissionError:
            maps.files, maps.cut, maps.refused = [], False, True
        except OSError:
            maps.files, maps.cut = [], False

    def _mapped(self, process: Process) -> tuple[list[tuple[str, bool]], bool]:
        text = slurp_all(f"{self._place.proc}/{process.pid}/maps", MAX_MAPS)
        found = []
        weights = self._weights
        for path, device, inode, writable in parse_maps(text, weights.maybe, weights.inodes):
            real = weights.same(path, device, inode)
            if real:
                found.append((real, writable))
        return found, len(text) >= MAX_MAPS

    def _make(self, found: dict[tuple[int, str, str], bool]) -> dict[int | str, list[Any]]:
        rows: dict[int | str, list[Any]] = {}
        now = round(self._place.wall(), 1)
        for (pid, how, path), writable in list(found.items())[:MAX_ROWS]:
            process = self._table.by_pid.get(pid)
            if process is None or self._table.own(process):
                continue
            shown = words(path, 400)
            key = f"{pid}/{how}/{shown}"
            user = self._table.user(process)
            old = self._rows.get(key)
            since = old[7] if old is not None else now
            rows[key] = [key, pid, process.name, user, shown, how, writable, since]
            maps = self._maps.get(pid) if how == "map" else None
            if old is None and not self._first and not (maps is not None and maps.late):
                facts = {"pid": pid, "name": process.name, "user": user, "path": shown, "how": how}
                self._event("weights.opened", key, facts)
        return rows


def fd_flags(text: bytes) -> int:
    """``flags`` of ``/proc/PID/fdinfo/N`` (octal there); 0 when there are none."""
    for line in text.split(b"\n"):
        if line.startswith(b"flags:"):
            try:
                return int(line[6:].strip(), 8)
            except ValueError:
                return 0
    return 0


def parse_maps(
    text: bytes, wanted: Callable[[str], bool], inodes: Collection[int] = ()
) -> list[tuple[str, int, int, bool]]:
    """Mapped files of ``/proc/PID/maps``: path, device, inode, shared and writable; each once.

    Those whose path is ``wanted``, and those with one of ``inodes``.
    """
    found: dict[tuple[str, int, int], bool] = {}
    files: dict[bytes, tuple[str, int, int] | None] = {}  # device, inode and path as they stand
    for line in text.split(b"\n"):
        if line.find(b"/") < 0:
            continue
        fields = line.split(None, 3)
        if len(fields) != 4:
            continue
        raw = fields[3]
        if raw in files:
            file = files[raw]
        else:
            file = files[raw] = _mapped_file(raw, wanted, inodes)
        if file is not None:
            writable = fields[1][1:2] == b"w" and fields[1][3:4] == b"s"
            found[file] = found.get(file, False) or writable
    return [(path, device, inode, writable) for (path, device, inode), writable in found.items()]


def _mapped_file(
    raw: bytes, wanted: Callable[[str], bool], inodes: Collection[int]
) -> tuple[str, int, int] | None:
    """Path, device and inode out of the end of a line, or None for a file of no interest."""
    fields = raw.split(None, 2)
    if len(fields) != 3 or not fields[2].startswith(b"/"):
        return None
    try:
        path, inode = fields[2].decode("utf-8", "surrogateescape"), int(fields[1])
        if inode not in inodes and not wanted(path):
            return None
        major, minor = fields[0].split(b":")
        return path, os.makedev(int(major, 16), int(minor, 16)), inode
    except (ValueError, OverflowError):
        return None
