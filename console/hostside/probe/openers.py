"""Which processes have declared weight files open or mapped.

Weights are usually mapped and their descriptor closed, so both are looked at. A process in a
container sees the files under another path: a file is also known by device and inode when its
name is that of a declared one.
"""

from __future__ import annotations

import os
import stat
from itertools import islice

from .denied import Denied
from .place import Place, slurp, slurp_all, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .owners import Holdings
    from .procs import Process
    from .proctable import ProcessTable

    Event = Callable[[str, str, dict[str, Any]], None]

MAX_FILES = 20_000
MAX_ROWS = 8192
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
        for process in list(self._table.by_pid.values()):
            if process.kthread or process.state == "Z":
                continue
            try:
                for path, writable in self._mapped(process):
                    key = (process.pid, "map", path)
                    found[key] = found.get(key, False) or writable
            except PermissionError:
                complete = False
            except OSError:
                continue
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

    def _mapped(self, process: Process) -> list[tuple[str, bool]]:
        text = slurp_all(f"{self._place.proc}/{process.pid}/maps", 4 << 20)
        found = []
        for path, device, inode, writable in parse_maps(text, self._weights.maybe):
            real = self._weights.same(path, device, inode)
            if real:
                found.append((real, writable))
        return found

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
            if old is None and not self._first:
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


def parse_maps(text: bytes, wanted: Callable[[str], bool]) -> list[tuple[str, int, int, bool]]:
    """Mapped files of ``/proc/PID/maps``: path, device, inode, shared and writable; each once."""
    found: dict[tuple[str, int, int], bool] = {}
    seen: dict[bytes, bool] = {}
    for line in text.split(b"\n"):
        at = line.find(b"/")
        if at < 0:
            continue
        raw = line[at:]
        take = seen.get(raw)
        if take is None:
            take = seen[raw] = wanted(raw.decode("utf-8", "surrogateescape"))
        if not take:
            continue
        fields = line[:at].split()
        if len(fields) != 5:
            continue
        try:
            major, minor = fields[3].split(b":")
            key = (
                raw.decode("utf-8", "surrogateescape"),
                os.makedev(int(major, 16), int(minor, 16)),
                int(fields[4]),
            )
        except (ValueError, OverflowError):
            continue
        found[key] = found.get(key, False) or (fields[1][1:2] == b"w" and fields[1][3:4] == b"s")
    return [(path, device, inode, writable) for (path, device, inode), writable in found.items()]
