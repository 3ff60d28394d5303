"""The part of the application that moves a replay: pause, step, pace and moment."""

import math
from typing import TYPE_CHECKING

from console.engine.moments import FASTEST, FORMS, SLOWEST, clock_words, length_words, moment
from console.engine.protocol import Engine, Playback
from console.errors import UsageError
from console.text import clean

MINUTE_S = 60.0


class Replaying:
    """Mixed into the application. Without a recording there is no ``playback``."""

    playback: Playback | None = None
    _turns = 0

    if TYPE_CHECKING:

        def say(self, words: str, style: str = "warn") -> None: ...

        def ask_command(self, start: str) -> None: ...

        def paint_soon(self) -> None: ...

        def forget_events(self) -> None: ...

    def begin_replay(self, engine: Engine) -> None:
        """Move ``engine``, where it is over a recording."""
        if isinstance(engine, Playback):
            self.playback = engine
            self._turns = engine.turns

    def went_back(self) -> bool:
        """True once after the replay went back: every view has forgotten its events then."""
        playback = self.playback
        if playback is None or playback.turns == self._turns:
            return False
        self._turns = playback.turns
        self.forget_events()
        return True

    def action_pause(self) -> None:
        """Stop here, or go on; at the end begin again."""
        if self.playback is not None:
            if self.playback.paused:
                self.playback.resume()
            else:
                self.playback.pause()
            self.paint_soon()

    def _step(self, ticks: int) -> None:
        if self.playback is not None:
            self.playback.step(ticks)
            self.paint_soon()

    def action_step(self) -> None:
        """One recorded picture on, and stop there."""
        self._step(1)

    def action_step_back(self) -> None:
        """One recorded picture back, and stop there."""
        self._step(-1)

    def _pace(self, times: float) -> None:
        if self.playback is not None:
            before = self.playback.speed
            self.playback.set_speed(before * times)
            if self.playback.speed == before:
                self.say(f"{before:g}x is the limit", "dim")

    def action_faster(self) -> None:
        """Twice as fast."""
        self._pace(2.0)

    def action_slower(self) -> None:
        """Half as fast."""
        self._pace(0.5)

    def _by(self, seconds: float) -> None:
        if self.playback is not None:
            self.playback.seek(self.playback.position + seconds)
            self.paint_soon()

    def action_minute_on(self) -> None:
        """A minute on."""
        self._by(MINUTE_S)

    def action_minute_back(self) -> None:
        """A minute back."""
        self._by(-MINUTE_S)

    def action_seek(self, rest: str = "") -> None:
        """Go to the moment that was typed."""
        playback = self.playback
        if playback is None:
            return
        if not rest:
            self.ask_command(":seek ")
            return
        try:
            at = moment(rest, playback.begin, playback.end, playback.position)
        except UsageError as error:
            self.say(str(error))
            return
        playback.seek(at)
        length = length_words(at - playback.begin)
        self.say(f"{clock_words(at)} UTC, {length} from the begin", "dim")
        self.paint_soon()

    def action_speed(self, rest: str = "") -> None:
        """Go at the pace that was typed."""
        playback = self.playback
        if playback is None:
            return
        if not rest:
            self.ask_command(":speed ")
            return
        try:
            speed = float(rest.strip().removesuffix("x"))
        except ValueError:
            speed = math.nan
        if not SLOWEST <= speed <= FASTEST:
            limits = f"write {SLOWEST:g} to {FASTEST:g}, 1 is as recorded"
            self.say(f"{clean(rest, 40)!r} is no pace: {limits}")
            return
        playback.set_speed(speed)
        self.paint_soon()

    def complete_speed(self, typed: str) -> list[str]:
        """Paces that are often wanted."""
        return [pace for pace in ("0.5", "1", "2", "4", "10", "100") if pace.startswith(typed)]

    def complete_seek(self, typed: str) -> list[str]:
        """The forms that a moment can have."""
        forms = ["start", "end", "+30s", "-1m", "0:20", "50%"]
        return [form for form in forms if form.startswith(typed)] or [FORMS.split(",")[0]]
