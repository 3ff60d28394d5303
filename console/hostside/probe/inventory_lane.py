"""The inventory lane: small steps of a generator between the ticks of the other lanes."""

from __future__ import annotations

from .happen import Troubles
from .place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from .declared import Declared
    from .denied import Denied
    from .frames import Board

PERIOD_S = 300.0
SOON_S = 15.0  # after an event that changes what a host is made of
PAUSE_S = 60.0  # at least so long between two runs
SHARE = 4.0  # rest so many times as long as a step took

TOOLS = frozenset(
    (
        *("dpkg", "apt", "apt-get", "aptitude", "unattended-upgr", "rpm", "dnf", "yum", "zypper"),
        *("pip", "pip3", "uv", "conda", "mamba", "docker", "podman", "ctr", "nerdctl", "nft"),
        *("iptables", "iptables-restor", "ip6tables", "firewall-cmd", "ufw", "modprobe", "insmod"),
        *("useradd", "userdel", "usermod", "groupadd", "passwd", "chpasswd", "visudo", "rmmod"),
        *("kmod", "fwupdmgr", "systemctl"),
    )
)
"""Programs after whose start the inventory is read again soon."""


class Context:
    """What the inventory may use of the other lanes."""

    def __init__(
        self,
        place: Place,
        declared: Declared,
        tier: int,
        gpus: Any,
        listeners: Callable[[], list[list[Any]]],
        processes: Callable[[], Iterable[dict[str, Any]]],
    ) -> None:
        self.place = place
        self.declared = declared
        self.tier = tier
        self.gpus = gpus
        self.listeners = listeners
        self.processes = processes


class InventoryLane:
    """Runs ``steps(context)`` and takes its results to the board."""

    def __init__(
        self,
        place: Place,
        board: Board,
        denied: Denied,
        troubles: Troubles,
        steps: Callable[[Context], Iterator[tuple[Any, ...]]],
        context: Context,
    ) -> None:
        self._place = place
        self._board = board
        self._denied = denied
        self._troubles = troubles
        self._steps = steps
        self._context = context
        self._running: Iterator[tuple[Any, ...]] | None = None
        self._next = place.mono()
        self._began = self._next
        self._step_at = 0.0

    def soon(self) -> None:
        """Run again in a moment, because something happened that changes the inventory."""
        now = self._place.mono()
        wanted = max(now + SOON_S, self._began + PAUSE_S)
        self._next = min(self._next, wanted)

    def due(self) -> float:
        """When ``step`` wants to be called next."""
        return self._step_at if self._running is not None else self._next

    def step(self) -> float:
        """One small step; returns the seconds it took."""
        began = self._place.mono()
        if self._running is None:
            self._began = began
            self._next = began + PERIOD_S
            self._running = self._steps(self._context)
        try:
            self._take(next(self._running))
        except StopIteration:
            self._running = None
        except Exception as error:  # any failure of one source must not end the probe
            self._troubles.report("inventory", error)
            self._running = None
        spent = self._place.mono() - began
        self._step_at = began + spent + max(0.005, spent * SHARE)
        return spent

    def _take(self, result: tuple[Any, ...]) -> None:
        kind = result[0]
        if kind == "section":
            self._board.section(result[1], result[2])
        elif kind == "table":
            rows = result[2]
            by_key = rows if isinstance(rows, dict) else {row[0]: row for row in rows}
            self._board.table(result[1]).put(by_key)
        elif kind == "denied":
            self._denied.set(result[1], result[2])
