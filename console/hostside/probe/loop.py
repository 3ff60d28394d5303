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
            self._lanes.fast()
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
        lanes = self._lanes
        due = False
        if now >= self._fast.next:
            lanes.late += self._fast.passed(now)
            began = now
            lanes.fast()
            lanes.cost.ran("fast", self._place.mono() - began)
            due = True
        if now >= self._slow.next:
            self._slow.passed(now)
            began = self._place.mono()
            lanes.slow()
            lanes.cost.ran("slow", self._place.mono() - began)
            due = True
        if lanes.logs is not None:
            start = lanes.logs.due()
            if start is not None and now >= start:
                lanes.attempt("logs", lanes.logs.tick)
        # Inventory only where no tick is near: a step takes up to 20 ms.
        inventory = lanes.inventory
        now = self._place.mono()
        if inventory is not None and not due and now >= inventory.due():
            lanes.cost.ran("inventory", inventory.step())
        if due or self._asked or self._events_due():
            self._send()

    def _events_due(self) -> bool:
        waiting = len(self._lanes.events) > 0
        return waiting and self._place.mono() - self._sent_at >= EVENT_GAP_S

    def _send(self) -> None:
        self._sent_at = self._place.mono()
        self._asked = False
        self._output.send(self._lanes.board.bodies)

    def _timeout(self) -> float:
        lanes = self._lanes
        until = min(self._fast.next, self._slow.next)
        if lanes.inventory is not None:
            until = min(until, lanes.inventory.due())
        if lanes.logs is not None:
            start = lanes.logs.due()
            until = until if start is None else min(until, start)
        if len(lanes.events) and not self._output.blocked:
            until = min(until, self._sent_at + EVENT_GAP_S)
        return max(0.0, until - self._place.mono())

    def _wait(self) -> None:
        lanes = self._lanes
        poll = select.poll()
        poll.register(self._in, select.POLLIN)
        if self._out != self._in:
            poll.register(self._out, select.POLLOUT if self._output.blocked else 0)
        elif self._output.blocked:
            poll.register(self._in, select.POLLIN | select.POLLOUT)
        logs = lanes.logs.filenos() if lanes.logs is not None else []
        for fd in logs:
            poll.register(fd, select.POLLIN)
        driver = lanes.gpus.fileno() if lanes.gpus is not None else -1
        if driver >= 0:
            poll.register(driver, select.POLLIN)
        for fd, mask in poll.poll(self._timeout() * 1000):
            if fd == self._out and mask & select.POLLOUT:
                self._output.flush()
            elif fd == self._out and fd != self._in and mask & (select.POLLERR | select.POLLHUP):
                self._ended = True
            if fd == self._in and mask & ~select.POLLOUT:
                self._read()
            elif fd in logs and lanes.logs is not None:
                lanes.attempt("logs", partial(lanes.logs.ready, fd))
            elif fd == driver:
                lanes.attempt("gpu.events", lanes.gpu_events)

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
        lanes = self._lanes
        if verb.name == "focus":
            on = verb.argument == "on"
            if on != lanes.focused:
                lanes.focus(on)
                self._fast.period = FOCUSED_S if on else FAST_S
                self._fast.next = self._place.mono()
        elif verb.name == "resync":
            lanes.board.key_wanted = True
            self._fast.next = min(
                self._fast.next, max(self._place.mono(), self._key_at + KEY_GAP_S)
            )
            self._key_at = self._fast.next
            if verb.argument and lanes.logs is not None:
                lanes.logs.resume(verb.argument)
        elif verb.name == "guard-doc":
            lanes.board.doc(lanes.spool.document(verb.argument))
            self._asked = True
        else:
            self._complain(verb.error)

    def _complain(self, error: str) -> None:
        now = self._place.mono()
        self._bad = [at for at in self._bad if now - at < 60.0]
        if len(self._bad) < BAD_VERBS:
            self._bad.append(now)
            self._lanes.event("probe.bad-verb", "verbs", {"error": error})

    def _finish(self) -> None:
        """What is on its way gets half a second: who closed its end may still read."""
        until = self._place.mono() + LAST_WORDS_S
        poll = select.poll()
        poll.register(self._out, select.POLLOUT)
        self._send()
        while self._output.blocked and self._place.mono() < until:
            if poll.poll(max(0.0, until - self._place.mono()) * 1000):
                self._output.flush()
