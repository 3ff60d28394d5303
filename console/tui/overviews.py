"""The part of the application that opens plots, the heat map, all events and the wall board."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.model.event import Event
from console.model.view import FleetSnapshot, HostView
from console.text import clean
from console.tui.control.actions import Mode
from console.tui.control.commands import fitting
from console.tui.control.trail import Place
from console.tui.meaning.heat import NUMBERS, number_of
from console.tui.meaning.newcomers import Newcomers
from console.tui.navigation import VIEWS, Navigation
from console.tui.plot.names import ordered
from console.tui.screens.events import EventsScreen
from console.tui.screens.fleet import FleetScreen
from console.tui.screens.heat import HeatScreen
from console.tui.screens.host import HostScreen
from console.tui.screens.plot import PlotScreen
from console.tui.screens.wall import WallScreen

if TYPE_CHECKING:
    from console.tui.app import ConsoleApp

USUAL = "gpu_util_pct"
PAST = 500
"""Events of each kind that the view of all events begins with."""
ALL_EVENTS = 100_000
"""More than an engine holds."""
OF_COLUMN = {
    "cpu": "cpu_pct", "mem": "mem_pct", "power": "gpu_power_w", "temp": "gpu.0.temp_c",
    "gpu_mem": "gpu.0.mem_pct", "egress": "tx_bps", "ingress": "rx_bps",
}  # fmt: skip
"""What is plotted of a column of the fleet; any other shows how busy the GPUs are."""
OF_HEAT = {
    "util": "gpu_util_pct", "mem": "gpu.0.mem_pct", "temp": "gpu.0.temp_c", "power": "gpu_power_w",
}  # fmt: skip


def busiest_gpu(view: HostView | None) -> str:
    """The name of the use of that host's busiest GPU."""
    gpus = view.gpus if view is not None else ()
    busiest = max(gpus, key=lambda gpu: gpu.fast.util_pct or 0.0, default=None)
    return f"gpu.{busiest.index if busiest else 0}.util_pct"


def subject(screen: object, snapshot: FleetSnapshot) -> tuple[str, str]:
    """The number and the host that a plot would show, from what a person looks at."""
    if isinstance(screen, FleetScreen):
        host = screen.table.aimed
        return OF_COLUMN.get(screen.table.model.sort, USUAL), str(host or "")
    if isinstance(screen, HeatScreen):
        return OF_HEAT[screen.number], screen.map.cursor
    if isinstance(screen, HostScreen):
        gpus = screen.tab == "gpus"
        return busiest_gpu(snapshot.host(screen.host)) if gpus else "cpu_pct", screen.host
    return USUAL, ""


class Overviews(Navigation):
    """Opens them, and begins with the wall board where that is what was started."""

    @property
    def newcomers(self) -> Newcomers:
        """What is new on GPUs since this console began, as the fleet knows it."""
        return self._fleet.newcomers

    def begin_views(self) -> None:
        """Show the first view."""
        super().begin_views()
        if self.settings.mode is Mode.WALL:
            self.go(Place("wall"))

    def action_plot(self, rest: str = "") -> None:
        """A number over time: of what a person looks at, or ``NUMBER [HOST...]``."""
        number, host = subject(self.screen, self.engine.snapshot())
        words = rest.split()
        if not words and isinstance(self.screen, PlotScreen):
            return
        hosts = [host] if host else []
        if words:
            number = OF_COLUMN.get(words[0].lower(), words[0])
            asked = words[1:] or hosts or self.host_names()[:1]
            hosts = self._hosts(asked)
            if not hosts:
                self.say(f"no host fits {clean(' '.join(asked), 60)}; Tab completes names")
                return
            known = {name for host in hosts for name in self.engine.series(host)}
            if known and number not in known:
                told = " ".join(ordered(known)[:8])
                self.say(f"no number is called {clean(number, 40)}; there are {told} ...")
                return
        elif hosts:
            number = self._measured(number, hosts[0])
        if not hosts:
            self.say("no host to plot; :plot NUMBER HOST")
            return
        if not words and not self.engine.series(hosts[0]):
            self.say(f"nothing is kept of {hosts[0]} over time; P on another host, or :plot")
            return
        self.open_view(PlotScreen(self.look, self.engine, number, hosts))

    def _measured(self, number: str, host: str) -> str:
        """``number``, or another one where that host does not have it."""
        known = self.engine.series(host)
        if number in known or not known:
            return number
        return next((name for name in (USUAL, "cpu_pct") if name in known), known[0])

    def _hosts(self, patterns: Sequence[str]) -> list[str]:
        names = self.host_names()
        return list(dict.fromkeys(name for word in patterns for name in fitting(word, names)))

    def complete_plot(self, typed: str) -> list[str]:
        """Numbers, then hosts."""
        *before, last = typed.split(" ")
        hosts = self.host_names()
        if not before:
            known = ordered(name for host in hosts[:20] for name in self.engine.series(host))
            return [name for name in known if name.startswith(last)]
        head = " ".join(before)
        return [f"{head} {name}" for name in hosts if name.startswith(last)]

    def action_events(self) -> None:
        """What happened on all hosts."""
        self.open_view(EventsScreen(self.look, self._newest_events()))

    def _newest_events(self) -> list[Event]:
        """The newest of each kind that were read, oldest first; the rest comes by the stream.

        By kind, so that a host that begins ten processes a second hides no listener of another.
        """
        seq = self._console.read_to
        held = Counter[str]()
        found: list[Event] = []
        for event in reversed(self.engine.events(0, ALL_EVENTS)):
            if event.seq <= seq and held[event.kind] < PAST:
                held[event.kind] += 1
                found.append(event)
        return found[::-1]

    def action_heat(self, rest: str = "") -> None:
        """The fleet by GPU, by one of its numbers."""
        asked = rest.strip() or "util"
        if number_of(asked) is None:
            known = ", ".join(f"{number.id} ({number.title})" for number in NUMBERS)
            self.say(f"no heat map of {clean(asked, 40)}; there are {known}")
            return
        self.open_view(HeatScreen(self.look, self.engine.snapshot, asked))

    def complete_heat(self, typed: str) -> list[str]:
        """The numbers that a heat map has."""
        return [number.id for number in NUMBERS if number.id.startswith(typed)]


def _plot(app: "ConsoleApp", args: tuple[str, ...]) -> PlotScreen:
    return PlotScreen(app.look, app.engine, args[0], args[1:])


def _heat(app: "ConsoleApp", args: tuple[str, ...]) -> HeatScreen:
    return HeatScreen(app.look, app.engine.snapshot, *args)


def _events(app: "ConsoleApp", args: tuple[str, ...]) -> EventsScreen:
    return EventsScreen(app.look, app._newest_events())


def _wall(app: "ConsoleApp", args: tuple[str, ...]) -> WallScreen:
    settings = app.settings
    return WallScreen(
        app.look, app.engine, app.newcomers, title=settings.title, every_s=settings.rotate_s
    )


VIEWS.update(plot=_plot, heat=_heat, events=_events, wall=_wall)
