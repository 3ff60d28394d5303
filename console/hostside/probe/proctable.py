"""The process table: who is new, who is gone, the summary, and rows for a focused host."""

from __future__ import annotations

import os

from .denied import Denied
from .place import Place, slurp
from .procs import HZ, Process, parse_pid_stat, read_about, read_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .users import Users

TOP = 5
MAX_USERS = 16
RSS_STEP_KIB = 256
RSS_STEP = 0.015
MAX_PROCESSES = 65_536
SOONEST_S = 0.5  # shares over less than this are noise
IDLE_S = 60.0
IDLE_TURNS = 3
# What is read once is read again after so many slow ticks: a process may change its user, its
# title and its debugger. 1/6 of the table each time is a minute; unfocused, 5 minutes.
TURNS_FOCUSED = 6
TURNS = 30
BUDGET_S = 0.25
"""So long at most new processes are read in one go. Who starts thousands at once must not be able
to hold the loop up with them: the others are read at the next tick."""


class ProcessTable:
    """All processes by pid. ``look`` is the cheap part (names only), ``scan`` reads all of them."""

    def __init__(self, place: Place, users: Users, denied: Denied, salt: str) -> None:
        self._place = place
        self._users = users
        self._denied = denied
        self._salt = salt
        self._scans = 0
        self._turn = 0
        self._own = os.getpid()
        self.btime = 0
        self.by_pid: dict[int, Process] = {}
        self._names: set[str] = set()
        try:
            self._userns: str | None = os.readlink(place.proc + "/1/ns/user")
        except OSError:
            self._userns = None

    def pids(self) -> list[str]:
        """All process ids now, as text."""
        return [name for name in os.listdir(self._place.proc) if name.isdigit()][:MAX_PROCESSES]

    def look(self) -> tuple[list[Process], int]:
        """Processes that were not there at the last look, and the number of all."""
        names = self.pids()
        current = set(names)
        known = self.by_pid
        new = []
        later = set()
        until = self._place.mono() + BUDGET_S
        for name in current - self._names:
            if self._place.mono() > until:
                later.add(name)
                continue
            process = self._read(int(name))
            if process is not None:
                if process.pid not in known:
                    new.append(process)
                known[process.pid] = process
        for name in self._names - current:
            known.pop(int(name), None)
        self._names = current - later
        return new, len(names)

    def scan(self, everyone: bool = True) -> list[Process]:
        """Read the processes; returns those that are new.

        Without ``everyone`` those that have used no processor time for a minute are read each
        third time only: on most hosts that is nearly all of them.
        """
        now = self._place.mono()
        self._scans += 1
        new = []
        old = self.by_pid
        found: dict[int, Process] = {}
        names = self.pids()
        later = set()
        until = now + BUDGET_S
        for pid in map(int, names):
            process = old.get(pid)
            if process is None:
                if self._place.mono() > until:
                    later.add(str(pid))
                    continue
                process = self._read(pid)
                if process is not None:
                    process.at = process.busy = now
                    found[pid] = process
                    new.append(process)
                continue
            idle = now - process.busy > IDLE_S
            if idle and not everyone and (pid + self._scans) % IDLE_TURNS:
                found[pid] = process
                continue
            ticks, start, raw = process.ticks, process.start, process.raw
            if not self._stat(process):
                continue
            if process.start != start:  # the pid was given to another process
                process = Process(pid)
                if not self._stat(process):
                    continue
                process.at = process.busy = now
                new.append(process)
            else:
                if process.raw != raw:  # it has run another program
                    process.about = None
                    process.uid = None
                self._share(process, ticks, now)
            found[pid] = process
        self.by_pid = found
        self._names = set(names) - later
        return new

    @staticmethod
    def _share(process: Process, ticks: int, now: float) -> None:
        """Share of a core since the last time, which is left alone when that was a moment ago."""
        spent, passed = process.ticks - ticks, now - process.at
        if process.at and passed < SOONEST_S:
            process.ticks = ticks
            return
        if process.at:
            process.pct = round(max(0, spent) / HZ / passed * 100, 1)
        if spent > 0 or not process.at:
            process.busy = now
        process.at = now

    def _read(self, pid: int) -> Process | None:
        process = Process(pid)
        return process if self._stat(process) else None

    def _stat(self, process: Process) -> bool:
        try:
            text = slurp(f"{self._place.proc}/{process.pid}/stat", 2048)
        except OSError:
            return False
        if text != process.stat:
            if not parse_pid_stat(text, process):
                return False
            process.stat = text
        return True

    def uid(self, process: Process) -> int:
        """Effective user id, read once; -1 when the process is gone."""
        if process.uid is None:
            try:
                process.uid = read_uid(f"{self._place.proc}/{process.pid}")
            except OSError:
                pass
        return -1 if process.uid is None else process.uid

    def know(self, process: Process) -> bool:
        """Read what rarely changes, unless known; False when the process is gone."""
        if process.about is None:
            base = f"{self._place.proc}/{process.pid}"
            try:
                process.about, process.uid = read_about(base, self._salt, self._userns)
            except OSError:
                return False
            if process.about.exe is None:
                self._denied.set("procs.exe", self._denied.ptrace)
        return True

    def refresh(self, focused: bool) -> None:
        """Forget what is known of a part of the processes, so that all are read anew in turn."""
        turns = TURNS_FOCUSED if focused else TURNS
        self._turn += 1
        for process in self.by_pid.values():
            if (process.pid + self._turn) % turns == 0 and not process.kthread:
                process.about = None
                process.uid = None

    def own(self, process: Process) -> bool:
        """True for the probe itself and what it started."""
        return self._own in (process.pid, process.ppid)

    def user(self, process: Process) -> str:
        """Name of the process's user."""
        uid = self.uid(process)
        return self._users.name(uid) if uid >= 0 else ""

    def describe(self, pid: int) -> dict[str, Any]:
        """Facts about one process for other lanes, read anew; empty when it is gone.

        Keys: pid, name, uid, user, cmdline (redacted), exe, cgroup, container, unit, started,
        tracer. Touches nothing that is shared, so a thread may call it.
        """
        process = Process(pid)
        base = f"{self._place.proc}/{pid}"
        try:
            if not parse_pid_stat(slurp(base + "/stat", 2048), process):
                return {}
            about, uid = read_about(base, self._salt, self._userns)
        except OSError:
            return {}
        return {
            "pid": pid,
            "name": process.name,
            "uid": uid,
            "user": self._users.name(uid) if uid is not None else "",
            "cmdline": about.cmdline,
            "exe": about.exe,
            "cgroup": about.cgroup,
            "container": about.container,
            "unit": about.unit,
            "started": self.started(process),
            "tracer": about.tracer,
        }

    def started(self, process: Process) -> float:
        """Seconds since the epoch."""
        return round(self.btime + process.start / HZ, 2)

    def born(self, process: Process) -> dict[str, Any]:
        """Facts of the event ``process.new``; empty when it is gone already."""
        if not self.know(process) or process.about is None:
            return {}
        return {**self.brief(process), "cmdline": process.about.cmdline, "exe": process.about.exe}

    def brief(self, process: Process) -> dict[str, Any]:
        """What is known of a new process without another look at it."""
        return {
            "pid": process.pid,
            "ppid": process.ppid,
            "uid": process.uid,
            "user": self._users.name(process.uid) if process.uid is not None else "",
            "name": process.name,
        }

    def everyone(self) -> Iterator[dict[str, Any]]:
        """All processes but kernel threads, for the inventory, one after the other."""
        for process in list(self.by_pid.values()):
            if process.kthread or not self.know(process) or process.about is None:
                continue
            about = process.about
            yield {
                "pid": process.pid,
                "name": process.name,
                "cmdline": about.cmdline,
                "exe": about.exe,
                "uid": process.uid,
                "cgroup": about.cgroup,
                "container": about.container,
                "unit": about.unit,
            }

    def summary(self) -> dict[str, Any]:
        """Part ``ps``."""
        everyone = list(self.by_pid.values())
        by_user: dict[str, int] = {}
        running = zombies = 0
        for process in everyone:
            user = self.user(process)
            by_user[user] = by_user.get(user, 0) + 1
            running += process.state == "R"
            zombies += process.state == "Z"
        most = sorted(by_user.items(), key=lambda item: (-item[1], item[0]))[:MAX_USERS]
        busy = sorted((p for p in everyone if p.pct > 0), key=lambda p: -p.pct)[:TOP]
        large = sorted((p for p in everyone if p.rss_kib), key=lambda p: -p.rss_kib)[:TOP]
        return {
            "total": len(everyone),
            "running": running,
            "zombies": zombies,
            "by_user": dict(most),
            "top_cpu": [self._brief(process) for process in busy],
            "top_rss": [self._brief(process) for process in large],
        }

    def _brief(self, process: Process) -> list[Any]:
        return [process.pid, self.user(process), process.name, process.pct, process.rss_kib]

    def rows(self) -> dict[int | str, list[Any]]:
        """Rows of table ``procs``; a row stays the same object until it is worth sending."""
        found: dict[int | str, list[Any]] = {}
        until = self._place.mono() + BUDGET_S
        for process in self.by_pid.values():
            row = process.row
            if process.about is None and self._place.mono() > until:
                if row is not None:
                    found[process.pid] = row
                continue
            moved = row is None or self._moved(process, row)
            if row is None or moved or process.about is None:
                if not self.know(process):
                    continue
                fresh = self._row(process)
                if row is None or moved or fresh[:7] != row[:7] or fresh[11:] != row[11:]:
                    row = fresh
                    process.row = fresh
            found[process.pid] = row
        return found

    @staticmethod
    def _moved(process: Process, row: list[Any]) -> bool:
        """The state letter alone is no reason: it flips with every sample of a busy process."""
        step = max(RSS_STEP_KIB, row[9] * RSS_STEP)
        return bool(process.pct != row[8] or abs(process.rss_kib - row[9]) > step)

    def _row(self, process: Process) -> list[Any]:
        about = process.about
        assert about is not None  # noqa: S101  # know() was true
        uid = self.uid(process)
        return [
            process.pid,
            process.ppid,
            uid,
            self._users.name(uid) if uid >= 0 else "",
            self.started(process),
            process.name,
            about.cmdline,
            process.state,
            process.pct,
            process.rss_kib,
            process.threads,
            about.cgroup,
            about.container,
            about.exe,
            about.deleted,
            about.caps,
            about.seccomp,
            about.no_new_privs,
            about.tracer,
            about.label,
            about.userns,
            about.digest,
        ]
