"""The wall board: needs no keys, takes none, and is read from three metres."""

import time
from collections.abc import Callable
from typing import NamedTuple

from textual.app import ComposeResult

from console.engine.protocol import Engine
from console.model.event import Event
from console.model.host import HostState
from console.model.view import FleetSnapshot, HostView
from console.model.words import BAD, INFO, severity, span, utc
from console.text import clip
from console.tui.control.bindings import bindings
from console.tui.meaning.board import Board, Busy, Wrong, busiest, silence, states
from console.tui.meaning.events import EventRows, Row
from console.tui.meaning.heat import cell, scale, shown
from console.tui.meaning.newcomers import Newcomers
from console.tui.screens.base import WatchScreen
from console.tui.style.bigtext import HEIGHT, big, block, width
from console.tui.style.look import Cell, Look, Piece
from console.tui.widgets.canvas import Canvas
from console.tui.widgets.heat_map import HeatMap
from console.tui.widgets.lines import Bar

DIGIT = 7
"""Cells of one GPU in big digits."""
FROZEN_S = 5.0
"""Without a look at the engine for so long, the board says that it stands still."""
EVENTS = 20
JUMPS = 3
"""So often in one round of the pages something new may bring the first page to the front."""
STILL = "if the clock does not move, this board is frozen"


class Page(NamedTuple):
    """One page of the rotation."""

    id: str
    head: str


PAGES = (
    Page("state", "fleet"),
    Page("heat", "GPUs"),
    Page("busy", "busiest"),
    Page("events", "events"),
)


class WallScreen(WatchScreen):
    """Rotates through its pages every ``every_s`` seconds; what is newly wrong comes to the front.

    Once a round for each host and ``JUMPS`` times in all, so that all pages are seen.
    ``mono`` is the clock of the rotation.
    """

    KIND = "wall"
    BINDINGS = bindings("wall")
    AUTO_FOCUS = ""  # keys belong to the screen, not to the hidden typed line
    CSS = """
    #head { height: 6; } #foot { height: 1; dock: bottom; } #scale { height: 1; }
    #pages { height: 1fr; } #map { height: 1fr; }
    """

    def __init__(
        self,
        look: Look,
        engine: Engine,
        newcomers: Newcomers,
        *,
        title: str = "",
        every_s: float = 15.0,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(look)
        self._engine = engine
        self._newcomers = newcomers
        self._title = title
        self._every = every_s * (2 if look.reduced_motion else 1)
        self._mono = mono
        self._board = Board()
        self._events = EventRows(EVENTS)
        self._snapshot = FleetSnapshot()
        self._looked = mono()
        self._since = mono()
        self._known: set[tuple[str, int]] | None = None  # what was wrong before; None: no look yet
        self._jumped: set[str] = set()  # hosts that brought the first page to the front this round
        self._jumps = 0
        self._big_clock = True
        self.page = PAGES[0].id
        self.wrong: list[Wrong] = []
        self._head = Canvas(look, id="head")
        self._canvas = Canvas(look, id="pages")
        self._map = HeatMap(look, id="map", cursor=False)
        self._scale = Bar(look, id="scale")
        self._foot = Bar(look, id="foot")

    def body(self) -> ComposeResult:
        """A big line with the clock, the page, and how fresh it is."""
        yield self._head
        yield self._canvas
        yield self._map
        yield self._scale
        yield self._foot

    def on_mount(self) -> None:
        """No keys are told and no widget has the focus."""
        super().on_mount()
        for widget in (self._head, self._canvas):
            widget.can_focus = False
        self.hints.display = False
        self.set_interval(1.0, self.tick)
        self.call_after_refresh(self.tick)

    def tell(self, words: str, style: str = "warn") -> None:
        """A board answers nobody."""

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.draw)

    # -- what there is

    def show(self, snapshot: FleetSnapshot) -> None:
        """Take the newest snapshot; drawn at the next tick."""
        self._snapshot = snapshot
        self._looked = self._mono()

    def show_events(self, events: list[Event]) -> None:
        """Keep those that matter."""
        self._events.add(event for event in events if severity(event) != INFO)

    def forget_events(self) -> None:
        """No events yet, as before the first."""
        self._events.clear()

    def tick(self) -> None:
        """Once a second: what is wrong, which page, draw."""
        now = self._mono()
        new, lately = self._newcomers.of, self._newcomers.lately
        self.wrong = self._board.wrong(self._snapshot, self._engine.now(), new, lately)
        named = {(item.host, item.rank) for item in self.wrong}
        hosts = set() if self._known is None else {host for host, _ in named - self._known}
        if hosts - self._jumped and self._jumps < JUMPS:
            self._jumped |= hosts
            self._jumps += 1
            self._turn(PAGES[0].id)
        elif now - self._since >= self._stay():
            self._turn(self._next())
            if self.page == PAGES[0].id:  # a round has ended
                self._jumped.clear()
                self._jumps = 0
        self._known = named
        self.draw()

    def _stay(self) -> float:
        return self._every * (2 if self.page == "state" and self.wrong else 1)

    def _turn(self, page: str) -> None:
        if page == "heat" and self.page != "heat":
            self._map.scroll_to(y=self._part(), animate=False, immediate=True)
        self.page = page
        self._since = self._mono()

    def _part(self) -> int:
        """A fleet that is higher than the board is shown part by part, one each time."""
        room = max(1, self._map.size.height)
        at = self._map.scroll_offset.y + room
        return at if at < self._map.virtual_size.height else 0

    def _next(self) -> str:
        ids = [page.id for page in PAGES]
        at = ids.index(self.page)
        order = [*ids[at + 1 :], *ids[: at + 1]]
        return next(id for id in order if self._has(id))

    def _has(self, page: str) -> bool:
        if page == "heat":
            return any(view.gpus for view in self._snapshot.hosts)
        if page == "busy":
            return bool(busiest(self._snapshot))
        return page != "events" or bool(self._events.rows())

    # -- drawing

    def draw(self) -> None:
        """The page in front."""
        now = self._engine.now()
        frozen = self._mono() - self._looked
        silent = silence(self._snapshot, now)
        self._head.show(self._headline(now, frozen, silent))
        heat = self.page == "heat"
        large = self._large_heat() if heat else []
        small = heat and not large
        self._canvas.display, self._map.display, self._scale.display = not small, small, heat
        if heat:
            self._scale.show(scale(self._map.number, self.look))
        if small:
            self._map.show(self._snapshot.hosts)
        else:
            self._canvas.show(large or self._lines(now))
        self._say_foot(now, frozen)

    def _headline(self, now: float, frozen: float, silent: float | None) -> list[Cell]:
        clock = utc(now)
        count = states(self._snapshot)
        words, style = f"{count[HostState.LIVE]}/{count.total()} live", "ok"
        if any(item.severity == BAD for item in self.wrong):
            style = "bad"
        elif count[HostState.LIVE] < count.total() or self.wrong:
            style = "warn"
        if frozen > FROZEN_S:
            words, style = f"stands still {span(frozen)}", "bad"
        elif silent is not None:
            words, style = f"no data {span(silent)}", "bad"
        elif not count.total():
            words, style = "no hosts", "warn"
        room = self.size.width
        clock_room = width(clock) + 2
        self._big_clock = 2 + width(words) <= room - clock_room
        if not self._big_clock:
            return self._letters([(words, style)])
        left = block([(words, style)], room - clock_room, plain=self.look.ascii_only)
        rows = big(clock, plain=self.look.ascii_only)
        out: list[Cell] = []
        for line, row in zip(left, rows, strict=True):
            used = sum(len(text) for text, _ in line)
            out.append([*line, (" " * (room - clock_room - used), ""), (row, "bold")])
        return out

    @property
    def _room(self) -> int:
        """Lines of a page: what the bar, the headline and the foot leave, and the scale."""
        return max(1, self.size.height - HEIGHT - 3 - (self.page == "heat"))

    def _large_heat(self) -> list[Cell]:
        """The GPUs in big digits, where the whole fleet has room for that; else nothing."""
        hosts = [view for view in self._snapshot.hosts if shown(view)]
        most = max((len(view.gpus) for view in hosts), default=0)
        wide = max((width(view.name) for view in hosts), default=0)
        room = self.size.width
        if not hosts or len(hosts) * (HEIGHT + 1) > self._room or wide + 6 + most * DIGIT > room:
            return []
        return [line for view in hosts for line in self._large(view, wide)]

    def _large(self, view: HostView, wide: int) -> list[Cell]:
        look, plain = self.look, self.look.ascii_only
        lines: list[list[Piece]] = []
        for row in big(view.name, plain=plain):
            lines.append([(f"  {row:{wide}}    ", "")])
        if view.state is not HostState.LIVE and not view.workstation:
            for line, row in zip(lines, big(view.state.value, plain=plain), strict=True):
                line.append((row, look.state(view.state)[1]))
            return [*lines, []]
        for gpu in view.gpus:
            sign, style = cell(gpu, self._map.number, look)
            for line, row in zip(lines, big(sign, plain=plain), strict=True):
                line += [(f" {row:{DIGIT - 2}}", style), (" ", "")]
        return [*lines, []]

    def _say_foot(self, now: float, frozen: float) -> None:
        hosts = [view for view in self._snapshot.hosts if not view.workstation]  # as `silence`
        frames = [view.frame_at for view in hosts if view.frame_at]
        age = span(max(0.0, now - max(frames))) if frames else "never"
        head = next(page.head for page in PAGES if page.id == self.page)
        day = utc(now, "%Y-%m-%d" if self._big_clock else "%Y-%m-%d %H:%M:%S")
        name = f"watchfloor {self._title}".strip()
        self.top.show([(f" {name} ", "bold"), (f" {head} ", "")], right=[(f"{day} UTC ", "")])
        old = f"; nothing was looked at for {span(frozen)}" if frozen > FROZEN_S else ""
        self._foot.show([(f" newest frame {age} ago{old}; {STILL}", "")])

    def _lines(self, now: float) -> list[Cell]:
        if self.page == "busy":
            return self._busy(busiest(self._snapshot))
        if self.page == "events":
            return self._recent(self._events.rows(), now)
        return self._state(now)

    def _items(self, items: list[list[Cell]]) -> list[Cell]:
        """As many items as have room, and how many have not."""
        out: list[Cell] = []
        for number, item in enumerate(items):
            more = number + 1 < len(items)  # then a line must be left that says so
            if number and len(out) + len(item) - 1 + more > self._room:
                rest = [(f"   and {len(items) - number} more", "bold")]
                return [*out[: self._room - 1], rest]
            out += item
        return out

    def _letters(self, parts: list[Piece]) -> list[Cell]:
        """Words in big letters where they fit; else what does not in bold ones of usual size."""
        plain, room = self.look.ascii_only, self.size.width - 2
        dots = "~" if plain else "…"
        for big_ones in (len(parts), 1):
            wide = sum(width(text) for text, _ in parts[:big_ones]) + 4 * (big_ones - 1)
            if wide <= room:
                break
        else:
            big_ones = 0
        lines = block(parts[:big_ones], room + 2, plain=plain) if big_ones else []
        if rest := parts[big_ones:]:
            words = "  ".join(text for text, _ in rest)
            lines.append([(f"  {clip(words, max(1, room), ellipsis=dots)}", "bold")])
        return lines

    def _item(self, parts: list[Piece], detail: str, style: str) -> list[Cell]:
        dots = "~" if self.look.ascii_only else "…"
        told = clip(detail, max(1, self.size.width - 4), ellipsis=dots)
        return [*self._letters(parts), [(f"   {told}", style)], []]

    def _state(self, now: float) -> list[Cell]:
        if not self.wrong:
            words = "all is well" if self._snapshot.hosts else "waiting"
            style = "ok" if self._snapshot.hosts else "warn"
            return [[], *self._letters([(words, style)])]
        items = []
        for item in self.wrong:
            detail = f"since {utc(item.since)} UTC, {span(now - item.since)}"
            if item.detail:
                detail += f": {item.detail}"
            mark = self.look.mark(item.severity)
            problem = item.words.removeprefix(item.host).lstrip()
            parts = [(item.host, item.severity), (problem, item.severity)]
            items.append(self._item(parts, f"{mark} {detail}", item.severity))
        return self._items(items)

    def _busy(self, hosts: list[Busy]) -> list[Cell]:
        items = []
        for host in hosts:
            heat = "" if host.heat is None else f"hottest GPU {host.heat:.0f} C"
            memory = "" if host.memory is None else f"GPU memory {host.memory:.0f}% in use"
            style = "warn" if host.load >= 95 else ""
            parts = [(host.host, ""), (f"{host.load:.0f}%", style or "accent")]
            items.append(self._item(parts, ", ".join(filter(None, (heat, memory))), ""))
        return self._items(items)

    def _recent(self, rows: list[Row], now: float) -> list[Cell]:
        items = []
        for row in rows:
            event = row.last
            level = severity(event)
            at = utc(event.at, "%H:%M")
            detail = f"{self.look.mark(level)} {row.words()}, {span(now - event.at)} ago"
            items.append(self._item([(at, ""), (event.host or "console", level)], detail, level))
        return self._items(items)

    # -- actions

    def action_leave(self) -> None:
        """End the board."""
        self.app.exit()
