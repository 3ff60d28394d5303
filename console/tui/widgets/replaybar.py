"""The bar of a replay: where it is, how fast it goes, and the keys that move it."""

from console.engine.moments import clock_words, length_words
from console.engine.protocol import Playback
from console.text import cell_width
from console.tui.control.actions import named
from console.tui.control.keys import Keys
from console.tui.style.look import Cell, Look
from console.tui.widgets.lines import Bar

DRAW_S = 0.25
LEAST = 8
"""Cells of the line that shows the position; with less room it is left out."""
SHOWN = (("replay.step", "step"), ("replay.faster", "faster"), ("replay.minute-on", "1 min"))
"""Actions whose keys stand in the bar, each with a word for it."""


class ReplayBar(Bar):
    """One line above the keys; draws itself."""

    def __init__(self, look: Look, playback: Playback, keys: Keys) -> None:
        super().__init__(look, id="replay")
        self._playback = playback
        self._keys = keys

    def on_mount(self) -> None:
        """Begin to draw."""
        self.draw()
        self.set_interval(DRAW_S, self.draw)

    def on_resize(self) -> None:
        """The line is as long as there is room."""
        self.draw()

    def draw(self) -> None:
        """Show the position as it is now."""
        playback = self._playback
        at, begin, end = playback.position, playback.begin, playback.end
        head: Cell = [
            (" REPLAY ", "warn"),
            (f" {clock_words(at)} ", "bold"),
            (f" {length_words(at - begin)} of {length_words(end - begin)} ", ""),
        ]
        state = self._state()
        hints = self._hints()
        used = sum(cell_width(text) for text, _ in (*head, *state))
        room = self.size.width - used - 2
        if room - cell_width(hints) >= LEAST:
            room -= cell_width(hints)
        else:
            hints = ""
        share = 1.0 if end <= begin else (at - begin) / (end - begin)
        line = self._line(share, room) if room >= LEAST else []
        self.show([*head, *line, *state, (hints, "dim")])

    def _state(self) -> Cell:
        playback = self._playback
        speed = f" {playback.speed:g}x "
        if playback.seeking:
            return [(speed, "dim"), (" reading ", "accent")]
        if playback.position >= playback.end:
            broken = playback.ends
            return [(speed, "dim"), (f" at its end{': ' + broken if broken else ''} ", "warn")]
        if playback.paused:
            return [(speed, "dim"), (" paused ", "warn")]
        return [(speed, "accent")]

    def _hints(self) -> str:
        playback = self._playback
        goes = "go on" if playback.paused else "pause"
        if playback.position >= playback.end:
            goes = "again"
        words = [f"{self._keys.words(named('replay.pause'))} {goes}"]
        for id, word in SHOWN:
            if keys := self._keys.words(named(id)):
                words.append(f"{keys.split()[0]} {word}")
        return "  " + "  ".join(words) + "  :seek "

    def _line(self, share: float, room: int) -> Cell:
        done, knob, rest = ("=", "|", "-") if self._look.ascii_only else ("━", "●", "─")
        place = round(min(max(share, 0.0), 1.0) * (room - 3))
        return [
            (f" {done * place}", "accent"),
            (knob, "bold"),
            (f"{rest * (room - 3 - place)} ", "dim"),
        ]
