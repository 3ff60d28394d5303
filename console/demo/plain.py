"""The demo as calm lines: stages as they begin, states as they change, events folded."""

from collections.abc import Iterator, Sequence

from console.demo.run import Begun
from console.demo.timeline import Stage
from console.engine.logins import Logins
from console.engine.protocol import Engine
from console.headless.plain import summary, warned, words
from console.model.event import Event
from console.model.host import HostState
from console.model.view import HostView
from console.model.words import together, utc

ROUND_S = 10.0
FOLD_S = 5.0
"""The first event of a kind on a host is told at once, what follows it within this time as one."""
UNTOLD = ("demo.stage", "host.state", "host.key-changed", "process.new", "log.line")
"""Told as a change of state, or too many on a machine at work."""
NAME = 13


class PlainLog:
    """Makes lines from what is new in an engine. Text in snapshots and events is clean already."""

    def __init__(self, engine: Engine, script: Sequence[Stage]) -> None:
        self._engine = engine
        self._stages = {stage.id: stage for stage in script}
        self._states: dict[str, HostState] = {}
        self._after = 0
        self._logins = Logins()
        self._told = 0
        self._next_round = 0.0
        self._held: dict[tuple[str, str], list[Event]] = {}
        self._quiet: dict[tuple[str, str], float] = {}
        self.most_live = 0  # the most hosts that were LIVE at one moment

    def lines(self, begun: Sequence[Begun], now: float) -> Iterator[str]:
        """What is new at ``now`` (seconds since the epoch)."""
        snapshot = self._engine.snapshot()
        views = [view for view in snapshot.hosts if not view.workstation]
        self.most_live = max(self.most_live, sum(v.state is HostState.LIVE for v in views))
        for stage in begun[self._told :]:
            yield line_of(stage.at, "incident", f"[{stage.id}] {self._stages[stage.id].see}")
        self._told = len(begun)
        yield from self._changes(views, now)
        yield from self._events(now)
        if now >= self._next_round:
            if self._next_round:
                yield line_of(now, "fleet", summary(snapshot))
            self._next_round = now + ROUND_S

    def _changes(self, views: Sequence[HostView], now: float) -> Iterator[str]:
        for view in views:
            before = self._states.get(view.name, HostState.CONNECTING)
            if before is not view.state:
                yield line_of(now, view.name, f"{view.state.value:10} {words(view)}")
            self._states[view.name] = view.state

    def _events(self, now: float) -> Iterator[str]:
        for event in map(self._logins.read, self._engine.events(self._after)):
            self._after = event.seq
            if event.kind not in UNTOLD:
                self._held.setdefault((event.host, event.kind), []).append(event)
        self._quiet = {what: until for what, until in self._quiet.items() if until > now}
        for what, events in list(self._held.items()):
            if now >= self._quiet.get(what, 0.0):
                self._quiet[what] = now + FOLD_S
                del self._held[what]
                yield _event(events, now)


def _event(events: Sequence[Event], now: float) -> str:
    return line_of(now, events[-1].host, warned(events, together(events)))


def line_of(at: float, who: str, what: str) -> str:
    """One line of the log: when, who, what."""
    return f"{utc(at)}Z  {who:{NAME}} {what}"
