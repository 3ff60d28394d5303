"""ReplayEngine: shows a recording as if it happened now, at any pace, from any moment."""

import math
import time
from bisect import bisect_left
from collections.abc import Iterator

from console.clock import Clock, SystemClock
from console.engine.log import KEPT, EventLog
from console.engine.moments import FASTEST, SLOWEST
from console.engine.picture import Damaged, Picture, damaged, fast_of, past_events
from console.engine.reading import Gap, Reading
from console.engine.recording import Line, RecordingError
from console.fleet.history import KEEP_S, History
from console.model.event import Event
from console.model.frame import Fast
from console.model.history import Series
from console.model.panel import Panel
from console.model.view import FleetSnapshot

NO_LIMIT = math.inf
PATIENCE_S = 0.05
"""So long one look may read, for screens: a seek in a large recording takes several looks."""
ASKED_S = 15.0
"""So long after somebody asked for it, a history that is not whole yet is read on."""


class ReplayEngine:
    """An ``Engine`` and a ``Playback`` over a recording. Nothing in it is ever connected.

    There is no task: whoever looks moves it on to where it should be by the clock.
    """

    def __init__(
        self,
        reading: Reading,
        *,
        at: float | None = None,
        speed: float = 1.0,
        paused: bool = False,
        clock: Clock | None = None,
        patience_s: float = NO_LIMIT,
    ) -> None:
        """``at`` is where to begin. Raises RecordingError when not even that can be shown."""
        self._reading = reading
        self._index = reading.index
        self._clock = clock or SystemClock()
        self._patience = patience_s
        self.begin, self.end = self._index.at[0], self._index.at[-1]
        self.ends = reading.ends
        self.turns = 0
        self._last = len(self._index.at) - 1  # tick that can be shown
        self._tick = -1  # that was read last
        self._lines: Iterator[tuple[int, Line | Gap]] | None = None  # of the tick being read
        self._whole = False  # the picture is that of ``_tick``
        self._past: Iterator[list[Event]] | None = None  # events from before the keyframe
        self._told = 0  # number of the last event in the log
        self._picture = Picture(reading.header.hosts, reading.where)
        self._log = EventLog()
        self._histories: dict[str, tuple[History, int]] = {}  # and how many lines it has taken
        self._asked: dict[str, float] = {}  # hosts whose history was asked for, and when
        self._left = patience_s  # of this look, for histories
        self._made = FleetSnapshot()
        self._shown = -1  # tick of ``_made``
        self._sought = False  # what lies between here and the position is not to be shown
        self._speed = min(max(speed, SLOWEST), FASTEST)
        self._paused = True
        self._anchor, self._since = self.begin, self._clock.mono()
        self._ended = False
        for number, line in reading.tick(0):
            self._picture.take(number, line)
        self.seek(self.begin if at is None else at)
        self._move(NO_LIMIT)
        self._paused = paused

    async def start(self) -> None:
        """Let time run from here."""
        self._since = self._clock.mono()

    async def stop(self) -> None:
        """Close the file."""
        self._reading.close()

    @property
    def damage(self) -> str:
        """The first line that cannot be read, as far as that is known; "" where there is none."""
        return self._reading.damage or self._picture.damage

    @property
    def told_before(self) -> int:
        """How many events come before the picture of the position."""
        return self._index.events_before(self._wanted())

    # -- time

    @property
    def title(self) -> str:
        """What was recorded."""
        return self._reading.header.title

    @property
    def position(self) -> float:
        """The moment that is shown, or being sought."""
        if self._paused:
            return self._anchor
        passed = (self._clock.mono() - self._since) * self._speed
        return min(self.end, self._anchor + passed)

    @property
    def seeking(self) -> bool:
        """True while the picture of the position is not read yet."""
        return bool(self._lines or self._past) or self._tick < self._wanted()

    @property
    def paused(self) -> bool:
        """Whether time stands still; also at the end."""
        return self._paused or self.position >= self.end

    @property
    def speed(self) -> float:
        """Recorded seconds a second."""
        return self._speed

    def pause(self) -> None:
        """Let time stand still."""
        self._anchor, self._paused = self.position, True

    def resume(self) -> None:
        """Let time run; at the end from the beginning."""
        if self.position >= self.end:
            self.seek(self.begin)
        self._since, self._paused = self._clock.mono(), False

    def set_speed(self, speed: float) -> None:
        """Another pace, between ``SLOWEST`` and ``FASTEST``."""
        self._anchor, self._since = self.position, self._clock.mono()
        self._speed = min(max(speed, SLOWEST), FASTEST)

    def seek(self, at: float) -> None:
        """Go to a moment, at most to the beginning or the end."""
        self._anchor = min(max(at, self.begin), self.end)
        self._since = self._clock.mono()
        wanted = self._wanted()
        key = self._index.keyframe(wanted)
        there = wanted == self._tick and self._whole
        back = wanted <= self._tick and not there
        if back or key > self._tick + 1:
            self._jump(key, back=back)
        self._sought = True

    def step(self, ticks: int) -> None:
        """Pause, and go so many recorded pictures on, or back where negative."""
        wanted = min(max(self._wanted() + ticks, 0), self._last)
        self.pause()
        self.seek(self._index.at[wanted])

    def _wanted(self) -> int:
        return min(self._index.tick(self.position), self._last)

    def _jump(self, key: int, *, back: bool) -> None:
        """Read on from a keyframe, with the events from before it."""
        first, self._past = past_events(self._reading, key, KEPT)
        self._log = EventLog(before=first - 1)
        self._told = first - 1
        self.turns += back
        self._shown = -1
        self._ended = False
        self._histories.clear()
        self._tick, self._lines, self._whole = key - 1, None, False

    def _move(self, patience: float) -> None:
        """Read as far as the position, or as ``patience`` lasts."""
        until = time.perf_counter() + patience
        while self.seeking:
            try:
                self._read_piece()
            except RecordingError as error:
                self._cut(error)
            if time.perf_counter() > until:
                break
        self._sought = self._sought and self.seeking
        if self._tick == self._last and self.ends and not self._ended:
            self._ended = True
            facts = {"reason": self.ends}
            self._log.add(Event(kind="replay.ended", host="", at=self._wall(), facts=facts))

    def _read_piece(self) -> None:
        """Read a line: of events from before the keyframe, then of ticks. Raises RecordingError."""
        if self._past is not None:
            past = next(self._past, None)
            if past is None:
                self._past = None
            else:
                self._add(past)
            return
        if self._lines is None:
            self._lines = self._reading.tick(self._tick + 1)
            self._whole = False
        read = next(self._lines, None)
        if read is not None:
            self._add(self._picture.take(*read))
            return
        self._lines = None
        self._tick += 1
        self._whole = True
        missing = self._index.events_before(self._tick + 1) - self._told
        self._add([damaged(self._index.wall[self._tick], "its line cannot be read")] * missing)

    def _add(self, events: list[Event]) -> None:
        for event in events:
            self._log.add(event)
        self._told += len(events)

    def _cut(self, error: RecordingError) -> None:
        """The tick after the last one read cannot be: the recording ends before it."""
        self._lines = self._past = None
        if self._tick < 0:
            raise error
        self.ends = error.message
        self._last = self._tick
        self.end = self._index.at[self._last]
        self._anchor = min(self._anchor, self.end)
        self._sought = True
        self._jump(self._index.keyframe(self._last), back=False)

    def _wall(self) -> float:
        tick = max(0, self._tick)
        return self._index.wall[tick] + max(0.0, self.position - self._index.at[tick])

    # -- what faces ask for

    def now(self) -> float:
        """The clock of the recording console at the position."""
        return self._made.at if self._sought else self._wall()

    def snapshot(self) -> FleetSnapshot:
        """The picture of the position; while it is being sought, the one before."""
        begun = time.perf_counter()
        self._move(self._patience)
        hidden = self._sought or self._lines is not None
        self._left = self._patience - (time.perf_counter() - begun)
        for host, asked in () if self.seeking else [*self._asked.items()]:
            if begun - asked > ASKED_S:
                del self._asked[host]
            elif self._left > 0:
                self._history(host)
        if not hidden and self._tick != self._shown:
            at = self._index.wall[self._tick]
            self._made = self._picture.snapshot(self._made.version + 1, at)
            self._shown = self._tick
        return self._made

    def events(self, after: int = 0, limit: int = 1000, host: str = "") -> list[Event]:
        """Events until the position. Their numbers are their places in the recording."""
        return self._log.after(after, limit, host)

    def forgotten(self, host: str) -> int:
        """How many events of that host were read and are no longer held."""
        return self._log.gone(host)

    def history(self, host: str, name: str, seconds: float) -> Series:
        """One number over the hour before the position, as far as it was recorded and is read."""
        self._asked[host] = time.perf_counter()
        step, points = self._history(host).series(name, self.now() - min(seconds, KEEP_S))
        return Series(host=host, name=name, step_s=step, points=points)

    def series(self, host: str) -> list[str]:
        """Names of the numbers that ``history`` has of that host."""
        return self._history(host).names()

    def panels(self, host: str) -> tuple[Panel, ...]:
        """None: what plugins show is not recorded."""
        return ()

    def _history(self, host: str) -> History:
        """The last hour of a host, read when somebody asks for it, as long as patience lasts."""
        places = self._index.fast.get(host)
        if places is None or self._tick < 0:
            return History()
        history, taken = self._histories.get(host) or (History(), -1)
        if taken < 0:
            since = self._index.tick(self._index.at[self._tick] - KEEP_S)
            taken = bisect_left(places, self._index.start[since])
        until = bisect_left(places, self._index.start[self._tick + 1])
        begun = time.perf_counter()
        while taken < until:
            sample = self._sample(places[taken])
            taken += 1
            if sample is not None:
                history.add(*sample)
            if time.perf_counter() - begun > self._left:
                break
        self._left -= time.perf_counter() - begun
        self._histories[host] = (history, taken)
        return history

    def _sample(self, place: int) -> tuple[float, Fast] | None:
        try:
            line = self._reading.numbers(place)
            return fast_of(line) if line else None
        except Damaged:  # a gap in a plot; the picture of it tells of the damage
            return None

    def focus(self, *hosts: str) -> None:
        """Nothing: which tables were whole was decided when it was recorded."""

    def retry(self, host: str) -> None:
        """Nothing: this is the past."""
