"""Writes what an engine shows into a recording, beside whoever looks at that engine."""

import asyncio
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from console import __version__
from console.clock import Clock, SystemClock
from console.engine.keyplaces import KeyPlaces
from console.engine.pieces import batches, written
from console.engine.protocol import Engine
from console.engine.recording import FORMAT, VERSION, Header, Line, Tick, changes
from console.errors import UsageError
from console.model.event import Event
from console.model.history import Series
from console.model.panel import Panel
from console.model.view import FleetSnapshot, HostView
from console.text import clean

TICK_S = 1.0
KEY_S = 60.0
LIMIT = 2 << 30
"""Bytes of the file at which a recording ends."""
EVENTS = 1000
"""Events of one line."""
STOP_S = 5.0

_raw = msgspec.Raw
_encode = msgspec.json.encode


class Full(Exception):
    """The recording has reached its limit."""


class Writer:
    """One file. Every method but the constructor may be called in a thread, one at a time."""

    def __init__(self, path: Path, *, limit: int = LIMIT) -> None:
        """Create ``path``, readable by this user alone. Raises UsageError."""
        self.path = path
        self.written = 0
        self._limit = limit
        self._views: dict[str, HostView] = {}
        self._key_at = float("-inf")
        self._key_size = 0
        self._since_key = 0
        self._keys = KeyPlaces()
        self._left: dict[tuple[str, str], None] = {}  # host and field that fit into no line
        self._told: set[tuple[str, str]] = set()  # of these
        self._pack = zlib.compressobj(6, zlib.DEFLATED, 31) if path.suffix == ".gz" else None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        where = clean(str(path))
        try:
            self._file = os.open(path, flags, 0o600)
        except FileExistsError:
            raise UsageError(
                "there is a file already, and a recording never replaces one",
                where=where, hint="Name another one, or move that away.",
            ) from None  # fmt: skip
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "no path"
            raise UsageError(
                f"no recording can be written here: {why}",
                where=where, hint="Name a file in a folder that you may write.",
            ) from None  # fmt: skip

    def begin(self, at: float, hosts: Iterable[str], title: str) -> None:
        """Write the header."""
        header = Header(
            watchfloor=FORMAT, version=VERSION, at=at, hosts=tuple(hosts),
            title=self._keys.without(title), program=__version__,
        )  # fmt: skip
        self._put([_encode(header)])

    def tick(self, at: float, snapshot: FleetSnapshot, events: Sequence[Event], lost: int) -> None:
        """Write what is new at ``at``. Raises OSError, or Full and has then written nothing."""
        # Keyframes are as far apart as they are long, so that they never take more than half.
        key = at - self._key_at >= KEY_S and self._since_key >= self._key_size
        key = key or at < self._key_at  # the clock was set back
        lines: list[bytes] = [_encode(Line(at=at, key=True))] if key else []
        self._keys.learn(view.spec for view in snapshot.hosts)
        for view in snapshot.hosts:
            before = None if key else self._views.get(view.name)
            if view is not before:
                lines += self._host(at, view, before)
        for told in batches([self._keys.of_event(event) for event in events], EVENTS):
            lines.append(_encode(Line(at=at, events=tuple(map(_raw, told)))))
        numbers = Tick(connecting=snapshot.connecting, dropped=snapshot.dropped_events, lost=lost)
        lines.append(_encode(Line(at=at, tick=numbers)))
        size = self._put(lines)
        self._since_key += size
        if key:
            self._key_at, self._key_size, self._since_key = at, size, 0
        self._views = {view.name: view for view in snapshot.hosts}

    def _host(self, at: float, view: HostView, before: HostView | None) -> Iterator[bytes]:
        left: list[str] = []
        for change in changes(view, before):
            self._keys.of_change(change)
            for data in written(change, left):
                yield _encode(Line(at=at, host=view.name, set=_raw(data)))
        for name in left:
            self._left.setdefault((view.name, name))

    def left_out(self) -> list[tuple[str, str]]:
        """Hosts and fields that fitted into no line, as far as not told before."""
        new = [place for place in self._left if place not in self._told]
        self._told.update(new)
        return new

    def end(self, at: float, why: str) -> None:
        """Write the last line and close the file, if that is still possible."""
        try:
            self._limit += 4096
            self._put([_encode(Line(at=at, end=why))], last=True)
        except (OSError, Full):
            pass  # then it is a recording that was cut off, and is read as one
        finally:
            self.close()

    def close(self) -> None:
        """Close the file; nothing more is written."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _put(self, lines: list[bytes], *, last: bool = False) -> int:
        """Write whole lines; returns their size before packing."""
        lines.append(b"")
        data = b"\n".join(lines)
        size = len(data)
        if self._pack is not None:
            mode = zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
            data = self._pack.compress(data) + self._pack.flush(mode)
        if self.written + len(data) > self._limit:
            raise Full
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self.written += len(data)
        return size


Make = Callable[[Callable[[], Iterable[Event]]], Engine]
"""Makes an engine that also tells the events that it is handed."""


def recorded(make: Make, path: Path | None, *, title: str = "") -> Engine:
    """The engine, recorded into ``path`` where there is one. Raises UsageError."""
    return make(tuple) if path is None else Recorded(make, path, title=title)


class Recorded:
    """An ``Engine`` that is another one, and is recorded while it runs.

    A recording that cannot go on ends with an event ``record.stopped``, and nothing else does.
    """

    def __init__(
        self,
        make: Make,
        path: Path,
        *,
        title: str = "",
        clock: Clock | None = None,
        limit: int = LIMIT,
    ) -> None:
        """``make`` gets where to ask for this recorder's events, and makes the engine.

        Raises UsageError when the file cannot be created; ``make`` was not called then.
        """
        self._clock = clock or SystemClock()
        self._writer = Writer(path, limit=limit)
        self._title = title
        self._told: list[Event] = []
        self._after = 0
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._engine = make(self._tell)

    def _tell(self) -> Iterable[Event]:
        told, self._told = self._told, []
        return told

    async def start(self) -> None:
        """Start the engine, and record it from its first picture on."""
        await self._engine.start()
        self._task = asyncio.create_task(self._run(), name="recorder")

    async def stop(self) -> None:
        """Write what happened until now, end the recording, then stop the engine."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=STOP_S)
        else:
            self._writer.close()
        await self._engine.stop()

    async def _run(self) -> None:
        writer = self._writer
        try:
            hosts = [view.name for view in self._engine.snapshot().hosts]
            await asyncio.to_thread(writer.begin, self._clock.wall(), hosts, self._title)
            while True:
                last = self._closing.is_set()
                await self._tick()
                if last:
                    await asyncio.to_thread(writer.end, self._clock.wall(), "it was ended")
                    return
                try:
                    async with asyncio.timeout(TICK_S):
                        await self._closing.wait()
                except TimeoutError:
                    continue
        except Full:
            size = f"{writer.written >> 20} MiB"
            await asyncio.to_thread(writer.end, self._clock.wall(), "it reached its limit of size")
            self._stopped(f"the file has reached its limit of {size}; start another recording")
        except OSError as error:
            writer.close()
            self._stopped(f"{error.strerror or error}; free space, then start another recording")
        except Exception as error:  # noqa: BLE001,RUF100  # a defect ends the recording alone
            writer.close()
            self._stopped(f"a defect of its own: {type(error).__name__}: {error}")

    def _stopped(self, reason: str) -> None:
        facts = {"file": clean(str(self._writer.path)), "reason": clean(reason)}
        self._told.append(Event(kind="record.stopped", host="", at=self._clock.wall(), facts=facts))

    async def _tick(self) -> None:
        """One tick: the picture is immutable, so a thread may take its time over it."""
        events: list[Event] = []
        before = self._after
        while found := self._engine.events(self._after, EVENTS):
            events += found
            self._after = found[-1].seq
            if len(events) >= 50 * EVENTS:
                break
        lost = self._after - before - len(events)
        snapshot = self._engine.snapshot()
        at = self._clock.wall()
        await asyncio.to_thread(self._writer.tick, at, snapshot, events, lost)
        for host, field in self._writer.left_out():
            facts = {"field": field}
            self._told.append(Event(kind="record.left-out", host=host, at=at, facts=facts))

    # -- the engine itself

    @property
    def recorded(self) -> Engine:
        """The engine that is recorded: who acts, acts by it, and what came of it is recorded."""
        return self._engine

    def snapshot(self) -> FleetSnapshot:
        """The newest picture."""
        return self._engine.snapshot()

    def now(self) -> float:
        """The engine's clock."""
        return self._engine.now()

    def events(self, after: int = 0, limit: int = 1000, host: str = "") -> list[Event]:
        """Events with a greater ``seq``."""
        return self._engine.events(after, limit, host)

    def forgotten(self, host: str) -> int:
        """How many events of that host are no longer held."""
        return self._engine.forgotten(host)

    def history(self, host: str, name: str, seconds: float) -> Series:
        """One number over time."""
        return self._engine.history(host, name, seconds)

    def series(self, host: str) -> list[str]:
        """Names of the numbers that ``history`` has."""
        return self._engine.series(host)

    def panels(self, host: str) -> tuple[Panel, ...]:
        """What plugins show of that host."""
        return self._engine.panels(host)

    def focus(self, *hosts: str) -> None:
        """Full process tables for these hosts only."""
        self._engine.focus(*hosts)

    def retry(self, host: str) -> None:
        """Connect now."""
        self._engine.retry(host)
