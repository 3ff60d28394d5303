"""The big view of one number over time, for up to six hosts laid over each other."""

import time
from collections.abc import Sequence

from textual.app import ComposeResult

from console.engine.protocol import Engine
from console.model.history import Series
from console.model.view import FleetSnapshot
from console.model.words import span, utc
from console.tui.control.bindings import bindings
from console.tui.control.trail import Place
from console.tui.plot.draw import MARKS, Curve, finer, kind_of
from console.tui.plot.fold import Steps, Window, ends, fold, newest, window
from console.tui.plot.frame import framed, gutter
from console.tui.plot.names import ordered, reading, scale, title
from console.tui.screens.base import WatchScreen
from console.tui.style.look import Cell, Look, Piece
from console.tui.widgets.canvas import Canvas

RANGES = (
    (600.0, "10 minutes"),
    (3600.0, "hour"),
    (86_400.0, "24 hours"),
    (604_800.0, "7 days"),
)
MOST = len(MARKS)
COLUMN = 12
EVERY_S = 2.0
"""Numbers of a host come so often; drawing more often would show the same."""
OLD_S, OLD_STEPS = 15.0, 3
"""The newest value is told to be old after this many seconds, and steps."""
LEAST = 6
"""Lines that the plot itself has at least; below that the legend gives way."""


class PlotScreen(WatchScreen):
    """One number. ``hosts`` in the order in which they were named; six are drawn."""

    KIND = "plot"
    BINDINGS = bindings("plot")

    def __init__(self, look: Look, engine: Engine, number: str, hosts: Sequence[str]) -> None:
        super().__init__(look)
        self.number = number
        self.hosts = tuple(hosts)
        self._engine = engine
        self._range = 0
        self._cursor: float | None = None  # the time under the ruler
        self._held: dict[tuple[str, str, float], tuple[float, Series]] = {}
        self._canvas = Canvas(look, id="plot")
        self._window: Window | None = None
        self._left = 0
        self._drawn = 0.0  # monotonic

    @property
    def place(self) -> Place:
        """What opens this view again."""
        return Place(self.KIND, (self.number, *self.hosts))

    def body(self) -> ComposeResult:
        """One picture."""
        yield self._canvas

    def on_mount(self) -> None:
        """Keys go to the picture."""
        super().on_mount()
        self._canvas.focus()
        self.call_after_refresh(self.redraw)

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self._draw)

    def refocus(self) -> None:
        """Keys go to the picture."""
        self._canvas.focus()

    # -- drawing

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw the newest numbers."""
        count = len(self.hosts)
        of = self.hosts[0] if count == 1 else f"{count} hosts"
        if count > MOST:
            of = f"the first {MOST} of {count} hosts"
        over = f"the last {RANGES[self._range][1]}"
        head: Cell = [(f" {title(self.number)} ", "bold"), (f" {over}  {of}  {self.number}", "")]
        self.top.show(head, right=self.clock())
        if time.monotonic() - self._drawn >= EVERY_S:
            self._draw()
        self.hint()

    def _series(self, host: str, hold_s: float) -> Series:
        """History as it was at most ``hold_s`` ago: long ranges are read from the disk."""
        key = (host, self.number, RANGES[self._range][0])
        now = time.monotonic()
        held = self._held.get(key)
        if held is None or now - held[0] >= hold_s:
            if len(self._held) > 64:
                self._held.clear()
            held = self._held[key] = (now, self._engine.history(*key))
        return held[1]

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        width, height = self._canvas.size
        if width < 20 or height < 4:
            self._canvas.show([[("too small to draw in", "dim")]])
            return
        seconds = RANGES[self._range][0]
        kind = kind_of(self.look)
        shown = self.hosts[:MOST]
        guess = window(self._engine.now(), seconds, width - 8)
        hold_s = min(max(guess.column_s / 2, 0.0), 30.0) if seconds > 3600 else 0.0
        series = [self._series(host, hold_s) for host in shown]
        values = [(p.low, p.high) for one in series for p in one.points]
        if not values:
            self._window = None
            self._canvas.show(self._nothing())
            return
        span = scale(self.number, min(low for low, _ in values), max(high for _, high in values))
        self._left = gutter(self.number, span)
        over = window(self._engine.now(), seconds, max(4, width - self._left - 1))
        self._window = over
        steps = [fold(one, over.finer(finer(kind))) for one in series]
        several = len(shown) > 1
        curves = [
            Curve(steps[n], f"series{n + 1}", MARKS[n] if several else "")
            for n in range(len(shown))
        ]
        ruler = -1 if self._cursor is None else over.column(self._cursor)
        if not 0 <= ruler < over.width:
            self._cursor, ruler = None, -1
        legend = self._legend(series, steps, over, ruler, finer(kind))
        rows = max(LEAST, height - len(legend))
        plot = framed(curves, self.number, span, over, min(rows, height), self.look, ruler=ruler)
        self._canvas.show([*plot, *legend[: max(0, height - rows)]])

    def _legend(
        self, series: Sequence[Series], steps: Sequence[Steps], over: Window, ruler: int, times: int
    ) -> list[Cell]:
        wide = max(4, *(len(host) for host in self.hosts[:MOST]))
        head = f"   {'HOST':{wide}} {'NEWEST':>{COLUMN}} {'LEAST':>{COLUMN}} {'MOST':>{COLUMN}}"
        moment = utc(over.begin(max(0, ruler)), "%m-%d %H:%M:%S")
        at = f"   AT {moment} UTC" if ruler >= 0 else ""
        lines: list[Cell] = [[(head, "head"), (at, "head")]]
        for number, (host, of) in enumerate(zip(self.hosts[:MOST], steps, strict=True)):
            found, last = ends(of), newest(of)
            style = f"series{number + 1}"
            sign = MARKS[number] if len(steps) > 1 else "*"
            pieces: list[Piece] = [(f" {sign} {host:{wide}} ", style)]
            if found is None or last is None:
                pieces.append((f"{'not measured':>{COLUMN}}", "dim"))
            else:
                words = [reading(self.number, value) for value in (last.last, *found)]
                pieces.append((" ".join(f"{text:>{COLUMN}}" for text in words), ""))
                age = self._engine.now() - series[number].points[-1].at
                if age > max(OLD_STEPS * series[number].step_s, OLD_S):
                    pieces.append((f"   {span(age)} ago", "warn"))
                pieces.append(self._read_off(of[ruler * times : (ruler + 1) * times], ruler))
            lines.append(pieces)
        return lines

    def _read_off(self, steps: Steps, ruler: int) -> Piece:
        """What one host had at the ruler."""
        if ruler < 0:
            return "", ""
        found, last = ends(steps), newest(steps)
        if found is None or last is None:
            return "   not measured then", "dim"
        low, high = (reading(self.number, value) for value in found)
        now = reading(self.number, last.last)
        return f"   {now}" + (f"  ({low}..{high})" if low != high else ""), "bold"

    def _nothing(self) -> list[Cell]:
        known = ordered(name for host in self.hosts for name in self._engine.series(host))
        hosts = ", ".join(self.hosts[:MOST]) or "no host"
        words = f" {self.number} was not measured on {hosts} in the last {RANGES[self._range][1]}."
        out: list[Cell] = [[(words, "warn")]]
        if known:
            out += [
                [(" There is:", "")],
                *([(f"   {name:20} {title(name)}", "")] for name in known),
            ]
        else:
            out.append([(" Nothing is kept of it.", "dim")])
        if RANGES[self._range][0] > 3600 and self.number.startswith("gpu."):
            out.append([(" Single GPUs are kept for an hour.", "dim")])
        return out

    # -- actions

    def on_canvas_pointed(self, event: Canvas.Pointed) -> None:
        """Put the ruler where the mouse points."""
        event.stop()
        if self._window is not None:
            self._rule(event.x - self._left)

    def _rule(self, column: int) -> None:
        over = self._window
        if over is not None:
            column = min(max(column, 0), over.width - 1)
            self._cursor = over.begin(column) + over.column_s / 2
            self._draw()

    def _move(self, by: int) -> None:
        if self._window is None:
            return
        at = self._window.width if self._cursor is None else self._window.column(self._cursor)
        self._rule(at + by)

    def action_cursor_left(self) -> None:
        """The ruler one column towards the past."""
        self._move(-1)

    def action_cursor_right(self) -> None:
        """The ruler one column towards now."""
        self._move(1)

    def action_cursor_far_left(self) -> None:
        """The ruler a tenth of the width towards the past."""
        self._move(-max(1, (self._window.width if self._window else 0) // 10))

    def action_cursor_far_right(self) -> None:
        """The ruler a tenth of the width towards now."""
        self._move(max(1, (self._window.width if self._window else 0) // 10))

    def _other(self, by: int) -> None:
        names = ordered(name for host in self.hosts[:MOST] for name in self._engine.series(host))
        if not names:
            self.remark("there is no other number")
            return
        at = names.index(self.number) if self.number in names else -by
        self.number = names[(at + by) % len(names)]
        self.redraw()

    def redraw(self) -> None:
        """Draw anew at once, with the head."""
        self._drawn = 0.0
        self.show(self._engine.snapshot())

    def action_next_number(self) -> None:
        """The next number."""
        self._other(1)

    def action_previous_number(self) -> None:
        """The number before."""
        self._other(-1)

    def _reach(self, by: int) -> None:
        self._range = min(max(self._range + by, 0), len(RANGES) - 1)
        self._cursor = None
        self.redraw()

    def action_longer(self) -> None:
        """Look further back."""
        self._reach(1)

    def action_shorter(self) -> None:
        """Look closer."""
        self._reach(-1)

    def action_back(self) -> None:
        """End typing, else take the ruler away, else back."""
        if self.end_typing(undo=True):
            return
        if self._cursor is not None:
            self._cursor = None
            self._draw()
            return
        self.app.pop_screen()
