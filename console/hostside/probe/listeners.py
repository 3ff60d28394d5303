"""Listening TCP and bound UDP sockets: the set each fast tick, owners only when it changed.

A socket bound through an IPv6 socket to an IPv4 address has the key of the IPv4 form
(``tcp/127.0.0.1:8000``), so that it equals what an operator declares.
"""

from __future__ import annotations

from .fair import group_of, level
from .place import Place, slurp
from .sockdiag import SockDiag, Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .denied import Denied
    from .owners import Holdings
    from .proctable import ProcessTable

    Event = Callable[[str, str, dict[str, Any]], None]

MAX_LISTENERS = 8192
ASK_AGAIN = 3  # times that the owner of a socket is looked for before it is left as unknown


def key_of(proto: str, address: str, port: int) -> str:
    """``tcp/0.0.0.0:22`` or ``tcp/[::]:22``."""
    return "{}/{}:{}".format(proto, "[" + address + "]" if ":" in address else address, port)


def ephemeral_range(place: Place) -> tuple[int, int]:
    """Ports that the kernel gives to clients."""
    try:
        low, high = slurp(place.proc + "/sys/net/ipv4/ip_local_port_range", 64).split()[:2]
        return int(low), int(high)
    except (OSError, ValueError):
        return 32_768, 60_999


class Listeners:
    """Table ``listen``.

    ``sample`` asks the kernel for the set. When it changed, or an owner left, the holders of all
    sockets are looked up by ``owners`` and rows are made new. Events are emitted for what
    appears or goes after the first sample. A UDP socket in the ephemeral range must be there at
    two ticks: most are clients that wait for one answer. A key that another process or user took
    over between two ticks has both events. Where there are too many, each user has a share of the
    table, and what is cut is told.
    """

    def __init__(
        self,
        place: Place,
        diag: SockDiag,
        table: ProcessTable,
        owners: Callable[[], Holdings],
        event: Event,
        denied: Denied,
    ) -> None:
        self._place = place
        self._diag = diag
        self._table = table
        self._owners = owners
        self._event = event
        self._denied = denied
        self._low, self._high = ephemeral_range(place)
        self._seen: dict[str, tuple[int, int]] = {}
        self._maybe: set[str] = set()
        self._asked: dict[str, int] = {}
        self._owner: dict[str, tuple[int, int]] = {}  # key -> pid and its start
        self._first = True
        self._all: frozenset[str] = frozenset()  # also what did not fit into the table
        self._shared: dict[str, set[int]] = {}  # inodes of keys that have several sockets
        self._cut: frozenset[int] = frozenset()  # groups of users whose sockets did not all fit
        self.rows: dict[int | str, list[Any]] = {}
        self.ports: frozenset[int] = frozenset()

    def sample(self) -> bool:
        """Look once; True when the table changed. Raises OSError for no answer."""
        shared = self._shared
        now = self._fit(self._current())
        if now.keys() == self._seen.keys() and now == self._seen and not self._orphans():
            return False
        appeared = [key for key in now if key not in self._seen]
        gone = [key for key in self._seen if key not in self._all]
        changed = {
            key: (was, self._owner.get(key))
            for key, was in self._seen.items()
            if now.get(key, was) != was
        }
        for key in now:
            if self._seen.get(key) != now[key]:
                self._owner.pop(key, None)
                self._asked.pop(key, None)
        self._seen = now
        self._find_owners(now)
        before = self.rows
        self.rows = {key: self._row(key, uid) for key, (_, uid) in now.items()}
        self.ports = frozenset(row[3] for row in self.rows.values() if row[1] == "tcp")
        if not self._first:
            for key in gone:
                self._event("listener.gone", key, _facts(before[key]))
            for key, (was, owner) in changed.items():
                same = was[1] == now[key][1] and now[key][0] in shared.get(key, ())
                if was[1] != now[key][1] or (not same and owner != self._owner.get(key)):
                    self._event("listener.gone", key, _facts(before[key]))
                    appeared.append(key)
            for key in appeared:
                self._event("listener.new", key, _facts(self.rows[key]))
        for key in self._owner.keys() - now.keys():
            del self._owner[key]
        for key in self._asked.keys() - now.keys():
            del self._asked[key]
        self._first = False
        return True

    def owner(self, address: str, port: int) -> int | None:
        """Process that serves connections to this local TCP address and port."""
        for host in (address, "0.0.0.0", "::"):  # noqa: S104  # names of sockets, none is opened
            found = self._owner.get(key_of("tcp", host, port))
            if found is not None:
                return found[0]
        return None

    def _current(self) -> dict[str, tuple[int, int]]:
        """Inode and user by key; of several sockets with one key (SO_REUSEPORT) the oldest."""
        found: dict[str, tuple[int, int]] = {}
        self._shared = {}
        for one in self._diag.listeners():
            self._keep(found, key_of("tcp", one.local, one.port), one)
        maybe = set()
        for one in self._diag.udp():
            key = key_of("udp", one.local, one.port)
            if self._low <= one.port <= self._high and key not in self._seen and not self._first:
                maybe.add(key)
                if key not in self._maybe:
                    continue
            self._keep(found, key, one)
        self._maybe = maybe
        return found

    def _keep(self, found: dict[str, tuple[int, int]], key: str, one: Socket) -> None:
        other = found.get(key)
        if other is not None:
            self._shared.setdefault(key, {other[0]}).add(one.inode)
        if other is None or one.inode < other[0]:
            found[key] = (one.inode, one.uid)

    def _fit(self, found: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        """What fits into the table: of each user the same number, what others can reach first."""
        self._all = frozenset(found)
        if len(found) <= MAX_LISTENERS:
            self._cut = frozenset()
            self._denied.set("listeners", None)
            return found
        users: dict[int, list[str]] = {}
        for key, (_, uid) in found.items():
            users.setdefault(group_of(uid), []).append(key)
        most = level({user: len(keys) for user, keys in users.items()}, MAX_LISTENERS)
        kept: dict[str, tuple[int, int]] = {}
        cut = []
        for user, keys in users.items():
            if len(keys) > most:
                cut.append(user)
                keys.sort(key=self._rank)
            kept.update((key, found[key]) for key in keys[:most])
        self._tell_cut(cut, len(found) - len(kept))
        return kept

    def _rank(self, key: str) -> tuple[bool, bool, str]:
        """Of a user who has too many: first what other hosts reach, then what was there."""
        return "/127." in key or "/[::1]" in key, key not in self._seen, key

    def _tell_cut(self, users: list[int], dropped: int) -> None:
        names = ", ".join(map(str, sorted(users)[:8]))
        self._denied.set(
            "listeners", f"fewer sockets than the {len(self._all)} that listen, most of uid {names}"
        )
        if not self._cut.issuperset(users):
            reason = f"too many listeners of uid {names}"
            self._event("log.gap", "listener.new", {"reason": reason, "dropped": dropped})
        self._cut = frozenset(users)

    def _orphans(self) -> bool:
        """True when an owner ended or may now be found: the socket lives on in another process."""
        orphans = False
        by_pid = self._table.by_pid
        for key in self._seen:
            owner = self._owner.get(key)
            if owner is None:
                orphans = orphans or self._asked.get(key, 0) < ASK_AGAIN
            else:
                process = by_pid.get(owner[0])
                if process is None or process.start != owner[1]:
                    del self._owner[key]
                    self._asked.pop(key, None)
                    orphans = True
        return orphans

    def _find_owners(self, now: dict[str, tuple[int, int]]) -> None:
        unknown = [key for key in now if key not in self._owner]
        if not unknown:
            return
        held = self._owners()
        refused = False
        for key in unknown:
            pid = held.sockets.get(now[key][0])
            process = self._table.by_pid.get(pid) if pid is not None else None
            if process is not None:
                self._owner[key] = (process.pid, process.start)
            elif not held.complete:
                self._asked[key] = ASK_AGAIN  # asking again would be refused again
                refused = True
            elif held.cut:
                self._asked[key] = ASK_AGAIN  # nor is there more time at the next tick
            else:
                self._asked[key] = self._asked.get(key, 0) + 1
        self._denied.set("listeners.owner", self._denied.ptrace if refused else None)

    def _row(self, key: str, uid: int) -> list[Any]:
        proto, _, rest = key.partition("/")
        address, _, port = rest.rpartition(":")
        row: list[Any] = [key, proto, address.strip("[]"), int(port), uid, None, None, None]
        owner = self._owner.get(key)
        process = self._table.by_pid.get(owner[0]) if owner else None
        if process is not None and self._table.know(process) and process.about is not None:
            about = process.about
            row[5:8] = [process.pid, process.name, about.container or about.unit or None]
        return row


def _facts(row: list[Any]) -> dict[str, Any]:
    names = ("proto", "address", "port", "uid", "pid", "name")
    return dict(zip(names, row[1:7]))
