"""The one loop: deadlines that do not drift, descriptors, and verbs."""

from __future__ import annotations

import os
import select
from functools import partial

from .frames import Lines
from .lanes import FAST_S, FOCUSED_S, SLOW_S, Lanes
from .output import Output
from .place import Place
from .verbs import Verb, VerbReader

READ = 65_536
EVENT_GAP_S = 0.1  # frames for events alone: at most ten a second
KEY_GAP_S = 0.5  # between keyframes that were asked for
BAD_VERBS = 10  # reported in a minute
LAST_WORDS_S = 0.5


class Deadline:
    """A period kept by absolute times: one late run does not shift all that follow."""

    def __init__(self, period: float, first: float) -> None:
        self.period = period
        self.next = first

    def passed(self, now: float) -> bool:
        """Step to the next time; True when this one was more than half a period late."""
        late = now - self.next > self.period / 2
        self.next += self.period
        if self.next <= now:
            self.next = now + self.period
        return late


class Loop:
    """Runs until the end of input, or until nobody can read any more."""

    def __init__(self, place: Place, lanes: Lanes, stdin_fd: int, stdout_fd: int) -> None:
        self._place = place
        self._lanes = lanes
        self._common = lanes.common
        self._in = stdin_fd
        self._out = stdout_fd
        self._reader = VerbReader()
        self._was_blocking = os.get_blocking(stdin_fd)
        self._output = Output(stdout_fd, Lines(place))
        os.set_blocking(stdin_fd, False)
        now = place.mono()
        self._fast = Deadline(FAST_S, now)
        self._slow = Deadline(SLOW_S, now)
        self._ended = False
        self._sent_at = 0.0
        self._key_at = place.mono()
        self._asked = False  # an answer waits to be sent
        self._bad: list[float] = []

    def run(self) -> None:
        """Until the end; children are reaped and descriptors given back as they were."""
        try:
            self._lanes.first()
            self._fast.passed(self._place.mono())
            self._send()
            self._lanes.rest()
            while not self._ended:
                self._tick()
                self._wait()
            self._finish()
        except (BrokenPipeError, ConnectionError):
            pass  # the console is gone: the ordinary end of a link that was cut
        finally:
            self._lanes.stop()
            self._output.restore()
            try:
                os.set_blocking(self._in, self._was_blocking)
            except OSError:
                pass

    def _tick(self) -> None:
        now = self._place.mono()
        lanes, common = self._lanes, self._common
        due = False
        if now >= self._fast.next:
            common.late += self._fast.passed(now)
            common.attempt("fast", lanes.fast)
            due = True
        if now >= self._slow.next:
            self._slow.passed(now)
            common.attempt("slow", lanes.slow)
            due = True
        readers = lanes.readers
        if readers is not None:
            now = self._place.mono()
            start = readers.logs.due()
            if start is not None and now >= start:
                common.attempt("logs", readers.logs.tick)
            # Inventory only where no tick is near: a step takes up to 20 ms.
            inventory = readers.inventory
            if inventory is not None and not due and now >= inventory.due():
                common.cost.ran("inventory", inventory.step())
        if due or self._asked or self._events_due():
            self._send()

    def _events_due(self) -> bool:
        waiting = len(self._common.events) > 0
        return waiting and self._place.mono() - self._sent_at >= EVENT_GAP_S

    def _send(self) -> None:
        self._sent_at = self._place.mono()
        self._asked = False
        self._output.send(self._common.board.bodies)

    def _timeout(self) -> float:
        until = min(self._fast.next, self._slow.next)
        readers = self._lanes.readers
        if readers is not None:
            if readers.inventory is not None:
                until = min(until, readers.inventory.due())
            start = readers.logs.due()
            until = until if start is None else min(until, start)
        if len(self._common.events) and not self._output.blocked:
            until = min(until, self._sent_at + EVENT_GAP_S)
        return max(0.0, until - self._place.mono())

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._in, select.POLLIN)
        if self._out != self._in:
            poll.register(self._out, select.POLLOUT if self._output.blocked else 0)
        elif self._output.blocked:
            poll.register(self._in, select.POLLIN | select.POLLOUT)
        readers = self._lanes.readers
        logs: list[int] = []
        driver = -1
        if readers is not None:
            logs = readers.logs.filenos()
            driver = readers.gpus.fileno() if readers.gpus is not None else -1
        for fd in (*logs, driver):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        for fd, mask in poll.poll(self._timeout() * 1000):
            if fd == self._out and mask & select.POLLOUT:
                self._output.flush()
            elif fd == self._out and fd != self._in and mask & (select.POLLERR | select.POLLHUP):
                self._ended = True
            if fd == self._in and mask & ~select.POLLOUT:
                self._read()
            elif readers is not None and fd in logs:
                self._common.attempt("logs", partial(readers.logs.ready, fd))
            elif readers is not None and fd == driver:
                self._common.attempt("gpu.events", readers.gpu_events)

    def _read(self) -> None:
        try:
            data = os.read(self._in, READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._ended = True
            return
        for verb in self._reader.feed(data):
            self._obey(verb)

    def _obey(self, verb: Verb) -> None:
        lanes, board = self._lanes, self._common.board
        readers = lanes.readers
        if verb.name == "focus":
            on = verb.argument == "on"
            if on != self._common.focused:
                lanes.focus(on)
                self._fast.period = FOCUSED_S if on else FAST_S
                self._fast.next = self._place.mono()
        elif verb.name == "resync":
            board.key_wanted = True
            soonest = max(self._place.mono(), self._key_at + KEY_GAP_S)
            self._fast.next = min(self._fast.next, soonest)
            self._key_at = self._fast.next
            if verb.argument and readers is not None:
                readers.logs.resume(verb.argument)
        elif verb.name == "guard-doc":
            if readers is not None:
                board.doc(readers.spool.document(verb.argument))
                self._asked = True
        else:
            self._complain(verb.error)

    def _complain(self, error: str) -> None:
        now = self._place.mono()
        self._bad = [at for at in self._bad if now - at < 60.0]
        if len(self._bad) < BAD_VERBS:
            self._bad.append(now)
            self._common.event("probe.bad-verb", "verbs", {"error": error})

    def _finish(self) -> None:
        """What is on its way gets half a second: who closed its end may still read."""
        until = self._place.mono() + LAST_WORDS_S
        poll = select.poll()
        poll.register(self._out, select.POLLOUT)
        self._send()
        while self._output.blocked and self._place.mono() < until:
            if poll.poll(max(0.0, until - self._place.mono()) * 1000):
                self._output.flush()
