"""The inventory lane: small steps of a generator between the ticks of the other lanes."""

from __future__ import annotations

import threading

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
WAIT_S = 0.02  # the loop waits so long for a step
LOOK_S = 0.1  # and looks again so much later
STUCK_S = 30.0
LAST_S = 0.5

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
        self.source = ""  # which is being read
        self.stuck: frozenset[str] = frozenset()  # which must not be begun


class Runner(threading.Thread):
    """Runs one generator, a step at a time, in a thread of its own.

    A step may meet a file system whose server is gone, or a file that its owner holds closed, and
    then no signal gets it back. So the loop never waits for one longer than it wants to.
    """

    def __init__(self, running: Iterator[tuple[Any, ...]]) -> None:
        super().__init__(name="inventory", daemon=True)
        self._running = running
        self._go = threading.Semaphore(0)
        self._told = threading.Event()
        self._ended = False
        self.result: tuple[Any, ...] | None = None
        self.error: BaseException | None = None

    def ask(self) -> None:
        """Begin the next step."""
        self._told.clear()
        self._go.release()

    def told(self, seconds: float) -> bool:
        """Whether the step that was begun has ended, within ``seconds`` from now.

        Then ``result`` is what it gave, or ``error`` why there is none.
        """
        return self._told.wait(seconds)

    def end(self) -> None:
        """Make the thread end after the step it is in; what its generator started is ended too."""
        self._ended = True
        self._go.release()

    def run(self) -> None:
        """Until the generator is at its end."""
        close = getattr(self._running, "close", None)
        while True:
            self._go.acquire()
            if self._ended:
                break
            try:
                self.result = next(self._running)
            except BaseException as error:  # the loop has to know of every end
                self.result, self.error = None, error
            self._told.set()
            if self.error is not None:
                break
        if close is not None:
            close()


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
        self._runner: Runner | None = None
        self._waiting = False  # a step was begun and has not ended
        self._next = place.mono()
        self._began = self._next
        self._asked_at = self._step_at = 0.0
        self._stuck: dict[str, Runner] = {}

    def soon(self) -> None:
        """Run again in a moment, because something happened that changes the inventory."""
        now = self._place.mono()
        wanted = max(now + SOON_S, self._began + PAUSE_S)
        self._next = min(self._next, wanted)

    def due(self) -> float:
        """When ``step`` wants to be called next."""
        return self._step_at if self._runner is not None else self._next

    def stop(self) -> None:
        """End the thread, if it can be ended."""
        if self._runner is not None:
            self._runner.end()
            self._runner.join(LAST_S)

    def step(self) -> float:
        """One small step, or one look at whether it has ended; returns the seconds it took."""
        began = self._place.mono()
        if self._runner is None:
            self._begin(began)
        runner = self._runner
        assert runner is not None  # noqa: S101  # made just now
        if not self._waiting:
            self._waiting, self._asked_at = True, began
            runner.ask()
        if runner.told(WAIT_S):
            self._waiting = False
            self._end_of_step(runner)
        elif began - self._asked_at > STUCK_S:
            self._give_up(runner)
        spent = self._place.mono() - began
        self._step_at = began + spent + (LOOK_S if self._waiting else max(0.005, spent * SHARE))
        return spent

    def _begin(self, now: float) -> None:
        for source, runner in list(self._stuck.items()):
            if runner.told(0):  # it came back
                del self._stuck[source]
                self._denied.set("inventory." + source, None)
        self._began = now
        self._next = now + PERIOD_S
        self._context.stuck = frozenset(self._stuck)
        self._runner = Runner(self._steps(self._context))
        self._runner.start()

    def _end_of_step(self, runner: Runner) -> None:
        error = runner.error
        try:
            if error is None and runner.result is not None:
                self._take(runner.result)
                return
        except Exception as failure:  # any failure of one source must not end the probe
            error = failure
            runner.end()
        if not isinstance(error, StopIteration) and error is not None:
            self._troubles.report("inventory", error)
        self._runner = None

    def _give_up(self, runner: Runner) -> None:
        """Go on without the source that does not answer, until it does."""
        source = self._context.source
        runner.end()
        self._stuck[source] = runner
        right = f"a file system that answers: it was waited for {STUCK_S:.0f} s"
        self._denied.set("inventory." + source, right)
        self._runner = None
        self._waiting = False
        self._next = self._place.mono()

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
