"""One host's live session: connect, watch, lose, wait, connect again.

CONNECTING --frame--> LIVE --three periods of silence--> STALE --frame--> LIVE
any --link ends--> DOWN --pause, then CONNECTING's work again--> LIVE
two refused logins, or a key of ours that cannot be used --> REFUSED  (a person's retry leaves it)
another host key   --> NEW-KEY        (only a retry after another key was stored leaves it)
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import msgspec

from console.clock import Clock
from console.errors import (
    AuthError,
    ConnectError,
    HostKeyError,
    KeyFileError,
    ProbeError,
    ProtocolError,
    WatchfloorError,
)
from console.fleet.build import Status, view
from console.fleet.cursor import sane_cursor
from console.fleet.data import HostData
from console.fleet.decode import Decoded
from console.fleet.feed import Feed, said_why
from console.fleet.guarddocs import DocKeeper
from console.fleet.history import History
from console.fleet.pace import backoff
from console.fleet.resync import Resyncs
from console.fleet.trusted import Pins, Trusted
from console.model.event import Event
from console.model.guard import GuardDocs, GuardView
from console.model.host import Host, HostState
from console.model.link import Link, Transport
from console.model.risks import exposed
from console.model.view import HostView, LinkCount
from console.model.words import without_host
from console.text import clean

FIRST_FRAME_S = 30.0
"""From an open link to its first frame; the first run on a cold host compiles the probe."""
STALE_PERIODS = 3
STALE_END_S = 60.0
STEADY_S = 30.0
"""A link that lived this long lets the pauses between attempts begin anew."""
AUTH_FAILURES = 2
REASON = 600
"""Characters of a reason: room for two fingerprints and the command that helps."""


class Surroundings(msgspec.Struct, frozen=True):
    """What all sessions of a fleet share."""

    transport: Transport
    clock: Clock
    places: asyncio.Semaphore  # attempts that may be under way at once
    emit: Callable[[Event], None]
    full: Callable[[], bool]  # True while events wait to be written
    changed: Callable[[], None]
    cursor: Callable[[str, str], None]  # host, journal cursor after the last event
    rng: random.Random
    trusted: Trusted


class Session:
    """Runs until cancelled. All methods are called from the event loop."""

    def __init__(self, spec: Host, around: Surroundings, cursor: str = "") -> None:
        self.spec = spec
        self.data = HostData()
        self.history = History()
        self.status = Status(since=around.clock.wall())
        self.connecting = False
        self._around = around
        self._clock = around.clock
        self._cursor = sane_cursor(cursor)
        self._docs = DocKeeper()
        self._judged: GuardView | None = None
        self._counts: dict[str, int] = dict.fromkeys(LinkCount.__struct_fields__, 0)
        self._view: HostView | None = None
        self._wake = asyncio.Event()
        self._over: asyncio.Future[Exception | None] | None = None
        self._feed: Feed | None = None
        self._link: Link | None = None
        self._resyncs = Resyncs()
        self._failures = 0
        self._refusals = 0
        self._exposed_told = False
        self._tried: Pins = ()  # what the last attempt was checked against
        self._frame_mono: float | None = None
        self._opened_mono = 0.0

    # -- what others ask for

    def view(self) -> HostView:
        """The newest picture: the same object until something changed."""
        if self._view is None:
            self._counts["dropped_rows"] = self.data.cut_rows
            counts = LinkCount(**self._counts)
            now = self._clock.mono()
            made = view(self.spec, self.status, self.data, counts, now)
            self._view = msgspec.structs.replace(made, guard=self._judged) if self._judged else made
        return self._view

    def guard_docs(self) -> GuardDocs | None:
        """Raw documents of the host's guard: the same object until one changed."""
        return self._docs.view()

    def judged(self, guard: GuardView | None) -> None:
        """What those who check signatures make of these documents, for the picture."""
        if guard != self._judged:
            self._judged = guard
            self._touch()

    def focus(self, on: bool) -> None:
        """Ask for the full process table, or for summaries again."""
        if on != self.status.focused:
            self.status.focused = on
            self._verb("focus on" if on else "focus off")
            self._touch()

    def retry(self) -> None:
        """End a pause, leave REFUSED for one more attempt, NEW-KEY when another key is stored."""
        self._wake.set()

    def look(self) -> None:
        """Notice silence. Called about once a second."""
        if self._link is None or self._over is None or self._over.done():
            return
        now = self._clock.mono()
        if self._frame_mono is None:
            if now - self._opened_mono > FIRST_FRAME_S:
                why = f"the probe said nothing for {FIRST_FRAME_S:.0f} s"
                self._stop(ProbeError(why, hint="is its python3 there and not hung?"))
            return
        silent = now - self._frame_mono
        if self._around.full():  # then it is we who do not read
            if silent > STALE_PERIODS * self._period() and self.status.state is HostState.LIVE:
                why = f"not read for {silent:.0f} s: events wait for the local database"
                self._enter(HostState.STALE, why)
        elif silent > STALE_END_S:
            self._stop(ConnectError(f"no frame for {silent:.0f} s; the link was closed"))
        elif silent > STALE_PERIODS * self._period() and self.status.state is HostState.LIVE:
            self._enter(HostState.STALE, f"no frame for {silent:.0f} s")

    # -- the life of a session

    async def run(self) -> None:
        """Connect again and again, as far as the host and its answers allow."""
        while True:
            if not self.spec.host_key and not self.spec.host_ca:
                why = f"no host key is known: run `watchfloor hosts trust {self.spec.name}`"
                self._tried = self._around.trusted.pins(self.spec)
                self._enter(HostState.DOWN, why)
                await self._other_pins(why)
                continue
            error = await self._attempt()
            self._settle(error)
            if self.status.state is HostState.NEW_KEY:
                await self._other_pins(self.status.reason)
            else:
                await self._pause()

    async def _other_pins(self, why: str) -> None:
        """Until a person asks and the stored keys are others than those that were tried."""
        state = self.status.state
        while True:
            self._wake.clear()
            await self._wake.wait()
            try:
                fresh = await asyncio.to_thread(self._around.trusted.renew, self.spec)
            except (WatchfloorError, OSError, ValueError) as error:
                self._enter(state, clean(f"{why} Not read anew: {error}", REASON))
                continue
            if fresh is None:
                gone = "It is no longer in the configuration; start anew to leave it out."
                self._enter(state, clean(f"{why} {gone}", REASON))
            elif self._around.trusted.pins(fresh) == self._tried:
                old = "the stored key is still the old one" if self.spec.host_key else "still"
                self._enter(state, clean(f"{old}: {without_host(self.spec.name, why)}", REASON))
            else:
                self.spec = fresh
                self._touch()
                return

    async def _attempt(self) -> Exception | None:
        """One connection from its beginning to its end; returns why it ended."""
        self.connecting = True
        self._around.changed()
        feed = Feed(self, self._clock)
        try:
            async with self._around.places:
                self._tried = self._around.trusted.pins(self.spec)
                self.data.begin()
                self._docs.begin()
                self._frame_mono = None
                self._over = asyncio.get_running_loop().create_future()
                self._feed = feed
                link = await self._around.transport.open(self.spec, feed)
        except WatchfloorError as refused:
            feed.done = True
            return said_why(refused, feed.said)
        except Exception as defect:  # noqa: BLE001,RUF100
            # A defect met by one host is that host's row, never the end of the console.
            feed.done = True
            return ConnectError(f"the connection failed inside the console: {defect!r:.200}")
        finally:
            self.connecting = False
        try:
            self._link = link
            self._counts["connects"] += 1
            self._opened_mono = self._clock.mono()
            self.status.link = link.facts
            feed.attach(link)
            if self._cursor:
                link.send(f"resync {self._cursor}")
            if self.status.focused:
                link.send("focus on")
            error = await self._over
        finally:
            self._link = None
            feed.done = True
            await link.close()
        return said_why(error or ConnectError("the probe ended"), feed.said)

    def died(self, defect: BaseException) -> None:
        """The task of this session ended by a defect; another will go on with it."""
        self.connecting = False
        self._settle(ConnectError(f"the session failed inside the console: {defect!r:.200}"))

    def _settle(self, error: Exception | None) -> None:
        """Decide what an ended attempt means."""
        if self._frame_mono is None:
            self._counts["failures"] += 1
        else:
            self._refusals = 0
            if self._frame_mono - self._opened_mono > STEADY_S:
                self._failures = 0
        self._failures += 1
        why = clean(str(error), REASON) if error else "the connection ended"
        if isinstance(error, ProtocolError):
            self._counts["refused_lines"] += 1
        if isinstance(error, HostKeyError):
            self._enter(HostState.NEW_KEY, why)
            facts = {"offered": clean(error.offered), "reason": why}
            self._emit("host.key-changed", self.spec.name, facts)
        elif isinstance(error, KeyFileError):
            self._refusals = AUTH_FAILURES
            self._enter(HostState.REFUSED, why)
        elif isinstance(error, AuthError):
            self._refusals += 1
            refused = self._refusals >= AUTH_FAILURES
            self._enter(HostState.REFUSED if refused else HostState.DOWN, why)
        else:
            self._enter(HostState.DOWN, why)

    async def _pause(self) -> None:
        """Wait for the next attempt, or for a person."""
        self._wake.clear()
        if self.status.state is HostState.REFUSED:
            await self._wake.wait()
            return
        seconds = backoff(self._failures, self._around.rng)
        self.status.retry_at = self._clock.wall() + seconds
        self._touch()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self.status.retry_at = None

    def same_id(self, others: str) -> None:
        """Hosts of another name say that they are the same machine."""
        self._emit("host.same-id", self.data.host_id, {"with": others})

    # -- what the feed tells (feed.Receiver)

    def frame(self, decoded: Decoded, size: int) -> None:
        """Apply one frame."""
        now = self._clock.mono()
        reason, events = self.data.apply(decoded, now)
        self.data.weigh(size)
        wall = self._clock.wall()
        self._frame_mono = now
        self.status.frame_at = wall
        self.status.skew = decoded.frame.wall - wall
        self._counts["frames"] += 1
        self._counts["bytes"] += size + 1
        self._counts["dropped_events"] += decoded.dropped_events
        if self.status.state is not HostState.LIVE:
            self._enter(HostState.LIVE, "")
            self._tell_exposed()
        if decoded.frame.f is not None:
            self.history.add(wall, decoded.frame.f)
        for event in events:
            self._emit(event.kind, event.key, event.facts, event.at)
            if event.cursor and event.cursor != self._cursor:
                self._cursor = sane_cursor(event.cursor)
                self._around.cursor(self.spec.name, self._cursor)
        self._guard_frame(decoded, now)
        if not reason and self.data.waits:
            reason = "a keyframe did not come"
        if reason and self._resyncs.wanted(now, reason):
            self._counts["resyncs"] += 1
            self._verb("resync")
        self._touch()

    def _guard_frame(self, decoded: Decoded, now: float) -> None:
        """Note what the guard has published, and ask for what is not here yet."""
        frame = decoded.frame
        if frame.guard is not None:
            self._docs.named(frame.guard, frame.boot)
        if frame.doc is not None:
            self._docs.got(frame.doc)
        for digest in self._docs.wanted(now):
            self._verb(f"guard-doc {digest}")

    def _tell_exposed(self) -> None:
        if not self._exposed_told:
            self._exposed_told = True
            for finding in exposed(self.spec):
                self._emit("host.finding", "tier", {"finding": finding})

    def full(self) -> bool:
        """True while events of this host may not be taken."""
        return self._around.full()

    def ended(self, error: Exception | None) -> None:
        """The feed reads no more."""
        if self._over is not None and not self._over.done():
            self._over.set_result(error)

    # -- small things

    def _stop(self, error: Exception) -> None:
        if self._feed is not None:
            self._feed.stop(error)

    def _period(self) -> float:
        told = self.data.hello.fast_s if self.data.hello else 2.0
        return min(max(told, 1.0), 10.0)

    def _verb(self, line: str) -> None:
        if self._link is not None:
            self._link.send(line)

    def _enter(self, state: HostState, reason: str) -> None:
        before = self.status.state
        self.status.reason = reason
        if state is not before:
            self.status.state = state
            self.status.since = self._clock.wall()
            facts = {"from": before.value, "to": state.value, "reason": reason}
            self._emit("host.state", state.value, facts)
        self._touch()

    def _emit(self, kind: str, key: str, facts: dict[str, Any], at: float | None = None) -> None:
        when = self._clock.wall() if at is None else at
        self._around.emit(
            Event(kind=clean(kind, 80), host=self.spec.name, at=when, key=clean(key), facts=facts)
        )

    def _touch(self) -> None:
        self._view = None
        self._around.changed()
