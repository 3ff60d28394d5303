"""The fleet by GPU: a cell a GPU, hosts by site."""

from collections.abc import Callable

from textual.app import ComposeResult

from console.model.view import FleetSnapshot
from console.tui.control.bindings import bindings
from console.tui.control.trail import Place
from console.tui.meaning.heat import NUMBERS, in_words, number_of, scale
from console.tui.screens.base import WatchScreen
from console.tui.style.look import Cell, Look
from console.tui.widgets.heat_map import HeatMap
from console.tui.widgets.lines import Bar


class HeatScreen(WatchScreen):
    """All GPUs at once. Arrows move from host to host, Enter opens one."""

    KIND = "heat"
    BINDINGS = bindings("heat")
    AUTO_FOCUS = ""  # keys belong to the screen, not to the hidden typed line
    CSS = "#scale { height: 2; dock: bottom; }"

    def __init__(
        self, look: Look, first: Callable[[], FleetSnapshot], number: str = "util"
    ) -> None:
        super().__init__(look)
        self._first = first
        self.map = HeatMap(look, id="map")
        self.map.number = number_of(number) or NUMBERS[0]
        self._scale = Bar(look, id="scale")

    @property
    def number(self) -> str:
        """Id of the number that is shown."""
        return self.map.number.id

    @property
    def place(self) -> Place:
        """What opens this view again."""
        return Place(self.KIND, (self.number,))

    def body(self) -> ComposeResult:
        """The map, and what its signs mean."""
        yield self.map
        yield self._scale

    def on_mount(self) -> None:
        """The newest picture at once."""
        super().on_mount()
        self.call_after_refresh(self.draw)

    def refocus(self) -> None:
        """Keys belong to the screen."""
        self.set_focus(None)

    def draw(self) -> None:
        """Draw what there is now."""
        self.show(self._first())

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw the newest snapshot."""
        self.map.show(snapshot.hosts)
        placed = len(self.map.layout_of.place)
        gpus = sum(len(view.gpus) for view in snapshot.hosts)
        words = f" GPU {self.map.number.title} "
        rest = f" {gpus} GPUs of {placed} hosts"
        if self.map.layout_of.without:
            rest += f", {self.map.layout_of.without} without GPU not shown"
        self.top.show([(words, "bold"), (rest, "")], right=self.clock())
        self._say(snapshot)
        self.hint()

    def _say(self, snapshot: FleetSnapshot) -> None:
        view = snapshot.host(self.map.cursor) if self.map.cursor else None
        here: Cell = in_words(view, self.map.number, self.look) if view is not None else []
        self._scale.show(here, scale(self.map.number, self.look))

    def on_heat_map_chosen(self, event: HeatMap.Chosen) -> None:
        """Open the host that was clicked twice."""
        event.stop()
        self.action_open()

    def _moved(self) -> None:
        self._say(self._first())

    # -- actions

    def action_open(self) -> None:
        """Open the host under the cursor."""
        host = self.map.aimed()
        if host and host != self.map.cursor:
            self.remark(f"{host} has just left the map: it shows no GPU any more")
        elif host:
            self.console.open_host(host)

    def action_left(self) -> None:
        """The host before."""
        self.map.move(columns=-1)
        self._moved()

    def action_right(self) -> None:
        """The next host."""
        self.map.move(columns=1)
        self._moved()

    def action_up(self) -> None:
        """A line up."""
        self.map.move(lines=-1)
        self._moved()

    def action_down(self) -> None:
        """A line down."""
        self.map.move(lines=1)
        self._moved()

    def action_page_up(self) -> None:
        """A screen up."""
        self.map.move(lines=-max(1, self.map.size.height - 2))
        self._moved()

    def action_page_down(self) -> None:
        """A screen down."""
        self.map.move(lines=max(1, self.map.size.height - 2))
        self._moved()

    def action_first(self) -> None:
        """The first host."""
        self.map.end(last=False)
        self._moved()

    def action_last(self) -> None:
        """The last host."""
        self.map.end(last=True)
        self._moved()

    def action_number(self) -> None:
        """The next number."""
        at = NUMBERS.index(self.map.number)
        self.map.number = NUMBERS[(at + 1) % len(NUMBERS)]
        self.draw()

    def action_back(self) -> None:
        """End typing, else back."""
        if not self.end_typing(undo=True):
            self.app.pop_screen()
